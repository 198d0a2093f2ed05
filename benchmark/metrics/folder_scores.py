"""The metrics of two folders of pictures: all that compare sets, and for equal names those that compare pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.core.progress import Reporter, counted
from benchmark.data.picture_folder import Pictures
from benchmark.metrics.features import FeatureExtractor
from benchmark.metrics.metric import Description, Measurement, PairMetric, SetMetric
from benchmark.metrics.registry import METRICS

SCHEMA = 2


@dataclass(frozen=True)
class SetResult:
    """One folder: how many pictures of which sizes ("64x64")."""

    folder: str
    images: int
    sizes: dict[str, int]


@dataclass(frozen=True)
class SpaceResult:
    """The feature space: see `FeatureExtractor`."""

    name: str
    column: str
    comparable: bool
    sha256: str
    dimensions: int


@dataclass(frozen=True)
class PairResult:
    """Pictures of equal name and size; `identical` of the `pairs` are equal in every pixel."""

    pairs: int
    identical: int


@dataclass(frozen=True)
class ScoreResult:
    """Everything the command prints; docs/metrics.md documents it as the schema of --json.

    metrics: descriptions of all that were asked for. scores: their values by key, None with a reason in `reasons`.
    """

    real: SetResult
    fake: SetResult
    features: SpaceResult
    metrics: tuple[Description, ...]
    scores: dict[str, float | None]
    reasons: dict[str, str]
    pairs: PairResult | None
    notes: tuple[str, ...]
    schema: int = SCHEMA


def measure(real: Pictures, fake: Pictures, extractor: FeatureExtractor, reporter: Reporter) -> ScoreResult:
    """Measure all metrics that need nothing but two folders, and for pairs equal names."""
    sets = [metric for metric in METRICS if isinstance(metric, SetMetric) and metric.view == "whole"]
    of_pairs = [metric for metric in METRICS if isinstance(metric, PairMetric) and metric.against == "truth"]
    edits, truth = (_features(pictures, extractor, reporter) for pictures in (fake, real))
    measured = {metric.key: metric.between(edits, truth, allow_small=True) for metric in sets}
    equal, notes = _equal_names(real, fake)
    pairs = None
    if equal is not None:
        pairs, by_pair = _compare(*equal, of_pairs, reporter)
        measured |= by_pair
    shown = [metric for metric in METRICS if metric.key in measured]
    return ScoreResult(
        real=_set_result(real),
        fake=_set_result(fake),
        features=SpaceResult(
            extractor.name, extractor.column, extractor.comparable, extractor.identity, extractor.dimensions
        ),
        metrics=tuple(metric.describe(extractor.column) for metric in shown),
        scores={metric.key: measured[metric.key].value for metric in shown},
        reasons={metric.key: measured[metric.key].reason for metric in shown if measured[metric.key].value is None},
        pairs=pairs,
        notes=(*_set_notes(real, fake, extractor), *notes),
    )


def _features(pictures: Pictures, extractor: FeatureExtractor, reporter: Reporter) -> NDArray[np.float32]:
    """N x D, in the order of sizes."""
    with reporter.bar(f"features {pictures.folder.name}", len(pictures.paths)) as bar:
        return np.concatenate([extractor.features(portion, counted(bar)) for portion in pictures.portions()])


def _compare(
    real: Pictures, fake: Pictures, metrics: list[PairMetric], reporter: Reporter
) -> tuple[PairResult, dict[str, Measurement]]:
    """Compare pictures in equal order. A metric has no value where a picture is too small for it."""
    smallest = min(side for size in real.sizes for side in size)
    values: dict[str, list[NDArray[np.float64]]] = {
        metric.key: [] for metric in metrics if metric.smallest_side <= smallest
    }
    identical = 0
    with reporter.bar("pairs", len(real.paths)) as bar:
        for truth, edits in zip(real.portions(), fake.portions(), strict=True):
            identical += int((truth == edits).all(axis=(1, 2, 3)).sum())
            for metric in metrics:
                if metric.key in values:
                    values[metric.key].append(metric.compare(edits, truth))
            bar.advance(len(edits))
    measured = {
        metric.key: metric.summary(np.concatenate(values[metric.key]))
        if metric.key in values
        else Measurement(None, f"pairs have sides under {metric.smallest_side} pixels, the smallest that it measures")
        for metric in metrics
    }
    return PairResult(len(real.paths), identical), measured


def _equal_names(real: Pictures, fake: Pictures) -> tuple[tuple[Pictures, Pictures] | None, list[str]]:
    """The pictures of equal stem and size, in one order, or None; and notes on those that are no pairs."""
    counts = [Counter(path.stem for path in pictures.paths) for pictures in (real, fake)]
    common = counts[0].keys() & counts[1].keys()
    ambiguous = {stem for stem in common if max(count[stem] for count in counts) > 1}
    sides = [
        {path.stem: (path, size) for path, size in zip(pictures.paths, pictures.sizes, strict=True)}
        for pictures in (real, fake)
    ]
    stems = sorted(common - ambiguous)
    equal = [stem for stem in stems if sides[0][stem][1] == sides[1][stem][1]]
    notes = []
    if ambiguous:
        notes.append(f"{len(ambiguous)} names occur twice in a folder (a.png, a.jpg): such pictures are no pairs")
    if len(equal) < len(stems):
        notes.append(f"{len(stems) - len(equal)} pictures of equal name have different sizes: they are no pairs")
    if not equal:
        return None, notes
    first, second = (
        Pictures(folder, tuple(side[stem][0] for stem in equal), tuple(side[stem][1] for stem in equal))
        for folder, side in zip((real.folder, fake.folder), sides, strict=True)
    )
    return (first, second), notes


def _set_result(pictures: Pictures) -> SetResult:
    sizes = {f"{width}x{height}": count for (width, height), count in pictures.count_sizes()}
    return SetResult(str(pictures.folder), len(pictures.paths), sizes)


def _set_notes(real: Pictures, fake: Pictures, extractor: FeatureExtractor) -> Iterator[str]:
    """What a reader must know before comparing the distances with others."""
    if not extractor.comparable:
        yield f"{extractor.column} is measured in another feature space than FID: not comparable with published numbers"
    fewest = min(len(real.paths), len(fake.paths))
    if fewest <= extractor.dimensions:
        yield (
            f"{fewest} pictures are not more than the {extractor.dimensions} dimensions: {extractor.column} is biased "
            "upwards, compare it only at equal numbers; KID is unbiased"
        )
    sizes = {size for pictures in (real, fake) for size in pictures.sizes}
    if len(sizes) > 1:
        yield (
            f"{len(sizes)} sizes of pictures: each is resized from its own for the features, "
            "which change with the size at which pictures were written"
        )
