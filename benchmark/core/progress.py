"""Progress on stderr: bars with the time left on a terminal, else lines at intervals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

EVERY_SECONDS = 15.0


class Bar(Protocol):
    """The progress of work of known length."""

    def advance(self, count: int) -> None:
        """Advance by `count`."""

    def note(self, text: str) -> None:
        """Set the note behind the bar, such as the current losses."""


class _Stderr:
    """The current stderr; errors of writing to it (a closed terminal, a full disk) are ignored."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


class Reporter:
    """Print progress on stderr; with `quiet` only warnings."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(file=cast(IO[str], _Stderr()), highlight=False)
        self.quiet = quiet
        self._shared: Progress | None = None
        self._rows: dict[str, TaskID] = {}

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True)

    def say_plain(self, text: str) -> None:
        """Print a line that may have brackets, as paths and addresses do."""
        self.say(escape(text))

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"[yellow]warning:[/yellow] {escape(text)}", soft_wrap=True)

    def pass_on(self, line: str) -> None:
        """Print a line that a library wrote to a worker's stderr, unchanged."""
        self.console.print(line, soft_wrap=True, markup=False, emoji=False)

    @contextmanager
    def bar(self, name: str, total: int, done: int = 0) -> Iterator[Bar]:
        """Open a bar of `total` steps, of which an earlier call has done `done`."""
        if self.quiet:
            yield _Silent()
        elif self._shared is not None:
            yield _Rich(self._shared, self._row(self._shared, name, total, done))
        elif self.console.is_terminal:
            with self._display() as progress:
                yield _Rich(progress, progress.add_task(name, total=total, completed=done, note=""))
        else:
            yield _Lines(name, total, done)

    @contextmanager
    def plan_progress(self, stages: int) -> Iterator[PlanProgress]:
        """Show all bars inside the block in one display, with a line for the plan."""
        if self.quiet or not self.console.is_terminal:
            yield PlanProgress(self, stages)
            return
        with self._display() as progress:
            self._shared, self._rows = progress, {}
            try:
                yield _RichPlanProgress(self, stages, progress, self._rows)
            finally:
                self._shared = None

    def _display(self) -> Progress:
        # The note takes the rest of the line.
        note = TextColumn("{task.fields[note]}", style="dim", table_column=Column(ratio=1, no_wrap=True))
        return Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), _Left(), note, console=self.console, expand=True,
        )  # fmt: skip

    def _row(self, progress: Progress, name: str, total: int, done: int) -> TaskID:
        """Return the bar of a running stage, or a new bar for other work."""
        if name not in self._rows:
            self._rows[name] = progress.add_task(name, total=None, note="")
        progress.reset(self._rows[name], total=total, completed=done)
        return self._rows[name]


class PlanProgress:
    """Overall progress of the running plan: without a terminal, a line at the start of each stage."""

    def __init__(self, reporter: Reporter, stages: int) -> None:
        self._reporter, self._stages = reporter, stages
        self._begun = self._ended = 0

    def begin(self, name: str, left: float) -> None:
        """Show that a stage begins. left: estimated seconds until all are finished."""
        self._begun += 1
        self._reporter.say(f"[{self._begun}/{self._stages}] {name}; about {duration(left)} left in all")

    def end(self, name: str, seconds: float) -> None:
        """The stage is finished."""
        self._ended += 1

    def put_back(self, name: str) -> None:
        """Remove an interrupted stage, which begins again later."""
        self._begun -= 1

    def left(self, seconds: float) -> None:
        """Update the estimate of the seconds left."""


class _RichPlanProgress(PlanProgress):
    """A bar for each running stage, which becomes a plain line when it is finished, and one for the plan."""

    def __init__(self, reporter: Reporter, stages: int, progress: Progress, rows: dict[str, TaskID]) -> None:
        super().__init__(reporter, stages)
        self._progress, self._rows = progress, rows
        self._row = progress.add_task("[bold]all stages", total=stages, note="", ends=None)

    def begin(self, name: str, left: float) -> None:
        self._rows[name] = self._progress.add_task(name, total=None, note="")
        self.left(left)

    def end(self, name: str, seconds: float) -> None:
        super().end(name, seconds)
        self._progress.remove_task(self._rows.pop(name))
        self._progress.update(self._row, completed=self._ended)
        self._reporter.say(f"[{self._ended}/{self._stages}] {name}, {duration(seconds)}")

    def put_back(self, name: str) -> None:
        self._progress.remove_task(self._rows.pop(name))

    def left(self, seconds: float) -> None:
        self._progress.update(self._row, ends=time.monotonic() + seconds)


class _Left(TimeRemainingColumn):
    """The time left, from the bar's own speed or until its estimated end."""

    max_refresh = None  # type: ignore[assignment]  # every time

    def render(self, task: Task) -> Text:
        if "ends" not in task.fields:
            return super().render(task)
        ends = task.fields["ends"]
        text = "-:--:--" if ends is None else _clock(max(0.0, ends - time.monotonic()))
        return Text(text, style="progress.remaining")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class Pace:
    """Progress and speed of work of known length."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.done, self._first = total, done, done
        self._start = time.monotonic()

    def advance(self, count: int) -> None:
        """Advance by `count`."""
        self.done += count

    @property
    def took(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float | None:
        """Return the seconds left; None before the first step is done."""
        done = self.done - self._first
        return self.took / done * (self.total - self.done) if done else None


class _Silent:
    def advance(self, count: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class _Rich:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)


class _Lines:
    """A bar as lines of a log: at the start, every `EVERY_SECONDS`, and at the end."""

    def __init__(self, name: str, total: int, done: int) -> None:
        self._name, self._pace = name, Pace(total, done)
        self._last = time.monotonic()
        self._note = ""
        where = f", from {done}" if done else ""
        _Stderr().write(f"{name}: {total} to do{where}\n")

    def advance(self, count: int) -> None:
        pace = self._pace
        pace.advance(count)
        now = time.monotonic()
        if now - self._last < EVERY_SECONDS and pace.done < pace.total:
            return
        self._last = now
        tail = f"{duration(pace.left or 0)} left" if pace.done < pace.total else f"done in {duration(pace.took)}"
        note = f"; {self._note}" if self._note else ""
        _Stderr().write(f"{self._name}: {pace.done}/{pace.total}, {tail}{note}\n")
        _Stderr().flush()

    def note(self, text: str) -> None:
        self._note = text


def counted(bar: Bar, done: int = 0) -> Callable[[int], None]:
    """Turn a count of all steps done (from `done` on) into advances of a bar."""
    last = done

    def tell(total: int) -> None:
        nonlocal last
        bar.advance(total - last)
        last = total

    return tell


def duration(seconds: float) -> str:
    """Format seconds: `4 s`, `2 min 05 s`, `3 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
