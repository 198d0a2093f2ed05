"""`python -m benchmark.compare`: in which metrics is one row better than another, and how sure is that?"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import Parser, run_command

EXAMPLES = (
    "python -m benchmark.compare mtss-r hisd-r",
    "python -m benchmark.compare mtss-r hisd-r --results runs/reports/table1-quick-rendered-0123456789ab --metric fid",
    "python -m benchmark.compare submission.json:theirs runs/reports/table1-quick-rendered-0123456789ab:mtss-r",
    "python -m benchmark.compare mine/results.json:mtss-r theirs/results.json:mtss-r --json",
)


def parser() -> Parser:
    """Build the argument parser."""
    arguments = Parser("benchmark.compare", __doc__ or "", EXAMPLES)
    arguments.add_argument("first", metavar="A", help="a row's id, or PATH:ID for a row of other results")
    arguments.add_argument("second", metavar="B", help="the row that it is compared with")
    arguments.add_argument(
        "--results", type=Path, nargs="+", default=[Path("runs")], metavar="FOLDER",
        help="where rows are looked for: report folders, results.json files, or the --out of benchmark.run, of which "
        "the newest report with both rows counts (default: runs)",
    )  # fmt: skip
    arguments.add_argument(
        "--metric",
        action="append",
        metavar="KEY",
        help="compare in this metric alone; may be given again (default: all)",
    )
    arguments.add_argument("--json", action="store_true", help="print the comparison as JSON")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: compare(arguments))


def compare(arguments: argparse.Namespace) -> int:
    """Find both rows, check that they are comparable, and print their differences."""
    from benchmark.external.result import load_any_results
    from benchmark.report.row_lookup import comparable_metrics, find_rows
    from benchmark.statistics.comparing import caution, compare_rows

    first, second = find_rows((arguments.first, arguments.second), arguments.results, load_any_results)
    metrics = comparable_metrics(first, second, arguments.metric)
    names = (first.name, second.name)
    compared = compare_rows(first.row.samples(metrics), second.row.samples(metrics), metrics, names)
    if arguments.json:
        content = {
            "schema": 1,
            "first": {"row": first.row.id, "results": str(first.path)},
            "second": {"row": second.row.id, "results": str(second.path)},
            "comparisons": [dataclasses.asdict(each) for each in compared],
            "notes": caution(compared),
        }
        sys.stdout.write(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return 0
    for each in compared:
        sys.stdout.write(each.words + "\n")
    for note in caution(compared):
        sys.stdout.write(f"note: {note}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
