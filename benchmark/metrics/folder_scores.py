"""FID, KID, and for equal names PSNR and SSIM, of two folders of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.core.progress import Reporter, counted
from benchmark.data.picture_folder import Pictures
from benchmark.metrics.features import FeatureExtractor
from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.kid import kernel_distance
from benchmark.metrics.psnr import mean_psnr, psnr
from benchmark.metrics.ssim import WINDOW, ssim

SCHEMA = 1


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
    """Pictures of equal name and size. PSNR is capped at 100 dB a pair; SSIM is None where a picture is under 11
    pixels."""

    pairs: int
    identical: int
    psnr: float
    ssim: float | None


@dataclass(frozen=True)
class ScoreResult:
    """Everything the command prints; docs/metrics.md documents it as the schema of --json."""

    real: SetResult
    fake: SetResult
    features: SpaceResult
    frechet: float
    kid: float
    pairs: PairResult | None
    notes: tuple[str, ...]
    schema: int = SCHEMA


def measure(real: Pictures, fake: Pictures, extractor: FeatureExtractor, reporter: Reporter) -> ScoreResult:
    """All numbers of two sets."""
    ours, theirs = (_features(pictures, extractor, reporter) for pictures in (fake, real))
    pairs, notes = _pairs(real, fake, reporter)
    return ScoreResult(
        real=_set_result(real),
        fake=_set_result(fake),
        features=SpaceResult(
            extractor.name, extractor.column, extractor.comparable, extractor.identity, extractor.dimensions
        ),
        frechet=frechet_distance(ours, theirs),
        kid=kernel_distance(ours, theirs),
        pairs=pairs,
        notes=(*_set_notes(real, fake, extractor), *notes),
    )


def _features(pictures: Pictures, extractor: FeatureExtractor, reporter: Reporter) -> NDArray[np.float32]:
    """N x D, in the order of sizes."""
    parts, done = [], 0
    with reporter.bar(f"features {pictures.folder.name}", len(pictures.paths)) as bar:
        for portion in pictures.portions():
            parts.append(extractor.features(portion, counted(bar)))
            done += len(portion)
    return np.concatenate(parts)


def _pairs(real: Pictures, fake: Pictures, reporter: Reporter) -> tuple[PairResult | None, list[str]]:
    """PSNR and SSIM over pictures of equal name and size, and what to know about them."""
    equal, other_size, twice = _equal_names(real, fake)
    notes = []
    if twice:
        notes.append(f"{twice} names occur twice in a folder (a.png, a.jpg): such pictures are no pairs")
    if other_size:
        notes.append(f"{other_size} pictures of equal name have different sizes: no PSNR and SSIM for them")
    if equal is None:
        return None, notes
    decibels, similarities, done = [], [], 0
    with reporter.bar("pairs", len(equal[0].paths)) as bar:
        tell = counted(bar)
        for a, b in zip(equal[0].portions(), equal[1].portions(), strict=True):
            decibels.append(psnr(a, b))
            if min(a.shape[1:3]) >= WINDOW:
                similarities.append(ssim(a, b))
            done += len(a)
            tell(done)
    mean = mean_psnr(np.concatenate(decibels))
    similarity = np.concatenate([*similarities, np.empty(0)])
    if len(similarity) < mean.pairs:
        notes.append(f"{mean.pairs - len(similarity)} pairs are smaller than SSIM's window of {WINDOW} pixels: no SSIM")
        return PairResult(mean.pairs, mean.identical, mean.decibel, None), notes
    return PairResult(mean.pairs, mean.identical, mean.decibel, float(similarity.mean())), notes


def _equal_names(real: Pictures, fake: Pictures) -> tuple[tuple[Pictures, Pictures] | None, int, int]:
    """The pictures of equal stem and size, in one order; how many differ in size; how many stems are ambiguous."""
    counts = [Counter(path.stem for path in pictures.paths) for pictures in (real, fake)]
    common = counts[0].keys() & counts[1].keys()
    ambiguous = {stem for stem in common if max(count[stem] for count in counts) > 1}
    sides = [
        {path.stem: (path, size) for path, size in zip(pictures.paths, pictures.sizes, strict=True)}
        for pictures in (real, fake)
    ]
    stems = sorted(common - ambiguous)
    equal = [stem for stem in stems if sides[0][stem][1] == sides[1][stem][1]]
    other_size = len(stems) - len(equal)
    if not equal:
        return None, other_size, len(ambiguous)
    first, second = (
        Pictures(folder, tuple(side[stem][0] for stem in equal), tuple(side[stem][1] for stem in equal))
        for folder, side in zip((real.folder, fake.folder), sides, strict=True)
    )
    return (first, second), other_size, len(ambiguous)


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
