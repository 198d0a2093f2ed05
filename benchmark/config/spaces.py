"""Spaces of settings that are tuned: which settings of which methods, between which values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from benchmark.config.loading import HERE, find, load
from benchmark.config.suites import MethodName, Title
from benchmark.core.errors import quoted
from benchmark.core.models import STRICT

SPACES = HERE / "spaces"
Positive = Annotated[float, Field(gt=0)]
Scalar = float | int | str | bool


@dataclass(frozen=True, config=STRICT)
class Range:
    """What a setting is drawn from: one of the three. log and linear: lowest and highest.

    of: the setting by whose value the drawn one is multiplied, so that a ratio is drawn.
    """

    log: tuple[Positive, Positive] | None = None
    linear: tuple[float, float] | None = None
    choice: tuple[Scalar, ...] | None = None
    of: str = ""

    @model_validator(mode="after")
    def _is_one(self) -> Range:
        given = [kind for kind in (self.log, self.linear, self.choice) if kind is not None]
        if len(given) != 1:
            raise ValueError("needs one of log, linear and choice")
        if self.choice is not None and (len(self.choice) < 2 or self.of):
            raise ValueError("a choice is of two values at least, and of no other setting")
        for bounds in (self.log, self.linear):
            if bounds is not None and not bounds[0] < bounds[1]:
                raise ValueError(f"goes from {bounds[0]:g} to {bounds[1]:g}: the lower one comes first")
        return self

    def at(self, share: float) -> Scalar:
        """The value at a share of the range, in [0, 1), rounded to three digits where it is a number of a range."""
        if self.choice is not None:
            return self.choice[int(share * len(self.choice))]
        if self.log is not None:
            low, high = self.log
            return _rounded(low * (high / low) ** share)
        assert self.linear is not None
        low, high = self.linear
        return _rounded(low + (high - low) * share)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


@dataclass(frozen=True, config=STRICT)
class MethodSpace:
    """The space of a method. seconds_per_iteration: of one core, with the published batch. batch: the setting that is
    the number of faces in a batch.
    """

    seconds_per_iteration: Positive
    batch: str
    settings: Annotated[Mapping[str, Range], Field(min_length=1)]

    @model_validator(mode="after")
    def _ratios_are_of_earlier_settings(self) -> MethodSpace:
        seen: set[str] = set()
        for name, kind in self.settings.items():
            if kind.of and kind.of not in seen:
                raise ValueError(f"{quoted(name)} is a ratio of {quoted(kind.of)}, which does not stand above it")
            seen.add(name)
        return self

    def value_at(self, shares: Mapping[str, float]) -> dict[str, Any]:
        """The settings at shares of their ranges in [0, 1), by name."""
        values: dict[str, Any] = {}
        for name, kind in self.settings.items():
            value = kind.at(shares[name])
            values[name] = _rounded(float(value) * float(values[kind.of])) if kind.of else value
        return values


@dataclass(frozen=True, config=STRICT)
class Space:
    """Spaces by method, and by which measure a trial is chosen. criterion, ties: keys of metrics."""

    name: str
    title: Title
    criterion: str
    ties: str
    methods: Mapping[MethodName, MethodSpace]


def load_space(name: str) -> Space:
    """The space of that name or path. Raises UserError, naming file and field, for whatever is wrong in it."""
    path: Path = find("space", SPACES, name)
    space: Space = load(Space, path, name=path.stem)
    return space
