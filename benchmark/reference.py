"""`python -m benchmark.reference`: store finished trainings, their scores and reports in results/reference."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.cli import DATA_HELP, Parser, check_writable, run_command
from benchmark.core.errors import UserError
from benchmark.core.files import folder_fault_of
from benchmark.run import items, parse_seeds

if TYPE_CHECKING:
    from benchmark.storing.collect import Stored

EXAMPLES = (
    "python -m benchmark.reference --from runs --suite table1,table2 --seeds 0,1,2",
    "python -m benchmark.reference --from runs --suite table1 --seeds 0 --no-scores",
    "python -m benchmark.reference --from runs --suite table1,table2 --seeds 0,1,2 --weights all",
)


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.reference", __doc__ or "", EXAMPLES)
    command.add_argument(
        "--from", dest="store", type=Path, default=Path("runs"), metavar="DIR",
        help="the --out of benchmark.run that has the trainings (default: runs)",
    )  # fmt: skip
    command.add_argument("--to", type=Path, metavar="DIR", help="where results are stored (default: results/reference)")
    command.add_argument("--suite", default="table1,table2", help="suites, by commas (default: table1,table2)")
    command.add_argument("--profile", default="reference", help="the trainings' profile (default: reference)")
    command.add_argument("--data", default="rendered", help=f"{DATA_HELP} (default: rendered)")
    command.add_argument("--seeds", default="0,1,2", help="seeds that are wanted, by commas (default: 0,1,2)")
    command.add_argument(
        "--weights", default="0", metavar="SEEDS",
        help="seeds whose weights for editing are stored, by commas, or all (default: 0)",
    )  # fmt: skip
    command.add_argument(
        "--without-weights", default="", metavar="ROWS", help="ids of rows whose weights are not stored, by commas"
    )
    command.add_argument(
        "--no-scores", action="store_true", help="store trainings with their weights alone: no edits, scores and report"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--threads", type=int, help="CPU threads in all (default: one for each core)")
    command.add_argument(
        "--jobs", default="auto", metavar="N", help="stages that are made side by side (default: auto)"
    )
    command.add_argument("--json", action="store_true", help="print what is stored and missing as JSON")
    command.add_argument("--quiet", action="store_true", help="no progress")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: store(arguments))


def store(arguments: argparse.Namespace) -> int:
    """Store finished results and print what is missing."""
    from benchmark.config.loading import REFERENCE
    from benchmark.core.progress import Reporter
    from benchmark.pipeline.request import RunOptions
    from benchmark.storing.collect import LARGEST, store_suites

    if fault := folder_fault_of(arguments.store):
        raise UserError(f"--from {arguments.store} {fault}: give the --out of the benchmark.run that has trained")
    suites = items(arguments.suite, "--suite")
    weights = None if arguments.weights == "all" else parse_seeds(arguments.weights, "--weights")
    options = RunOptions(
        suite=suites[0], profile=arguments.profile, data=arguments.data, seeds=parse_seeds(arguments.seeds),
        device=arguments.device, threads=arguments.threads, jobs=arguments.jobs, out=arguments.store,
        quiet=arguments.quiet,
    )  # fmt: skip
    to = arguments.to or REFERENCE
    check_writable(to, "--to")
    light = items(arguments.without_weights, "--without-weights") if arguments.without_weights else ()
    stored = store_suites(suites, options, to, weights, not arguments.no_scores, light)
    sys.stdout.write(_as_json(stored) if arguments.json else _as_text(stored))
    if stored.bytes > LARGEST:
        Reporter(False).warn(
            f"{stored.bytes / 1e6:.1f} MB are stored, more than the {LARGEST / 1e6:.0f} MB meant for it"
        )
    return 0


def _as_text(stored: Stored) -> str:
    lines = []
    for name, suite in sorted(stored.index.suites.items()):
        lines.append(f"{name}, profile {suite.profile}")
        for row_id, row in suite.rows.items():
            have = ", ".join(_seed(seed, each.scores != "", each.weights != "") for seed, each in row.seeds.items())
            lacking = ", ".join(map(str, suite.missing.get(row_id, ())))
            lines.append(f"  {row_id}: {have or 'none'}" + (f"; missing: {lacking}" if lacking else ""))
    lines += [f"removed {folder}, which no suite has any more" for folder in stored.removed]
    return "\n".join([*lines, f"{stored.bytes / 1e6:.1f} MB in all"]) + "\n"


def _seed(seed: int, scores: bool, weights: bool) -> str:
    parts = ["scores"] * scores + ["weights"] * weights
    return f"{seed} ({' and '.join(parts) or 'training record'})"


def _as_json(stored: Stored) -> str:
    from benchmark.core.models import dump

    content = {"index": dump(stored.index), "bytes": stored.bytes, "removed": list(stored.removed)}
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
