"""Tables in a terminal: the paper's number, the measured one below it, and their difference, if any, below that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from benchmark.core.errors import UserError
from benchmark.metrics.metric import MetricDescription
from benchmark.report.comparison import Cell, ComparedRow, Comparison, compare, controls, extra_metrics, why_not
from benchmark.report.files import report_files
from benchmark.report.markdown import superscript
from benchmark.report.notes import data_line, notes, same_run_notes
from benchmark.report.results import SuiteResults, load_results
from benchmark.report.tables import (
    EMPTY,
    NOT_STORED,
    Footnotes,
    difference,
    edits,
    headings,
    metric_heading,
    model,
    number,
    stored_failure_note,
    training_time,
)
from benchmark.report.verdict_text import heading, short_list

UNLIMITED = 1000
"""A width in columns that is wider than any table."""
COLOURS = {"better": "green", "worse": "red", "equal": ""}


def print_report(folder: Path, console: Console | None = None) -> None:
    """Print a finished report. Raises UserError if there is none in the folder."""
    try:
        results = load_results(folder / "results.json")
        timings = json.loads((folder / "timings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"{folder} holds no readable report ({error}): remove it and run the suite again") from error
    print_tables(results, report_files(folder), timings, console or Console(highlight=False))


def print_tables(
    results: SuiteResults, paths: Mapping[str, Path], timings: Mapping[str, float], console: Console
) -> None:
    """Print the main table with notes, the extended tables, and the paths of the files."""
    comparison = compare(results)
    footnotes = Footnotes()
    main, extended = (_fitting(table, footnotes, console) for table in (comparison, controls(comparison)))
    beyond = _beyond(comparison, timings, footnotes, console)
    console.print(Text(results.title, "bold"))
    console.print(Text(data_line(results), "dim"))
    console.print(Padding(Text(results.notice, "yellow"), (0, 0, 1, 0)))
    _print_verdicts(results, console)
    console.print(Padding(main, (0, 0, 1, 0)))
    for index, text in enumerate(footnotes.texts, 1):
        console.print(_item(superscript((index,)), text))
    for text in dict.fromkeys((*notes(comparison), *same_run_notes(results, results.rows))):
        console.print(_item("·", text))
    console.print(Padding(Text("Beyond the paper", "bold"), (1, 0, 0, 0)))
    if any(row.extended for row in results.rows):
        console.print(Padding(extended, (0, 0, 1, 0)))
    for grid in beyond:
        console.print(Padding(grid, (0, 0, 1, 0)))
    if any(row.interval(metric.key) for row in results.rows for metric in extra_metrics(comparison)):
        console.print(Text("Dim: half of the 95 % interval over test identities.", "dim"))
    _print_paths(paths, console)


def _print_verdicts(results: SuiteResults, console: Console) -> None:
    """Print a line for each claim of the paper."""
    if results.claims is None:
        return
    console.print(Text(heading(results), "bold"))
    for line in short_list(results):
        mark, words = line.split(" ", 1)
        console.print(_item(mark, words))
    console.print()


def _fitting(comparison: Comparison, footnotes: Footnotes, console: Console) -> Grid:
    """Make the table of a comparison, with spreads and verdicts in separate lines if the terminal is narrow."""
    table = _main(comparison, footnotes)
    unlimited = console.options.update(width=UNLIMITED)
    wide = Measurement.get(console, unlimited, table).maximum > console.width
    return _main(comparison, footnotes, narrow=True) if wide else table


def _main(comparison: Comparison, footnotes: Footnotes, narrow: bool = False) -> Grid:
    """Make the main table. narrow: break headings, and put spread and verdict in separate lines."""
    grid = _grid(padding=1 if narrow else 2)
    published = comparison.published is not None
    digits = [_integer_digits(comparison.rows, index) for index in range(len(comparison.columns))]
    grid.add_column("Model", no_wrap=True)
    grid.add_column("Data", no_wrap=True)
    reference = comparison.results.reference is not None
    kinds = ["paper"] * published + ["reference"] * reference + ["measured"]
    grid.add_column("\n".join(kinds) if len(kinds) > 1 else "", style="dim", no_wrap=True)
    for column in comparison.columns:
        names = list(dict.fromkeys(headings(column) if published else headings(column)[-1:]))
        grid.add_column(Text("\n".join(_broken(name) if narrow else name for name in names)), no_wrap=True)
    grid.add_column("N", justify="right", no_wrap=True)
    for compared in comparison.rows:
        row = compared.row
        label = model(row, comparison.results, footnotes)
        stored = comparison.results.reference
        beside = stored.rows.get(row.id) if stored is not None else None
        unstored = footnotes.mark(NOT_STORED) if stored is not None and beside is None else ()
        style = _Style(
            published,
            reference,
            superscript(footnotes.mark(stored_failure_note(beside))) if beside is not None else "",
            any(cell.reference is not None and cell.reference.interval for cell in compared.cells),
            any(cell.spread is not None for cell in compared.cells),
            any(cell.interval for cell in compared.cells),
            any(cell.difference for cell in compared.cells),
            narrow,
        )
        cells = [style.cell(cell, width, footnotes) for cell, width in zip(compared.cells, digits, strict=True)]
        name = label.text.replace(", failed", ",\nfailed") if narrow else label.text
        grid.add_row(
            Text(name + superscript((*label.marks, *unstored))),
            Text(row.subset),
            Text(style.labels()),
            *cells,
            Text(edits(row)),
        )
    return grid


@dataclass(frozen=True)
class _Style:
    """The lines that a row of the main table has, so that its cells are level."""

    published: bool
    reference: bool
    reference_mark: str
    """Mark of stored numbers if a stored training failed."""
    reference_interval: bool
    spread: bool
    interval: bool
    difference: bool
    narrow: bool

    def labels(self) -> str:
        lines = (["paper"] if self.published else []) + (["reference"] if self.reference else [])
        lines += ["95 %"] if self.reference_interval else []
        lines += ["measured"]
        lines += [""] if self.narrow and self.spread else []
        lines += ["95 %"] if self.interval else []
        return "\n".join([*lines, "difference"] if self.difference else lines)

    def cell(self, cell: Cell, digits: int, footnotes: Footnotes) -> Text:
        """Return the paper's number, ours and the difference, one below the other with aligned decimals."""
        decimals = cell.metric.decimals
        width = digits + 1 + decimals
        text = Text()
        if self.published:
            text.append(number(cell.paper, decimals).rjust(width) + "\n", "dim")
        if self.reference:
            stored = cell.reference
            text.append(number(stored.mean if stored else None, decimals).rjust(width) + self.reference_mark + "\n")
            if self.reference_interval:
                text.append(self._half(stored.interval if stored else None, decimals, width) + "\n", "dim")
        text.append(number(cell.ours, decimals).rjust(width), "bold" if cell.ours is not None else "")
        mark = superscript(footnotes.mark(cell.reason))
        spread = f"± {number(cell.spread, decimals)}" if cell.spread is not None else ""
        if self.narrow and self.spread:
            text.append(f"{mark}\n{spread.rjust(width)}")
        else:
            text.append((f" {spread}" if spread else "") + mark)
        if self.interval:
            text.append("\n" + self._half(cell.interval, decimals, width), "dim")
        if cell.difference:
            shown = difference(cell.difference)
            text.append("\n")
            text.append(
                shown.replace(" " + cell.difference.verdict, "\n" + cell.difference.verdict) if self.narrow else shown,
                COLOURS[cell.difference.verdict],
            )
        return text

    @staticmethod
    def _half(interval: tuple[float, float] | None, decimals: int, width: int) -> str:
        return f"± {number((interval[1] - interval[0]) / 2, decimals)}".rjust(width) if interval else ""


def _integer_digits(rows: Sequence[ComparedRow], index: int) -> int:
    """Return the largest number of characters before the decimal point in a column."""
    cells = [row.cells[index] for row in rows]
    values = [cell.reference.mean for cell in cells if cell.reference is not None]
    values += [value for cell in cells for value in (cell.paper, cell.ours) if value is not None]
    return max((len(number(value, 0)) for value in values), default=1)


def _beyond(comparison: Comparison, timings: Mapping[str, float], footnotes: Footnotes, console: Console) -> list[Grid]:
    """The other metrics, and the training time, of the rows that were run and of the corners; in as many tables as fit
    the width.
    """
    metrics = list(extra_metrics(comparison))
    unlimited = console.options.update(width=UNLIMITED)
    grids: list[Grid] = []
    while metrics or not grids:
        count = len(metrics)
        grid = _measures(comparison, metrics, timings, footnotes)
        while count > 1 and Measurement.get(console, unlimited, grid).maximum > console.width:
            count -= 1
            grid = _measures(comparison, metrics[:count], None, footnotes)
        grids.append(grid)
        metrics = metrics[count:]
    return grids


def _measures(
    comparison: Comparison,
    metrics: Sequence[MetricDescription],
    timings: Mapping[str, float] | None,
    footnotes: Footnotes,
) -> Grid:
    """Make a table of metrics: mean, spread over seeds, half interval over identities. timings: None for no column."""
    grid, results = _grid(padding=1), comparison.results
    run = [*(row for row in results.rows if not row.missing), *results.corners]
    subsets = len({row.subset for row in run}) > 1  # a common subset is named by the main table
    grid.add_column("Model", overflow="fold")
    if subsets:
        grid.add_column("Data", no_wrap=True)
    for metric in metrics:
        grid.add_column(Text(_broken(metric_heading(metric))), justify="right", no_wrap=True)
    if timings is not None:
        grid.add_column("training", justify="right", no_wrap=True)
    for row in run:
        cells = []
        for metric in metrics:
            text = Text(number(row.mean(metric.key), metric.decimals))
            text.append(superscript(footnotes.mark(why_not(row, metric.key))))
            spread, interval = row.spread(metric.key), row.interval(metric.key)
            if spread is not None:
                text.append(f"\n± {number(spread, metric.decimals)}")
            if interval:
                text.append(f"\n± {number((interval[1] - interval[0]) / 2, metric.decimals)}", "dim")
            cells.append(text)
        labels = [Text(row.marked_label), *([Text(row.subset)] if subsets else [])]
        time = [] if timings is None else [training_time(row, timings) if row.method else EMPTY]
        grid.add_row(*labels, *cells, *time)
    return grid


def _broken(heading: str) -> str:
    """Break a heading into lines before its qualifiers."""
    for sign in ("-", "(", " ×"):
        heading = heading.replace(sign, f"\n{sign.strip()}")
    return heading


def _print_paths(paths: Mapping[str, Path], console: Console) -> None:
    """Print each path in one line: a broken one cannot be clicked or copied."""
    width = max((len(name) for name in paths), default=0)
    console.print()
    for name, path in paths.items():
        console.print(Text(f"{name.ljust(width)}  ", "dim") + Text(str(path)), soft_wrap=True)


def _grid(padding: int = 2) -> Grid:
    return Grid(box=None, pad_edge=False, padding=(0, padding, 0, 0), header_style="bold")


def _item(mark: str, text: str) -> Grid:
    """Make a note with a hanging indent."""
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=2, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, "dim"), Text(text, "dim"))
    return grid
