"""`python -m benchmark.score`: FID, KID, and for equal names PSNR and SSIM, of any two folders of pictures."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli import Parser, run_command
from benchmark.errors import UserError
from benchmark.metrics.features.weights import INCEPTION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.metrics.features import FeatureExtractor
    from benchmark.metrics.folders import Broken, Pictures
    from benchmark.progress import Reporter

EXAMPLES = (
    "python -m benchmark.score --real test/ --fake edits/",
    "python -m benchmark.score --real test/ --fake edits/ --features efficientnet-lite0 --json",
    "python -m benchmark.score --real test/ --fake edits/ --fid-weights pt_inception-2015-12-05-6726825d.pth",
)
SCHEMA = 1
SHOWN = 20
"""Broken files listed one by one; of more, the number is given."""


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


def parser() -> Parser:
    """The arguments."""
    made = Parser("benchmark.score", __doc__ or "", EXAMPLES)
    made.add_argument("--real", type=Path, required=True, metavar="DIR", help="the pictures to compare with")
    made.add_argument("--fake", type=Path, required=True, metavar="DIR", help="the pictures to judge")
    made.add_argument(
        "--features",
        choices=("inception", "efficientnet-lite0"),
        default="inception",
        help="feature space (default: inception, which is FID; the other is FD[lite0])",
    )
    made.add_argument("--fid-weights", type=Path, metavar="FILE", help=f"{INCEPTION.file_name}, if it lies elsewhere")
    made.add_argument(
        "--allow-other-weights",
        action="store_true",
        help="take --fid-weights with another SHA-256; the column is renamed",
    )
    made.add_argument("--allow-small", action="store_true", help="measure sets below the floor of 128 pictures too")
    made.add_argument("--batch", type=int, metavar="N", help="pictures at once (changes speed and memory only)")
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    made.add_argument("--json", action="store_true", help="print the result as JSON")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: score(arguments))


def score(arguments: argparse.Namespace) -> int:
    """Check what can be checked at once, then measure."""
    from benchmark.metrics.features import ensure_weights, open_extractor
    from benchmark.metrics.folders import find_pictures
    from benchmark.progress import Reporter

    if arguments.batch is not None and arguments.batch < 1:
        raise UserError(f"--batch must be at least 1, not {arguments.batch}")
    files = {role: find_pictures(getattr(arguments, role), f"--{role}") for role in ("real", "fake")}
    for role, paths in files.items():
        _check_count(role, getattr(arguments, role), len(paths), arguments.allow_small)
    weights = (arguments.features, arguments.fid_weights, arguments.allow_other_weights)
    ensure_weights(*weights)
    extractor = open_extractor(*weights, _device(arguments.device), arguments.batch)
    reporter = Reporter()
    real, fake = _examined(files, reporter)
    result = measure(real, fake, extractor, reporter)
    if arguments.json:
        sys.stdout.write(json.dumps(dataclasses.asdict(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _print(result)
    return 0


def measure(real: Pictures, fake: Pictures, extractor: FeatureExtractor, reporter: Reporter) -> ScoreResult:
    """All numbers of two sets."""
    from benchmark.metrics.frechet import frechet_distance
    from benchmark.metrics.kid import kernel_distance

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


def _check_count(role: str, folder: Path, count: int, allow_small: bool) -> None:
    from benchmark.metrics.features import FLOOR

    if count < 2:
        raise UserError(f"--{role} {folder} has {count} picture: a distribution needs at least 2")
    if count < FLOOR and not allow_small:
        raise UserError(
            f"--{role} {folder} has {count} pictures; below {FLOOR} a Fréchet distance mostly measures how few there "
            "are (--allow-small measures all the same)"
        )


def _device(wanted: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError("--device cuda: torch finds no CUDA device; --device cpu or auto")
    return "cuda" if there and wanted != "cpu" else "cpu"


def _examined(files: dict[str, list[Path]], reporter: Reporter) -> tuple[Pictures, Pictures]:
    """Both sets, every file decoded once. Raises UserError with the list of those that cannot be."""
    from benchmark.metrics.folders import examine
    from benchmark.progress import counted

    found: list[Pictures | None] = []
    broken: list[Broken] = []
    for role, paths in files.items():
        with reporter.bar(f"check {role}", len(paths)) as bar:
            pictures, bad = examine(paths, counted(bar))
        found.append(pictures)
        broken += bad
    real, fake = found
    if broken or real is None or fake is None:
        for file in broken[:SHOWN]:
            sys.stderr.write(f"broken: {file.path}: {file.reason}\n")
        if len(broken) > SHOWN:
            sys.stderr.write(f"broken: {len(broken) - SHOWN} more\n")
        raise UserError(f"{len(broken)} of {sum(map(len, files.values()))} files cannot be read: repair or remove them")
    return real, fake


def _features(pictures: Pictures, extractor: FeatureExtractor, reporter: Reporter) -> NDArray[np.float32]:
    """N x D, in the order of sizes."""
    import numpy as np

    from benchmark.progress import counted

    parts, done = [], 0
    with reporter.bar(f"features {pictures.folder.name}", len(pictures.paths)) as bar:
        for portion in pictures.portions():
            parts.append(extractor.features(portion, counted(bar)))
            done += len(portion)
    return np.concatenate(parts)


def _pairs(real: Pictures, fake: Pictures, reporter: Reporter) -> tuple[PairResult | None, list[str]]:
    """PSNR and SSIM over pictures of equal name and size, and what to know about them."""
    import numpy as np

    from benchmark.metrics.psnr import mean_psnr, psnr
    from benchmark.metrics.ssim import WINDOW, ssim
    from benchmark.progress import counted

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
    from benchmark.metrics.folders import Pictures

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


def _print(result: ScoreResult) -> None:
    """The table on stdout, the notes on stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", "value", "better", "N", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    both = f"{result.fake.images} fake, {result.real.images} real"
    kernel = "KID x 1000" + ("" if result.features.comparable else f" {result.features.column[2:]}")
    rows = [
        (result.features.column, f"{result.frechet:.3f}", "lower", both),
        (kernel, f"{1000 * result.kid:.3f}", "lower", both),
    ]
    if result.pairs is not None:
        identical = f", {result.pairs.identical} identical" if result.pairs.identical else ""
        count = f"{result.pairs.pairs} pairs{identical}"
        rows.append(("PSNR (dB)", f"{result.pairs.psnr:.3f}", "higher", count))
        if result.pairs.ssim is not None:
            rows.append(("SSIM", f"{result.pairs.ssim:.4f}", "higher", count))
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console(highlight=False).print(table)
    for note in result.notes:
        sys.stderr.write(f"note: {note}\n")


if __name__ == "__main__":
    raise SystemExit(main())
