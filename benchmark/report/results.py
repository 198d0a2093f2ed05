"""The result of a suite: what `results.json` holds, and nothing that depends on the clock.

Two runs of the same plan give the same file, byte for byte; times are in `timings.json` beside it. The schema is
documented in docs/results.md, and its version is raised with every change that a reader would notice.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.protocol import Guide, Subset

SCHEMA = 3


@dataclass(frozen=True)
class Scores:
    """One row measured with one seed. `metrics` has the keys of the registry; None where it can't be measured, with the
    reason.
    """

    edits: int
    metrics: dict[str, float | None]
    reasons: dict[str, str] = field(default_factory=dict)
    ca_by_expression: dict[str, float] = field(default_factory=dict)
    """Percent, by target expression."""


@dataclass(frozen=True)
class Training:
    """What a row's checkpoint cost, as far as the clock has no part in it; None where nobody knows."""

    iterations: int | None
    images_seen: int | None
    updates: dict[str, int]
    """Optimiser steps by optimiser."""
    parameters: dict[str, int]
    """Trained parameters by network."""
    overrides: dict[str, Any]
    """Settings that differ from the published ones, as the profile and the suite state them."""
    settings: dict[str, Any] = field(default_factory=dict)
    """All settings in force."""


@dataclass(frozen=True)
class Row:
    """One row of a suite. `missing` says why it has no numbers; then `seeds` is empty.

    variant: settings that the suite changes for this row. extended: the row is in no main table. note: the suite's word
    on it. same_as: id of an earlier row of which it is the same run (equal keys), or "". origin: where its checkpoint
    is from, if it was not trained here; then it has one seed, which is no training's.
    """

    id: str
    label: str
    method: str
    guide: Guide
    subset: Subset
    seeds: dict[int, Scores] = field(default_factory=dict)
    training: Training | None = None
    missing: str = ""
    footnote: str = ""
    trainings: dict[int, str] = field(default_factory=dict)
    """The training behind each seed, by its name in `timings.json` and in the loss curves."""
    variant: dict[str, Any] = field(default_factory=dict)
    extended: bool = False
    note: str = ""
    same_as: str = ""
    origin: str = ""
    failed: dict[int, list[str]] = field(default_factory=dict)
    """By seed, how a training failed by its own measure: `from iteration 235: ...`. No seed where none did."""

    def values(self, metric: str) -> list[float]:
        """The metric over the seeds that have it."""
        found = (scores.metrics.get(metric) for scores in self.seeds.values())
        return [value for value in found if value is not None]

    def mean(self, metric: str) -> float | None:
        """Mean over seeds, or None where no seed has it."""
        values = self.values(metric)
        return sum(values) / len(values) if values else None

    def spread(self, metric: str) -> float | None:
        """Sample standard deviation over seeds, or None with fewer than two."""
        values = self.values(metric)
        if len(values) < 2:
            return None
        mean = sum(values) / len(values)
        return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


@dataclass(frozen=True)
class JudgeResult:
    """How well the judge reads real faces: what CA of its subset is read beside."""

    accuracy: float
    """Percent of the real test pictures."""
    images: int
    by_expression: dict[str, float]


@dataclass(frozen=True)
class JudgeReading:
    """How well the judge reads the real pictures that a suite edits, where those are not what it was tested on: faces
    that are not aligned, or some expressions only.
    """

    accuracy: float
    """Percent of the real test pictures of all expressions."""
    images: int
    by_expression: dict[str, float]
    target_accuracy: float
    """The same of those that show a target expression of the suite: what CA is read beside."""
    target_images: int
    framed: int
    """Of all: faces that were brought to where the judge has learned them before it was asked, as those of edits are;
    0 where the pictures are aligned, or no landmarks known.
    """
    unframed_accuracy: float
    """Percent of all pictures as they stand."""


@dataclass(frozen=True)
class Features:
    """Which network's features the Fréchet and kernel distances were measured in."""

    name: str
    column: str
    comparable: bool
    """True only for the published Inception weights."""
    identity: str


@dataclass(frozen=True)
class Override:
    """Settings of one method that the profile changes, and why."""

    why: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class SuiteResults:
    """Everything the report prints, and all that `results.json` holds."""

    suite: str
    title: str
    profile: str
    notice: str
    """One line on what the numbers of this profile prove and what not."""
    data: str
    data_description: str
    size: int
    seeds: tuple[int, ...]
    features: Features
    test_images: dict[str, int]
    test_identities: int
    train_identities: int
    judges: dict[str, dict[int, JudgeResult]]
    """By subset, then seed."""
    rows: tuple[Row, ...]
    keys: dict[str, str]
    """Content keys of all stages by their name in the plan."""
    paper_table: str
    """Stem of the file in results/paper, or "" where the suite has none."""
    paper_data: str = "rafd"
    """The data set of the published numbers; ours are comparable only on it."""
    overrides: dict[str, Override] = field(default_factory=dict)
    """What the profile changes, by method: those of the suite's rows."""
    ladder: bool = False
    """The rows are steps, each of which changes something against the row above it."""
    data_notes: tuple[str, ...] = ()
    """What a reader has to know of the data: what was measured, what stands in for it, what was set aside."""
    faces: str = "aligned"
    """Which pictures are edited and compared with: "aligned" or "nonaligned"; the judge has learned aligned ones."""
    targets: tuple[str, ...] = ()
    """The expressions edited to; all where it is empty. Fréchet distances are to real pictures of these."""
    readings: dict[str, JudgeReading] = field(default_factory=dict)
    """By subset; empty where the judge's own accuracy says it all."""
    schema: int = SCHEMA

    def dump(self) -> str:
        """The text of `results.json`: sorted keys, no NaN, ends in a newline."""
        return (
            json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
        )


def load_results(path: Path) -> SuiteResults:
    """Read a `results.json`. Raises ValueError where it is not one of this schema."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise ValueError(f"{path} is not a results file of schema {SCHEMA}")
    try:
        return _suite_results(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a results file of schema {SCHEMA} ({error})") from error


def _suite_results(raw: dict[str, Any]) -> SuiteResults:
    """The inverse of `dataclasses.asdict`; empties `raw` of what it has read."""
    rows = []
    for row in raw.pop("rows"):
        seeds = {int(seed): Scores(**scores) for seed, scores in row.pop("seeds").items()}
        trainings = {int(seed): name for seed, name in row.pop("trainings").items()}
        training = row.pop("training")
        row["failed"] = {int(seed): failures for seed, failures in row.get("failed", {}).items()}
        rows.append(Row(**row, seeds=seeds, trainings=trainings, training=Training(**training) if training else None))
    judges = {
        subset: {int(seed): JudgeResult(**judge) for seed, judge in by_seed.items()}
        for subset, by_seed in raw.pop("judges").items()
    }
    features = Features(**raw.pop("features"))
    overrides = {method: Override(**stated) for method, stated in raw.pop("overrides").items()}
    readings = {subset: JudgeReading(**reading) for subset, reading in raw.pop("readings", {}).items()}
    raw["seeds"] = tuple(raw["seeds"])
    raw |= {name: tuple(raw.get(name, ())) for name in ("data_notes", "targets")}
    return SuiteResults(
        **raw, rows=tuple(rows), judges=judges, features=features, overrides=overrides, readings=readings
    )
