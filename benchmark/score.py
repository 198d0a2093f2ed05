"""`python -m benchmark.score`: pictures made elsewhere as a row of a suite's table, or any two folders compared."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import Parser, run_command
from benchmark.core.errors import did_you_mean, quoted
from benchmark.metrics.features.weights import INCEPTION

EXAMPLES = (
    "python -m benchmark.score --edits edits/ --results mine/ --name mine",
    "python -m benchmark.score --edits edits/ --results mine/ --name mine --json",
    "python -m benchmark.score --edits edits/ --results mine/ --name mine --network arcface.onnx",
    "python -m benchmark.score --real test/ --fake edits/",
    "python -m benchmark.score --real test/ --fake edits/ --features efficientnet-lite0 --json",
    "python -m benchmark.score --real sources/ --fake edits/ --features arcface.onnx",
    "python -m benchmark.score --real test/ --fake edits/ --fid-weights pt_inception-2015-12-05-6726825d.pth",
    "python -m benchmark.score --real test/ --save-stats test.npz",
    "python -m benchmark.score --real test.npz --fake edits/",
)
OF_EDITS = ("edits", "results", "name", "store", "data", "threads", "network")
OF_FOLDERS = ("real", "fake", "batch", "recursive", "save_stats")
"""The options of either kind of call; all others belong to both."""


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.score", __doc__ or "", EXAMPLES)
    _add_row(command)
    _add_folders(command)
    _add_common(command)
    return command


def _add_row(command: Parser) -> None:
    """Add the options that score a submission as a row of a table."""
    group = command.add_argument_group("a row of a table")
    group.add_argument("--edits", type=Path, metavar="DIR", help="the list that benchmark.edits wrote")
    group.add_argument("--results", type=Path, metavar="DIR", help="the pictures that it asks for, by their names")
    group.add_argument("--name", help="what the row is called")
    group.add_argument(
        "--store",
        "--out",
        type=Path,
        metavar="DIR",
        help="the --out of benchmark.run, for judge and features (default: runs)",
    )
    group.add_argument("--data", help="the data set of the list, where it has moved since")
    group.add_argument("--threads", type=int, help="CPU threads (default: one for each core)")
    group.add_argument(
        "--network",
        action="append",
        metavar="FILE",
        help="measure in a network of your own, too, as benchmark.run --network does; may be given again",
    )


def _add_folders(command: Parser) -> None:
    """Add the options that compare two folders."""
    group = command.add_argument_group("two folders")
    statistics = "or statistics (.npz) of --save-stats or of pytorch-fid"
    group.add_argument("--real", type=Path, metavar="DIR", help=f"the pictures to compare with, {statistics}")
    group.add_argument("--fake", type=Path, metavar="DIR", help=f"the pictures to judge, {statistics}")
    group.add_argument("--recursive", action="store_true", default=None, help="read the folders in them, too")
    group.add_argument(
        "--save-stats", type=Path, metavar="FILE", help="write the statistics of --real (.npz); --fake may be left out"
    )
    group.add_argument("--batch", type=int, metavar="N", help="pictures at once (changes speed and memory only)")


def _add_common(command: Parser) -> None:
    """Add the options of both kinds of call."""
    group = command.add_argument_group("both")
    group.add_argument(
        "--features",
        metavar="SPACE",
        help="feature space: inception, efficientnet-lite0 (FD[lite0]), or for two folders a network of your own, a "
        "TorchScript (.pt) or ONNX (.onnx) file with its preprocessing in a .yaml beside it; a TorchScript file is a "
        "program that runs with your rights (default: that of the list's profile, or for two folders inception)",
    )
    group.add_argument("--fid-weights", type=Path, metavar="FILE", help=f"{INCEPTION.file_name}, if it lies elsewhere")
    group.add_argument(
        "--allow-other-weights",
        action="store_true",
        help="take --fid-weights with another SHA-256; the column is renamed",
    )
    group.add_argument("--allow-small", action="store_true", help="measure sets below the floor of 128 pictures too")
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    group.add_argument("--json", action="store_true", help="print the result as JSON")
    group.add_argument("--quiet", action="store_true", help="no progress")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    command = parser()
    arguments = command.parse_args(argv)
    folders = _check_mode(command, arguments)
    _check_features(command, arguments.features, folders)
    return run_command(lambda: score_two_folders(arguments) if folders else score_row(arguments))


def _check_mode(command: Parser, arguments: argparse.Namespace) -> bool:
    """Return True for two folders, False for a row. Exit with one line where options of both are mixed or missing."""
    named = {
        group: [name for name in group if getattr(arguments, name) is not None] for group in (OF_EDITS, OF_FOLDERS)
    }
    if named[OF_EDITS] and named[OF_FOLDERS]:
        other = named[OF_FOLDERS][0].replace("_", "-")
        command.error(
            f"--{named[OF_EDITS][0]} and --{other} belong to two kinds of call: --edits, --results and "
            "--name make a row of a table; --real and --fake compare two folders"
        )
    folders = ("real",) if arguments.save_stats is not None else ("real", "fake")
    wanted = ("edits", "results", "name") if named[OF_EDITS] else folders
    missing = [f"--{name}" for name in wanted if getattr(arguments, name) is None]
    if len(missing) == 2 and wanted[0] == "real" and not named[OF_FOLDERS]:
        command.error("--edits, --results and --name make a row of a table; --real and --fake compare two folders")
    if missing:
        command.error(f"the following arguments are required: {', '.join(missing)}")
    return not named[OF_EDITS]


def _check_features(command: Parser, features: str | None, folders: bool) -> None:
    """Exit with one line for an unknown feature space, or one that a row of a table cannot be measured in."""
    from benchmark.config.networks import is_own_network
    from benchmark.metrics.features import EXTRACTORS

    if features is None or features in EXTRACTORS:
        return
    if not is_own_network(features):
        command.error(
            f"argument --features: invalid choice: {quoted(features)}, and no .pt or .onnx file"
            f"{did_you_mean(features, EXTRACTORS)}"
        )
    if not folders:
        command.error(
            "--features with a network of your own compares two folders (--real, --fake), and scores no row: --network "
            f"{features} adds its columns to a row"
        )


def score_row(arguments: argparse.Namespace) -> int:
    """Score a submission and print its row."""
    from benchmark.external.scoring import SubmissionOptions, score_submission

    scored = score_submission(
        SubmissionOptions(
            edits=arguments.edits,
            results=arguments.results,
            name=arguments.name,
            store=arguments.store or Path("runs"),
            data=arguments.data,
            threads=arguments.threads,
            features=arguments.features,
            fid_weights=arguments.fid_weights,
            allow_other_weights=arguments.allow_other_weights,
            allow_small=arguments.allow_small,
            networks=arguments.network or (),
            device=arguments.device,
            quiet=arguments.quiet,
        )
    )
    if arguments.json:
        sys.stdout.write(scored.result.dump())
    else:
        from rich.console import Console

        from benchmark.report.terminal import print_tables

        print_tables(scored.table, scored.result.paths(), scored.timings, Console(highlight=False))
    return 0


def score_two_folders(arguments: argparse.Namespace) -> int:
    """Compare two folders and print the scores."""
    from benchmark.metrics.two_folders import FolderOptions, score_folders

    result, notes = score_folders(
        FolderOptions(
            real=arguments.real,
            fake=arguments.fake,
            save_stats=arguments.save_stats,
            recursive=bool(arguments.recursive),
            batch=arguments.batch,
            features=arguments.features or "inception",
            fid_weights=arguments.fid_weights,
            allow_other_weights=arguments.allow_other_weights,
            allow_small=arguments.allow_small,
            device=arguments.device,
            quiet=arguments.quiet,
        )
    )
    if result is not None and arguments.json:
        sys.stdout.write(json.dumps(dataclasses.asdict(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return 0
    if result is not None:
        from benchmark.report.folder_table import print_scores

        print_scores(result)
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
