"""A worker process, as its parent sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.connection import Pipe

from benchmark.pipeline import messages
from benchmark.pipeline.worker import HELD

PATIENCE = 10.0
"""Seconds that a worker may take to exit after its last message."""


class WorkerProcess:
    """The process, and the job whose stages it makes."""

    def __init__(self, number: int, setup: bytes, gpu: str | None) -> None:
        """setup: a pickled `WorkerSetup`. gpu: the one that it may use, or None for all."""
        self.number, self.alive = number, True
        self.job: int | None = None
        self._next: deque[str] = deque()
        self.connection, theirs = Pipe()
        reading, writing = os.pipe()
        self.output: int | None = reading
        self._text = b""
        command = [sys.executable, "-m", "benchmark.pipeline.worker", str(theirs.fileno())]
        variables = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        if gpu is not None:
            variables["CUDA_VISIBLE_DEVICES"] = gpu
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        try:
            # In the group of this process, so that the terminal's Ctrl-Z reaches it too.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing,
                pass_fds=[theirs.fileno()], env={**os.environ, **variables},
            )  # fmt: skip
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
            os.close(writing)
        with suppress(OSError):  # it has exited, as the next read of the connection shows
            self.connection.send_bytes(setup)

    # ------------------------------------------------------------------------------------------------ its job
    def assign(self, job: int, keys: Iterable[str]) -> None:
        """Assign the stages of a job to it."""
        self.job, self._next = job, deque(keys)
        self._go_on()

    def receive(self) -> messages.Report | None:
        """Return its next message, or None if it has exited. When a stage ends, the next one of its job is started."""
        try:
            message: messages.Report = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, messages.Done | messages.Elsewhere):
            self._go_on()
        elif isinstance(message, messages.Failed | messages.Stopped):
            self.ended()
        return message

    def _go_on(self) -> None:
        if self._next:
            self._send(messages.Make(self._next.popleft()))
        else:
            self.job = None

    # ------------------------------------------------------------------------------------------------ what it writes
    def read_output(self) -> list[str]:
        """Return whole lines that its libraries have written to stdout and stderr."""
        if self.output is None:
            return []
        new = os.read(self.output, 65536)
        if not new:
            os.close(self.output)
            self.output = None
        *lines, self._text = (self._text + new).split(b"\n")
        if self.output is None and self._text:
            lines.append(self._text)
        return [line.decode(errors="replace") for line in lines]

    # ------------------------------------------------------------------------------------------------ its end
    def stop(self) -> None:
        """Make it save the state of its stage and exit, without the other stages of its job."""
        self._next.clear()
        self._send(messages.Stop())

    def kill(self) -> None:
        """End it at once, with SIGKILL."""
        self._process.kill()

    def ended(self) -> int:
        """Wait for it to exit after its last message; returns the exit status as subprocess has it."""
        self.alive = False
        self.connection.close()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def close(self) -> None:
        """Release its connection and pipe."""
        if self.alive:
            self.ended()
        if self.output is not None:
            os.close(self.output)
            self.output = None

    def _send(self, message: messages.Make | messages.Stop) -> None:
        with suppress(OSError):  # as above
            self.connection.send(message)
