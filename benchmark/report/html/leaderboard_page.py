"""The leaderboard as a page in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.report.claims_figure import read_pairs
from benchmark.report.files import FILES
from benchmark.report.html.claims import VerdictCard, verdict_cards
from benchmark.report.html.page import PICTURES_BUDGET, render
from benchmark.report.html.pictures import PagePictures
from benchmark.report.leaderboard import BoardGroup, source
from benchmark.report.notes import definitions, failure_note, listed
from benchmark.report.results import SuiteResults
from benchmark.report.tables import metric_heading
from benchmark.report.verdict_text import heading, rules
from benchmark.statistics.decisions import LEVEL


@dataclass(frozen=True)
class SuiteClaims:
    """The verdicts of one result. name: of its suite and profile."""

    name: str
    heading: str
    source: str
    cards: tuple[VerdictCard, ...]
    rules: tuple[str, ...]


def leaderboard_html(
    title: str, groups: Sequence[BoardGroup], entries: Sequence[tuple[Path, SuiteResults]], unread: Sequence[str]
) -> str:
    """Make the page. entries: files and their results. unread: lines on files that were left out.

    Shows the edits of the `claims.png` beside each file. Raises UserError for a damaged one, OverBudgetError where its
    pictures do not fit even when small.
    """
    results = [each for _, each in entries]
    album = PagePictures(PICTURES_BUDGET)
    claims = [_claims(path, each, album) for path, each in entries if each.claims is not None and each.verdicts]
    defined = dict(line for each in results for line in definitions(each))
    return render(
        "leaderboard.html.j2",
        title=title,
        groups=groups,
        claims=claims,
        album=album,
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


def _claims(path: Path, results: SuiteResults, album: PagePictures) -> SuiteClaims:
    assert results.claims is not None
    figure = path.with_name(FILES["claims"])
    pairs = read_pairs(figure) if figure.is_file() else {}
    return SuiteClaims(
        f"{results.suite}, profile {results.profile}",
        heading(results),
        results.claims.source,
        tuple(verdict_cards(results, pairs, album)),
        rules(results),
    )


def reasons(group: BoardGroup) -> dict[str, str]:
    """List the cells without a number or rank by their reason: `CA of HiSD (R) (table2, profile quick)`."""
    cells: dict[str, dict[str, list[str]]] = {}
    for entry in group.rows:
        for metric, cell in zip(group.metrics, entry.cells, strict=True):
            if cell.why:
                row = f"{entry.row.label} ({source(entry.origin)})"
                cells.setdefault(cell.why, {}).setdefault(row, []).append(metric.label)
    return {
        why: "; ".join(f"{listed(labels)} of {row}" for row, labels in by_row.items()) for why, by_row in cells.items()
    }
