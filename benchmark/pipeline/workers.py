"""A pool of worker processes that make independent stages in parallel.

This process alone draws on the terminal and logs to MLflow. It makes the report itself, which waits for all others.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from multiprocessing.connection import Connection, wait

import torch

from benchmark.core.cli import Interrupted, held_signals
from benchmark.core.errors import RunFailed
from benchmark.core.progress import Pace, PlanProgress
from benchmark.pipeline import messages
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.worker_process import WorkerProcess
from benchmark.stages.base import Context, Stage, make

POLL = 0.25
"""Seconds between two checks for received signals."""


def make_stages(schedule: Schedule, last: Stage, context: Context, jobs: int) -> None:
    """Make all stages of a schedule, `jobs` at a time; `last`, and with one job all of them, in this process.

    Raises what the first stage that fails raises, RunFailed where a worker is killed, and Interrupted; the other stages
    are stopped first, and their states saved.
    """
    with context.reporter.plan_progress(len(schedule.remaining)) as progress:
        if jobs > 1:
            Pool(schedule, last, context, jobs, progress).run()
        for stage in schedule.remaining:
            schedule.start(stage)
            progress.begin(stage.name, schedule.left(1))
            started = time.monotonic()
            make(stage, context)
            schedule.finish(stage)
            progress.end(stage.name, time.monotonic() - started)


class Pool:
    """Worker processes, each of which makes one stage at a time."""

    def __init__(self, schedule: Schedule, last: Stage, context: Context, jobs: int, progress: PlanProgress) -> None:
        self._schedule, self._last, self._context, self._jobs, self._progress = schedule, last, context, jobs, progress
        setup = messages.WorkerSetup(
            {stage.recipe.key: stage for stage in schedule.remaining if stage is not last},
            context.store.root,
            context.machine,
            context.environment,
            context.reporter.quiet,
        )
        self._setup = pickle.dumps(setup)
        self._workers: list[WorkerProcess] = []
        self._received: list[int] = []
        self._estimated = 0.0

    def run(self) -> None:
        """Make all stages but the last."""
        with held_signals() as self._received:
            try:
                while any(stage is not self._last for stage in self._schedule.remaining):
                    if self._received:
                        raise Interrupted(self._received[0])
                    self._assign()
                    self._receive_waiting()
                    self._estimate()
            except BaseException:
                self._stop()
                raise
            finally:
                for worker in self._workers:
                    worker.close()

    # ------------------------------------------------------------------------------------------------ handing out
    def _assign(self) -> None:
        """Assign ready stages to idle workers, and start no more workers than are needed."""
        for stage in self._schedule.ready():
            if stage is self._last:
                return
            worker = next((worker for worker in self._workers if worker.stage is None), None)
            if worker is None and len(self._workers) < self._jobs:
                worker = self._start()
            if worker is None:
                return
            self._schedule.start(stage)
            self._progress.begin(stage.name, self._left())
            worker.assign(stage)

    def _start(self) -> WorkerProcess:
        number = len(self._workers)
        worker = WorkerProcess(number, self._setup, gpu_of(number) if self._context.machine.device == "cuda" else None)
        self._workers.append(worker)
        return worker

    def _estimate(self) -> None:
        """Update the estimate of the time left, once a second."""
        if time.monotonic() > self._estimated + 1:
            self._estimated = time.monotonic()
            self._progress.left(self._left())

    def _left(self) -> float:
        running = {
            worker.stage.recipe.key: worker.left
            for worker in self._workers
            if worker.stage is not None and worker.left is not None
        }
        return self._schedule.left(self._jobs, running)

    # ------------------------------------------------------------------------------------------------ listening
    def _receive_waiting(self) -> None:
        """Receive all waiting messages and output; wait `POLL` seconds where there are none."""
        lines = {worker.connection: worker for worker in self._workers if worker.alive}
        errors = {worker.output: worker for worker in self._workers if worker.output is not None}
        for source in wait([*lines, *errors], POLL):
            if isinstance(source, int):
                for line in errors[source].read_output():
                    self._context.reporter.pass_on(line)
            elif isinstance(source, Connection):
                self._receive(lines[source])

    def _receive(self, worker: WorkerProcess) -> None:
        """Receive one message of a worker."""
        try:
            message: messages.Report = worker.connection.recv()
        except (EOFError, OSError):
            raise self._died(worker) from None
        reporter = self._context.reporter
        match message:
            case messages.Say(text, warning):
                (reporter.warn if warning else reporter.say)(text)
            case messages.BarBegins(name, total, done):
                worker.begin_bar(reporter.bar(name, total, done), Pace(total, done))
            case messages.BarMoves(count, note):
                worker.move_bar(count, note)
            case messages.BarEnds():
                worker.end_bar()
            case messages.Losses(training, history):
                self._context.tracker.losses(training)(history)
            case messages.Done(seconds, peak):
                self._context.peaks.workers[worker.number] = peak
                stage = worker.finish()
                self._schedule.finish(stage)
                self._progress.end(stage.name, seconds)
            case messages.Failed(error):
                worker.ended()
                raise error
            case messages.Stopped(signum, peak):
                self._context.peaks.workers[worker.number] = peak
                worker.ended()
                raise Interrupted(signum)

    def _died(self, worker: WorkerProcess) -> RunFailed:
        """Return the error for a worker that exited without a message."""
        status = worker.ended()
        what = f"ended with status {status}"
        if status < 0:
            what = f"was killed by {signal.Signals(-status).name}"
        if status == -signal.SIGKILL:
            what += ", which is what the system does when memory runs out"
        name = worker.stage.name if worker.stage is not None else "worker"
        return RunFailed(f"{name}: its process {what}; the same command goes on, and with --jobs 1 needs less memory")

    # ------------------------------------------------------------------------------------------------ stopping
    def _stop(self) -> None:
        """Have all workers save their states, and wait for them; a further signal kills them."""
        busy = [worker.stage.name for worker in self._workers if worker.alive and worker.stage is not None]
        for worker in self._workers:
            worker.stop()
        if busy:
            self._context.reporter.say(f"waiting until {' and '.join(busy)} can be left; Ctrl-C again ends at once")
        begun, come = time.monotonic(), len(self._received)
        while any(worker.alive for worker in self._workers):
            if time.monotonic() < begun + 1:
                come = len(self._received)  # what sends one signal to a group of processes may send it twice
            elif len(self._received) > come:
                for worker in self._workers:
                    worker.kill()
            try:
                self._receive_waiting()
            except (Exception, Interrupted):  # the first error is the one that is told
                continue


def gpu_of(number: int) -> str:
    """Return the GPU of a worker as CUDA_VISIBLE_DEVICES names it: one each, as far as there are enough."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(torch.cuda.device_count())]
    return names[number % len(names)].strip()
