"""A worker process: makes stages and reports to the process that started it, its parent.

It draws no bars and logs nothing to MLflow itself. When the parent has ended for any reason, the worker stops as by
SIGTERM: a training saves its state.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from benchmark.core.cli import Interrupted, Interruption
from benchmark.core.environment import peak_memory
from benchmark.core.errors import RunFailed
from benchmark.core.locks import Busy
from benchmark.core.progress import Bar, Reporter
from benchmark.core.tracking import Tracker
from benchmark.pipeline import messages
from benchmark.stages.base import Context, make

if TYPE_CHECKING:
    import pandas as pd

EVERY_SECONDS = 0.1
"""Seconds between two messages of one bar."""
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Blocked by the parent while a worker starts. SIGINT and SIGHUP stay so: the terminal sends them to all processes, and
the parent decides. SIGTERM is let through when there is a handler.
"""
Send = Callable[[messages.Report], None]


class ParentConnection:
    """The connection to the parent. Two threads read and write it, so that no signal cuts a message in two and no slow
    reader holds up a training.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._in: queue.SimpleQueue[messages.Make | None] = queue.SimpleQueue()
        self._out: queue.SimpleQueue[messages.Report | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, message: messages.Report) -> None:
        """Queue a message; never waits."""
        self._out.put(message)

    def receive(self) -> messages.Make | None:
        """Return the next stage to make, or None to end."""
        return self._in.get()

    def close(self) -> None:
        """Wait until all messages are sent."""
        self._out.put(None)
        self._writer.join()

    def _read(self) -> None:
        try:
            while not isinstance(message := self._connection.recv(), messages.Stop):
                self._in.put(message)
        except (EOFError, OSError):
            pass  # the parent is gone
        os.kill(os.getpid(), signal.SIGTERM)
        self._in.put(None)  # a signal that comes just before a thread begins to wait does not wake it

    def _write(self) -> None:
        while (message := self._out.get()) is not None:
            try:
                self._connection.send(message)
            except OSError:
                return  # the parent has ended; the reader notices it, too


class SendingReporter(Reporter):
    """A reporter that sends everything to the parent."""

    def __init__(self, send: Send, quiet: bool) -> None:
        super().__init__(quiet)
        self._send = send

    def say(self, text: str) -> None:
        """Send a line to the parent."""
        self._send(messages.Say(text))

    def warn(self, text: str) -> None:
        """Send a warning to the parent."""
        self._send(messages.Say(text, warning=True))

    @contextmanager
    def bar(self, name: str, total: int, done: int = 0) -> Iterator[Bar]:
        """Have the parent draw a bar."""
        self._send(messages.BarBegins(name, total, done))
        bar = _SendingBar(self._send)
        try:
            yield bar
        finally:
            bar.flush()
            self._send(messages.BarEnds())


class _SendingBar:
    """A bar that sends its progress at most every `EVERY_SECONDS`."""

    def __init__(self, send: Send) -> None:
        self._send, self._count, self._sent = send, 0, 0.0
        self._note: str | None = None

    def advance(self, count: int) -> None:
        self._count += count
        if time.monotonic() - self._sent > EVERY_SECONDS:
            self.flush()

    def note(self, text: str) -> None:
        self._note = text

    def flush(self) -> None:
        if self._count or self._note is not None:
            self._send(messages.BarMoves(self._count, self._note))
            self._count, self._note, self._sent = 0, None, time.monotonic()


class SendingTracker(Tracker):
    """A tracker that sends losses to the parent, which logs them."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def losses(self, training: str) -> Callable[[pd.DataFrame], None]:
        """Report that the training begins; return a sink that sends the new rows of its history."""
        import pandas as pd

        sent = -1
        self._send(messages.Losses(training, pd.DataFrame({"iteration": []})))

        def sink(history: pd.DataFrame) -> None:
            nonlocal sent
            new = history[history["iteration"] > sent]
            if len(new):
                sent = int(new["iteration"].iloc[-1])
                self._send(messages.Losses(training, new))

        return sink


def work(parent: ParentConnection, setup: messages.WorkerSetup) -> None:
    """Make stages until the parent sends `Stop`."""
    store = setup.store.open(patience=0.0 if setup.store.shared else None)
    context = Context(
        store,
        SendingReporter(parent.send, setup.quiet),
        setup.machine,
        setup.environment,
        SendingTracker(parent.send),
    )
    while (message := parent.receive()) is not None:
        stage = setup.stages[message.key]
        started = time.monotonic()
        try:
            make(stage, context)
        except Busy:
            if not store.shared:
                raise
            parent.send(messages.Elsewhere())
            continue
        parent.send(messages.Done(time.monotonic() - started, peak_memory()))


def _as_sent(error: Exception) -> Exception:
    """Return the error with its traceback as a note, or a RunFailed where it cannot be pickled."""
    error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a foreign class raises
        return RunFailed(f"{type(error).__name__}: {error}")
    return error


def main(descriptor: int) -> int:
    """Serve the parent at the other end of a file descriptor."""
    os.set_inheritable(descriptor, False)
    parent: ParentConnection | None = None
    interruption = Interruption([signal.SIGTERM], once=True)
    try:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            connection = Connection(descriptor)
            setup = connection.recv()
            parent = ParentConnection(connection)
            work(parent, setup)
        finally:
            interruption.end()
    except (EOFError, ConnectionError):
        return 0  # the parent has ended, or needs no more stages
    except Interrupted as stop:
        if parent is not None:
            parent.send(messages.Stopped(stop.signum, peak_memory()))
    except Exception as error:
        if parent is None:
            raise
        parent.send(messages.Failed(_as_sent(error)))
    if parent is not None:
        parent.close()
    return 0


if __name__ == "__main__":
    status = main(int(sys.argv[1]))
    sys.stderr.flush()
    os._exit(status)  # nothing is left to do, and taking torch down takes longer than the work of some stages
