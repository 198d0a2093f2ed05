"""The leaderboard as a page in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.report.html.page import render
from benchmark.report.leaderboard import BoardGroup, source
from benchmark.report.notes import definitions, failure_note, listed
from benchmark.report.results import SuiteResults
from benchmark.report.tables import metric_heading
from benchmark.statistics.decisions import LEVEL


def leaderboard_html(
    title: str, groups: Sequence[BoardGroup], entries: Sequence[tuple[Path, SuiteResults]], unread: Sequence[str]
) -> str:
    """Make the page. entries: the results behind it. unread: lines on those that were left out."""
    results = [each for _, each in entries]
    defined = dict(line for each in results for line in definitions(each))
    return render(
        "leaderboard.html.j2",
        title=title,
        groups=groups,
        results=results,
        unread=unread,
        definitions=defined,
        source=source,
        heading=metric_heading,
        failure_note=failure_note,
        reasons=reasons,
        profiles={each.profile: each.notice for each in results},
        suites=listed(list(dict.fromkeys(each.suite for each in results))),
        level=100 * LEVEL,
    )


def reasons(group: BoardGroup) -> dict[str, str]:
    """List the cells without a number or rank by their reason: `CA of HiSD (R) (table2, profile quick)`."""
    cells: dict[str, dict[str, list[str]]] = {}
    for entry in group.rows:
        for metric, cell in zip(group.metrics, entry.cells, strict=True):
            if cell.why:
                row = f"{entry.row.label} ({source(entry.found)})"
                cells.setdefault(cell.why, {}).setdefault(row, []).append(metric.label)
    return {
        why: "; ".join(f"{listed(labels)} of {row}" for row, labels in by_row.items()) for why, by_row in cells.items()
    }
