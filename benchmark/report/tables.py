"""The tables of a report, independent of the format: headings, entries, footnotes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.core.progress import duration
from benchmark.metrics.metric import Direction, MetricDescription
from benchmark.protocol import EXPRESSIONS
from benchmark.report.comparison import Cell, Column, Comparison, Difference, compare, extra_metrics, named, why_not
from benchmark.report.notes import (
    failure_note,
    interval_note,
    not_as_published,
    notes,
    overrides_note,
    reader_notes,
    same_run_notes,
    seeds_note,
    sentence,
    settings_text,
)
from benchmark.report.results import ReferenceResults, ReferenceRow, Row, SuiteResults

EMPTY = "–"
REAL = "real pictures"
ELSEWHERE = "elsewhere"
"""Printed for the training time of checkpoints that were trained elsewhere."""
NOT_STORED = "no reference result of this row is stored"
STEP_METRICS = ("fid", "psnr_true", "ca")
"""Keys of the metrics whose changes the steps table shows, unless the suite names its columns."""
ARROWS: dict[Direction, str] = {"lower": "↓", "higher": "↑", "one": "→ 1"}


@dataclass(frozen=True)
class Heading:
    """A heading of two lines; adjacent columns of the same `group` share the first where a format can."""

    group: str
    text: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Entry:
    """A cell: its text, the footnotes it points at (from 1), and the difference from the paper's."""

    text: str
    marks: tuple[int, ...] = ()
    difference: Difference | None = None


@dataclass(frozen=True)
class Table:
    """A table, independent of the format. label: the key by which LaTeX refers to it."""

    title: str
    label: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Entry, ...], ...]
    footnotes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Footnotes:
    """Collect footnotes in the order of their first use; equal texts share a footnote."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> tuple[int, ...]:
        """The number of a footnote, or nothing for no text."""
        if not text:
            return ()
        text = sentence(text)
        if text not in self.texts:
            self.texts.append(text)
        return (self.texts.index(text) + 1,)


# ---------------------------------------------------------------------------------------------- the tables
def main_table(comparison: Comparison) -> Table:
    """The suite's rows and columns, each with the paper's value, if it has one, and the measured one.

    A column of the paper stands before the first of the metrics that are set beside it.
    """
    results, footnotes = comparison.results, Footnotes()
    columns = [(column, _is_first(index, comparison)) for index, column in enumerate(comparison.columns)]
    heads = [Heading("", "Model", False), Heading("", "Data", False)]
    for column, first in columns:
        *theirs, ours = headings(column)
        heads += [Heading(heading, "paper") for heading in theirs if first]
        heads += [Heading(ours, "reference")] if results.reference else []
        heads.append(Heading(ours, "measured"))
    rows = []
    for compared in comparison.rows:
        row = compared.row
        entries = [model(row, results, footnotes), Entry(row.subset)]
        for (column, first), cell in zip(columns, compared.cells, strict=True):
            if first:
                published = (other.paper for other in compared.cells if other.column.paper == column.paper)
                paper = next((value for value in published if value is not None), None)
                entries.append(Entry(number(paper, cell.metric.decimals)))
            if results.reference:
                entries.append(reference(cell, row, results.reference, footnotes))
            entries.append(measured(cell, footnotes))
        rows.append((*entries, Entry(edits(row))))
    heads.append(Heading("", "N"))
    return Table(results.title, results.suite, tuple(heads), tuple(rows), tuple(footnotes.texts), notes(comparison))


def _is_first(index: int, comparison: Comparison) -> bool:
    """Whether the paper's column is shown before a column: before the first of adjacent ones with the same."""
    paper = comparison.columns[index].paper
    return bool(paper) and (index == 0 or comparison.columns[index - 1].paper != paper)


def measures_table(results: SuiteResults) -> Table:
    """Make the extended table: every metric of every row, or those that the suite names."""
    footnotes, metrics = Footnotes(), measured_metrics(results)
    heads = [Heading("", "Model", False), Heading("", "Data", False)]
    heads += [Heading("", metric_heading(metric)) for metric in metrics]
    rows = []
    for row in results.rows:
        entries = [model(row, results, footnotes), Entry(row.subset)]
        for metric in metrics:
            text = number(row.mean(metric.key), metric.decimals, row.spread(metric.key), row.interval(metric.key))
            entries.append(Entry(text, footnotes.mark(why_not(row, metric.key))))
        rows.append((*entries, Entry(edits(row))))
    for row in results.corners:
        numbers = [number(row.mean(each.key), each.decimals, None, row.interval(each.key)) for each in metrics]
        marks = [footnotes.mark(row.seeds[0].reasons.get(each.key, "")) for each in metrics]
        cells = [Entry(text, mark) for text, mark in zip(numbers, marks, strict=True)]
        rows.append((Entry(row.label), Entry(row.subset), *cells, Entry(edits(row))))
    heads.append(Heading("", "N"))
    return Table(
        f"All measures of {results.suite}", f"{results.suite}-measures", tuple(heads), tuple(rows),
        tuple(footnotes.texts),
        tuple(
            filter(
                None,
                (
                    seeds_note(results),
                    interval_note(results),
                    *reader_notes(results),
                    overrides_note(results),
                    *same_run_notes(results, results.rows),
                ),
            )
        ),
    )  # fmt: skip


def measured_metrics(results: SuiteResults) -> Sequence[MetricDescription]:
    """Return every metric, or those that the suite names."""
    if not results.extra_columns:
        return results.metrics
    comparison = compare(results)
    return [*(column.metric for column in comparison.columns), *extra_metrics(comparison)]


def steps_table(results: SuiteResults) -> Table | None:
    """Make the table of changes between a row and the row above it; None if the rows are no steps."""
    if not results.ladder:
        return None
    metrics = named(results, results.columns or STEP_METRICS)
    rows, above = [], None
    for row in results.rows:
        entries = [Entry(row.marked_label), Entry(row.method), Entry(step(above, row) if row.training else EMPTY)]
        changes = (_change(above, row, metric) for metric in metrics)
        rows.append((*entries, *map(Entry, changes)))
        above = row if row.training else above
    headings = [
        Heading("", "Model", False),
        Heading("", "Method", False),
        Heading("", "Differs from the row above in", False),
    ]
    headings += [Heading("", metric_heading(metric)) for metric in metrics]
    return Table(
        f"Steps of {results.suite}", f"{results.suite}-steps", tuple(headings), tuple(rows),
        notes=(
            "Read off the settings in force; a row that could not be run is passed over. The numbers are what the step "
            "adds to the mean.",
        ),
    )  # fmt: skip


def step(above: Row | None, row: Row) -> str:
    """Return the settings in which trained rows differ: `classes: "per-batch" to "per-sample"`."""
    if above is None or above.training is None or row.training is None:
        return EMPTY
    old, new = above.training, row.training
    parts = [f"method: {above.method} to {row.method}"] if row.method != above.method else []
    if parts and row.variant:
        parts[0] += f" with {settings_text(row.variant)}"
    if row.guide != above.guide:
        parts.append(f"guide: {above.guide} to {row.guide}")
    if row.subset != above.subset:
        parts.append(f"data: {above.subset} to {row.subset}")
    if old.iterations != new.iterations:
        parts.append(f"iterations: {_whole(old.iterations)} to {_whole(new.iterations)}")
    shared = [name for name in new.settings if name in old.settings and old.settings[name] != new.settings[name]]
    parts += [f"{name}: {_value(old.settings[name])} to {_value(new.settings[name])}" for name in shared]
    return "; ".join(parts) or "nothing: one and the same run"


def cost_table(results: SuiteResults, timings: Mapping[str, float]) -> Table:
    """Make the table of the cost of each row's training."""
    headings = ("Iterations", "Images seen", "Updates", "Parameters (million)", "Training time")
    rows = []
    for row in results.rows:
        cost = row.training
        if cost is None:
            texts = [EMPTY] * len(headings)
        else:
            texts = [
                _whole(cost.iterations),
                _whole(cost.images_seen),
                _by_name(cost.updates, lambda count: f"{count:,}"),
                _by_name(cost.parameters, lambda count: f"{count / 1e6:.2f}"),
                training_time(row, timings),
            ]
        rows.append((Entry(row.marked_label), Entry(row.subset), *map(Entry, texts)))
    return Table(
        f"Training of {results.suite}",
        f"{results.suite}-training",
        (Heading("", "Model", False), Heading("", "Data", False), *(Heading("", text) for text in headings)),
        tuple(rows),
        notes=("Rows of equal method, settings and subset share one training. The time is a mean over seeds.",),
    )


def expressions_table(results: SuiteResults) -> Table:
    """Make the table of CA by target expression, with the judge's accuracy on real pictures."""
    rows = []
    for row in results.rows:
        shares = [_mean(scores.ca_by_expression.get(name) for scores in row.seeds.values()) for name in EXPRESSIONS]
        rows.append((Entry(row.marked_label), Entry(row.subset), *(Entry(number(share, 1)) for share in shares)))
    for subset, judges in results.judges.items():
        shares = [_mean(judge.by_expression.get(name) for judge in judges.values()) for name in EXPRESSIONS]
        rows.append((Entry(REAL), Entry(subset), *(Entry(number(share, 1)) for share in shares)))
    for subset, reading in results.readings.items() if results.faces == "nonaligned" else ():
        shares = [reading.by_expression.get(name) for name in EXPRESSIONS]
        rows.append((Entry(f"{REAL}, not aligned"), Entry(subset), *(Entry(number(share, 1)) for share in shares)))
    return Table(
        "CA by target expression (%)",
        f"{results.suite}-expressions",
        (Heading("", "Model", False), Heading("", "Data", False), *(Heading("", name) for name in EXPRESSIONS)),
        tuple(rows),
        notes=("The rows of real pictures are the judge's own accuracy.",) if results.judges else (),
    )


# ---------------------------------------------------------------------------------------------- entries
def model(row: Row, results: SuiteResults, footnotes: Footnotes) -> Entry:
    """Return a row's label with its footnotes."""
    remarks = (failure_note(row), row.note, not_as_published(row, results), row.footnote, row.origin)
    marks = tuple(sorted({mark for text in remarks for mark in footnotes.mark(text)}))
    return Entry(row.marked_label, marks)


def measured(cell: Cell, footnotes: Footnotes) -> Entry:
    """Return the measured number with spread and interval, or a dash and the reason."""
    text = number(cell.ours, cell.metric.decimals, cell.spread, cell.interval)
    return Entry(text, footnotes.mark(cell.reason), cell.difference)


def reference(cell: Cell, row: Row, stored: ReferenceResults, footnotes: Footnotes) -> Entry:
    """Return the stored number with its interval, or a dash and the reason; marked if a stored training failed."""
    if cell.reference is None:
        return Entry(EMPTY, footnotes.mark("" if row.id in stored.rows else NOT_STORED))
    text = number(cell.reference.mean, cell.metric.decimals, None, cell.reference.interval)
    return Entry(text, footnotes.mark(stored_failure_note(stored.rows[row.id])))


def stored_failure_note(row: ReferenceRow) -> str:
    """List the stored trainings that failed by their own measure."""
    return f"Of the reference result: {note}" if (note := failure_note(row)) else ""


def number(
    value: float | None, decimals: int, spread: float | None = None, interval: tuple[float, float] | None = None
) -> str:
    """`44.20`, `44.20 ± 1.30`, `44.20 ± 1.30 [42.00, 46.40]`, or a dash."""
    if value is None:
        return EMPTY
    text = _rounded(value, decimals) + (f" ± {spread:.{decimals}f}" if spread is not None else "")
    return f"{text} {bounds(interval, decimals)}" if interval else text


def bounds(interval: tuple[float, float], decimals: int) -> str:
    """`[42.00, 46.40]`."""
    return f"[{_rounded(interval[0], decimals)}, {_rounded(interval[1], decimals)}]"


def _rounded(value: float, decimals: int) -> str:
    """`0.00`, never `-0.00`."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def difference(compared: Difference) -> str:
    """Return direction, size and meaning of a difference: `▼ 3.20 better`."""
    if compared.verdict == "equal":
        return "= equal"
    return f"{'▼' if compared.value < 0 else '▲'} {abs(compared.value):.{compared.decimals}f} {compared.verdict}"


def edit_counts(row: Row) -> list[int]:
    """Return the distinct numbers of edits of a row's seeds: one, since all have the same edits; none without seeds."""
    return sorted({scores.edits for scores in row.seeds.values()})


def edits(row: Row) -> str:
    """Return N of a row as text."""
    return " to ".join(f"{count:,}" for count in edit_counts(row)) or EMPTY


def training_seconds(row: Row, timings: Mapping[str, float]) -> float | None:
    """Return the mean training time, in seconds, over the seeds that have one."""
    return _mean(timings.get(name) for name in row.trainings.values())


def training_time(row: Row, timings: Mapping[str, float]) -> str:
    """Return the mean training time as text."""
    if row.origin:
        return ELSEWHERE
    seconds = training_seconds(row, timings)
    return EMPTY if seconds is None else duration(seconds)


def headings(column: Column) -> tuple[str, ...]:
    """Return the headings of a column: the paper's, if it has one, and ours."""
    ours = metric_heading(column.metric)
    return (f"{column.paper} {ARROWS[column.metric.direction]}", ours) if column.paper else (ours,)


def metric_heading(metric: MetricDescription) -> str:
    """Return our heading of a metric."""
    return f"{metric.label} {ARROWS[metric.direction]}"


def _change(above: Row | None, row: Row, metric: MetricDescription) -> str:
    """Return the difference of two rows' printed means, with its sign."""
    old, new = above.mean(metric.key) if above else None, row.mean(metric.key)
    if old is None or new is None:
        return EMPTY
    digits = metric.decimals
    return f"{round(round(new, digits) - round(old, digits), digits) + 0.0:+.{digits}f}"


def _whole(count: int | None) -> str:
    return EMPTY if count is None else f"{count:,}"


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _by_name(counts: Mapping[str, int], show: Callable[[int], str]) -> str:
    """Return counts by name: `generator 12, discriminator 60`; a single number if all are equal."""
    if not counts:
        return EMPTY
    if len(set(counts.values())) == 1 and len(counts) > 1:
        return f"{show(next(iter(counts.values())))} each"
    return ", ".join(f"{name} {show(count)}" for name, count in counts.items())
