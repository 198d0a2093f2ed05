"""Ours beside the paper's: which number stands in which column, and whether the two may be subtracted.

Numbers of other pictures, other features, another size or another budget are shown side by side and never subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from benchmark.config.paper import PaperColumn, Published, load_published, paper_path
from benchmark.config.profiles import FULL_BUDGET
from benchmark.metrics.metric import Direction, Metric
from benchmark.metrics.registry import METRICS
from benchmark.protocol import SUBSETS, Subset
from benchmark.report.results import Features, Row, SuiteResults

COLUMNS: tuple[PaperColumn, ...] = get_args(PaperColumn)
"""The paper's columns in its order, also those of a suite that the paper has no table of."""
DATA_LABELS = {"rafd": "RaFD", "rendered": "rendered faces", "cfee": "CFEE"}
Verdict = Literal["better", "worse", "equal"]


@dataclass(frozen=True)
class Column:
    """A column of the paper, and what of ours stands in it."""

    name: str
    """The paper's heading."""
    ours: str
    """Our heading: another one where the features are others."""
    readings: Mapping[Subset, Metric]
    """Which of our metrics, by the row's subset: the paper's PSNR means two things."""
    obstacles: tuple[str, ...]
    """Why ours is not comparable with the paper's; empty if it is."""

    @property
    def direction(self) -> Direction | None:
        """Which way is better."""
        return next(iter(self.readings.values())).direction


@dataclass(frozen=True)
class Difference:
    """Ours less the paper's, both as printed."""

    value: float
    verdict: Verdict


@dataclass(frozen=True)
class Cell:
    """One row in one column. `spread` is None below two seeds; `reason` says why `ours` is None or of fewer seeds."""

    column: Column
    metric: Metric
    paper: float | None
    ours: float | None
    spread: float | None
    reason: str

    @property
    def difference(self) -> Difference | None:
        """None where there is nothing to compare, or no right to."""
        if self.paper is None or self.ours is None or self.column.obstacles:
            return None
        digits = self.metric.decimals
        # Of the printed numbers, so that a reader who subtracts finds the same; + 0.0 turns -0.0 into 0.0.
        value = round(round(self.ours, digits) - self.paper, digits) + 0.0
        if value == 0:
            return Difference(value, "equal")
        return Difference(value, "better" if (value < 0) == (self.metric.direction == "lower") else "worse")


@dataclass(frozen=True)
class ComparedRow:
    """A row with its cells in the order of the columns."""

    row: Row
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Comparison:
    """The main table: the rows that are not extended. `published` is None where there is nothing to stand beside."""

    results: SuiteResults
    published: Published | None
    columns: tuple[Column, ...]
    rows: tuple[ComparedRow, ...]


def compare(results: SuiteResults) -> Comparison:
    """Set every row beside the paper's. Raises UserError where the suite names a published table that is not there."""
    published = load_published(paper_path(results.paper_table)) if results.paper_table else None
    names = published.columns if published else COLUMNS
    columns = tuple(_column(name, results, published) for name in names)
    rows = (row for row in results.rows if not row.extended)
    return Comparison(results, published, columns, tuple(_compared(row, columns, published) for row in rows))


def controls(comparison: Comparison) -> Comparison:
    """The extended rows in the columns of the main table; the paper has none of them."""
    rows = (row for row in comparison.results.rows if row.extended)
    return replace(comparison, published=None, rows=tuple(_compared(row, comparison.columns, None) for row in rows))


def our_label(metric: Metric, features: Features) -> str:
    """The heading of a metric: a distance in other features than the published Inception's is not called FID."""
    return metric.heading(features.column)


def data_label(data: str) -> str:
    """A data set as the tables call it."""
    return DATA_LABELS.get(data, data)


def obstacles(column: str, results: SuiteResults, published: Published) -> tuple[str, ...]:
    """Why our numbers in a column of the paper can't be compared with the paper's; empty where they can.

    All columns: the paper's data set and picture size. Fréchet distances also: the published Inception weights, and a
    training as published, since a distance grows with every difference there is.
    """
    found = []
    if results.data != results.paper_data:
        found.append(f"measured on {data_label(results.data)} (the paper: {data_label(results.paper_data)})")
    if results.size != published.size:
        found.append(f"pictures of {results.size} px (the paper: {published.size} px)")
    if column.startswith("FID"):
        if not results.features.comparable:
            found.append(f"in the features of {results.features.name} (the paper: Inception as published)")
        if results.profile != FULL_BUDGET:
            found.append(f"trained by profile {results.profile} (the paper: in full)")
    return tuple(found)


def _column(name: str, results: SuiteResults, published: Published | None) -> Column:
    readings = {subset: _reading(name, subset) for subset in SUBSETS}
    ours = our_label(readings["F"], results.features) if name.startswith("FID") else name
    return Column(name, ours, readings, obstacles(name, results, published) if published else ())


def _reading(column: str, subset: Subset) -> Metric:
    return next(metric for metric in METRICS if metric.paper.get(subset) == column)


def _compared(row: Row, columns: Sequence[Column], published: Published | None) -> ComparedRow:
    return ComparedRow(row, tuple(_cell(row, column, published) for column in columns))


def _cell(row: Row, column: Column, published: Published | None) -> Cell:
    metric = column.readings[row.subset]
    paper = published.rows.get(row.id, {}).get(column.name) if published else None
    return Cell(column, metric, paper, row.mean(metric.key), row.spread(metric.key), why_not(row, metric.key))


def why_not(row: Row, metric: str) -> str:
    """Why a row has no number for a metric, or one of fewer seeds than were run; "" where it has all."""
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
