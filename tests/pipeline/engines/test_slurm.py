"""Jobs of a queue, by submitit's local executor: a training is told of its time limit, saves, and goes on."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core.artifacts import Store
from benchmark.core.environment import Environment
from benchmark.core.errors import UserError
from benchmark.core.progress import Reporter
from benchmark.core.store_address import StoreAddress
from benchmark.core.tracking import Tracker
from benchmark.pipeline import messages
from benchmark.pipeline.engines import relay, slurm
from benchmark.pipeline.engines.options import EngineOptions, minutes
from benchmark.pipeline.engines.slurm import SlurmExecutor, Spool
from benchmark.pipeline.request import RunOptions, check_options
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.workers import Driver
from benchmark.stages.base import Context, Machine, Stage
from tests.pipeline.engines.cluster import processes, wait_for
from tests.pipeline.engines.counting import Counting, Joined, Last

OPTIONS = EngineOptions("slurm")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "LOOK", 0.2)


class Run:
    """A plan of two trainings of a few seconds and what joins them, and a driver for it."""

    def __init__(self, out: Path) -> None:
        self.first, self.second = Counting("first", 40), Counting("second", 3)
        self.joined = Joined("joined", self.first, self.second)
        self.again = Joined("joined again", self.joined)
        self.last = Last("last", self.again)
        self.stages: list[Stage] = [self.first, self.second, self.joined, self.again, self.last]
        self.context = Context(
            Store(out, shared=True), Reporter(), Machine("cpu", 1), Environment("test", "cpu", 1), Tracker()
        )
        setup = messages.WorkerSetup(
            {}, StoreAddress(out, True), self.context.machine, self.context.environment, quiet=True
        )
        self.executor = SlurmExecutor(OPTIONS, setup, 10, "local")

    def missing(self) -> list[Stage]:
        return [stage for stage in self.stages if not self.context.store.exists(stage.recipe)]

    def drive(self) -> None:
        missing = self.missing()
        schedule = Schedule(missing, {stage.recipe.key: 1.0 for stage in missing})
        with self.context.reporter.plan_progress(len(missing)) as progress:
            Driver(schedule, self.last, self.context, self.executor, 2, progress).run()

    def text(self, stage: Stage) -> str:
        return (stage.folder(self.context) / "result.txt").read_text()


def test_a_job_near_its_time_limit_saves_and_is_queued_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes in the middle of a training; what is counted twice would be seen."""
    run = Run(tmp_path)
    receive, sent = SlurmExecutor.receive, list[int]()

    def disturb(self: SlurmExecutor, seconds: float) -> object:
        state = run.context.store.saved_state(run.first.recipe)
        if state is not None and not sent:
            controller = next(iter(self._jobs.values())).queued._process.pid
            (task,) = processes((b"submitit.core._submit",), controller)
            sent.append(task)
            os.kill(task, signal.SIGUSR2)
        return receive(self, seconds)

    monkeypatch.setattr(SlurmExecutor, "receive", disturb)
    run.drive()
    assert sent
    assert run.missing() == [run.last]
    assert run.text(run.first) == ",".join(map(str, range(40)))
    assert run.text(run.again) == "43 lines in 1"
    said = capsys.readouterr().err
    assert "its job is queued again, and goes on from the saved state" in said
    assert list((tmp_path / "slurm" / "jobs").glob("*/")) == []


def test_a_driver_that_died_finds_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process of the same call takes up the job; nothing is submitted twice."""
    run = Run(tmp_path)
    lost = run.executor
    lost.submit(_job(1, run.first))
    list(lost.receive(0))
    (job,) = lost._jobs.values()
    again = Run(tmp_path)
    monitor = again.executor
    monkeypatch.setitem(slurm.JOBS, "local", _known(job.queued))
    monitor.submit(_job(7, again.first))
    assert monitor._waiting == []
    assert [each.queued.job_id for each in monitor._jobs.values()] == [job.queued.job_id]
    heard: list[messages.Report] = []
    late = time.monotonic() + 60
    while monitor.running:
        assert time.monotonic() < late
        heard += [event.message for event in monitor.receive(0.05) if hasattr(event, "message")]
    assert isinstance(heard[0], messages.Begins)
    assert isinstance(heard[-1], messages.Done)


def _known(queued: object) -> Callable[[Path, str], object]:
    return lambda folder, job_id: queued


def _job(number: int, *stages: Stage) -> slurm.Job:
    return slurm.Job(number, stages, slurm.Resources(1))


def test_messages_come_whole_and_once(tmp_path: Path) -> None:
    write, read = Spool(tmp_path), Spool(tmp_path)
    assert list(read.new()) == []
    write.add(messages.Say("one"))
    write.add(messages.Say("two"))
    content = (tmp_path / slurm.SPOOL).read_bytes()
    for cut in range(len(content)):
        (tmp_path / slurm.SPOOL).write_bytes(content[:cut])
        heard = [message.text for message in Spool(tmp_path).new()]
        assert heard == ["one", "two"][: len(heard)]
        assert len(heard) == (cut >= len(content) // 2)
    (tmp_path / slurm.SPOOL).write_bytes(content)
    assert [message.text for message in read.new()] == ["one", "two"]
    write.add(messages.Say("three"))
    assert [message.text for message in read.new()] == ["three"]
    assert list(read.new()) == []


def test_what_is_added_behind_a_message_that_was_cut_off_is_read(tmp_path: Path) -> None:
    write, read = Spool(tmp_path), Spool(tmp_path)
    write.repair()
    assert not write.begun
    write.add(messages.Say("one"))
    whole = (tmp_path / slurm.SPOOL).read_bytes()
    for cut in range(len(whole)):
        (tmp_path / slurm.SPOOL).write_bytes(whole + whole[:cut])
        after = Spool(tmp_path)
        after.repair()
        after.add(messages.Say("two"))
        assert [message.text for message in Spool(tmp_path).new()] == ["one", "two"]
    assert [message.text for message in read.new()] == ["one", "two"]


def test_a_job_that_was_given_up_is_not_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """submitit may queue it again all the same: it ends at once, and another one is submitted."""
    run = Run(tmp_path)
    run.executor.submit(_job(1, run.first))
    list(run.executor.receive(0))
    (job,) = run.executor._jobs.values()
    monkeypatch.setitem(slurm.JOBS, "local", _known(job.queued))
    monkeypatch.setattr(slurm, "_is_over", lambda _: False)
    assert run.executor._attach(_job(7, run.first))
    shutil.rmtree(job.folder)
    assert not run.executor._attach(_job(8, run.first))
    run.executor.kill()
    slurm.QueuedJob(b"", [], job.folder, relay.Fitness("", ""))()
    assert not job.folder.exists()


def test_a_worker_that_is_stopped_while_it_starts_is_queued_again(tmp_path: Path) -> None:
    job = slurm.QueuedJob(b"", [], tmp_path, relay.Fitness("", ""))
    job._send(messages.Died("ended with status 0"))
    job.checkpoint()
    job._send(messages.Died("ended with status 0"))
    first, second = Spool(tmp_path).new()
    assert isinstance(first, messages.Died)
    assert isinstance(second, messages.Requeued)


def test_a_job_of_an_earlier_call_is_asked_to_stop_before_its_messages_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    run.executor.submit(_job(1, run.first))
    list(run.executor.receive(0))
    (job,) = run.executor._jobs.values()
    wait_for(lambda: job.spool.begun)
    again = Run(tmp_path).executor
    monkeypatch.setitem(slurm.JOBS, "local", _known(job.queued))
    again.submit(_job(7, run.first))
    again.cancel()
    assert again.running  # it is not taken off the queue: it saves its state
    heard: list[object] = []
    late = time.monotonic() + 60
    while again.running:
        assert time.monotonic() < late
        heard += [event.message for event in again.receive(0.05) if hasattr(event, "message")]
    assert isinstance(heard[-1], messages.Stopped)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("12:00:00", 720), ("1:30", 2), ("2-12", 3600), ("1-00:00:01", 1441), ("1-06:30", 1830), ("0:10", 1)],
)
def test_time_limits_are_sbatchs(text: str, expected: int) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1:2:3:4", "-5", "1h"])
def test_an_invalid_time_limit_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match=f"--slurm time={text}: minutes, H:MM:SS or D-HH:MM:SS are wanted"):
        minutes(text)


def test_parameters_of_submitit(tmp_path: Path) -> None:
    run = Run(tmp_path)
    executor = run.executor
    executor._cluster = "slurm"
    executor._slurm = {"partition": "gpu", "time": "2:00:00", "account": "lab", "exclude": "n1"}
    executor._unfit = ["n7"]
    assert executor._parameters(slurm.Resources(4, 1.0, 3_100_000_000)) == {
        "name": "fesbench", "timeout_min": 120, "cpus_per_task": 4, "slurm_signal_delay_s": 120,
        "slurm_array_parallelism": 10, "slurm_additional_parameters": {"account": "lab", "exclude": "n1,n7"},
        "gpus_per_node": 1, "mem_gb": 4, "slurm_partition": "gpu",
    }  # fmt: skip


def test_without_slurm_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    setup = Run(tmp_path).executor._setup
    with pytest.raises(UserError, match="there is no sbatch here"):
        SlurmExecutor(OPTIONS, setup, 10)
    asked = RunOptions("smoke", "smoke", engine=OPTIONS, out=tmp_path / "untouched")
    with pytest.raises(UserError, match="there is no sbatch here"):
        check_options(asked)
    assert not (tmp_path / "untouched").exists()


def test_an_unfit_machine_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = relay.Fitness(relay.code_of_project(), relay.processor_name())
    assert fit.fault() == ""
    assert "another kind of processor" in dataclasses.replace(fit, processor="Z80").fault()
    assert "another version of this project's code" in dataclasses.replace(fit, code="0").fault()
    assert relay.tied_to("", "cuda") == relay.tied_to("any", "cpu") == ""
    assert relay.tied_to("", "cpu") == relay.processor_name()
    assert relay.tied_to("Z80", "cpu") == "Z80"
