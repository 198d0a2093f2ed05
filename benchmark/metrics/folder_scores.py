"""The metrics of two sets of pictures: all that compare sets, and for equal names those that compare pairs.

A set is a folder, or a file of features that was written before (`feature_files`).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.config.networks import is_own_network
from benchmark.core.progress import Reporter, counted
from benchmark.data.picture_folder import PictureSet
from benchmark.metrics.feature_files import FeatureSet
from benchmark.metrics.features import FeatureExtractor
from benchmark.metrics.metric import Measurement, MetricDescription, PairMetric, SetMetric
from benchmark.metrics.registry import METRICS
from benchmark.metrics.similarity import SIMILARITY, cosines

SCHEMA = 2
SIMILARITY_KEY = "own_similarity"
"""Key of the similarity of pairs in one's own network."""
UNEQUAL = 0.01
"""Share of pictures by which two sets may differ in codec and quality without a note."""


@dataclass(frozen=True)
class SetResult:
    """One set: how many pictures of which sizes ("64x64") and compressions (`lossless`, `JPEG quality 95`); None and
    nothing where a file does not say.
    """

    folder: str
    images: int | None
    sizes: dict[str, int]
    compressions: dict[str, int]


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
    """The output of the command; docs/metrics.md documents it as the schema of --json.

    metrics: descriptions of all that were asked for. scores: their values by key, None with a reason in `reasons`.
    """

    real: SetResult
    fake: SetResult
    features: SpaceResult
    metrics: tuple[MetricDescription, ...]
    scores: dict[str, float | None]
    reasons: dict[str, str]
    pairs: PairResult | None
    notes: tuple[str, ...]
    schema: int = SCHEMA


def extract_features(pictures: PictureSet, extractor: FeatureExtractor, reporter: Reporter) -> FeatureSet:
    """The features of all pictures, in the order of their sizes."""
    with reporter.bar(f"features {pictures.folder.name}", len(pictures.paths)) as bar:
        features = np.concatenate([extractor.features(batch, counted(bar)) for batch in pictures.batches()])
    return FeatureSet.of(pictures.folder, features, pictures.count_sizes(), pictures.count_compressions())


def measure(
    real: PictureSet | FeatureSet,
    fake: PictureSet | FeatureSet,
    extractor: FeatureExtractor,
    reporter: Reporter,
    truth: FeatureSet | None = None,
) -> ScoreResult:
    """Measure all metrics that need nothing but two sets, and for pairs equal names in two folders.

    truth: the features of the real pictures, where they have been extracted before.
    """
    sets = [metric for metric in METRICS if isinstance(metric, SetMetric) and metric.view == "whole"]
    of_pairs = [metric for metric in METRICS if isinstance(metric, PairMetric) and metric.against == "truth"]
    edits = fake if isinstance(fake, FeatureSet) else extract_features(fake, extractor, reporter)
    if truth is None:
        truth = real if isinstance(real, FeatureSet) else extract_features(real, extractor, reporter)
    measured = {metric.key: _distance(metric, edits, truth) for metric in sets}
    pairs: PairResult | None = None
    notes: list[str] = []
    if isinstance(real, PictureSet) and isinstance(fake, PictureSet):
        equal, notes = _equal_names(real, fake)
        if equal is not None:
            pairs, by_pair = _compare(*equal, of_pairs, reporter)
            measured |= by_pair
    descriptions = [metric.describe(extractor.column) for metric in METRICS if metric.key in measured]
    if is_own_network(extractor.name) and pairs is not None and equal is not None:
        descriptions.append(_similarity(extractor.column))
        first, second = (extract_features(side, extractor, reporter).features for side in equal)
        assert first is not None
        assert second is not None
        measured[SIMILARITY_KEY] = SIMILARITY.summary(cosines(first, second))
    return ScoreResult(
        real=_set_result(truth),
        fake=_set_result(edits),
        features=SpaceResult(
            extractor.name, extractor.column, extractor.comparable, extractor.identity, extractor.dimensions
        ),
        metrics=tuple(descriptions),
        scores={metric.key: measured[metric.key].value for metric in descriptions},
        reasons={
            metric.key: measured[metric.key].reason for metric in descriptions if measured[metric.key].value is None
        },
        pairs=pairs,
        notes=(*_set_notes(truth, edits, extractor), *notes),
    )


def _distance(metric: SetMetric, edits: FeatureSet, truth: FeatureSet) -> Measurement:
    if edits.features is not None and truth.features is not None:
        return metric.between(edits.features, truth.features, allow_small=True)
    if metric.distance_of_moments is not None:
        moments = (edits.mean, edits.covariance, truth.mean, truth.covariance)
        return Measurement(metric.distance_of_moments(*moments))
    return Measurement(None, "a file has mean and covariance, and no features")


def _similarity(column: str) -> MetricDescription:
    """The similarity of pairs in one's own network, named by its hash as the distance is."""
    definition = "cosine of the angle between the features of pictures of equal name"
    label = f"{SIMILARITY.label}{column.removeprefix('FD')}"
    return dataclasses.replace(SIMILARITY.describe(column), key=SIMILARITY_KEY, label=label, definition=definition)


def _compare(
    real: PictureSet, fake: PictureSet, metrics: list[PairMetric], reporter: Reporter
) -> tuple[PairResult, dict[str, Measurement]]:
    """Compare pictures in equal order. A metric has no value where a picture is too small for it."""
    smallest = min(side for size in real.sizes for side in size)
    values: dict[str, list[NDArray[np.float64]]] = {
        metric.key: [] for metric in metrics if metric.smallest_side <= smallest
    }
    identical = 0
    with reporter.bar("pairs", len(real.paths)) as bar:
        for truth, edits in zip(real.batches(), fake.batches(), strict=True):
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


def _equal_names(real: PictureSet, fake: PictureSet) -> tuple[tuple[PictureSet, PictureSet] | None, list[str]]:
    """The pictures of equal name and size, in one order, or None; and notes on those that are no pairs."""
    names = [[pictures.name(number) for number in range(len(pictures.paths))] for pictures in (real, fake)]
    counts = [Counter(side) for side in names]
    common = counts[0].keys() & counts[1].keys()
    ambiguous = {name for name in common if max(count[name] for count in counts) > 1}
    numbers = [{name: number for number, name in enumerate(side)} for side in names]
    once = sorted(common - ambiguous)
    equal = [name for name in once if real.sizes[numbers[0][name]] == fake.sizes[numbers[1][name]]]
    notes = []
    if ambiguous:
        notes.append(f"{len(ambiguous)} names occur twice in a folder (a.png, a.jpg): such pictures are no pairs")
    if len(equal) < len(once):
        notes.append(f"{len(once) - len(equal)} pictures of equal name have different sizes: they are no pairs")
    if not equal:
        return None, notes
    first, second = (
        pictures.chosen([by_name[name] for name in equal])
        for pictures, by_name in zip((real, fake), numbers, strict=True)
    )
    return (first, second), notes


def _set_result(features: FeatureSet) -> SetResult:
    return SetResult(str(features.source), features.images, dict(features.sizes), dict(features.compressions))


def _set_notes(real: FeatureSet, fake: FeatureSet, extractor: FeatureExtractor) -> Iterator[str]:
    """Return notes on what the distances may be compared with."""
    if not extractor.comparable:
        yield f"{extractor.column} is measured in another feature space than FID: not comparable with published numbers"
    known = [features.images for features in (real, fake) if features.images is not None]
    if known and min(known) <= extractor.dimensions:
        yield (
            f"{min(known)} pictures are not more than the {extractor.dimensions} dimensions: {extractor.column} is "
            "biased upwards, compare it only at equal numbers; KID is unbiased"
        )
    for features in (real, fake):
        if features.images is None:
            yield (
                f"{features.source} says neither of how many pictures nor of whose features it is: they are taken for "
                "pytorch-fid's"
            )
    sizes = {*real.sizes, *fake.sizes}
    if len(sizes) > 1:
        yield (
            f"{len(sizes)} sizes of pictures: each is resized from its own for the features, "
            "which change with the size at which pictures were written"
        )
    if real.compressions and fake.compressions and _differ(real.compressions, fake.compressions):
        yield (
            f"the sets were compressed differently (real: {_shares(real.compressions)}; fake: "
            f"{_shares(fake.compressions)}): distances measure that, too, and it can be more than what is compared"
        )


def _differ(first: Mapping[str, int], second: Mapping[str, int]) -> bool:
    """Whether more than `UNEQUAL` of the pictures would have to be of another codec or quality for equal sets."""
    kinds = first.keys() | second.keys()
    totals = sum(first.values()), sum(second.values())
    distance = sum(abs(first.get(kind, 0) / totals[0] - second.get(kind, 0) / totals[1]) for kind in kinds) / 2
    return distance > UNEQUAL


def _shares(compressions: Mapping[str, int]) -> str:
    """`128 JPEG quality 95, 3 lossless`, the four most frequent."""
    shown = [f"{count:,} {kind}" for kind, count in list(compressions.items())[:4]]
    return ", ".join(shown) + (", ..." if len(compressions) > len(shown) else "")
