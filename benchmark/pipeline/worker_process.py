"""A worker as the process that started it sees it."""

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
"""Seconds that a worker with nothing left to do may take to end."""


class WorkerProcess:
    """The process, the stage that it is at, and the bar of that."""

    def __init__(self, number: int, equipment: bytes, gpu: str | None) -> None:
        """equipment: pickled. gpu: the one that it may see, or None for all."""
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
            self.connection.send_bytes(equipment)

    # ------------------------------------------------------------------------------------------------ its stage
    def give(self, stage: Stage) -> None:
        """Have it make a stage."""
        self.stage = stage
        self._send(messages.Make(stage.recipe.key))

    def free(self) -> Stage:
        """Its stage is made; returns it."""
        stage, self.stage = self.stage, None
        assert stage is not None
        self.end_bar()
        return stage

    @property
    def left(self) -> float | None:
        """Seconds until its stage is made, as far as its bar tells."""
        return self._pace.left if self._pace is not None else None

    def begin_bar(self, bar: AbstractContextManager[Bar], pace: Pace) -> None:
        """Draw one."""
        self._bar, self._pace = self._drawn.enter_context(bar), pace

    def move_bar(self, count: int, note: str | None) -> None:
        """More of it is done."""
        if self._bar is not None and self._pace is not None:
            if note is not None:
                self._bar.note(note)
            self._bar.advance(count)
            self._pace.advance(count)

    def end_bar(self) -> None:
        """It is drawn no more."""
        self._drawn.close()
        self._bar = self._pace = None

    # ------------------------------------------------------------------------------------------------ what it writes
    def read_output(self) -> list[str]:
        """Whole lines that its libraries have written to stdout and stderr."""
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
        """Have it save what is begun, and end."""
        self._send(messages.Stop())

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def ended(self) -> int:
        """Wait for it, since it has said its last word; returns its status, that of subprocess."""
        self.alive = False
        self.end_bar()
        self.connection.close()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def close(self) -> None:
        """Let go of it."""
        if self.alive:
            self.ended()
        if self.output is not None:
            os.close(self.output)
            self.output = None

    def _send(self, message: messages.Make | messages.Stop) -> None:
        with suppress(OSError):  # as above
            self.connection.send(message)
