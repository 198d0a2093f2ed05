"""A worker process, as its parent sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack, suppress
from multiprocessing.connection import Pipe

from benchmark.core.progress import Bar, Pace
from benchmark.pipeline import messages
from benchmark.pipeline.worker import HELD
from benchmark.stages.base import Stage

PATIENCE = 10.0
"""Seconds that a worker may take to exit after its last message."""


class WorkerProcess:
    """The process, the stage that it makes, and the stage's bar."""

    def __init__(self, number: int, setup: bytes, gpu: str | None) -> None:
        """setup: a pickled `WorkerSetup`. gpu: the one that it may use, or None for all."""
        self.number, self.alive = number, True
        self.stage: Stage | None = None
        self.connection, theirs = Pipe()
        reading, writing = os.pipe()
        self.output: int | None = reading
        self._text = b""
        self._drawn = ExitStack()
        self._bar: Bar | None = None
        self._pace: Pace | None = None
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
        with suppress(OSError):  # it is gone already, which the next look at the connection finds
            self.connection.send_bytes(setup)

    # ------------------------------------------------------------------------------------------------ its stage
    def assign(self, stage: Stage) -> None:
        """Have it make a stage."""
        self.stage = stage
        self._send(messages.Make(stage.recipe.key))

    def finish(self) -> Stage:
        """Return its stage, which is finished."""
        stage, self.stage = self.stage, None
        assert stage is not None
        self.end_bar()
        return stage

    @property
    def left(self) -> float | None:
        """Estimated seconds until its stage is finished, from its bar."""
        return self._pace.left if self._pace is not None else None

    def begin_bar(self, bar: AbstractContextManager[Bar], pace: Pace) -> None:
        """Begin to draw the bar of its stage."""
        self._bar, self._pace = self._drawn.enter_context(bar), pace

    def move_bar(self, count: int, note: str | None) -> None:
        """Advance the bar."""
        if self._bar is not None and self._pace is not None:
            if note is not None:
                self._bar.note(note)
            self._bar.advance(count)
            self._pace.advance(count)

    def end_bar(self) -> None:
        """Remove the bar."""
        self._drawn.close()
        self._bar = self._pace = None

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
        """Have it save the state of its stage, and end."""
        self._send(messages.Stop())

    def kill(self) -> None:
        """End it at once, with SIGKILL."""
        self._process.kill()

    def ended(self) -> int:
        """Wait for it to exit after its last message; returns the exit status as subprocess has it."""
        self.alive = False
        self.end_bar()
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
