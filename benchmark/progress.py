"""Progress on stderr: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY_SECONDS = 15.0


class Bar(Protocol):
    """One piece of work with a known length."""

    def advance(self, count: int) -> None:
        """`count` more are done."""

    def note(self, text: str) -> None:
        """What is worth knowing right now (the losses, say)."""


class Reporter:
    """Says what is going on. `quiet` says nothing but warnings."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.quiet = quiet

    def say(self, text: str) -> None:
        """One line."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line that stands out."""
        self.console.print(f"[yellow]warning:[/yellow] {text}", soft_wrap=True)

    @contextmanager
    def bar(self, name: str, total: int, done: int = 0) -> Iterator[Bar]:
        """A bar for `total` pieces, `done` of which an earlier call has done."""
        if self.quiet:
            yield _Silent()
        elif self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
                TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}", style="dim"),
            )  # fmt: skip
            with Progress(*columns, console=self.console) as progress:
                yield _Rich(progress, progress.add_task(name, total=total, completed=done, note=""))
        else:
            yield _Lines(name, total, done)


class _Silent:
    def advance(self, count: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class _Rich:
    def __init__(self, progress: Progress, task: object) -> None:
        self._progress, self._task = progress, task

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)  # type: ignore[arg-type]


class _Lines:
    """For logs: a line at the start, every `EVERY_SECONDS`, and at the end."""

    def __init__(self, name: str, total: int, done: int) -> None:
        self._name, self._total, self._done, self._first = name, total, done, done
        self._start = self._last = time.monotonic()
        self._note = ""
        where = f", from {done}" if done else ""
        sys.stderr.write(f"{name}: {total} to do{where}\n")

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last < EVERY_SECONDS and self._done < self._total:
            return
        self._last = now
        took = now - self._start
        left = took / max(1, self._done - self._first) * (self._total - self._done)
        tail = f"{duration(left)} left" if self._done < self._total else f"done in {duration(took)}"
        note = f"; {self._note}" if self._note else ""
        sys.stderr.write(f"{self._name}: {self._done}/{self._total}, {tail}{note}\n")
        sys.stderr.flush()

    def note(self, text: str) -> None:
        self._note = text


def counted(bar: Bar, done: int = 0) -> Callable[[int], None]:
    """For work that says how many are done in all (from `done` on), not how many more."""
    said = done

    def tell(total: int) -> None:
        nonlocal said
        bar.advance(total - said)
        said = total

    return tell


def duration(seconds: float) -> str:
    """For people: `4 s`, `2 min 05 s`, `3 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
