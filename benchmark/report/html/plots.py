"""Coordinates of the marks of the page's plots, for the templates that draw them as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.metrics.metric import MetricDescription
from benchmark.protocol import Subset
from benchmark.report.comparison import Comparison
from benchmark.report.figures import SUBSET_NAMES
from benchmark.report.html.labels import Label, place_labels
from benchmark.report.notes import BETTER
from benchmark.report.results import ReferenceRow, Row, SuiteResults

WIDTH, LABELS, LINE, HEAD, FOOT, PAD = 380.0, 122.0, 21.0, 10.0, 24.0, 14.0
"""Strip plot in SVG units: width, width of the names, height of a row, margins above, below and right of the axis."""
PLANE = (460.0, 380.0, 58.0, 18.0, 12.0, 46.0)
"""The plane: width, height, and the margins left, right, above, below."""

TRUTH = "truth"
"""Prefix of the ids of rows of true pictures."""


@dataclass(frozen=True)
class Axis:
    """A linear scale from numbers to coordinates, with its ticks."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the coordinate of a number."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Return coordinates and labels of round numbers."""
        from matplotlib.ticker import MaxNLocator

        values = [value for value in MaxNLocator(5).tick_values(self.low, self.high) if self.low <= value <= self.high]
        return [(self.at(value), f"{value:g}") for value in values]


@dataclass(frozen=True)
class Mark:
    """A point and its title. failed: of a training that failed."""

    x: float
    title: str
    failed: bool = False


@dataclass(frozen=True)
class StripRow:
    """A row of a strip plot: every seed, the interval over identities, the paper's number, the stored result."""

    label: str
    failed: bool
    y: float
    seeds: tuple[Mark, ...]
    mean: Mark
    interval: tuple[float, float] | None
    paper: Mark | None
    reference: Mark | None


@dataclass(frozen=True)
class StripPlot:
    """A metric: a row for each row of the suite that has it, seeds as points on one axis."""

    heading: str
    direction: str
    words: str
    height: float
    axis: Axis
    rows: tuple[StripRow, ...]


def strip_plots(results: SuiteResults, comparison: Comparison) -> list[StripPlot]:
    """Make a strip plot for every metric that a row has."""
    paper = {
        (compared.row.id, cell.metric.key): cell.paper
        for compared in comparison.rows
        for cell in compared.cells
        if cell.paper is not None and not cell.column.obstacles
    }
    plots = (_strip(results, metric, paper) for metric in results.metrics)
    return [plot for plot in plots if plot is not None]


def _strip(results: SuiteResults, metric: MetricDescription, paper: dict[tuple[str, str], float]) -> StripPlot | None:
    rows = [row for row in results.rows if row.values(metric.key)]
    if not rows:
        return None
    numbers = [value for row in rows for value in row.values(metric.key)]
    numbers += [bound for row in rows for bound in row.interval(metric.key) or ()]
    numbers += [value for row in rows if (value := paper.get((row.id, metric.key))) is not None]
    stored = _stored(results, metric)
    numbers += [stored[row.id].numbers[metric.key].mean for row in rows if row.id in stored]
    axis = axis_of(numbers, LABELS, WIDTH - PAD)
    drawn = tuple(
        _strip_row(row, metric, axis, HEAD + (index + 0.5) * LINE, paper.get((row.id, metric.key)), stored.get(row.id))
        for index, row in enumerate(rows)
    )
    words = "; ".join(f"{row.marked_label} on {row.subset} {row.mean(metric.key):.{metric.decimals}f}" for row in rows)
    return StripPlot(metric.label, metric.direction, words, HEAD + len(rows) * LINE + FOOT, axis, drawn)


def _stored(results: SuiteResults, metric: MetricDescription) -> dict[str, ReferenceRow]:
    """Return the stored results that have a metric, by row; none of a metric of sets in other features."""
    stored = results.reference
    if stored is None or (metric.per == "set" and stored.column != results.features.column):
        return {}
    return {name: row for name, row in stored.rows.items() if metric.key in row.numbers}


def _strip_row(
    row: Row, metric: MetricDescription, axis: Axis, y: float, paper: float | None, stored: ReferenceRow | None
) -> StripRow:
    digits = metric.decimals
    seeds = tuple(
        Mark(
            axis.at(value),
            f"seed {seed}: {value:.{digits}f}{', failed' if seed in row.failed else ''}",
            seed in row.failed,
        )
        for seed, scores in row.seeds.items()
        if (value := scores.metrics.get(metric.key)) is not None
    )
    mean, interval = row.mean(metric.key), row.interval(metric.key)
    assert mean is not None
    words = f"{row.marked_label} on {row.subset}: {mean:.{digits}f}"
    if interval:
        words += f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
    reference = None
    if stored is not None:
        beside = stored.numbers[metric.key].mean
        reference = Mark(
            axis.at(beside), f"reference: {beside:.{digits}f}{', failed' if stored.failed else ''}", bool(stored.failed)
        )
    return StripRow(
        f"{row.label} {row.subset}",
        bool(row.failed),
        y,
        seeds,
        Mark(axis.at(mean), words),
        (axis.at(interval[0]), axis.at(interval[1])) if interval else None,
        None if paper is None else Mark(axis.at(paper), f"paper: {paper:g}"),
        reference,
    )


def axis_of(numbers: Sequence[float], start: float, end: float, padding: float = 0.06) -> Axis:
    """Make an axis that holds all numbers, with some space at both ends."""
    low, high = min(numbers), max(numbers)
    space = (high - low) * padding or max(abs(high) * 0.05, 0.5)
    return Axis(low - space, high + space, start, end)


# ---------------------------------------------------------------------------------------------- the plane
@dataclass(frozen=True)
class PlanePoint:
    """A row in the plane, and its name."""

    label: str
    failed: bool
    corner: bool
    x: float
    y: float
    name: Label
    across: tuple[float, float] | None
    up: tuple[float, float] | None
    title: str


@dataclass(frozen=True)
class Plane:
    """Rows by two metrics, of one subset. truth: where the true pictures lie."""

    heading: str
    x_label: str
    y_label: str
    x_axis: Axis
    y_axis: Axis
    points: tuple[PlanePoint, ...]
    truth: tuple[float, float] | None


def planes(results: SuiteResults, across: MetricDescription, up: MetricDescription) -> list[Plane]:
    """Make a plane for each subset whose rows have both metrics; rows without a method are its corners."""
    drawn = []
    for subset in dict.fromkeys(row.subset for row in results.rows):
        rows, corners = (
            [
                row for row in group
                if row.subset == subset and row.values(across.key) and row.values(up.key) and not row.same_as
            ]
            for group in (results.rows, results.corners)
        )  # fmt: skip
        if rows:
            drawn.append(_plane(subset, rows, corners, across, up))
    return drawn


def _plane(
    subset: Subset, measured: Sequence[Row], corners: Sequence[Row], across: MetricDescription, up: MetricDescription
) -> Plane:
    width, height, left, right, top, bottom = PLANE
    rows = [*measured, *corners]
    x_axis = axis_of(list(_numbers(rows, across)), left, width - right, 0.09)
    y_axis = axis_of(list(_numbers(rows, up)), height - bottom, top, 0.07)
    positions = [(x_axis.at(_mean(row, across)), y_axis.at(_mean(row, up))) for row in rows]
    names = place_labels(positions, [row.marked_label for row in rows], (left, top, width, height - bottom))
    points = tuple(
        _point(row, position, row in corners, (across, up), (x_axis, y_axis), name)
        for row, position, name in zip(rows, positions, names, strict=True)
    )
    truth = next((position for row, position in zip(rows, positions, strict=True) if row.id.startswith(TRUTH)), None)
    x_label, y_label = (f"{metric.label} ({BETTER[metric.direction]})" for metric in (across, up))
    return Plane(SUBSET_NAMES[subset], x_label, y_label, x_axis, y_axis, points, truth)


def _point(
    row: Row,
    position: tuple[float, float],
    corner: bool,
    metrics: tuple[MetricDescription, MetricDescription],
    axes: tuple[Axis, Axis],
    name: Label,
) -> PlanePoint:
    """Make the point of a row."""
    x, y = position
    arms = []
    for metric, axis in zip(metrics, axes, strict=True):
        interval = row.interval(metric.key)
        arms.append((axis.at(interval[0]), axis.at(interval[1])) if interval and not corner else None)
    numbers = (f"{metric.label} {_mean(row, metric):.{metric.decimals}f}" for metric in metrics)
    return PlanePoint(
        row.marked_label, bool(row.failed), corner, x, y, name, arms[0], arms[1],
        f"{row.marked_label}: {', '.join(numbers)}",
    )  # fmt: skip


def _mean(row: Row, metric: MetricDescription) -> float:
    mean = row.mean(metric.key)
    assert mean is not None
    return mean


def _numbers(rows: Sequence[Row], metric: MetricDescription) -> Iterable[float]:
    for row in rows:
        yield _mean(row, metric)
        yield from row.interval(metric.key) or ()
