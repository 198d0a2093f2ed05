"""The local engine: a pool of worker processes on this machine, each of which makes one stage after the other."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait

from benchmark.pipeline import messages
from benchmark.pipeline.engines.executor import Died, Event, Executor, Job, MessageReceived, Output
from benchmark.pipeline.worker_process import WorkerProcess


class LocalExecutor(Executor):
    """Worker processes of this machine; no more are started than there are stages to make at once."""

    remote = False

    def __init__(self, setup: messages.WorkerSetup, jobs: int) -> None:
        self._setup, self._jobs, self._cuda = pickle.dumps(setup), jobs, setup.machine.device == "cuda"
        self._workers: list[WorkerProcess] = []

    @property
    def room(self) -> int:
        """Count the idle workers, and those that may still be started."""
        return self._jobs - sum(worker.job is not None for worker in self._workers)

    @property
    def running(self) -> bool:
        """Return whether there is a worker that has not ended."""
        return any(worker.alive for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Assign the stages to an idle worker, or to a new one."""
        worker = next((worker for worker in self._workers if worker.job is None), None) or self._start()
        worker.assign(job.number, [stage.recipe.key for stage in job.stages])

    def _start(self) -> WorkerProcess:
        number = len(self._workers)
        worker = WorkerProcess(number, self._setup, gpu_of(number) if self._cuda else None)
        self._workers.append(worker)
        return worker

    def receive(self, seconds: float) -> Iterator[Event]:
        """Yield waiting messages and lines of output, one of each worker; wait up to `seconds` where there are none."""
        lines = {worker.connection: worker for worker in self._workers if worker.alive}
        errors = {worker.output: worker for worker in self._workers if worker.output is not None}
        for source in wait([*lines, *errors], seconds):
            if isinstance(source, int):
                yield from map(Output, errors[source].read_output())
            elif isinstance(source, Connection):
                yield self._message(lines[source])

    def _message(self, worker: WorkerProcess) -> Event:
        job = worker.job
        message = worker.receive()
        if message is None:
            return Died(job, end_of(worker.ended()))
        return MessageReceived(job, message, worker.number)

    def cancel(self) -> None:
        """Ask all workers to stop."""
        for worker in self._workers:
            worker.stop()

    def kill(self) -> None:
        """Send SIGKILL to all workers."""
        for worker in self._workers:
            worker.kill()

    def close(self) -> None:
        """Wait for all workers to exit."""
        for worker in self._workers:
            worker.close()


def end_of(status: int) -> str:
    """Describe how a process ended. status: as `subprocess` has it."""
    if status >= 0:
        return f"ended with status {status}"
    killed = f"was killed by {signal.Signals(-status).name}"
    return f"{killed}, which is what the system does when memory runs out" if status == -signal.SIGKILL else killed


def gpu_of(number: int) -> str:
    """Return the GPU of a worker as CUDA_VISIBLE_DEVICES names it: one each, as far as there are enough."""
    import torch  # which a relay does without

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(torch.cuda.device_count())]
    return names[number % len(names)].strip()
