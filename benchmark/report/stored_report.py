"""Stored results of the same suite, whose numbers are a column of the main table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.config.reference import REPORTS
from benchmark.core.errors import UserError
from benchmark.core.hashes import sha256_of
from benchmark.report.results import ReferenceNumber, ReferenceResults, ReferenceRow, Row, SuiteResults, load_results

RESULTS = "results.json"
ENOUGH = 3
"""Smallest number of seeds for an interval over seeds; of two, it would be nine standard deviations wide."""


@dataclass(frozen=True)
class StoredReport:
    """Stored results of a suite. digest: SHA-256 of their file."""

    results: SuiteResults
    digest: str


def stored_report(root: Path, suite: str, faces: str) -> StoredReport | None:
    """Return the stored results of a suite; None if there are none of these faces (a content key).

    Raises UserError if they cannot be read.
    """
    path = root / REPORTS / suite / RESULTS
    if not path.exists():
        return None
    try:
        report = StoredReport(load_results(path), sha256_of(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    return report if faces in report.results.keys.values() else None


def reference_results(stored: StoredReport) -> ReferenceResults:
    """Return means and intervals of all measured rows."""
    results = stored.results
    return ReferenceResults(
        results.profile, results.features.column, {row.id: _row(row) for row in results.rows if row.seeds}
    )


def _row(row: Row) -> ReferenceRow:
    over_seeds = len(row.seeds) >= ENOUGH
    numbers = {
        key: ReferenceNumber(summary.mean, summary.seeds if over_seeds else summary.identities)
        for key, summary in row.summary.items()
    }
    edits = max(scores.edits for scores in row.seeds.values())
    return ReferenceRow(tuple(row.seeds), edits, "seeds" if over_seeds else "identities", numbers, row.failed)
