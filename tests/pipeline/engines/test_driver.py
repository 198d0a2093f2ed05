"""What the driver does with each event of an engine; no process is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.core.artifacts import Store
from benchmark.core.environment import Environment
from benchmark.core.errors import RunFailed
from benchmark.core.progress import Reporter
from benchmark.core.tracking import Tracker
from benchmark.pipeline import messages, workers
from benchmark.pipeline.engines.executor import Died, Event, Executor, Job, MessageReceived, Refused
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.workers import DEATHS, Driver
from benchmark.stages.base import Context, Machine, Stage, make
from tests.pipeline.engines.counting import STATE, Counting, Joined, Last

Script = Callable[[Job, int], Iterator[Event]]
"""Events of a job that is the so-manieth of its first stage."""


class Scripted(Executor):
    """One job after the other, each with the events that a test gives it."""

    remote, together = True, 60.0

    def __init__(self, script: Script) -> None:
        self._script = script
        self.jobs: list[Job] = []
        self._waiting: list[Job] = []
        self.cancelled = self.closed = False

    @property
    def room(self) -> int:
        return 100

    @property
    def running(self) -> bool:
        return False

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self._waiting.append(job)

    def receive(self, seconds: float) -> Iterator[Event]:
        if self._waiting:
            job = self._waiting.pop(0)
            yield from self._script(job, sum(other.stages[0] is job.stages[0] for other in self.jobs))

    def cancel(self) -> None:
        self.cancelled = True

    def kill(self) -> None:
        raise AssertionError

    def close(self) -> None:
        self.closed = True


class Run:
    """Two trainings, a short stage of each, and a driver."""

    def __init__(self, out: Path, script: Script) -> None:
        self.first, self.second = Counting("first", 3), Counting("second", 3)
        self.short = Joined("short", self.first, self.second)
        self.other = Joined("other", self.short)
        self.last = Last("last", self.other)
        self.context = Context(
            Store(out, shared=True), Reporter(), Machine("cpu", 1), Environment("test", "cpu", 1), Tracker()
        )
        self.executor = Scripted(script)
        stages: list[Stage] = [self.first, self.second, self.short, self.other, self.last]
        self.schedule = Schedule(stages, {stage.recipe.key: 1.0 for stage in stages})

    def drive(self) -> list[list[str]]:
        """The names of the stages of each job."""
        with self.context.reporter.plan_progress(self.schedule.unfinished) as progress:
            Driver(self.schedule, self.last, self.context, self.executor, 2, progress).run()
        assert self.schedule.remaining == [self.last]
        return [[stage.name for stage in job.stages] for job in self.executor.jobs]

    def save(self, stage: Stage, text: str) -> None:
        with self.context.store.making(stage.recipe) as partial:
            (partial / STATE).write_text(text)


def whole(job: Job) -> Iterator[Event]:
    for stage in job.stages:
        yield MessageReceived(job.number, messages.Begins(stage.recipe.key, "node-1"))
        yield MessageReceived(job.number, messages.BarBegins(stage.name, 3, 0))
        yield MessageReceived(job.number, messages.BarMoves(3, None))
        yield MessageReceived(job.number, messages.BarEnds())
        yield MessageReceived(job.number, messages.Done(1.0, 1))


def test_short_stages_go_together_and_bars_name_the_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path, lambda job, _: whole(job))
    assert run.drive() == [["first"], ["second"], ["short", "other"]]
    assert run.executor.closed
    said = capsys.readouterr().err
    assert "[1/5] first @ node-1; about 4 s left in all" in said
    assert "first @ node-1: 3 to do\n" in said


def test_three_deaths_without_progress_end_the_run(tmp_path: Path) -> None:
    def script(job: Job, time: int) -> Iterator[Event]:
        if job.stages[0].name != "first":
            yield from whole(job)
            return
        yield MessageReceived(job.number, messages.Begins(job.stages[0].recipe.key, "node-1"))
        yield Died(job.number, "was killed by SIGKILL", (f"line {time}",))

    run = Run(tmp_path, script)
    with pytest.raises(RunFailed) as error:
        run.drive()
    assert str(error.value) == (
        "first: its process died 3 times without progress; the last one was killed by SIGKILL, and its last lines "
        "were:\n  line 3"
    )
    assert sum(job.stages[0].name == "first" for job in run.executor.jobs) == DEATHS
    assert run.executor.cancelled
    assert run.executor.closed


def test_deaths_with_progress_are_not_counted(tmp_path: Path) -> None:
    """Nor are those of a short stage beside those of another."""

    def script(job: Job, time: int) -> Iterator[Event]:
        stage = job.stages[0]
        if stage.name == "first" and time <= 4 * DEATHS:
            if time % DEATHS:  # two without, one with
                yield Died(job.number, "was lost")
                return
            run.save(stage, f"{time}")
            yield Died(job.number, "was lost")
        elif time < DEATHS:
            yield Died(job.number, "was lost")
        else:
            yield from whole(job)

    run = Run(tmp_path, script)
    names = run.drive()
    assert names.count(["first"]) == 4 * DEATHS + 1
    assert names.count(["second"]) == DEATHS


def test_what_is_taken_back_or_refused_goes_elsewhere(tmp_path: Path) -> None:
    def script(job: Job, time: int) -> Iterator[Event]:
        if time <= 5:
            yield MessageReceived(job.number, messages.Begins(job.stages[0].recipe.key, "node-1"))
            yield MessageReceived(job.number, messages.BarBegins(job.stages[0].name, 3, 0))
            yield MessageReceived(job.number, messages.Stopped(15, 1))
        elif time <= 10:
            yield Refused(job.number, "node-2 has another kind of processor")
        else:
            yield from whole(job)

    assert len(Run(tmp_path, script).drive()) == 3 * 11


def test_a_job_that_begins_again_is_not_heard_twice(tmp_path: Path) -> None:
    def script(job: Job, time: int) -> Iterator[Event]:
        yield MessageReceived(job.number, messages.Begins(job.stages[0].recipe.key, "node-1"))
        yield MessageReceived(job.number, messages.Requeued())
        events = [*whole(job)]
        yield from events[:-1]
        yield from events
        yield from events  # nobody listens any more

    Run(tmp_path, script).drive()


def test_what_another_call_makes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ELSEWHERE", 0.0)
    other = Run(tmp_path, lambda job, _: iter(()))

    def script(job: Job, time: int) -> Iterator[Event]:
        if job.stages[0].name != "first" or time > 1:
            yield from whole(job)
        else:
            yield MessageReceived(job.number, messages.Begins(job.stages[0].recipe.key, "node-1"))
            yield MessageReceived(job.number, messages.Elsewhere())

    run = Run(tmp_path / "left", script)
    assert run.drive().count(["first"]) == 2  # it was left, and is made here after all
    run = Run(tmp_path, script)
    make(other.first, other.context)
    assert run.drive().count(["first"]) == 1
