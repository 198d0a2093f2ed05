"""`python -m benchmark.verify`: make a finished run again, and say of each stage whether it came out the same."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.cli import DATA_HELP, Parser, run_command
from benchmark.core.errors import UserError

if TYPE_CHECKING:
    from benchmark.gate.verification import Verification
    from benchmark.pipeline.request import RunOptions

EXAMPLES = (
    "python -m benchmark.verify runs/reports/table1-quick-rendered-0123456789ab",
    "python -m benchmark.verify runs/reports/table1-quick-rendered-0123456789ab --quick",
    "python -m benchmark.verify runs/train/train-mtss-fp-seed-0-0123456789ab",
    "python -m benchmark.verify theirs/results.json --checkpoint mtss=theirs/mtss",
)
STATUSES = (
    "exit status: 0 the same, or within the known spread; 1 different; 2 wrong call; 3 no spread is known; "
    "4 not comparable"
)
SHOWN = 10
"""Contradictions that are printed."""


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.verify", f"{__doc__}\n\n{STATUSES}", EXAMPLES)
    command.add_argument(
        "run", type=Path, metavar="RUN", help="a report's folder, that of any stage, or somebody's results.json"
    )
    command.add_argument(
        "--quick", action="store_true", help="train nothing: edit and score with the weights of the run"
    )
    command.add_argument(
        "--checkpoint", action="append", default=[], metavar="METHOD=DIR",
        help="of results.json alone: the weights behind its rows, as benchmark.run takes them",
    )  # fmt: skip
    command.add_argument("--data", help=f"the run's data set, if it is a folder: {DATA_HELP}")
    command.add_argument("--jobs", default="auto", metavar="N", help="stages made side by side (default: auto)")
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where it is made and kept (default: a folder that is removed)",
    )
    command.add_argument("--json", action="store_true", help="print what was found as JSON")
    command.add_argument("--quiet", action="store_true", help="no progress")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: verify(arguments))


def verify(arguments: argparse.Namespace) -> int:
    """Repeat the run and compare; return the status of the verdict."""
    from benchmark.core.progress import Reporter
    from benchmark.gate.verdicts import STATUS
    from benchmark.gate.verification import NotMadeHere
    from benchmark.gate.verification import verify as verify_run

    out = arguments.out or Path(tempfile.mkdtemp(prefix="fesbench-verify-"))
    try:
        verification = verify_run(
            arguments.run, out, arguments.quick, arguments.data, arguments.checkpoint, arguments.jobs,
            arguments.quiet, Reporter(arguments.quiet).say, understand,
        )  # fmt: skip
    except NotMadeHere as error:
        sys.stderr.write(f"not comparable: {error}\n")
        return STATUS["not comparable"]
    finally:
        if arguments.out is None:
            shutil.rmtree(out, ignore_errors=True)
    status = STATUS[verification.verdict]
    if arguments.json:
        content = {"schema": 1, "status": status, **dataclasses.asdict(verification)}
        sys.stdout.write(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _show(verification, status)
    return status


def _show(verification: Verification, status: int) -> None:
    from rich.table import Table

    from benchmark.gate.writing import open_console

    console = open_console()
    console.print(f"{verification.run}, made again:", markup=False, soft_wrap=True)
    table = Table("stage", "outcome", "")
    for check in verification.stages:
        table.add_row(check.name, check.outcome, check.words)
    console.print(table)
    off = [number for number in verification.numbers if number.outcome != "identical"]
    if off:
        numbers = Table("row", "seed", "metric", "then", "now", "off by", "may be off by", "")
        for number in off:
            bound = "unknown" if number.bound is None else f"{number.bound:.4g}"
            values = f"{number.then:.6g}", f"{number.now:.6g}", f"{number.now - number.then:+.3g}", bound
            numbers.add_row(number.row, str(number.seed), number.metric, *values, number.outcome)
        console.print(numbers)
    if verification.first is not None:
        first = verification.first
        console.print(f"the first stage that differs is '{first.name}': {first.words}", markup=False)
    for phrase in verification.contradictions[:SHOWN]:
        console.print(f"results.json: {phrase}", markup=False, soft_wrap=True)
    if len(verification.contradictions) > SHOWN:
        console.print(f"{len(verification.contradictions) - SHOWN} more such phrases; --json has them all")
    same = sum(number.outcome == "identical" for number in verification.numbers)
    if verification.numbers:
        console.print(f"{same} of {len(verification.numbers)} numbers are identical")
    for sentence in (*verification.environment, *verification.notes):
        console.print(f"note: {sentence}", markup=False)
    words = {0: "verified", 1: "different", 3: "no spread is known to tell by", 4: "nothing was compared"}
    console.print(f"{words[status]} (exit status {status})")


def understand(command: str, words: Sequence[str]) -> RunOptions | None:
    """Parse the options of a recorded command that ran a suite; None for other or unknown commands."""
    from benchmark import run

    suites = {"run": None, "ablate": "table2"}
    if command not in suites:
        return None
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return run.options_of(run.parser(suite=suites[command]).parse_args(list(words)))
    except (SystemExit, UserError):
        return None


if __name__ == "__main__":
    raise SystemExit(main())
