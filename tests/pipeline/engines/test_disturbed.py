"""Clusters whose nodes, jobs, workers and drivers are lost at random moments: the results are those of an undisturbed
call.

`tox -e cluster` makes DISTURBANCES of them (30) on each engine, and prints each; so does
`DISTURBANCES=100 DISTURBANCE_SEED=1 pytest -m cluster tests/pipeline/engines/test_disturbed.py -s`.
"""

from __future__ import annotations

import os
import random
import signal
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.pipeline.engines.cluster import RELAY, WORKER, Nodes, Suite, processes, three_nodes
from tests.pipeline.engines.local_slurm import CONTROLLER, TASK

DISTURBANCES = int(os.environ.get("DISTURBANCES", "30"))
SEED = int(os.environ.get("DISTURBANCE_SEED", "0"))
STOPPED = float(os.environ.get("DISTURBANCE_STOP", "60"))
"""Seconds for which a process is stopped."""
LATEST = 300.0
"""Seconds that a call may take."""
DRIVER_WAYS = ("driver 9", "driver 15", "driver 2")
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600 + LATEST * DISTURBANCES)]


class Disturber(ABC):
    """A cluster, and what may happen to it."""

    ways: Sequence[str]
    command: str = "benchmark.run"
    options: Sequence[str]

    @abstractmethod
    def jobs(self) -> list[int]:
        """The processes of jobs that run."""

    def workers(self) -> list[int]:
        """The processes that jobs have their stages made by; those of other calls on this machine are left alone."""
        return [worker for job in self.jobs() for worker in processes((WORKER,), job)]

    def disturb(self, way: str, driver: int, rng: random.Random) -> bool:
        """Disturb a call that runs; returns whether there was anybody to disturb."""
        kind, _, number = way.partition(" ")
        if kind == "driver":
            os.kill(driver, int(number))
            return True
        targets = self.jobs() if kind in ("job", "limit") else self.workers()
        if not targets:
            return False
        target = rng.choice(targets)
        with suppress(ProcessLookupError):
            os.kill(target, {"stop": signal.SIGSTOP, "limit": signal.SIGUSR2}.get(kind, signal.SIGKILL))
            if kind == "stop":
                time.sleep(STOPPED)
                os.kill(target, signal.SIGCONT)
        return True


class RayCluster(Disturber):
    """Three nodes of Ray, one of which may be lost."""

    ways = ("node", "worker", "job", "stop", *DRIVER_WAYS)

    def __init__(self, nodes: Nodes) -> None:
        self.nodes, self.options = nodes, ("--engine", "ray", "--address", nodes.address)

    def jobs(self) -> list[int]:
        return processes((RELAY,))

    def disturb(self, way: str, driver: int, rng: random.Random) -> bool:
        if way == "node":
            self.nodes.remove(rng.choice(self.nodes.nodes))
            self.nodes.add()
            return True
        return super().disturb(way, driver, rng)


class Queue(Disturber):
    """submitit's local executor, whose jobs may be lost with all that belongs to them, or come to their time limit."""

    ways = ("node", "worker", "job", "limit", "stop", *DRIVER_WAYS)
    command = "tests.pipeline.engines.local_slurm"
    options = ("--engine", "slurm")

    def jobs(self) -> list[int]:
        return processes((TASK,))

    def disturb(self, way: str, driver: int, rng: random.Random) -> bool:
        if way != "node":
            return super().disturb(way, driver, rng)
        if not (controllers := processes((CONTROLLER,))):
            return False
        controller = rng.choice(controllers)
        for process in (controller, *processes((TASK, WORKER), controller)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return True


@pytest.fixture(params=["ray", "slurm"])
def disturber(request: pytest.FixtureRequest) -> Iterator[Disturber]:
    if request.param == "slurm":
        yield Queue()
        return
    with three_nodes() as nodes:
        yield RayCluster(nodes)


def call(
    suite: Suite, out: Path, disturber: Disturber, ways: Iterator[str], rng: random.Random, counts: Counter[str]
) -> int:
    """Call the suite once, disturbed as long as there are ways, mostly while a job runs; returns its status."""
    process = suite.start(out, *disturber.options, command=disturber.command)
    started = time.monotonic()
    while process.poll() is None and time.monotonic() < started + LATEST:
        anywhen = rng.random() < 0.2
        while process.poll() is None and not anywhen and not disturber.jobs():
            time.sleep(0.2)
        time.sleep(rng.uniform(0, 8))
        if process.poll() is None and (way := next(ways, None)):
            done = disturber.disturb(way, process.pid, rng)
            counts[way] += done
            print(f"  after {time.monotonic() - started:.0f} s: {way}{'' if done else ' (nobody)'}", flush=True)
    _, errors = process.communicate(timeout=LATEST)
    assert "Traceback" not in errors, errors
    assert process.returncode != 1 or "died 3 times without progress" in errors, errors
    return process.returncode


def test_results_are_those_of_an_undisturbed_call(suite: Suite, disturber: Disturber, tmp_path: Path) -> None:
    rng, counts = random.Random(SEED), Counter[str]()
    chosen = os.environ.get("DISTURBANCE_WAYS", ",".join(disturber.ways)).split(",")
    number = 0
    while counts.total() < DISTURBANCES:
        number += 1
        out = tmp_path / f"out-{number}"
        status = -1
        while status != 0:
            left = DISTURBANCES - counts.total()
            ways = iter([rng.choice(chosen) for _ in range(min(left, 4))])
            status = call(suite, out, disturber, ways, rng, counts)
            print(f"run {number}: status {status}, {counts.total()} disturbances: {dict(counts)}", flush=True)
            assert status in (0, 1, -9, 128 + 15, 128 + 2, -15, -2)
        suite.check(out)
