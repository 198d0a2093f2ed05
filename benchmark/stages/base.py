"""The interface of stages, and how one is run."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from typing_extensions import TypeVar

from benchmark.core.artifacts import Artifact, Recipe, Store
from benchmark.core.environment import Environment, Peaks, peak_memory
from benchmark.core.errors import RunFailed
from benchmark.core.locks import LeaseLost
from benchmark.core.models import dump, parse
from benchmark.core.progress import Reporter
from benchmark.core.tracking import Tracker


@dataclass(frozen=True)
class Machine:
    """The hardware. Only `device` is part of a key, where it changes bits."""

    device: str
    threads: int
    cores: int = 1
    """Threads of all jobs together, for work whose result does not depend on their number."""


@dataclass(frozen=True)
class Context:
    """What a running stage may use."""

    store: Store
    reporter: Reporter
    machine: Machine
    environment: Environment
    tracker: Tracker
    peaks: Peaks = field(default_factory=Peaks)


@dataclass(frozen=True)
class Work:
    """How much a stage is, for the estimate: `amount` times the seconds a unit of `rate` takes; bytes it writes at
    most.
    """

    rate: str
    amount: float
    bytes: int


@dataclass(frozen=True)
class NoFacts:
    """The facts of a stage that has none beside its files."""


F = TypeVar("F", default=Any)
"""The facts of a stage."""


@dataclass(frozen=True)
class StageResult(Generic[F]):
    """The files of a finished stage, and the facts for its manifest."""

    facts: F
    files: Sequence[str] | None = None
    """File names; None for `Stage.files`."""
    seconds: float | None = None
    """Seconds of work, where they span several calls."""
    threads: int | None = None
    """Threads, where they are not the machine's (a training resumes with as many as it began with)."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Other durations for the manifest; no part of any result."""


class Stage(ABC, Generic[F]):
    """One node of the plan.

    Its artifact holds files and facts. Facts are a frozen dataclass, `facts_type`, written to the manifest and read
    from it by `facts` alone.
    """

    kind: str
    facts_type: type[F]
    version: int = 1
    """Raise it when the same settings and inputs would give another content."""
    files: tuple[str, ...] = ()
    """Names of files that its artifact must have."""
    state: str = ""
    """Name of the file from which an interrupted call goes on; "" for a stage that begins again."""

    def __init__(self, name: str, settings: Mapping[str, Any], inputs: Mapping[str, Stage]) -> None:
        self.inputs = inputs
        keys = {role: stage.recipe.key for role, stage in inputs.items()}
        self.recipe: Recipe = Recipe(self.kind, name, settings, keys, self.version, self.files, self.state)

    @property
    def name(self) -> str:
        """The name for people: "train mtss F&P seed 0"."""
        return self.recipe.name

    @abstractmethod
    def work(self) -> Work:
        """Estimate the amount of work."""

    @abstractmethod
    def run(self, context: Context, folder: Path) -> StageResult[F]:
        """Write the files into `folder`, which keeps the files of an interrupted call."""

    def artifact(self, context: Context) -> Artifact:
        """Return the finished artifact. Raises RuntimeError where the stage has not been run."""
        artifact = context.store.find(self.recipe)
        if artifact is None:
            raise RuntimeError(f"'{self.name}' is needed before it was run")
        return artifact

    def folder(self, context: Context) -> Path:
        """Return the folder of the finished artifact."""
        return self.artifact(context).folder

    def facts(self, context: Context) -> F:
        """Return the facts of the finished artifact."""
        artifact = self.artifact(context)
        return parse(self.facts_type, dict(artifact.manifest.facts), f"the facts of {artifact.folder}")


def make_all(stages: Sequence[Stage], context: Context) -> None:
    """Run the missing stages, in the order given."""
    for number, stage in enumerate(stages, 1):
        context.reporter.say(f"[{number}/{len(stages)}] {stage.name}")
        make(stage, context)


def make(stage: Stage, context: Context) -> Artifact:
    """Run one stage whose inputs exist, and return its artifact, or the one that another process has made meanwhile.

    A damaged artifact in its place is set aside. Raises Busy where another process makes it for too long.
    """
    while True:
        try:
            return _make(stage, context)
        except LeaseLost as lost:
            context.reporter.warn(f"{lost}, since this one did not answer for a while")


def _make(stage: Stage, context: Context) -> Artifact:
    with context.store.making(stage.recipe, context.reporter.warn) as folder:
        made_meanwhile = context.store.find_or_set_aside(stage.recipe, context.reporter.warn, held=True)
        if made_meanwhile is not None:
            return made_meanwhile
        started, peak = time.monotonic(), peak_memory()
        with with_threads(context.machine.threads):
            try:
                result = stage.run(context, folder)
            except RunFailed as error:
                error.stage = stage.recipe.key
                raise
        seconds = result.seconds if result.seconds is not None else time.monotonic() - started
        work = stage.work()
        made_with = {**context.environment.describe(), "work": {"rate": work.rate, "amount": work.amount}}
        if peak_memory() > peak:
            made_with["peak_memory"] = peak_memory()
        if result.threads is not None:
            made_with["threads"] = result.threads
        if result.timings:
            made_with["timings"] = dict(result.timings)
        files = [*(stage.files if result.files is None else result.files)]
        return context.store.finish(stage.recipe, folder, files, dump(result.facts), seconds, made_with)


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Every library that computes has `count` threads: the last bits of a sum depend on how many share it, and two
    processes that each take all cores wait for each other.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(count)
    with threadpool_limits(count):
        yield
