"""`python -m benchmark.page`: one page over several results, a leaderboard with ranks and intervals."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import Parser, run_command, writable_file
from benchmark.core.errors import UserError

EXAMPLES = (
    "python -m benchmark.page runs --out leaderboard.html",
    "python -m benchmark.page mine/results.json theirs/results.json --metric kid --metric ca",
    "python -m benchmark.page results/reference/reports/table1 runs --title 'MTSS and mine' --out page.html",
)


def parser() -> Parser:
    """Build the argument parser."""
    arguments = Parser("benchmark.page", __doc__ or "", EXAMPLES)
    arguments.add_argument(
        "results",
        type=Path,
        nargs="+",
        metavar="RESULTS",
        help="results.json files, report folders, or the --out of benchmark.run, whose reports all count",
    )
    arguments.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="KEY",
        help="show this metric; may be given again, the first orders the rows (default: all)",
    )
    arguments.add_argument("--title", default="Facial expression synthesis", help="heading of the page")
    arguments.add_argument(
        "--out", type=Path, default=Path("leaderboard.html"), metavar="FILE", help="default: leaderboard.html"
    )
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: write(arguments))


def write(arguments: argparse.Namespace) -> int:
    """Read the results, group and rank their rows, write the page, and print where it is."""
    from benchmark.core.hashes import write_text
    from benchmark.report.html.leaderboard_page import leaderboard_html
    from benchmark.report.leaderboard import board, find_results

    if not arguments.title.strip():
        raise UserError("--title: the page needs a heading of at least one character")
    out = writable_file(arguments.out, "--out")
    entries, unread = find_results(arguments.results)
    for line in unread:
        sys.stderr.write(f"left out: {line}\n")
    groups = board(entries, list(dict.fromkeys(arguments.metric)))
    write_text(out, leaderboard_html(arguments.title, groups, entries, unread))
    rows = sum(len(group.rows) for group in groups)
    sys.stderr.write(f"{rows} rows of {len(entries)} results, in {len(groups)} groups of comparable ones\n")
    sys.stdout.write(f"{arguments.out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
