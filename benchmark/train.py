"""`python -m benchmark.train`: the missing trainings of suites, side by side, until a time."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

from benchmark.core.cli import DATA_HELP, Parser, run_command
from benchmark.core.errors import UserError, quoted
from benchmark.run import items, methods_of, parse_seeds

EXAMPLES = (
    "python -m benchmark.train --suite table1,table2 --profile reference --seeds 0,1,2 --device cuda --jobs 10",
    "python -m benchmark.train --suite table1,table2 --profile reference --device cuda --jobs 10 --until +9",
    "python -m benchmark.train --suite table1 --profile reference --methods hisd,mtss --until 14:00",
)
DESCRIPTION = """Train what suites need and nothing else: no judge, edits or scores. What is finished or stored is not
trained again. With --until, all trainings save their state when the time has come, and the same command goes on from
there: for machines that are had for minutes. Several trainings share one GPU (--jobs 10)."""
CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
MINUTES = re.compile(r"\+(?=.*[1-9])(\d{1,4}(\.\d+)?)", re.ASCII)


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.train", DESCRIPTION, EXAMPLES)
    command.add_argument("--suite", default="table1,table2", help="suites, by commas (default: table1,table2)")
    command.add_argument("--profile", default="reference", help="how long and with which settings (default: reference)")
    command.add_argument("--data", default="rendered", help=f"{DATA_HELP} (default: rendered)")
    command.add_argument("--methods", help="only these methods, by commas")
    command.add_argument("--seeds", default="0", help="training seeds, by commas (default: 0)")
    command.add_argument("--until", metavar="TIME", help="14:00 (today, or tomorrow if that is past), or +9 (minutes)")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--threads", type=int, help="CPU threads in all (default: one for each core)")
    command.add_argument("--jobs", default="auto", metavar="N", help="trainings made side by side (default: auto)")
    command.add_argument("--reference", type=Path, metavar="DIR", help="stored results (default: results/reference)")
    command.add_argument("--retrain", action="store_true", help="train also what is stored there")
    command.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="the store (default: runs)")
    command.add_argument("--json", action="store_true", help="print the names as JSON")
    command.add_argument("--quiet", action="store_true", help="no progress")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: train(arguments))


def train(arguments: argparse.Namespace) -> int:
    """Run the missing trainings and print which are finished, begun and waiting."""
    seconds = seconds_until(arguments.until, datetime.now()) if arguments.until else None
    suites = items(arguments.suite, "--suite")

    from benchmark.pipeline.request import RunOptions
    from benchmark.pipeline.trainings import train_missing

    options = RunOptions(
        suite=suites[0], profile=arguments.profile, data=arguments.data, methods=methods_of(arguments),
        seeds=parse_seeds(arguments.seeds), device=arguments.device, threads=arguments.threads, jobs=arguments.jobs,
        out=arguments.out, reference=arguments.reference, retrain=arguments.retrain, quiet=arguments.quiet,
    )  # fmt: skip
    outcome = train_missing(suites, options, seconds)
    if arguments.json:
        sys.stdout.write(json.dumps(asdict(outcome), indent=1) + "\n")
        return 0
    for kind, names in asdict(outcome).items():
        sys.stdout.write("".join(f"{kind}: {name}\n" for name in names))
    if rest := len(outcome.begun) + len(outcome.waiting):
        sys.stdout.write(f"{rest} to do: the same command goes on with them\n")
    return 0


def seconds_until(text: str, now: datetime) -> float:
    """Return the seconds until `14:00` (today, else tomorrow), or of `+9` minutes. Raises UserError."""
    if match := MINUTES.fullmatch(text):
        return 60 * float(match[1])
    match = CLOCK.fullmatch(text)
    if not match or int(match[1]) > 23 or int(match[2]) > 59:
        raise UserError(f"--until {quoted(text)[1:-1]}: a time as 14:00, or minutes as +9")
    then = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    return ((then if then > now else then + timedelta(days=1)) - now).total_seconds()


if __name__ == "__main__":
    raise SystemExit(main())
