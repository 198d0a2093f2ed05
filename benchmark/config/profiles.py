"""Profiles: the budget and the measurement settings of a suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic.dataclasses import dataclass

from benchmark.config.loading import HERE, find, load
from benchmark.config.precision import DEFAULT, Precision
from benchmark.config.suites import MethodName, Note, Title, or_empty
from benchmark.core.errors import UserError
from benchmark.core.models import STRICT
from benchmark.protocol import EXPRESSIONS

PROFILES = HERE / "profiles"
FULL_BUDGET = "paper"
"""The profile that trains and measures as published."""
FeatureSpace = Literal["inception", "efficientnet-lite0"]
StoredPrecision = Literal["float16", "float32"]
SMALLEST, LARGEST = 32, 4096
Count = Annotated[int, Field(ge=1, le=10**9)]
READER_PICTURES = 1600
"""Drawn in the training of the reader for each epoch of the judge, where a profile does not say how many."""


@dataclass(frozen=True, config=STRICT)
class Overrides:
    """Settings of one method that a profile changes, and why."""

    why: Note
    settings: Mapping[str, Any]


@dataclass(frozen=True, config=STRICT)
class Profile:
    """A budget and measurement settings. None stands for the method's or the protocol's own value.

    size: side of all pictures in pixels. width: share of the published channels. targets_per_source: edits of each test
    picture, drawn from the seven. allow_small: measure sets below the floor too.
    decides_claims: whether its trainings are long enough to hold a paper's claims against. stored_weights: precision to
    which the weights for editing are rounded, which edits are made with and which can be stored; None for no rounding.
    """

    name: str
    title: Title
    notice: Note
    size: Annotated[int, Field(ge=SMALLEST, le=LARGEST)]
    width: Annotated[float, Field(gt=0, le=1)]
    features: FeatureSpace
    judge_epochs: Count
    iterations: Mapping[MethodName, Count]
    checkpoint_every: Count
    log_every: Count
    reader_pictures: Count | None = None
    train_identities: Count | None = None
    targets_per_source: Annotated[int, Field(ge=1, le=len(EXPRESSIONS) - 1)] | None = None
    allow_small: bool = False
    decides_claims: bool = True
    precision: Precision = DEFAULT
    stored_weights: StoredPrecision | None = None
    overrides: Annotated[Mapping[MethodName, Overrides], BeforeValidator(or_empty)] = field(default_factory=dict)

    @field_validator("size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size & (size - 1):
            raise ValueError(f"must be a power of two, not {size}")
        return size

    @field_validator("iterations")
    @classmethod
    def _default(cls, iterations: Mapping[str, int]) -> Mapping[str, int]:
        if "default" not in iterations:
            raise ValueError("need a 'default'")
        return iterations

    @property
    def reader_budget(self) -> int:
        """Pictures drawn in the training of the reader."""
        return self.reader_pictures or READER_PICTURES * self.judge_epochs

    def iterations_of(self, method: str) -> int:
        """Training iterations of a method ("default" for one that is not named)."""
        return self.iterations.get(method, self.iterations["default"])


def load_profile(name: str) -> Profile:
    """Load the profile of that name or path. Raises UserError, naming file and field, where it is wrong."""
    path: Path = find("profile", PROFILES, name)
    profile: Profile = load(Profile, path, name=path.stem)
    return profile


def features_for(profile: str, stated: FeatureSpace, asked: FeatureSpace | None) -> FeatureSpace:
    """The feature extractor: the one asked for, else the one that `profile` states. Raises UserError where the profile
    takes no other than the published one.
    """
    features = asked or stated
    if profile == FULL_BUDGET and features != "inception":
        raise UserError(f"profile {FULL_BUDGET} measures FID as published: it takes no other features than inception")
    return features
