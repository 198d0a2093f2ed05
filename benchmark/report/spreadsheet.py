"""The tables as CSV: a line for each row, numbers not rounded, an empty field for no number."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from benchmark.metrics.metric import MetricDescription
from benchmark.protocol import EXPRESSIONS
from benchmark.report.comparison import Cell, Comparison, why_not
from benchmark.report.notes import failure_note
from benchmark.report.results import Row, SuiteResults
from benchmark.report.tables import edit_counts, training_seconds
from benchmark.statistics.decisions import Rank

Line = dict[str, object]


def main_csv(comparison: Comparison) -> str:
    """The main table. Our columns carry our heading (`FD[lite0]_measured`), the paper's the paper's (`FID_paper`)."""
    lines = []
    for compared in comparison.rows:
        line = _row(compared.row)
        for cell in compared.cells:
            line |= _cell(cell, "" if compared.row.missing else cell.reason)
        lines.append(line)
    return _csv(lines)


def _cell(cell: Cell, reason: str) -> Line:
    paper, ours, difference = cell.column.paper, cell.metric.label, cell.difference
    both = cell.paper is not None and cell.ours is not None
    line: Line = {f"{paper}_paper": cell.paper} if cell.beside else {}
    if cell.reference is not None:
        line[f"{ours}_reference"] = cell.reference.mean
        line |= _bounds(f"{ours}_reference", cell.reference.interval)
    line |= {f"{ours}_measured": cell.ours, f"{ours}_sd": cell.spread}
    line |= _bounds(f"{ours}_identities", cell.interval)
    line[f"{ours}_metric"] = cell.metric.key
    if cell.beside:
        line[f"{paper}_difference"] = difference.value if difference else None
        line[f"{paper}_verdict"] = difference.verdict if difference else "not compared" if both else None
        line[f"{paper}_obstacles"] = "; ".join(cell.column.obstacles)
    return {**line, f"{ours}_note": reason}


def extended_csv(results: SuiteResults, timings: Mapping[str, float]) -> str:
    """Return the extended table: all fields of each row."""
    lines = []
    for row in (*results.rows, *results.corners):
        line = {**_row(row), "extended": "yes" if row.extended else "", "same_run_as": row.same_as}
        line["not_trained_here"] = row.origin
        for metric in results.metrics:
            name = metric.label
            line |= {name: row.mean(metric.key), f"{name}_sd": row.spread(metric.key)}
            if len(row.seeds) > 1:
                line |= {f"{name}_seed_{seed}": scores.metrics.get(metric.key) for seed, scores in row.seeds.items()}
            if summary := row.summary.get(metric.key):
                line |= _bounds(f"{name}_seeds", summary.seeds)
                line |= _bounds(f"{name}_identities", summary.identities)
                line |= _standard_error(f"{name}_identities", row, metric)
                line[f"{name}_rank"] = str(Rank(*summary.rank)) if summary.rank else None
            line[f"{name}_note"] = "" if row.missing else why_not(row, metric.key)
        cost = row.training
        line["iterations"] = cost.iterations if cost else None
        line["images_seen"] = cost.images_seen if cost else None
        line |= {f"updates_{name}": count for name, count in (cost.updates if cost else {}).items()}
        line |= {f"parameters_{name}": count for name, count in (cost.parameters if cost else {}).items()}
        line["training_seconds"] = training_seconds(row, timings)
        for name in EXPRESSIONS:
            shares = [scores.ca_by_expression[name] for scores in row.seeds.values() if name in scores.ca_by_expression]
            line[f"CA_{name}"] = sum(shares) / len(shares) if shares else None
        lines.append(line)
    return _csv(lines)


def _bounds(name: str, interval: tuple[float, float] | None) -> Line:
    """Return both ends of an interval, or nothing."""
    return {f"{name}_low": interval[0], f"{name}_high": interval[1]} if interval else {}


def _standard_error(name: str, row: Row, metric: MetricDescription) -> Line:
    """Return the standard error over identities, by the jackknife for a metric of a set, or nothing."""
    sample = row.sample(metric) if row.interval(metric.key) else None
    estimate = sample.over_identities if sample else None
    return {f"{name}_se": estimate.standard_error} if estimate else {}


def _row(row: Row) -> Line:
    counts = edit_counts(row)
    return {
        "id": row.id,
        "model": row.label,
        "method": row.method,
        "guide": row.guide if row.method else "",
        "data": row.subset,
        "not_available": row.missing,
        "failed": failure_note(row),
        "seeds": len(row.seeds),
        "N": counts[0] if counts else None,
    }


def _csv(lines: Sequence[Line]) -> str:
    """Return CSV with the union of all lines' columns, in the order of their first use."""
    columns = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
