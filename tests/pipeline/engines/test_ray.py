"""Stages on a Ray cluster of three nodes, which are lost, and a driver that stops."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.artifacts import Store
from benchmark.core.cli import Interrupted
from benchmark.core.environment import Environment
from benchmark.core.errors import RunFailed, UserError
from benchmark.core.progress import Reporter
from benchmark.core.store_address import StoreAddress
from benchmark.core.tracking import Tracker
from benchmark.pipeline import messages
from benchmark.pipeline.engines import ray_cluster
from benchmark.pipeline.engines.options import EngineOptions
from benchmark.pipeline.engines.ray_cluster import Letters, Mailbox, Post, RayExecutor
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.workers import Driver
from benchmark.stages.base import Context, Machine, Stage
from tests.pipeline.engines.cluster import RELAY, WORKER, Nodes, processes, three_nodes, wait_for
from tests.pipeline.engines.counting import Counting, Joined, Last

STEPS = 25


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with three_nodes() as cluster:
        yield cluster


class Run:
    """Two trainings of a few seconds, what joins them, and a driver."""

    def __init__(self, out: Path, nodes: Nodes, die_at: tuple[int, ...] = (), **options: str) -> None:
        self.first, self.second = Counting("first", STEPS, die_at), Counting("second", 3)
        joined = Joined("joined", self.first, self.second)
        self.again = Joined("joined again", joined)
        self.last = Last("last", self.again)
        self.stages: list[Stage] = [self.first, self.second, joined, self.again, self.last]
        self.context = Context(
            Store(out, shared=True), Reporter(), Machine("cpu", 1), Environment("test", "cpu", 1), Tracker()
        )
        self._setup = messages.WorkerSetup(
            {}, StoreAddress(out, True), self.context.machine, self.context.environment, quiet=True
        )
        self._options = EngineOptions("ray", nodes.address, **options)  # type: ignore[arg-type]

    def missing(self) -> list[Stage]:
        return [stage for stage in self.stages if not self.context.store.exists(stage.recipe)]

    def drive(self) -> None:
        missing = self.missing()
        schedule = Schedule(missing, {stage.recipe.key: 1.0 for stage in missing})
        executor = RayExecutor(self._options, self._setup, 10)
        with self.context.reporter.plan_progress(len(missing)) as progress:
            Driver(schedule, self.last, self.context, executor, 2, progress).run()

    def check(self) -> None:
        """All is made, and every step of the training once."""
        assert self.missing() == [self.last]
        assert (self.first.folder(self.context) / "result.txt").read_text() == ",".join(map(str, range(STEPS)))
        assert (self.again.folder(self.context) / "result.txt").read_text() == f"{STEPS + 3} lines in 1"
        assert not list(self.context.store.root.glob("*/*.partial"))

    def when_half_way(self, act: Callable[[], object]) -> threading.Thread:
        """Do something once the first training has saved a state."""

        def work() -> None:
            wait_for(lambda: self.context.store.saved_state(self.first.recipe))
            act()

        thread = threading.Thread(target=work)
        thread.start()
        return thread


class SlowMailbox(Mailbox):
    """Messages overtake each other, as Ray allows."""

    async def put(self, job: int, number: int, message: Post) -> None:
        await asyncio.sleep(0.4 * (number % 2 == 0))  # ends of stages
        await super().put(job, number, message)


def remove_busy_nodes(nodes: Nodes) -> None:
    """Remove every node that has had a job: that of the first training, and maybe that of the second."""
    relays = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in processes((RELAY,))}
    for node in [node for node in nodes.nodes if node.all_processes["raylet"][0].process.pid in relays]:
        nodes.remove(node)


def test_a_node_that_is_lost_costs_no_step(nodes: Nodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path, nodes)
    thread = run.when_half_way(lambda: remove_busy_nodes(nodes))
    try:
        run.drive()
    finally:
        thread.join()
        while len(nodes.nodes) < 3:
            nodes.add()
    run.check()
    said = capsys.readouterr().err
    assert "first @ " in said
    assert "it goes on elsewhere from what is saved" in said


def test_messages_that_overtake_each_other_are_heard_in_order(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "Mailbox", SlowMailbox)
    run = Run(tmp_path, nodes)
    group = [Joined(f"joined {number}", run.second) for number in range(4)]  # one job makes them
    run.last = Last("last", *group)
    run.stages = [run.second, *group, run.last]
    run.drive()
    assert run.missing() == [run.last]


@given(st.permutations(range(6)))
def test_letters_come_in_the_order_in_which_they_were_sent(order: list[int]) -> None:
    letters = Letters()
    heard = [message for number in order for message in letters.put(number, str(number))]
    assert heard == ["0", "1", "2", "3", "4", "5"]


def test_a_stop_saves_on_every_node(nodes: Nodes, tmp_path: Path) -> None:
    run = Run(tmp_path, nodes)
    thread = run.when_half_way(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        run.drive()
    thread.join()
    wait_for(lambda: not processes((WORKER,), os.getpid()), 20)
    assert run.first in run.missing()
    assert run.context.store.begun(run.first.recipe)
    run.drive()
    run.check()


@pytest.mark.cluster
def test_a_training_that_kills_its_process_ends_the_run(nodes: Nodes, tmp_path: Path) -> None:
    run = Run(tmp_path, nodes, die_at=(2,))
    with pytest.raises(RunFailed) as error:
        run.drive()
    assert str(error.value).startswith("first: its process died 3 times without progress; the last one was killed by ")
    assert str(error.value).endswith("its last lines were:\n  about to die at 2")


def test_nodes_of_another_kind_are_not_used(nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no machine of the cluster can be used; .* has another kind of processor \("):
        Run(tmp_path, nodes, processor="Z80").drive()


def test_without_a_cluster_there_is_one_line(nodes: Nodes, tmp_path: Path) -> None:
    options = EngineOptions("ray", "127.0.0.1:1")
    setup = messages.WorkerSetup({}, StoreAddress(tmp_path), Machine("cpu", 1), Environment("test", "cpu", 1), True)
    with pytest.raises(UserError, match=r"--engine ray: no cluster answers at 127\.0\.0\.1:1") as error:
        RayExecutor(options, setup, 1)
    assert "\n" not in str(error.value)
