"""What a worker process and the one that started it say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.environment import Environment
from benchmark.stages.base import Machine, Stage

if TYPE_CHECKING:
    import pandas as pd


# ------------------------------------------------------------------------------------------- to the worker
@dataclass(frozen=True)
class Equipment:
    """All that a worker needs before its first stage."""

    stages: dict[str, Stage]
    store: Path
    machine: Machine
    environment: Environment
    quiet: bool


@dataclass(frozen=True)
class Make:
    """Make the stage of that key."""

    key: str


@dataclass(frozen=True)
class Stop:
    """Save what is begun, and end."""


# ------------------------------------------------------------------------------------------- from the worker
@dataclass(frozen=True)
class Say:
    """A line."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class BarBegins:
    """The stage begins a piece of work of known length."""

    name: str
    total: int
    done: int


@dataclass(frozen=True)
class BarMoves:
    """`count` more are done; a word on it, or None for the last one."""

    count: int
    note: str | None


@dataclass(frozen=True)
class BarEnds:
    """The piece of work is over."""


@dataclass(frozen=True)
class Losses:
    """New rows of a training's history, for MLflow."""

    training: str
    history: pd.DataFrame


@dataclass(frozen=True)
class Done:
    """The stage is made."""

    seconds: float
    peak: int
    """Bytes that the worker has had in memory at most, so far."""


@dataclass(frozen=True)
class Failed:
    """The stage could not be made; the worker ends."""

    error: Exception


@dataclass(frozen=True)
class Stopped:
    """The stage was cut, its state saved, by that signal; the worker ends."""

    signum: int
    peak: int


Report = Say | BarBegins | BarMoves | BarEnds | Losses | Done | Failed | Stopped
