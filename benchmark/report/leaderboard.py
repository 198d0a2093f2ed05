"""Compare rows of several results: rank those that are comparable, and give the reason for all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UserError, unknown
from benchmark.metrics.metric import Direction, MetricDescription
from benchmark.report.comparison import data_label, why_not
from benchmark.report.figures import SUBSET_NAMES
from benchmark.report.results import Row, SuiteResults, load_results
from benchmark.report.row_lookup import FoundRow, apart, obstacle, result_files
from benchmark.report.tables import edits
from benchmark.statistics.decisions import Rank, rank_intervals

UNRANKED: Direction = "one"
"""Direction of metrics without ranks: their differences do not say which row is better."""


@dataclass(frozen=True)
class BoardCell:
    """A metric of a row. why: the reason for a missing number or rank, or ""."""

    value: float | None
    spread: float | None
    interval: tuple[float, float] | None
    rank: Rank | None
    why: str


@dataclass(frozen=True)
class BoardRow:
    """A row, its results, and its cells in the order of the group's metrics."""

    origin: FoundRow
    also: tuple[str, ...]
    cells: tuple[BoardCell, ...]

    @property
    def row(self) -> Row:
        """The row in its results."""
        return self.origin.row


@dataclass(frozen=True)
class BoardGroup:
    """Rows with the same list of edits. why: how they differ from the first group's, as a predicate, or "".

    Rows are sorted by their first metric; those that are not comparable in it come last."""

    heading: str
    why: str
    metrics: tuple[MetricDescription, ...]
    rows: tuple[BoardRow, ...]


def find_results(paths: Sequence[Path]) -> tuple[list[tuple[Path, SuiteResults]], list[str]]:
    """Load the results at paths, each file once; also return a line for each file that cannot be read.

    Raises UserError for a path without results, or with a single file that cannot be read.
    """
    results: dict[Path, SuiteResults] = {}
    unread = []
    for path in paths:
        files = result_files(path)
        for file in files:
            if file.resolve() in {other.resolve() for other in results}:
                continue
            try:
                results[file] = load_results(file)
            except UserError as error:
                if len(files) == 1:
                    raise
                unread.append(str(error))
    if not results:
        raise UserError(unread[0])
    return list(results.items()), unread


def board(entries: Sequence[tuple[Path, SuiteResults]], keys: Sequence[str] = ()) -> list[BoardGroup]:
    """Group comparable rows, in the order of the first rows. keys: of the metrics to show; all if empty.

    Raises UserError for a metric that no result has, or if no row has a number.
    """
    known = dict.fromkeys(metric.key for _, results in entries for metric in results.metrics)
    for key in keys:
        if key not in known:
            raise unknown("metric", key, known, "in these results")
    groups: list[list[FoundRow]] = []
    also: dict[int, list[str]] = {}
    for path, results in entries:
        for row in results.rows:
            entry = FoundRow(row.id, path, results, row)
            if not row.seeds:
                continue
            group = next((group for group in groups if not apart(group[0], entry)), None)
            if group is None:
                groups.append([entry])
                continue
            same = next((other for other in group if other.row.seeds == row.seeds), None)
            if same is None:
                group.append(entry)
            elif same.path != path:
                name = "" if row.label == same.row.label else f"{row.label} "
                also.setdefault(id(same), []).append(f"{name}in {source(entry)}")
    if not groups:
        raise UserError("these results have no row with a number")
    tables = []
    for index, group in enumerate(groups):
        why = apart(groups[0][0], group[0]) if index else ""
        tables.append(_group(group, why, keys or list(known), also))
    return tables


def source(entry: FoundRow) -> str:
    """Name results by suite and profile: `table1, profile quick`."""
    return f"{entry.results.suite}, profile {entry.results.profile}"


def _group(rows: Sequence[FoundRow], why: str, keys: Sequence[str], also: Mapping[int, list[str]]) -> BoardGroup:
    described: dict[str, MetricDescription] = {}
    for entry in rows:
        for metric in entry.results.metrics:
            if entry.row.values(metric.key):
                described.setdefault(metric.key, metric)
    metrics = tuple(described[key] for key in keys if key in described)
    columns = [_column(rows, metric) for metric in metrics]
    lines = [
        BoardRow(entry, tuple(also.get(id(entry), ())), tuple(column[index] for column in columns))
        for index, entry in enumerate(rows)
    ]
    ordered = sorted(lines, key=_order(metrics[0])) if metrics else lines
    return BoardGroup(_heading(rows[0]), why, metrics, tuple(ordered))


def _order(metric: MetricDescription) -> Callable[[BoardRow], tuple[bool, float]]:
    """Return a sort key: the best first in a metric, rows that are not comparable in it last."""

    def key(entry: BoardRow) -> tuple[bool, float]:
        cell = entry.cells[0]
        if cell.value is None:
            return True, 0.0
        off = {"lower": cell.value, "higher": -cell.value, "one": abs(cell.value - 1)}
        return bool(cell.why), off[metric.direction]

    return key


def _heading(entry: FoundRow) -> str:
    results = entry.results
    kind = "" if results.faces == "aligned" else ", not aligned"
    return (
        f"{data_label(results.data)[0].upper()}{data_label(results.data)[1:]}, {results.size} px{kind}: "
        f"{SUBSET_NAMES[entry.row.subset]}, {edits(entry.row)} edits of {results.test_identities} people"
    )


def _column(rows: Sequence[FoundRow], metric: MetricDescription) -> list[BoardCell]:
    """Make the cells of a metric; rows measured like the first row that has it are ranked."""
    first = next(entry for entry in rows if entry.row.values(metric.key))
    reasons = {
        index: "" if entry is first else _why(first, entry, metric) for index, entry in enumerate(rows)
    }  # fmt: skip
    estimates = {}
    for index, entry in enumerate(rows):
        sample = entry.row.sample(metric) if not reasons[index] else None
        if sample is not None and sample.over_identities is not None and metric.direction != UNRANKED:
            estimates[str(index)] = sample.over_identities
    ranks = rank_intervals(estimates, metric.direction == "higher") if len(estimates) > 1 else {}
    return [
        BoardCell(
            entry.row.mean(metric.key), entry.row.spread(metric.key), entry.row.interval(metric.key),
            ranks.get(str(index)), reasons[index],
        )
        for index, entry in enumerate(rows)
    ]  # fmt: skip


def _why(first: FoundRow, entry: FoundRow, metric: MetricDescription) -> str:
    """Return why a row is not ranked with the first one, or ""."""
    if not entry.row.values(metric.key):
        return why_not(entry.row, metric.key) or "not measured"
    sample = entry.row.sample(metric)
    if sample is None or sample.over_identities is None:
        return ""
    reason = obstacle(metric, first, entry)
    return f"not comparable: {reason}" if reason else ""
