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
    from benchmark.data.picture_folder import Broken, Pictures
    from benchmark.external.answer import Answer
    from benchmark.metrics.folder_scores import ScoreResult
    from benchmark.protocol import Subset

EXAMPLES = (
    "python -m benchmark.score --edits edits/ --results mine/ --name mine",
    "python -m benchmark.score --edits edits/ --results mine/ --name mine --json",
    "python -m benchmark.score --real test/ --fake edits/",
    "python -m benchmark.score --real test/ --fake edits/ --features efficientnet-lite0 --json",
    "python -m benchmark.score --real test/ --fake edits/ --fid-weights pt_inception-2015-12-05-6726825d.pth",
)
SHOWN = 20
"""Files listed one by one; of more, the number is given."""
LONGEST_NAME = 40
OF_EDITS = ("edits", "results", "name", "store", "data", "threads")
OF_FOLDERS = ("real", "fake", "batch")
"""The options of either kind of call; all others belong to both."""


def parser() -> Parser:
    """The arguments."""
    made = Parser("benchmark.score", __doc__ or "", EXAMPLES)
    edits = made.add_argument_group("a row of a table")
    edits.add_argument("--edits", type=Path, metavar="DIR", help="the list that benchmark.edits wrote")
    edits.add_argument(
        "--results", type=Path, metavar="DIR", help="the pictures that answer it, by the names it asks for"
    )
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
    folders.add_argument("--real", type=Path, metavar="DIR", help="the pictures to compare with")
    folders.add_argument("--fake", type=Path, metavar="DIR", help="the pictures to judge")
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
        made.error(
            f"--{given[OF_EDITS][0]} and --{given[OF_FOLDERS][0]} belong to two kinds of call: --edits, --results and "
            "--name make a row of a table; --real and --fake compare two folders"
        )
    wanted = ("edits", "results", "name") if given[OF_EDITS] else ("real", "fake")
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
    from benchmark.external.answer import examine_answer, find_answer
    from benchmark.external.listing import expected_files, read_listing
    from benchmark.external.row import OutsideScorer
    from benchmark.pipeline.context import open_context
    from benchmark.stages.features import choose_extractor
    from benchmark.training.device import choose_device

    _check_name(arguments.name)
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError(f"--threads must be at least 1, not {arguments.threads}")
    listing = read_listing(arguments.edits)
    expected = {subset: expected_files(arguments.edits, subset, sheet) for subset, sheet in listing.sheets.items()}
    asked = find_answer(arguments.results, expected)
    store = writable_folder(arguments.store or Path("runs"), "--store")
    source = open_source(arguments.data or listing.data, store / "cache")
    features = features_for(listing.profile, listing.features, arguments.features)
    extractor = choose_extractor(features, arguments.fid_weights, arguments.allow_other_weights)
    device = choose_device(arguments.device)
    context = open_context(Store(store), device, arguments.threads, arguments.quiet)
    scorer = OutsideScorer(listing, source, extractor, listing.allow_small or arguments.allow_small, device)
    with context.reporter.bar("check pictures", sum(map(len, asked.values()))) as bar:
        answer = examine_answer(arguments.results, expected, listing.size, counted(bar))
    _say_what_is_wrong(arguments.results, answer, expected)
    result, table = scorer.measure(arguments.name, answer, context)
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


def _say_what_is_wrong(folder: Path, answer: Answer, expected: dict[Subset, list[str]]) -> None:
    """List it on stderr. Raises UserError where a picture is missing or can't be taken: of fewer edits than the others
    were asked for, every number would be of another thing.
    """
    _list("missing", answer.missing)
    _list("wrong", [f"{file.path.name} {file.reason}" for file in answer.wrong])
    _list("not asked for", answer.extra)
    if answer.missing or answer.wrong:
        total = sum(len(names) for subset, names in expected.items() if subset not in answer.absent)
        counts = {"missing": len(answer.missing), "of no use": len(answer.wrong)}
        said = " and ".join(f"{count:,} are {what}" for what, count in counts.items() if count)
        raise UserError(f"{folder}: of {total:,} pictures {said}: nothing was scored")
    for subset in answer.absent:
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
    from benchmark.data.picture_folder import find_pictures
    from benchmark.metrics.features import ensure_weights, open_extractor
    from benchmark.metrics.folder_scores import measure
    from benchmark.training.device import choose_device

    if arguments.batch is not None and arguments.batch < 1:
        raise UserError(f"--batch must be at least 1, not {arguments.batch}")
    files = {role: find_pictures(getattr(arguments, role), f"--{role}") for role in ("real", "fake")}
    for role, paths in files.items():
        _check_count(role, getattr(arguments, role), len(paths), arguments.allow_small)
    weights = (arguments.features or "inception", arguments.fid_weights, arguments.allow_other_weights)
    ensure_weights(*weights)
    extractor = open_extractor(*weights, choose_device(arguments.device), arguments.batch)
    reporter = Reporter(arguments.quiet)
    real, fake = _examined(files, reporter)
    result = measure(real, fake, extractor, reporter)
    if arguments.json:
        sys.stdout.write(json.dumps(dataclasses.asdict(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _print(result)
    return 0


def _check_count(role: str, folder: Path, count: int, allow_small: bool) -> None:
    from benchmark.metrics.features import FLOOR

    if count < 2:
        raise UserError(f"--{role} {folder} has {count} picture: a distribution needs at least 2")
    if count < FLOOR and not allow_small:
        raise UserError(
            f"--{role} {folder} has {count} pictures; below {FLOOR} a Fréchet distance mostly measures how few there "
            "are (--allow-small measures all the same)"
        )


def _examined(files: dict[str, list[Path]], reporter: Reporter) -> tuple[Pictures, Pictures]:
    """Both sets, every file decoded once. Raises UserError with the list of those that cannot be."""
    from benchmark.core.progress import counted
    from benchmark.data.picture_folder import examine

    found: list[Pictures | None] = []
    broken: list[Broken] = []
    for role, paths in files.items():
        with reporter.bar(f"check {role}", len(paths)) as bar:
            pictures, bad = examine(paths, counted(bar))
        found.append(pictures)
        broken += bad
    real, fake = found
    if broken or real is None or fake is None:
        _list("broken", [f"{file.path}: {file.reason}" for file in broken])
        raise UserError(f"{len(broken)} of {sum(map(len, files.values()))} files cannot be read: repair or remove them")
    return real, fake


def _print(result: ScoreResult) -> None:
    """The table on stdout, the notes on stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", "value", "better", "N", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    sets, pairs = f"{result.fake.images} fake, {result.real.images} real", ""
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
    for note in result.notes:
        sys.stderr.write(f"note: {note}\n")


if __name__ == "__main__":
    raise SystemExit(main())
