"""What a stage is to the plan."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.core.artifacts import Artifact, Recipe, Store
from benchmark.core.environment import Environment, Peaks
from benchmark.core.progress import Reporter
from benchmark.core.tracking import Tracker


@dataclass(frozen=True)
class Machine:
    """What the work runs on. No part of a key but where `device` changes bits."""

    device: str
    threads: int
    cores: int = 1
    """How many threads work may be spread over that is the same however many they are: those of all jobs together."""


@dataclass(frozen=True)
class Context:
    """What every stage may use while it runs."""

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
class Made:
    """What a stage leaves: names of files in its folder, facts for the manifest, seconds where they span several
    calls.
    """

    files: list[str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    threads: int | None = None
    """With how many it ran, where those are not the machine's (a training goes on with as many as it began with)."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """What else the clock says of it; beside the seconds in the manifest, and no part of any result."""


class Stage(ABC):
    """One node of the plan."""

    kind: str
    version: int = 1
    """Raise it when the same settings and inputs would give another content."""
    files: tuple[str, ...] = ()
    """Names of files that its artifact has at least."""

    def __init__(self, name: str, settings: Mapping[str, Any], inputs: Mapping[str, Stage]) -> None:
        self.inputs = inputs
        keys = {role: stage.recipe.key for role, stage in inputs.items()}
        self.recipe: Recipe = Recipe(self.kind, name, settings, keys, self.version, self.files)

    @property
    def name(self) -> str:
        """For people: "train mtss F&P seed 0"."""
        return self.recipe.name

    @abstractmethod
    def work(self) -> Work:
        """How much it is."""

    @abstractmethod
    def run(self, context: Context, folder: Path) -> Made:
        """Do it, in `folder`; what an interrupted call left there is still there."""

    def read(self, role: str, context: Context) -> Artifact:
        """The finished artifact of an input."""
        return made_by(self.inputs[role], context)


def made_by(stage: Stage, context: Context) -> Artifact:
    """The finished artifact of a stage that has been run."""
    artifact = context.store.find(stage.recipe)
    if artifact is None:
        raise RuntimeError(f"'{stage.name}' is needed before it was run")
    return artifact


def make_all(stages: Sequence[Stage], context: Context) -> None:
    """Run stages that are missing, in the order given."""
    for place, stage in enumerate(stages, 1):
        context.reporter.say(f"[{place}/{len(stages)}] {stage.name}")
        make(stage, context)


def make(stage: Stage, context: Context) -> Artifact:
    """Run one stage whose inputs exist, and return its artifact, or the one that another process has made meanwhile.

    A damaged artifact in its place is set aside.
    """
    with context.store.making(stage.recipe, context.reporter.warn) as folder:
        made_meanwhile = context.store.find_or_set_aside(stage.recipe, context.reporter.warn, locked=True)
        if made_meanwhile is not None:
            return made_meanwhile
        started = time.monotonic()
        with _threads(context.machine.threads):
            made = stage.run(context, folder)
        seconds = made.seconds if made.seconds is not None else time.monotonic() - started
        work = stage.work()
        made_with = {**context.environment.describe(), "work": {"rate": work.rate, "amount": work.amount}}
        if made.threads is not None:
            made_with["threads"] = made.threads
        if made.timings:
            made_with["timings"] = dict(made.timings)
        return context.store.finish(stage.recipe, folder, made.files, made.facts, seconds, made_with)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Every library that computes has `count` threads: the last bits of a sum depend on how many share it, and two
    processes that each take all cores wait for each other.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(count)
    with threadpool_limits(count):
        yield
