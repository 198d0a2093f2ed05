"""The messages between a worker process and the process that started it."""

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
class WorkerSetup:
    """What a worker needs before its first stage."""

    stages: dict[str, Stage]
    store: Path
    machine: Machine
    environment: Environment
    quiet: bool


@dataclass(frozen=True)
class Make:
    """Make the stage with this key."""

    key: str


@dataclass(frozen=True)
class Stop:
    """Save the state of the running stage, and end."""


# ------------------------------------------------------------------------------------------- from the worker
@dataclass(frozen=True)
class Say:
    """Print a line."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class BarBegins:
    """A bar of known length begins."""

    name: str
    total: int
    done: int


@dataclass(frozen=True)
class BarMoves:
    """The bar advances by `count`; its note, or None to keep the last one."""

    count: int
    note: str | None


@dataclass(frozen=True)
class BarEnds:
    """The bar ends."""


@dataclass(frozen=True)
class Losses:
    """New rows of a training's loss history, for MLflow."""

    training: str
    history: pd.DataFrame


@dataclass(frozen=True)
class Done:
    """The stage is finished."""

    seconds: float
    peak: int
    """Peak memory of the worker so far, in bytes."""


@dataclass(frozen=True)
class Failed:
    """The stage failed; the worker ends."""

    error: Exception


@dataclass(frozen=True)
class Stopped:
    """The signal interrupted the stage, whose state is saved; the worker ends."""

    signum: int
    peak: int


Report = Say | BarBegins | BarMoves | BarEnds | Losses | Done | Failed | Stopped
