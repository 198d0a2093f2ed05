"""`python -m benchmark.prepare`: check a data set, say what is there, missing or broken, and prepare it for a suite."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import DATA_HELP, Parser, run_command
from benchmark.core.paths import printable_lines

EXAMPLES = (
    "python -m benchmark.prepare --data rafd:/data/RaFD",
    "python -m benchmark.prepare --data rafd:/data/RaFD,leave-out=kid --profile paper",
    "python -m benchmark.prepare --data folder:/data/mine --json",
)


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.prepare", __doc__ or "", EXAMPLES)
    command.add_argument("--data", required=True, help=DATA_HELP)
    command.add_argument("--profile", default="quick", help="quick, reference, paper, or a YAML file (default: quick)")
    command.add_argument(
        "--store", type=Path, default=Path("runs"), metavar="DIR", help="the --out of benchmark.run (default: runs)"
    )
    command.add_argument("--threads", type=int, help="pictures at once (default: one for each core)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--quiet", action="store_true", help="no progress")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: prepare(arguments))


def prepare(arguments: argparse.Namespace) -> int:
    """Prepare and check the data set, and print what was found."""
    from benchmark.checkup.session import check_data_set

    checked = check_data_set(arguments.data, arguments.profile, arguments.store, arguments.threads, arguments.quiet)
    if arguments.json:
        sys.stdout.write(json.dumps(checked.report(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        sys.stdout.write(printable_lines(checked.summary()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
