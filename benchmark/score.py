"""`python -m benchmark.score`: pictures made elsewhere as a row of a suite's table, or any two folders compared."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.cli import Parser, run_command, writable_folder
from benchmark.core.errors import UserError
from benchmark.metrics.features.weights import INCEPTION

if TYPE_CHECKING:
    from benchmark.core.progress import Reporter
    from benchmark.data.picture_folder import BrokenFile, FolderContent, PictureSet
    from benchmark.external.submission import Submission
    from benchmark.metrics.feature_files import FeatureSet
    from benchmark.metrics.features import FeatureExtractor
    from benchmark.metrics.folder_scores import ScoreResult
    from benchmark.protocol import Subset

EXAMPLES = (
    "python -m benchmark.score --edits edits/ --results mine/ --name mine",
    "python -m benchmark.score --edits edits/ --results mine/ --name mine --json",
    "python -m benchmark.score --real test/ --fake edits/",
    "python -m benchmark.score --real test/ --fake edits/ --features efficientnet-lite0 --json",
    "python -m benchmark.score --real test/ --fake edits/ --fid-weights pt_inception-2015-12-05-6726825d.pth",
    "python -m benchmark.score --real test/ --save-stats test.npz",
    "python -m benchmark.score --real test.npz --fake edits/",
)
SHOWN = 20
"""Files listed one by one; of more, the number is given."""
LONGEST_NAME = 40
OF_EDITS = ("edits", "results", "name", "store", "data", "threads")
OF_FOLDERS = ("real", "fake", "batch", "recursive", "save_stats")
"""The options of either kind of call; all others belong to both."""


def parser() -> Parser:
    """The arguments."""
    made = Parser("benchmark.score", __doc__ or "", EXAMPLES)
    edits = made.add_argument_group("a row of a table")
    edits.add_argument("--edits", type=Path, metavar="DIR", help="the list that benchmark.edits wrote")
    edits.add_argument("--results", type=Path, metavar="DIR", help="the pictures that it asks for, by their names")
    edits.add_argument("--name", help="what the row is called")
    edits.add_argument(
        "--store",
        "--out",
        type=Path,
        metavar="DIR",
        help="the --out of benchmark.run, for judge and features (default: runs)",
    )
    edits.add_argument("--data", help="the data set of the list, where it has moved since")
    edits.add_argument("--threads", type=int, help="CPU threads (default: one for each core)")
    folders = made.add_argument_group("two folders")
    statistics = "or statistics (.npz) of --save-stats or of pytorch-fid"
    folders.add_argument("--real", type=Path, metavar="DIR", help=f"the pictures to compare with, {statistics}")
    folders.add_argument("--fake", type=Path, metavar="DIR", help=f"the pictures to judge, {statistics}")
    folders.add_argument("--recursive", action="store_true", default=None, help="read the folders in them, too")
    folders.add_argument(
        "--save-stats", type=Path, metavar="FILE", help="write the statistics of --real (.npz); --fake may be left out"
    )
    folders.add_argument("--batch", type=int, metavar="N", help="pictures at once (changes speed and memory only)")
    both = made.add_argument_group("both")
    both.add_argument(
        "--features",
        choices=("inception", "efficientnet-lite0"),
        help="feature space (default: that of the list's profile, or for two folders inception, which is FID; the "
        "other is FD[lite0])",
    )
    both.add_argument("--fid-weights", type=Path, metavar="FILE", help=f"{INCEPTION.file_name}, if it lies elsewhere")
    both.add_argument(
        "--allow-other-weights",
        action="store_true",
        help="take --fid-weights with another SHA-256; the column is renamed",
    )
    both.add_argument("--allow-small", action="store_true", help="measure sets below the floor of 128 pictures too")
    both.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    both.add_argument("--json", action="store_true", help="print the result as JSON")
    both.add_argument("--quiet", action="store_true", help="no progress")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    made = parser()
    arguments = made.parse_args(argv)
    folders = _check_mode(made, arguments)
    return run_command(lambda: score_folders(arguments) if folders else score_results(arguments))


def _check_mode(made: Parser, arguments: argparse.Namespace) -> bool:
    """True for two folders, False for a row. Leaves with one line where the options belong to both or are too few."""
    given = {
        group: [name for name in group if getattr(arguments, name) is not None] for group in (OF_EDITS, OF_FOLDERS)
    }
    if given[OF_EDITS] and given[OF_FOLDERS]:
        other = given[OF_FOLDERS][0].replace("_", "-")
        made.error(
            f"--{given[OF_EDITS][0]} and --{other} belong to two kinds of call: --edits, --results and "
            "--name make a row of a table; --real and --fake compare two folders"
        )
    folders = ("real",) if arguments.save_stats is not None else ("real", "fake")
    wanted = ("edits", "results", "name") if given[OF_EDITS] else folders
    missing = [f"--{name}" for name in wanted if getattr(arguments, name) is None]
    if len(missing) == 2 and wanted[0] == "real" and not given[OF_FOLDERS]:
        made.error("--edits, --results and --name make a row of a table; --real and --fake compare two folders")
    if missing:
        made.error(f"the following arguments are required: {', '.join(missing)}")
    return not given[OF_EDITS]


# ---------------------------------------------------------------------------------------------- a row of a table
def score_results(arguments: argparse.Namespace) -> int:
    """Check list, data set and pictures, all before any long work; then measure."""
    from benchmark.config.profiles import features_for
    from benchmark.core.artifacts import Store
    from benchmark.core.progress import counted
    from benchmark.data.registry import open_source
    from benchmark.external.listing import expected_files, read_listing
    from benchmark.external.scorer import ExternalScorer
    from benchmark.external.submission import examine_submission, find_submitted
    from benchmark.pipeline.context import open_context
    from benchmark.stages.features import choose_extractor
    from benchmark.training.device import choose_device

    _check_name(arguments.name)
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError(f"--threads must be at least 1, not {arguments.threads}")
    listing = read_listing(arguments.edits)
    expected = {subset: expected_files(arguments.edits, subset, sheet) for subset, sheet in listing.sheets.items()}
    asked = find_submitted(arguments.results, expected)
    store = writable_folder(arguments.store or Path("runs"), "--store")
    source = open_source(arguments.data or listing.data, store / "cache")
    features = features_for(listing.profile, listing.features, arguments.features)
    extractor = choose_extractor(features, arguments.fid_weights, arguments.allow_other_weights)
    device = choose_device(arguments.device)
    context = open_context(Store(store), device, arguments.threads, arguments.quiet)
    scorer = ExternalScorer(listing, source, extractor, listing.allow_small or arguments.allow_small, device)
    with context.reporter.bar("check pictures", sum(map(len, asked.values()))) as bar:
        submission = examine_submission(arguments.results, expected, listing.size, counted(bar))
    _report_faults(arguments.results, submission, expected)
    result, table = scorer.measure(arguments.name, submission, context)
    if arguments.json:
        sys.stdout.write(result.dump())
    else:
        from rich.console import Console

        from benchmark.report.terminal import print_tables

        print_tables(table, result.paths(), scorer.timings(result), Console(highlight=False))
    return 0


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UserError(f"--name must be 1 to {LONGEST_NAME} characters that can be printed, not {name!r}")


def _report_faults(folder: Path, submission: Submission, expected: dict[Subset, list[str]]) -> None:
    """List it on stderr. Raises UserError where a picture is missing or can't be taken: of fewer edits than the others
    were asked for, every number would be of another thing.
    """
    _list("missing", submission.missing)
    _list("wrong", [f"{file.path.name} {file.reason}" for file in submission.unusable])
    _list("not asked for", submission.surplus)
    if submission.missing or submission.unusable:
        total = sum(len(names) for subset, names in expected.items() if subset not in submission.absent)
        counts = {"missing": len(submission.missing), "of no use": len(submission.unusable)}
        faults = " and ".join(f"{count:,} are {what}" for what, count in counts.items() if count)
        raise UserError(f"{folder}: of {total:,} pictures {faults}: nothing was scored")
    for subset in submission.absent:
        count = len(expected[subset])
        sys.stderr.write(f"note: none of the {count:,} pictures of {subset} is there, so there is no row of {subset}\n")


def _list(kind: str, lines: Sequence[str]) -> None:
    for line in lines[:SHOWN]:
        sys.stderr.write(f"{kind}: {line}\n")
    if len(lines) > SHOWN:
        sys.stderr.write(f"{kind}: {len(lines) - SHOWN:,} more\n")


# ---------------------------------------------------------------------------------------------- two folders
def score_folders(arguments: argparse.Namespace) -> int:
    """Check what can be checked at once, then measure."""
    from benchmark.core.progress import Reporter
    from benchmark.data.picture_folder import PictureSet
    from benchmark.metrics.feature_files import is_feature_file, write_features
    from benchmark.metrics.features import ensure_weights, open_extractor
    from benchmark.metrics.folder_scores import extract_features, measure
    from benchmark.training.device import choose_device

    if arguments.batch is not None and arguments.batch < 1:
        raise UserError(f"--batch must be at least 1, not {arguments.batch}")
    sides = {role: path for role in ("real", "fake") if (path := getattr(arguments, role)) is not None}
    _check_save(arguments.save_stats, sides["real"])
    contents = _find_all({role: path for role, path in sides.items() if not is_feature_file(path)}, arguments)
    weights = (arguments.features or "inception", arguments.fid_weights, arguments.allow_other_weights)
    ensure_weights(*weights)
    extractor = open_extractor(*weights, choose_device(arguments.device), arguments.batch)
    sets: dict[str, PictureSet | FeatureSet] = {}
    sets |= {role: _read_file(role, path, extractor, arguments) for role, path in sides.items() if role not in contents}
    reporter = Reporter(arguments.quiet)
    sets |= _examined(contents, reporter)
    notes = [note for content in contents.values() for note in content.notes]
    real, truth = sets["real"], None
    if arguments.save_stats is not None and isinstance(real, PictureSet):
        truth = extract_features(real, extractor, reporter)
        write_features(arguments.save_stats, truth, extractor)
        sys.stderr.write(f"{arguments.save_stats}: {extractor.column} features of {truth.images} pictures\n")
        if "fake" not in sets:
            return _say(notes)
    result = measure(real, sets["fake"], extractor, reporter, truth)
    result = dataclasses.replace(result, notes=(*notes, *result.notes))
    if arguments.json:
        sys.stdout.write(json.dumps(dataclasses.asdict(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _print(result)
    return 0


def _check_save(path: Path | None, real: Path) -> None:
    from benchmark.metrics.feature_files import SUFFIX, is_feature_file

    if path is None:
        return
    if path.suffix.lower() != SUFFIX:
        raise UserError(f"--save-stats {path}: it is written as {SUFFIX}, so name it {path.with_suffix(SUFFIX)}")
    if is_feature_file(real):
        raise UserError(f"--save-stats {path}: --real {real} is a file of statistics already")
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a folder" if path.is_dir() else f"{path.parent} is no folder"
        raise UserError(f"--save-stats {path} cannot be written: {why}")


def _find_all(folders: dict[str, Path], arguments: argparse.Namespace) -> dict[str, FolderContent]:
    """The picture files of all folders. Raises UserError where they are too few."""
    from benchmark.data.picture_folder import find_pictures

    contents = {role: find_pictures(folder, f"--{role}", bool(arguments.recursive)) for role, folder in folders.items()}
    for role, content in contents.items():
        _check_count(role, content.folder, len(content.paths), arguments.allow_small)
    return contents


def _read_file(role: str, path: Path, extractor: FeatureExtractor, arguments: argparse.Namespace) -> FeatureSet:
    from benchmark.metrics.feature_files import read_features

    features = read_features(path, f"--{role}", extractor)
    if features.images is not None:
        _check_count(role, path, features.images, arguments.allow_small)
    return features


def _check_count(role: str, folder: Path, count: int, allow_small: bool) -> None:
    from benchmark.metrics.features import FLOOR

    if count < 2:
        raise UserError(f"--{role} {folder} has {count} picture: a distribution needs at least 2")
    if count < FLOOR and not allow_small:
        raise UserError(
            f"--{role} {folder} has {count} pictures; below {FLOOR} a Fréchet distance mostly measures how few there "
            "are (--allow-small measures all the same)"
        )


def _examined(contents: dict[str, FolderContent], reporter: Reporter) -> dict[str, PictureSet]:
    """All folders, every file decoded once. Raises UserError with the list of files that cannot be measured."""
    from benchmark.core.progress import counted
    from benchmark.data.picture_folder import examine

    sets: dict[str, PictureSet] = {}
    broken: list[BrokenFile] = []
    for role, content in contents.items():
        with reporter.bar(f"check {role}", len(content.paths)) as bar:
            pictures, unusable = examine(content, counted(bar))
        broken += unusable
        if pictures is not None:
            sets[role] = pictures
    if broken:
        _list("broken", [f"{file.path}: {file.reason}" for file in broken])
        total = sum(len(content.paths) for content in contents.values())
        raise UserError(f"{len(broken)} of {total} files cannot be read: repair or remove them")
    return sets


def _say(notes: Sequence[str]) -> int:
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
    return 0


def _print(result: ScoreResult) -> None:
    """The table on stdout, the notes on stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", "value", "better", "N", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    fake, real = ("?" if side.images is None else side.images for side in (result.fake, result.real))
    sets, pairs = f"{fake} fake, {real} real", ""
    if result.pairs is not None:
        identical = f", {result.pairs.identical} identical" if result.pairs.identical else ""
        pairs = f"{result.pairs.pairs} pairs{identical}"
    rows = []
    for metric in result.metrics:
        value = result.scores[metric.key]
        label = f"{metric.label} ({metric.unit})" if metric.unit else metric.label
        if value is not None:
            rows.append(
                (label, f"{value:.{metric.decimals}f}", metric.direction, pairs if metric.per == "edit" else sets)
            )
        else:
            sys.stderr.write(f"note: no {metric.label}: {result.reasons[metric.key]}\n")
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console(highlight=False).print(table)
    _say(result.notes)


if __name__ == "__main__":
    raise SystemExit(main())
