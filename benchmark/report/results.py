"""The result of a suite: what `results.json` holds, and nothing that depends on the clock.

Two runs of the same plan give the same file, byte for byte; times are in `timings.json` beside it. The models validate
themselves. `results.schema.json` and the tables of docs/results.md are written from them by
`python -m benchmark.report.schema`; raise `SCHEMA` with every change that a reader would notice.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from benchmark.core.errors import UserError, quoted, unknown
from benchmark.core.models import STRICT, parse_json, read_json
from benchmark.metrics.metric import MetricDescription
from benchmark.protocol import MAX_SEED, Guide, Subset
from benchmark.statistics.verdict import Verdict

if TYPE_CHECKING:
    from benchmark.statistics.samples import Sample

Schema = Literal[6]
SCHEMA: Schema = get_args(Schema)[0]
MODEL = ConfigDict(**STRICT, use_attribute_docstrings=True, json_schema_serialization_defaults_required=True)
Count = Annotated[int, Field(ge=0, le=10**15)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Percent = Annotated[float, Field(ge=0, le=100)]
Failures = Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True, config=MODEL)
class Scores:
    """A row measured with one training seed."""

    edits: Count
    """N."""
    metrics: dict[str, float | None]
    """By key, not rounded; null where it cannot be measured."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a metric is null."""
    ca_by_expression: dict[str, Percent] = field(default_factory=dict)
    """CA by target expression."""
    edits_key: str = ""
    """SHA-256 over the list of edits; rows of equal ones are compared edit by edit."""
    by_identity: dict[str, dict[str, float]] = field(default_factory=dict)
    """By metric and test identity: the average of its edits, or, of a metric of a set, its number without them."""


@dataclass(frozen=True, config=MODEL)
class Training:
    """What the training of a row's checkpoint took, apart from time; null where it is unknown (an import)."""

    iterations: Count | None
    """Training iterations."""
    images_seen: Count | None
    """Iterations times batch."""
    updates: dict[str, Count]
    """Optimiser steps by optimiser."""
    parameters: dict[str, Count]
    """Trained parameters by network."""
    overrides: dict[str, Any]
    """Settings that differ from the published ones."""
    settings: dict[str, Any] = field(default_factory=dict)
    """All settings in force."""


@dataclass(frozen=True, config=MODEL)
class MetricSummary:
    """How sure a number of a row is. Intervals are of 95 %, null with fewer than two seeds or identities."""

    mean: float
    """Over seeds."""
    seeds: tuple[float, float] | None
    """t interval over seeds: would other trainings give this?"""
    identities: tuple[float, float] | None
    """t interval over test identities, of a metric of a set by the jackknife: would other people give this?"""
    rank: tuple[int, int] | None
    """Best and worst rank among the rows with the same edits, as far as identities tell; null for one such row."""


@dataclass(frozen=True, config=MODEL)
class Floor:
    """The Fréchet distance between two halves of the real pictures, split by identity."""

    whole: float | None
    """Of whole pictures; null for too few identities."""
    cropped: float | None
    """Of tight face boxes."""
    pictures: Count
    """In each half."""


@dataclass(frozen=True, config=MODEL)
class ClaimsSource:
    """The file whose claims were tested."""

    title: str
    """Its heading."""
    source: str
    """The paper."""


@dataclass(frozen=True, config=MODEL)
class Row:
    """A row of the suite."""

    id: str
    """Its key in the suite."""
    label: str
    """The model as the tables call it."""
    method: str
    """The method's name, or its import path."""
    guide: Guide
    """T: by label, R: by reference."""
    subset: Subset
    """F: camera 90, F&P: cameras 45, 90 and 135."""
    seeds: dict[Seed, Scores] = field(default_factory=dict)
    """By training seed; empty where the row was not run."""
    training: Training | None = None
    """Of the first seed; null where the row was not run."""
    missing: str = ""
    """Why the row was not run, or empty."""
    footnote: str = ""
    """What the method states about itself, printed under the tables."""
    trainings: dict[Seed, str] = field(default_factory=dict)
    """The training behind each seed, by its name in `timings.json` and in the loss curves."""
    variant: dict[str, Any] = field(default_factory=dict)
    """Settings that the suite changes for this row."""
    extended: bool = False
    """Whether the row is in the extended tables alone."""
    note: str = ""
    """What the suite states about the row, printed under the tables."""
    same_as: str = ""
    """Id of an earlier row of which this is the same run (equal content keys), or empty."""
    origin: str = ""
    """Where the checkpoint is from if it was not trained here (`--checkpoint`), or empty; it has one seed then."""
    failed: dict[Seed, Failures] = field(default_factory=dict)
    """By seed, how the training failed by its own measure, in sentences; seeds that did not fail are left out."""

    summary: dict[str, MetricSummary] = field(default_factory=dict)
    """By metric, how sure its number is; metrics without a number are left out."""

    @property
    def marked_label(self) -> str:
        """The label, with a mark where a training failed by its own measure."""
        return marked(self.label, bool(self.failed))

    def values(self, metric: str) -> list[float]:
        """The metric over the seeds that have it."""
        values = (scores.metrics.get(metric) for scores in self.seeds.values())
        return [value for value in values if value is not None]

    def sample(self, metric: MetricDescription) -> Sample | None:
        """What statistics need of a metric; None where no seed has it."""
        from benchmark.statistics.samples import sample  # imports scipy, which a finished suite does not need

        values = {
            seed: value for seed, scores in self.seeds.items() if (value := scores.metrics.get(metric.key)) is not None
        }
        by_identity = {seed: self.seeds[seed].by_identity.get(metric.key, {}) for seed in values}
        return sample(metric.per, values, by_identity) if values else None

    def samples(self, metrics: Sequence[MetricDescription]) -> dict[str, Sample]:
        """The samples of all metrics that have a number, by key."""
        samples = {metric.key: self.sample(metric) for metric in metrics}
        return {key: sample for key, sample in samples.items() if sample is not None}

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The interval over test identities, or None where there is none."""
        return self.summary[metric].identities if metric in self.summary else None

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


def marked(label: str, failed: bool) -> str:
    """`StarGAN (T), failed`: a label as it stands beside the numbers and pictures of a failed training."""
    return f"{label}, failed" if failed else label


@dataclass(frozen=True, config=MODEL)
class JudgeResult:
    """The judge's accuracy on real test pictures, which CA is read beside."""

    accuracy: Percent
    """Of all real test pictures of the subset."""
    images: Count
    """How many these are."""
    by_expression: dict[str, Percent]
    """The accuracy by expression."""


@dataclass(frozen=True, config=MODEL)
class JudgeReading:
    """The judge's accuracy on the real pictures that a suite edits, where it was tested on others.

    These are faces that are not aligned, or some expressions only.
    """

    accuracy: Percent
    """Of the real test pictures of all expressions."""
    images: Count
    """How many these are."""
    by_expression: dict[str, Percent]
    """The accuracy by expression."""
    target_accuracy: Percent
    """The accuracy on those that show a target expression of the suite."""
    target_images: Count
    """How many these are."""
    framed: Count
    """How many of all faces were aligned by their landmarks for the judge; 0 where they are aligned already."""
    unframed_accuracy: Percent
    """The accuracy on all pictures as they are."""


@dataclass(frozen=True, config=MODEL)
class ReaderResult:
    """The reader's mean absolute error on real test pictures, which the metrics of action units are read beside."""

    images: Count
    """How many these are."""
    units: dict[str, float]
    """Error by action unit, on the scale from 0 to 5; empty where it has learned none."""
    pixels: float | None
    """Mean distance of a landmark in pixels; null where it has learned none."""
    share: float | None
    """The same in percent of the distance between the outer corners of the eyes."""


@dataclass(frozen=True, config=MODEL)
class Features:
    """The network whose features Fréchet and kernel distances are measured in."""

    name: str
    """`inception` or `efficientnet-lite0`."""
    column: str
    """What the Fréchet distance is called: FID, FD[lite0], or FD[first 8 digits of the weights' SHA-256]."""
    comparable: bool
    """True for the published Inception weights, whose distance is FID."""
    identity: str
    """SHA-256 of the weights."""


@dataclass(frozen=True, config=MODEL)
class Override:
    """Settings of one method that the profile changes, and why."""

    why: str
    """The reason."""
    settings: dict[str, Any]
    """The settings."""


@dataclass(frozen=True, config=MODEL)
class ReferenceNumber:
    """A number of the stored reference results."""

    mean: float
    """Over seeds."""
    interval: tuple[float, float] | None
    """Of 95 %; null where there is none."""


@dataclass(frozen=True, config=MODEL)
class ReferenceRow:
    """A row of the stored reference results."""

    seeds: tuple[Seed, ...]
    """The training seeds."""
    edits: Count
    """N, of each seed."""
    over: Literal["seeds", "identities"]
    """What the intervals are over: seeds where there are three, else test identities."""
    numbers: dict[str, ReferenceNumber]
    """By metric."""
    failed: dict[Seed, Failures] = field(default_factory=dict)
    """By seed, how the training failed by its own measure; seeds that did not fail are left out."""


@dataclass(frozen=True, config=MODEL)
class ReferenceResults:
    """The stored reference results of the same suite and faces, which this version came with."""

    profile: str
    """Name of the profile."""
    column: str
    """What their Fréchet distance is called."""
    rows: dict[str, ReferenceRow]
    """By row id; rows that nothing is stored of are left out."""


@dataclass(frozen=True, config=MODEL)
class SuiteResults:
    """The result of a suite."""

    suite: str
    """Name of the suite."""
    title: str
    """Its heading."""
    profile: str
    """Name of the profile."""
    notice: str
    """What the numbers of this profile prove, in one line."""
    data: str
    """Name of the data set."""
    data_description: str
    """The data set in words."""
    size: Annotated[int, Field(ge=1, le=10**5)]
    """Side of the pictures in pixels."""
    seeds: tuple[Seed, ...]
    """The training seeds."""
    features: Features
    """The network whose features distances are measured in."""
    test_images: dict[Subset, Count]
    """Real test pictures that distances are measured to, by subset."""
    test_identities: Count
    """People tested on."""
    train_identities: Count
    """People trained on; nobody is in both."""
    judges: dict[Subset, dict[Seed, JudgeResult]]
    """By subset and the judge's own seed."""
    rows: tuple[Row, ...]
    """In the order of the suite."""
    keys: dict[str, str]
    """Content keys of all stages behind the report, by their name in the plan."""
    paper_table: str
    """Name of the published table in `results/paper`, or empty."""
    metrics: tuple[MetricDescription, ...]
    """Every metric that was measured, in the order of the tables."""
    paper_data: str = "rafd"
    """Data set of the published numbers; only on it are numbers compared."""
    overrides: dict[str, Override] = field(default_factory=dict)
    """Published settings that the profile changes, by method."""
    ladder: bool = False
    """Whether the rows are steps, each of which changes something against the row above it."""
    data_notes: tuple[str, ...] = ()
    """What a reader has to know of the data: what was measured, what stands in for it, what was set aside."""
    faces: Literal["aligned", "nonaligned"] = "aligned"
    """Which pictures are edited and compared with; models and the judge are trained on aligned ones."""
    targets: tuple[str, ...] = ()
    """The expressions edited to; empty for all. Distances are to real pictures of these."""
    readings: dict[Subset, JudgeReading] = field(default_factory=dict)
    """By subset; empty where `judges` has the pictures that are edited."""
    columns: tuple[str, ...] = ()
    """Keys of the metrics in the main table as the suite names them; empty for those of the paper."""
    extra_columns: tuple[str, ...] = ()
    """Keys of the further metrics in the extended tables as the suite names them; empty for all."""
    floors: dict[Subset, Floor] = field(default_factory=dict)
    """By subset, what a Fréchet distance of real pictures to real pictures is."""
    claims: ClaimsSource | None = None
    """Where the claims are from; null where the suite names none."""
    verdicts: tuple[Verdict, ...] = ()
    """On the claims about this suite's rows, in the order of their file."""
    readers: dict[Subset, ReaderResult] = field(default_factory=dict)
    """By subset."""
    corners: tuple[Row, ...] = ()
    """Rows that need no method, by subset: the source left as it is (`source F&P`) and the true picture (`truth F&P`).
    """
    reference: ReferenceResults | None = None
    """Stored results of the same suite and faces; null where there are none, and in stored results themselves."""
    schema: Schema = SCHEMA
    """Version of this schema."""

    @model_validator(mode="after")
    def _names_known_metrics(self) -> SuiteResults:
        known = {metric.key for metric in self.metrics}
        if len(known) < len(self.metrics):
            raise ValueError("metrics hold a key twice")
        check_columns((*self.columns, *self.extra_columns), known, ValueError)
        for row in self.all_rows:
            for seed, scores in row.seeds.items():
                if scores.metrics.keys() != known:
                    name = min(scores.metrics.keys() ^ known)
                    state = "is not described" if name not in known else "is missing"
                    raise ValueError(f"row {quoted(row.id)}, seed {seed}: metric {quoted(name)} {state}")
        return self

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """The suite's rows, and those that need no method."""
        return (*self.rows, *self.corners)

    def dump(self) -> str:
        """The text of `results.json`: sorted keys, no NaN, ends in a newline."""
        return (
            json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
        )


def failed_trainings(results: SuiteResults) -> frozenset[str]:
    """The trainings that failed by their own measure, by their names in the loss curves."""
    return frozenset(row.trainings[seed] for row in results.rows for seed in row.failed if seed in row.trainings)


def check_columns(
    columns: tuple[str, ...], known: set[str], kind: type[Exception] = UserError, where: str = ""
) -> None:
    """Raise `kind`, with the nearest name, for a column that is no metric or is named twice."""
    for name in columns:
        if name not in known:
            raise kind(f"{where}{unknown('metric', name, known, 'in the columns')}")
        if columns.count(name) > 1:
            raise kind(f"{where}metric {quoted(name)} is named twice in the columns")


def load_results(path: Path) -> SuiteResults:
    """Read a `results.json`. Raises UserError, in one line, where it is damaged or of another schema."""
    text, content = read_json(path)
    # Of content that is no object, the model's error below is clearer.
    schema = content.get("schema") if isinstance(content, dict) else SCHEMA
    if schema != SCHEMA:
        raise UserError(
            f"{path} has schema {quoted(schema)} and this version reads {SCHEMA}: run the suite again (what is there "
            "is not made anew)"
        )
    results = parse_json(SuiteResults, text, path)
    ids = [row.id for row in results.all_rows]
    if twice := next((name for name in ids if ids.count(name) > 1), ""):
        raise UserError(f"{path} is damaged: it has two rows {quoted(twice)}")
    return results
