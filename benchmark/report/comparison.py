"""Compare measured numbers with the paper's: choose the columns, and decide whether the two may be subtracted.

Numbers of other pictures, other features, another size or another budget are shown side by side and never subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from benchmark.config.paper import PaperColumn, Published, load_published, paper_path
from benchmark.config.profiles import FULL_BUDGET
from benchmark.metrics.metric import MetricDescription
from benchmark.protocol import Subset
from benchmark.report.results import ReferenceNumber, ReferenceResults, Row, SuiteResults

DATA_LABELS = {"rafd": "RaFD", "rendered": "rendered faces", "cfee": "CFEE"}
Verdict = Literal["better", "worse", "equal"]


@dataclass(frozen=True)
class Column:
    """A metric, and the paper's column beside it, or ""."""

    metric: MetricDescription
    paper: str
    obstacles: tuple[str, ...]
    """Why the two cannot be compared; empty if they can."""


@dataclass(frozen=True)
class Difference:
    """Difference, ours minus the paper's, of the printed numbers."""

    value: float
    verdict: Verdict
    decimals: int = 2


@dataclass(frozen=True)
class Cell:
    """One row in one column.

    reference: the stored result, or None. spread: over seeds, None below two. interval: over test identities, None
    below two. reason: why `ours` is None or of fewer seeds.
    """

    column: Column
    beside: bool
    """Whether the metric is what the paper's column measures in rows of this subset."""
    paper: float | None
    reference: ReferenceNumber | None
    ours: float | None
    spread: float | None
    interval: tuple[float, float] | None
    reason: str

    @property
    def metric(self) -> MetricDescription:
        """What was measured."""
        return self.column.metric

    @property
    def difference(self) -> Difference | None:
        """The difference; None if a number is missing or the two may not be compared."""
        if self.paper is None or self.ours is None or self.column.obstacles:
            return None
        digits = self.metric.decimals
        # Subtract the printed numbers, as a reader would; + 0.0 turns -0.0 into 0.0.
        value = round(round(self.ours, digits) - self.paper, digits) + 0.0
        if value == 0:
            return Difference(value, "equal", digits)
        better = (value < 0) == (self.metric.direction == "lower")
        return Difference(value, "better" if better else "worse", digits)


@dataclass(frozen=True)
class ComparedRow:
    """A row with its cells in the order of the columns."""

    row: Row
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Comparison:
    """The main table: the rows that are not extended. published: None without a published table."""

    results: SuiteResults
    published: Published | None
    columns: tuple[Column, ...]
    rows: tuple[ComparedRow, ...]


def compare(results: SuiteResults) -> Comparison:
    """Compare each row with the paper's. Raises UserError if the suite's published table does not exist."""
    published = load_published(paper_path(results.paper_table)) if results.paper_table else None
    rows = [row for row in results.rows if not row.extended]
    subsets = list(dict.fromkeys(row.subset for row in rows))
    columns = tuple(_column(metric, results, published, subsets) for metric in _metrics(results, published, subsets))
    return Comparison(
        results, published, columns, tuple(_compared(row, columns, published, results.reference) for row in rows)
    )


def _metrics(results: SuiteResults, published: Published | None, subsets: Sequence[Subset]) -> list[MetricDescription]:
    """Return the main table's columns: the suite's, else all readings of the paper's columns for these subsets."""
    if results.columns:
        return named(results, results.columns)
    return [
        metric
        for column in (published.columns if published else get_args(PaperColumn))
        for metric in results.metrics
        if any(metric.paper.get(subset) == column for subset in subsets)
    ]


def named(results: SuiteResults, keys: Sequence[str]) -> list[MetricDescription]:
    """Return the metrics of these keys in their order, without those that were not measured."""
    by_key = {metric.key: metric for metric in results.metrics}
    return [by_key[key] for key in keys if key in by_key]


def extra_metrics(comparison: Comparison) -> list[MetricDescription]:
    """Return the extended table's further metrics: the suite's, else all that are not in the main table."""
    results = comparison.results
    main = {column.metric.key for column in comparison.columns}
    return [
        metric
        for metric in (named(results, results.extra_columns) if results.extra_columns else results.metrics)
        if metric.key not in main
    ]


def controls(comparison: Comparison) -> Comparison:
    """Return the extended rows in the columns of the main table; the paper has none of them."""
    rows = (row for row in comparison.results.rows if row.extended)
    reference = comparison.results.reference
    compared = (_compared(row, comparison.columns, None, reference) for row in rows)
    return replace(comparison, published=None, rows=tuple(compared))


def data_label(data: str) -> str:
    """Return the name of a data set in tables."""
    return DATA_LABELS.get(data, data)


def obstacles(column: str, results: SuiteResults, published: Published) -> tuple[str, ...]:
    """Return why our numbers cannot be compared with a column of the paper; empty if they can.

    All columns: the paper's data set and picture size. Fréchet distances also: the published Inception weights, and a
    training as published, since each difference makes a distance larger.
    """
    reasons = []
    if results.data != results.paper_data:
        reasons.append(f"measured on {data_label(results.data)} (the paper: {data_label(results.paper_data)})")
    if results.size != published.size:
        reasons.append(f"pictures of {results.size} px (the paper: {published.size} px)")
    if column.startswith("FID"):
        if not results.features.comparable:
            reasons.append(f"in the features of {results.features.name} (the paper: Inception as published)")
        if results.profile != FULL_BUDGET:
            reasons.append(f"trained by profile {results.profile} (the paper: in full)")
    return tuple(reasons)


def _column(
    metric: MetricDescription, results: SuiteResults, published: Published | None, subsets: Sequence[Subset]
) -> Column:
    if published is None:
        return Column(metric, "", ())
    paper = next((metric.paper[subset] for subset in subsets if metric.paper.get(subset) in published.columns), "")
    return Column(metric, paper, obstacles(paper, results, published) if paper else ())


def _compared(
    row: Row, columns: Sequence[Column], published: Published | None, reference: ReferenceResults | None
) -> ComparedRow:
    stored = reference.rows[row.id].numbers if reference and row.id in reference.rows else {}
    return ComparedRow(row, tuple(_cell(row, column, published, stored.get(column.metric.key)) for column in columns))


def _cell(row: Row, column: Column, published: Published | None, reference: ReferenceNumber | None) -> Cell:
    metric = column.metric
    beside = bool(column.paper) and metric.paper.get(row.subset) == column.paper
    paper = published.rows.get(row.id, {}).get(column.paper) if published and beside else None
    return Cell(
        column, beside, paper, reference, row.mean(metric.key), row.spread(metric.key), row.interval(metric.key),
        why_not(row, metric.key),
    )  # fmt: skip


def why_not(row: Row, metric: str) -> str:
    """Return why a row has no number for a metric, or one of fewer seeds than were run; "" if it has all."""
    if row.missing:
        return f"not available: {row.missing}"
    reasons = {
        scores.reasons.get(metric, "no reason was recorded")
        for scores in row.seeds.values()
        if scores.metrics.get(metric) is None
    }
    have = len(row.values(metric))
    text = "; ".join(sorted(reasons))
    return f"only {have} of {len(row.seeds)} seeds: {text}" if reasons and have else text
