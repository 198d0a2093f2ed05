"""Tables of uncertainty: ranks with ties, and every seed with the interval over seeds."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.metrics.metric import MetricDescription
from benchmark.metrics.own_network import OWN_DISTANCE
from benchmark.report.results import Row, SuiteResults
from benchmark.report.tables import EMPTY, Entry, Heading, Table, bounds, measured_metrics, metric_heading, number
from benchmark.statistics.agreement import rank_agreement
from benchmark.statistics.decisions import LEVEL, Rank
from benchmark.statistics.intervals import P_VALUE_SEEDS


def ranks_table(results: SuiteResults) -> Table | None:
    """Return the possible ranks of each row in each metric; None if no two rows can be ranked."""
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


ORDERING = ("fid", "fd_faces", "kid", "fid_cropped", "psnr_true", "ca", "editing")
"""Keys of metrics: the order of the rows by each, and by each metric in the user's own networks, is compared with that
by the first."""


def agreement_table(results: SuiteResults) -> Table | None:
    """Kendall's tau of the rows' order by FID and by other metrics; None for fewer than three rows of a subset."""
    measured = {metric.key: metric for metric in results.metrics}
    own = [key for key in measured if OWN_DISTANCE.fullmatch(key)]
    metrics = [measured[key] for key in (*ORDERING, *own) if key in measured]
    lines = []
    for subset in results.test_images:
        rows = [row for row in results.rows if row.subset == subset and row.seeds and not row.same_as]
        taus = [_agreement(rows, metrics[0], other) for other in metrics[1:]]
        if any(tau is not None for tau in taus):
            entries = (Entry(EMPTY if tau is None else number(tau, 2)) for tau in taus)
            lines.append((Entry(subset), Entry(str(len(rows))), *entries))
    if not lines:
        return None
    headings = (
        Heading("", "Data", False), Heading("", "Rows"), *(Heading("", metric.label) for metric in metrics[1:]),
    )  # fmt: skip
    note = (
        f"Kendall's tau of the rows' order by {metrics[0].label} and by each other metric, the better row first in "
        "both: 1 for the same order, 0 for none in common, -1 for the opposite."
    )
    title = f"Agreement of rankings of {results.suite}"
    return Table(title, f"{results.suite}-agreement", headings, tuple(lines), notes=(note,))


def _agreement(rows: Sequence[Row], first: MetricDescription, second: MetricDescription) -> float | None:
    known = [row for row in rows if row.mean(first.key) is not None and row.mean(second.key) is not None]
    values = [
        [(row.mean(metric.key) or 0.0) * (1 if metric.direction == "lower" else -1) for row in known]
        for metric in (first, second)
    ]
    return rank_agreement(*values)


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
