"""Independent stages side by side: worker processes that make stages, and the one that hands them out.

This process alone draws on the terminal and speaks to MLflow. The report, which waits for all other stages and logs
the suite's last word, is made here.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from multiprocessing.connection import Connection, wait

from benchmark.core.cli import Interrupted, held_signals
from benchmark.core.errors import RunFailed
from benchmark.core.progress import Pace, Whole
from benchmark.pipeline import messages
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.worker_process import WorkerProcess
from benchmark.stages.base import Context, Stage, make

POLL = 0.25
"""Seconds between two looks at the signals that have come."""


def make_stages(schedule: Schedule, last: Stage, context: Context, jobs: int) -> None:
    """Make all of a schedule, `jobs` at a time; with one job in this process, as `last` is with any.

    Raises what the first stage that fails raises, RunFailed where a worker is killed, and Interrupted; the other stages
    are stopped first, and their states saved.
    """
    with context.reporter.whole(len(schedule.remaining)) as whole:
        if jobs > 1:
            Pool(schedule, last, context, jobs, whole).run()
        for stage in schedule.remaining:
            schedule.start(stage)
            whole.begin(stage.name, schedule.left(1))
            started = time.monotonic()
            make(stage, context)
            schedule.finish(stage)
            whole.end(stage.name, time.monotonic() - started)


class Pool:
    """Workers, each of which makes one stage at a time."""

    def __init__(self, schedule: Schedule, last: Stage, context: Context, jobs: int, whole: Whole) -> None:
        self._schedule, self._last, self._context, self._jobs, self._whole = schedule, last, context, jobs, whole
        equipment = messages.Equipment(
            {stage.recipe.key: stage for stage in schedule.remaining if stage is not last},
            context.store.root,
            context.machine,
            context.environment,
            context.reporter.quiet,
        )
        self._equipment = pickle.dumps(equipment)
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
                    self._attend()
                    self._estimate()
            except BaseException:
                self._stop()
                raise
            finally:
                for worker in self._workers:
                    worker.close()

    # ------------------------------------------------------------------------------------------------ handing out
    def _assign(self) -> None:
        """Give every stage that is ready to a worker without one, starting no more workers than are needed."""
        for stage in self._schedule.ready():
            if stage is self._last:
                return
            worker = next((worker for worker in self._workers if worker.stage is None), None)
            if worker is None and len(self._workers) < self._jobs:
                worker = self._start()
            if worker is None:
                return
            self._schedule.start(stage)
            self._whole.begin(stage.name, self._left())
            worker.give(stage)

    def _start(self) -> WorkerProcess:
        number = len(self._workers)
        worker = WorkerProcess(
            number, self._equipment, gpu_of(number) if self._context.machine.device == "cuda" else None
        )
        self._workers.append(worker)
        return worker

    def _estimate(self) -> None:
        """Say how much is left, once a second."""
        if time.monotonic() > self._estimated + 1:
            self._estimated = time.monotonic()
            self._whole.left(self._left())

    def _left(self) -> float:
        running = {
            worker.stage.recipe.key: worker.left
            for worker in self._workers
            if worker.stage is not None and worker.left is not None
        }
        return self._schedule.left(self._jobs, running)

    # ------------------------------------------------------------------------------------------------ listening
    def _attend(self) -> None:
        """Take in what has been said, waiting a moment if nothing has."""
        lines = {worker.connection: worker for worker in self._workers if worker.alive}
        errors = {worker.output: worker for worker in self._workers if worker.output is not None}
        for source in wait([*lines, *errors], POLL):
            if isinstance(source, int):
                for line in errors[source].read_output():
                    self._context.reporter.pass_on(line)
            elif isinstance(source, Connection):
                self._hear(lines[source])

    def _hear(self, worker: WorkerProcess) -> None:
        """One message of a worker."""
        try:
            message: messages.Report = worker.connection.recv()
        except (EOFError, OSError):
            raise self._lost(worker) from None
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
                stage = worker.free()
                self._schedule.finish(stage)
                self._whole.end(stage.name, seconds)
            case messages.Failed(error):
                worker.ended()
                raise error
            case messages.Stopped(signum, peak):
                self._context.peaks.workers[worker.number] = peak
                worker.ended()
                raise Interrupted(signum)

    def _lost(self, worker: WorkerProcess) -> RunFailed:
        """What to say of a worker that ended without a word."""
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
        """Have all workers save what is begun, and wait for them; a further signal ends them at once."""
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
                self._attend()
            except (Exception, Interrupted):  # the first error is the one that is told
                continue


def gpu_of(number: int) -> str:
    """The GPU of a worker as CUDA_VISIBLE_DEVICES names it: each its own, as far as there are enough."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else [str(index) for index in range(torch.cuda.device_count())]
    return names[number % len(names)].strip()
