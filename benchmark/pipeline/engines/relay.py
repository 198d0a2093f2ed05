"""A job on another machine: a worker process makes its stages, a relay passes its messages on to the driver.

The relay is small (no torch): when an engine ends it, however suddenly, the worker sees the end of the connection and
saves the state of its training, as it does when a local parent is killed.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from benchmark.core.environment import processor_name
from benchmark.pipeline import messages
from benchmark.pipeline.engines.local import end_of
from benchmark.pipeline.request import code_of_project
from benchmark.pipeline.worker_process import WorkerProcess

POLL = 0.25
LOG_LINES = 20
"""The last lines of a worker's output that are reported when it dies."""


@dataclass(frozen=True)
class Fitness:
    """Requirements of a machine, so that its results are those of any other."""

    code: str
    """Hash of the project's code and of the interpreter's version."""
    processor: str
    """Processor model; "" for any."""

    def fault(self) -> str:
        """Return why this machine is unfit, as the end of a sentence, or ""."""
        if self.processor and self.processor != processor_name():
            return f"{socket.gethostname()} has another kind of processor ({processor_name()})"
        if self.code != code_of_project():
            return f"{socket.gethostname()} has another version of this project's code or of Python"
        return ""


def tied_to(processor: str, device: str) -> str:
    """Return the processor model that all machines need, or "": the last bits of a CPU's results depend on it.

    processor: the value of `--processor`.
    """
    if device != "cpu" or processor == "any":
        return ""
    return processor or processor_name()


class Relay:
    """One job: its worker process, whose messages it sends to the driver."""

    def __init__(self, setup: bytes, keys: Sequence[str], send: Callable[[messages.Report], None]) -> None:
        """setup: a pickled `WorkerSetup` of the stages with these keys."""
        self._setup, self._keys, self._send = setup, deque(keys), send
        self._stopping = False

    def stop(self) -> None:
        """Ask the worker to save its state and end; may be called by a signal handler."""
        self._stopping = True

    def run(self) -> bool:
        """Make the stages; returns whether all are made, or left to others. The last message says why if they are not.

        That is `Failed`, `Stopped` or `Died`.
        """
        worker = WorkerProcess(0, self._setup, None)
        try:
            worker.assign(0, self._keys)
            self._begin()
            return self._pass_on(worker)
        finally:
            worker.close()

    def _begin(self) -> None:
        if self._keys:
            self._send(messages.Begins(self._keys.popleft(), socket.gethostname()))

    def _pass_on(self, worker: WorkerProcess) -> bool:
        log: deque[str] = deque(maxlen=LOG_LINES)
        stop_sent = False
        while worker.job is not None:
            if self._stopping and not stop_sent:
                worker.stop()
                stop_sent = True
            sources: list[Connection | int] = [worker.connection]
            if worker.output is not None:
                sources.append(worker.output)
            for source in wait(sources, POLL):
                if isinstance(source, int):
                    log.extend(worker.read_output())
                    continue
                message = worker.receive()
                if message is None:
                    status = worker.ended()
                    log.extend(worker.read_output())
                    message = messages.Died(end_of(status), tuple(log))
                self._send(message)
                if isinstance(message, messages.Failed | messages.Stopped | messages.Died):
                    return False
                if isinstance(message, messages.Done | messages.Elsewhere):
                    self._begin()
        return True
