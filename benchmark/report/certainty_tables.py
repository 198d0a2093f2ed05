"""Tables of how sure the numbers are: ranks with ties, and every seed with the interval over seeds."""

from __future__ import annotations

from benchmark.report.results import Row, SuiteResults
from benchmark.report.tables import EMPTY, Entry, Heading, Table, bounds, measured_metrics, metric_heading, number
from benchmark.statistics.decisions import LEVEL, Rank
from benchmark.statistics.intervals import P_VALUE_SEEDS


def ranks_table(results: SuiteResults) -> Table | None:
    """The ranks that each row can have in each metric; None where no two rows can be ranked."""
    metrics = measured_metrics(results)
    ranked = [row for row in results.rows if any(summary.rank for summary in row.summary.values())]
    if not ranked:
        return None
    rows = [
        (Entry(row.marked_label), Entry(row.subset), *(Entry(_rank(row, metric.key)) for metric in metrics))
        for row in ranked
    ]
    headings = (
        Heading("", "Model", False), Heading("", "Data", False),
        *(Heading("", metric_heading(metric)) for metric in metrics),
    )  # fmt: skip
    note = (
        "Ranks that a row can have among those of equal data: rows are told apart if their difference over test people "
        f"is significant at {100 * LEVEL:g} %, all pairs corrected after Holm. Rows whose ranks overlap are tied."
    )
    return Table(f"Ranks of {results.suite}", f"{results.suite}-ranks", headings, tuple(rows), notes=(note,))


def _rank(row: Row, metric: str) -> str:
    rank = row.summary[metric].rank if metric in row.summary else None
    return str(Rank(*rank)) if rank else EMPTY


def seeds_table(results: SuiteResults) -> Table | None:
    """Every seed of every row and the t interval over seeds; None where no row has two."""
    rows = [row for row in results.rows if any(summary.seeds for summary in row.summary.values())]
    if not rows:
        return None
    metrics = measured_metrics(results)
    lines = []
    for row in rows:
        cells = []
        for metric in metrics:
            summary = row.summary.get(metric.key)
            values = ", ".join(number(value, metric.decimals) for value in row.values(metric.key)) or EMPTY
            interval = f" {bounds(summary.seeds, metric.decimals)}" if summary and summary.seeds else ""
            cells.append(Entry(values + interval))
        lines.append((Entry(row.marked_label), Entry(row.subset), *cells))
    headings = (
        Heading("", "Model", False), Heading("", "Data", False),
        *(Heading("", metric_heading(metric)) for metric in metrics),
    )  # fmt: skip
    few = min(len(row.seeds) for row in rows) < P_VALUE_SEEDS
    notes = (
        "Each seed, and the 95 % t interval of their mean: what other trainings would give.",
        *([f"With fewer than {P_VALUE_SEEDS} seeds no test can reject, so there is no p value."] if few else []),
    )
    return Table(f"Seeds of {results.suite}", f"{results.suite}-seeds", headings, tuple(lines), notes=notes)
