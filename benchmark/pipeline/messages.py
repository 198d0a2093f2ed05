"""The messages between a worker process and the process that started it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.core.environment import Environment
from benchmark.core.store_address import StoreAddress
from benchmark.stages.base import Machine, Stage

if TYPE_CHECKING:
    import pandas as pd


# ------------------------------------------------------------------------------------------- to the worker
@dataclass(frozen=True)
class WorkerSetup:
    """What a worker needs before its first stage."""

    stages: dict[str, Stage]
    store: StoreAddress
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
class Begins:
    """Work on the stage with this key begins, on the machine of this name."""

    key: str
    node: str


@dataclass(frozen=True)
class Elsewhere:
    """Another process, of another call, is making the stage; the worker goes on with the next one."""


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
class Died:
    """The worker ended without a final message, as the relay on its machine reports; `log` is its last lines."""

    ending: str
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Requeued:
    """The stage was interrupted, its state is saved, and the job begins again without being submitted again."""


@dataclass(frozen=True)
class Stopped:
    """The signal interrupted the stage, whose state is saved; the worker ends."""

    signum: int
    peak: int


Report = Say | Begins | BarBegins | BarMoves | BarEnds | Losses | Elsewhere | Done | Failed | Died | Requeued | Stopped
