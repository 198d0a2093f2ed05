"""Tracking: a suite in MLflow, a parent run with a child for each row and seed. It never costs a result.

A thread logs, so nobody waits for a database or a server. When MLflow cannot be logged to, one warning says so, the run
goes on, and what was missed is logged once MLflow answers again. The suite's log is written to a journal in the output
folder before the report is finished, and removed once MLflow has it: the next call of the same command delivers it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core.files import MOST_OF_A_MEMORY, read_memory, read_regular
from benchmark.core.hashes import write_text
from benchmark.core.mlflow_log import RowDetails, RowLog, SuiteDetails, SuiteLog
from benchmark.core.mlflow_session import URI, Session, comparison_line, describe, import_mlflow, points

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[str], None]
RETRY_SECONDS = 30.0
"""Seconds until MLflow is tried again after an error, while a suite runs."""
CLOSE_SECONDS, STOP_SECONDS = 120.0, 5.0
"""To wait at most until all is logged: at the end, and after Ctrl-C."""
JOURNALS, ADDRESSES = "tracking", "cache/mlflow"
NO_ROW, NO_SUITE = RowDetails(), SuiteDetails()
LATER = (
    "the run goes on, and what is not logged now is logged when MLflow answers again, if need be by the next call of "
    "the same command"
)


@dataclass(frozen=True)
class TrackedRow:
    """A child run: which row and seed, which training it shares, and what to log as its parameters."""

    name: str
    training: str
    parameters: Mapping[str, Any]


class Tracker:
    """Logs nothing: the tracker of stages that belong to no suite."""

    def start(self) -> None:
        """Connect now, so that a wrong address is reported before any work."""

    def losses(self, training: str) -> Callable[[pd.DataFrame], None]:
        """Return the sink to which the training of that key sends its history, or the new rows of it."""
        return lambda history: None

    def row(
        self,
        name: str,
        history: pd.DataFrame,
        metrics: Mapping[str, float],
        failures: Collection[str] = (),
        details: RowDetails = NO_ROW,
    ) -> None:
        """Log a scored row: its losses, its metrics, how its training failed (a tag)."""

    def finish(
        self,
        folder: str,
        files: Mapping[str, str],
        metrics: Mapping[str, float],
        private: Collection[str] = (),
        details: SuiteDetails = NO_SUITE,
    ) -> None:
        """Log the report: its files by name in `folder` (below the output folder) and the suite's own metrics.

        private: names of files that may not leave the output folder. Logged by `close`, when the folder exists.
        """

    def close(self) -> None:
        """Wait until all is logged, as far as MLflow answers."""

    def interrupted(self) -> None:
        """Mark the open runs as killed; a later call takes them up again."""


class MlflowTracker(Tracker):
    """Logs one suite to MLflow, in a thread."""

    def __init__(
        self,
        out: Path,
        plan: str,
        title: str,
        rows: list[TrackedRow],
        parameters: Callable[[], Mapping[str, Any]],
        command: str,
        warn: Tell,
        say: Tell = lambda _: None,
    ) -> None:
        """parameters: returns those of the suite's run, called at the start. say: receives the address of the
        comparison.
        """
        self._journal = Journal(out, plan)
        self._out, self._parameters = out, parameters
        self._log = SuiteLog(
            plan, title, command, {}, [RowLog(row.name, row.training, dict(row.parameters)) for row in rows]
        )
        self._warn, self._warned, self._say = warn, False, say
        self._address = Address(out, plan)
        self._session: Session | None = None
        self._next = 0.0
        self._changed: set[str] = set()
        self._finished = False
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = self._stopped = False

    # ------------------------------------------------------------------------------------------------ what happens
    def start(self) -> None:
        """Import MLflow here, since two threads that import at once can meet half a module; connect in the thread."""
        if self._thread is None:
            self._log.parameters = {key: str(value) for key, value in self._parameters().items()}
            import_mlflow()
            self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
            self._thread.start()

    def losses(self, training: str) -> Callable[[pd.DataFrame], None]:
        """Begin the run of every row that shares the training; return a sink that logs new rows of its history."""
        with self._condition:
            for row in self._log.rows:
                if row.training == training and row.started is None:
                    row.started = int(time.time() * 1000)

        def sink(history: pd.DataFrame) -> None:
            self.start()
            with self._condition:
                for row in self._log.rows:
                    if row.training == training:
                        self._add(row, history)
                self._condition.notify()

        return sink

    def row(
        self,
        name: str,
        history: pd.DataFrame,
        metrics: Mapping[str, float],
        failures: Collection[str] = (),
        details: RowDetails = NO_ROW,
    ) -> None:
        """Log a scored row with `finish`."""
        with self._condition:
            row = next(row for row in self._log.rows if row.name == name)
            self._add(row, history)
            row.metrics, row.failures = dict(metrics), "; ".join(failures)
            row.started = details.started if row.started is None else row.started
            row.ended, row.note, row.files = details.ended, details.note, dict(details.files)

    def finish(
        self,
        folder: str,
        files: Mapping[str, str],
        metrics: Mapping[str, float],
        private: Collection[str] = (),
        details: SuiteDetails = NO_SUITE,
    ) -> None:
        """Write the journal; `close` logs it."""
        self.start()
        with self._condition:
            self._log.folder, self._log.files, self._log.metrics = folder, dict(files), dict(metrics)
            self._log.private, self._log.dataset = sorted(private), details.dataset
            self._log.headline, self._log.note = list(details.headline), details.note
            self._journal.write(self._log)

    def close(self) -> None:
        """Log the rest, or what an earlier call could not log; wait `CLOSE_SECONDS` at most."""
        if self._log.metrics is None:
            if not self._journal.exists() or (earlier := self._journal.read(self._warn)) is None:
                self._address.tell(self._say)
                return
            self._log = earlier
            self._parameters = lambda: earlier.parameters
        self.start()
        with self._condition:
            self._changed |= {row.name for row in self._log.rows}
            self._finished, self._next, self._ended = True, 0.0, True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                self._tell(TimeoutError("it takes too long"), LATER)
        self._address.tell(self._say)

    def interrupted(self) -> None:
        """Mark the open runs as killed, if MLflow answers within `STOP_SECONDS`."""
        with self._condition:
            self._stopped = self._ended = True
            self._condition.notify()
        if self._thread is not None and self._session is not None:
            self._thread.join(STOP_SECONDS)

    def _add(self, row: RowLog, history: pd.DataFrame) -> None:
        for name, new in points(history):  # type: ignore[arg-type]
            old = row.losses.setdefault(name, [])
            last = old[-1][0] if old else -1
            old += [point for point in new if point[0] > last]
        self._changed.add(row.name)

    # ------------------------------------------------------------------------------------------------ the thread
    def _work(self) -> None:
        while True:
            with self._condition:
                while not (self._ended or (time.monotonic() >= self._next and (self._changed or not self._session))):
                    self._condition.wait(0.5)
                ended, stopped = self._ended, self._stopped
            if stopped and self._session is None:
                return
            try:
                self._deliver(stopped)
            except Exception as error:  # whatever MLflow, a database or a socket raises
                self._again(stopped, error)
            if ended:
                return

    def _again(self, stopped: bool, error: Exception) -> None:
        """Try again with a new session if there was one: a run may have been deleted."""
        connected, self._session = self._session is not None, None
        try:
            if not connected:
                raise error
            self._deliver(stopped)
        except Exception as second:
            self._session, self._next = None, time.monotonic() + RETRY_SECONDS
            self._tell(second, LATER)
        else:
            self._tell(error, "everything is logged again")

    def _deliver(self, stopped: bool) -> None:
        """Log what has changed. After an error, a new session finds out what is missing."""
        if self._session is None:
            self._session = Session(self._out, self._log)
            if self._finished:
                self._changed |= {row.name for row in self._log.rows}
                self._journal.write(self._log)  # with the ids of the runs
        for row in self._log.rows:
            if row.name in self._changed:
                with self._condition:  # a copy, since more may come while it is logged
                    losses = {name: list(values) for name, values in row.losses.items()}
                    copy = dataclasses.replace(row, losses=losses, metrics=row.metrics if self._finished else None)
                    self._changed.discard(row.name)
                try:
                    self._session.row(copy)
                except BaseException:
                    self._changed.add(row.name)
                    raise
        if self._finished:
            self._address.write(self._session.suite())
            self._journal.remove()
        elif stopped:
            self._session.stopped()

    def _tell(self, error: BaseException, end: str) -> None:
        """Print the warning, once a run."""
        if not self._warned:
            self._warned = True
            self._warn(f"{describe(error, self._out)}; {end}")


def deliver_missed(out: Path, plan: str, warn: Tell, say: Tell = lambda _: None) -> None:
    """Log what earlier calls of this plan could not log. say: receives the address of the comparison."""
    if Journal(out, plan).exists():
        MlflowTracker(out, plan, "", [], dict, "", warn, say).close()
    else:
        Address(out, plan).tell(say)


class Address:
    """A file with the address of a suite's comparison: the MLflow that it is in, and the path below that."""

    def __init__(self, out: Path, plan: str) -> None:
        self._out, self._path = out, out / ADDRESSES / f"{plan[:24]}.json"

    def write(self, path: str) -> None:
        """Write the address."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, json.dumps([os.environ.get(URI, ""), path]))

    def tell(self, say: Tell) -> None:
        """Print the address of the comparison, if it is in the current MLflow."""
        with suppress(ValueError, TypeError):
            uri, path = read_memory(self._path)
            if uri == os.environ.get(URI, "") and isinstance(path, str):
                say(comparison_line(self._out, path))


class Journal:
    """A file with the log of a finished suite, kept until MLflow has it."""

    def __init__(self, out: Path, plan: str) -> None:
        self._path = out / JOURNALS / f"{plan[:24]}.json"

    def exists(self) -> bool:
        """Return whether something is left to log."""
        return self._path.is_file()

    def write(self, log: SuiteLog) -> None:
        """Write the log, with a hash of itself."""
        text = json.dumps(log.content())
        with suppress(OSError):  # a full disk is reported where results are written
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, f"{_digest(text)}\n{text}\n")

    def read(self, warn: Tell) -> SuiteLog | None:
        """Return the log that is still to be delivered. A damaged journal is removed, with a warning."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            digest, text = read_regular(self._path, MOST_OF_A_MEMORY).decode().splitlines()
            if digest == _digest(text):
                return SuiteLog.of(json.loads(text))
        warn(f"{self._path} is damaged and removed: what an earlier call could not log to MLflow is not logged")
        self.remove()
        return None

    def remove(self) -> None:
        """Remove the file, since everything is logged."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # others are left
            self._path.parent.rmdir()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
