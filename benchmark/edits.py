"""`python -m benchmark.edits`: write the edits that a suite asks for as pictures and CSV files, for other programs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import DATA_HELP, Parser, run_command

EXAMPLES = (
    "python -m benchmark.edits --suite table1 --out edits",
    "python -m benchmark.edits --suite nonaligned --out edits-nonaligned",
    "python -m benchmark.edits --suite table1 --profile paper --data rafd:/data/RaFD --out edits --without-training",
)


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.edits", __doc__ or "", EXAMPLES)
    command.add_argument("--suite", required=True, help="name of a suite, or a YAML file")
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the list, made by this call"
    )
    command.add_argument("--profile", default="quick", help="quick, reference, paper, or a YAML file (default: quick)")
    command.add_argument("--data", default="rendered", help=f"{DATA_HELP} (default: rendered)")
    command.add_argument("--without-training", action="store_true", help="leave out the pictures to train on")
    command.add_argument(
        "--store", type=Path, default=Path("runs"), metavar="DIR", help="the --out of benchmark.run (default: runs)"
    )
    command.add_argument("--quiet", action="store_true", help="no progress")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: write_edits(arguments))


def write_edits(arguments: argparse.Namespace) -> int:
    """Write the list of edits and print its path."""
    from benchmark.external.session import write_list

    training = not arguments.without_training
    for line in write_list(
        arguments.suite,
        arguments.profile,
        arguments.data,
        arguments.store,
        arguments.out,
        training,
        arguments.quiet,
    ):
        sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
