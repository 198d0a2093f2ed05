"""Large plans: what planning, dispatch and bookkeeping cost for each stage does not grow with their number."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from benchmark.core.artifacts import Store
from benchmark.core.environment import Environment
from benchmark.core.progress import Reporter
from benchmark.core.tracking import Tracker
from benchmark.pipeline import messages
from benchmark.pipeline.engines.executor import Event, Executor, Job, MessageReceived
from benchmark.pipeline.plan import Plan
from benchmark.pipeline.request import RunOptions, check_options
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.workers import Driver
from benchmark.stages.base import Context, Machine, Stage
from benchmark.stages.rates import Rates
from tests.pipeline.test_pipeline import METHOD

GROWTH = 3.0
"""Allowed for ten times as many stages; what looks at all stages for each of them grows by ten."""


class DummyWork(Executor):
    """Stages that are finished at once, but for the first lines of their folders."""

    def __init__(self, root: Path, jobs: int, remote: bool) -> None:
        self.remote, self.together, self._root, self._jobs = remote, 30.0 if remote else 0.0, root, jobs
        self.submitted: list[Job] = []
        self._running: deque[Job] = deque()

    @property
    def room(self) -> int:
        return self._jobs - len(self._running)

    @property
    def running(self) -> bool:
        return bool(self._running)

    def submit(self, job: Job) -> None:
        self.submitted.append(job)
        self._running.append(job)

    def receive(self, seconds: float) -> Iterator[Event]:
        job = self._running.popleft()
        for stage in job.stages:
            key = stage.recipe.key
            if self.remote:
                yield MessageReceived(job.number, messages.Begins(key, "node"))
            yield MessageReceived(job.number, messages.BarBegins(stage.name, 10, 0))
            yield MessageReceived(job.number, messages.BarMoves(10, "loss 0.1"))
            yield MessageReceived(job.number, messages.BarEnds())
            yield MessageReceived(job.number, messages.Done(0.1, 1000))

    def cancel(self) -> None:
        self._running.clear()

    def kill(self) -> None:
        self._running.clear()

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Cost:
    """Processor seconds for each of the stages."""

    stages: int
    planning: float
    driving: float


def measure(folder: Path, faces: Path, seeds: int, remote: bool, jobs: int) -> Cost:
    """Plan a suite of ten stages a seed, and have dummy work done for it."""
    rows = [
        {"id": f"{guide}{width}", "label": guide, "method": METHOD, "guide": guide, "data": "F", "variant": variant}
        for width, variant in ((1, {}), (2, {"batch": 5}))
        for guide in "TR"
    ]
    profile = {
        "title": "tiny", "notice": "Seconds only.", "size": 32, "width": 1.0, "features": "efficientnet-lite0",
        "judge_epochs": 1, "checkpoint_every": 2, "log_every": 1, "iterations": {"default": 7}, "allow_small": True,
    }  # fmt: skip
    folder.mkdir()
    (folder / "suite.yaml").write_text(yaml.safe_dump({"title": "Many", "rows": rows}))
    (folder / "profile.yaml").write_text(yaml.safe_dump(profile))
    options = RunOptions(
        str(folder / "suite.yaml"), str(folder / "profile.yaml"), f"rendered:{faces}",
        seeds=range(seeds), device="cpu", out=folder / "out", quiet=True,
    )  # fmt: skip
    started = time.process_time()
    request, store = check_options(options)
    plan = Plan(request, store)
    context = Context(store, Reporter(True), Machine("cpu", 1), Environment("test", "cpu", 1), Tracker())
    missing = [stage for stage in plan.stages if not store.exists(stage.recipe)]
    rates = Rates(store, 1)
    schedule = Schedule(missing, {stage.recipe.key: rates.expected(stage) for stage in missing})
    planned = time.process_time()
    executor = DummyWork(store.root, jobs, remote)
    with context.reporter.plan_progress(len(missing)) as progress:
        Driver(schedule, plan.report, context, executor, jobs, progress).run()
    driven = time.process_time()
    made: list[Stage] = [stage for job in executor.submitted for stage in job.stages]
    assert len({stage.recipe.key for stage in made}) == len(made) == len(missing) - 1
    place = {stage.recipe.key: number for number, stage in enumerate(made)}
    assert all(
        place[other.recipe.key] < place[stage.recipe.key]
        for stage in made
        for other in stage.inputs.values()
    )  # fmt: skip
    return Cost(len(missing), (planned - started) / len(missing), (driven - planned) / len(missing))


@pytest.mark.parametrize(("remote", "jobs"), [(False, 4), (True, 1000)])
def test_a_stage_costs_the_same_in_a_large_plan(
    tmp_path: Path, make_faces: Callable[..., Path], remote: bool, jobs: int
) -> None:
    """Of 10,000 stages with SCALE_SEEDS=1000, which `tox -e cluster` sets."""
    seeds = int(os.environ.get("SCALE_SEEDS", "100"))
    faces = make_faces(identities=3)
    measure(tmp_path / "warm", faces, 2, remote, jobs)
    few, many = (measure(tmp_path / f"{count}", faces, count, remote, jobs) for count in (seeds // 10, seeds))
    print(f"\n{few}\n{many}")
    assert many.stages > 8 * few.stages  # ten times but for those that all seeds share
    assert many.planning < GROWTH * few.planning
    assert many.driving < GROWTH * few.driving


def test_manifests_are_read_once_for_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of thousands of artifacts is not read anew by every call."""
    from benchmark.core.artifacts import Manifest, Recipe

    store = Store(tmp_path)

    def add(number: int, seconds: float, at: str) -> None:
        recipe = Recipe("train", f"train {number}", {"number": number}, {}, 1)
        with store.making(recipe) as partial:
            made = {"work": {"rate": "train it", "amount": 10}, "threads": 1, "time": at, "peak_memory": number}
            store.finish(recipe, partial, [], {}, seconds, made)

    for number in range(5):
        add(number, number + 1.0, f"2026-01-0{number + 1}")
    assert Rates(store, 1)._own == {"train it": 0.5}
    read = list[Path]()
    original = Manifest.read
    monkeypatch.setattr(Manifest, "read", lambda path, older=False: read.append(path) or original(path, older))
    assert Rates(store, 1)._own == {"train it": 0.5}
    assert read == []
    add(7, 70.0, "2026-02-01")
    read.clear()
    assert Rates(store, 1)._own == {"train it": 7.0}
    assert Rates(store, 1)._peaks == {"train it": 7}
    assert len(read) == 1
    (tmp_path / "cache" / "rates.json").write_text('{"train/x": [1, "many", 0, 0, 0]}')
    assert Rates(store, 1)._own == {"train it": 7.0}
