"""Print the scores of two folders as a table in a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from benchmark.metrics.folder_scores import ScoreResult


def print_scores(result: ScoreResult) -> None:
    """Print the table on stdout, and reasons for missing values on stderr."""
    table = Table("", "value", "better", "N", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    fake, real = ("?" if side.images is None else side.images for side in (result.fake, result.real))
    sets, pairs = f"{fake} fake, {real} real", ""
    if result.pairs is not None:
        identical = f", {result.pairs.identical} identical" if result.pairs.identical else ""
        pairs = f"{result.pairs.pairs} pairs{identical}"
    rows = []
    for metric in result.metrics:
        value = result.scores[metric.key]
        label = f"{metric.label} ({metric.unit})" if metric.unit else metric.label
        if value is not None:
            rows.append(
                (label, f"{value:.{metric.decimals}f}", metric.direction, pairs if metric.per == "edit" else sets)
            )
        else:
            sys.stderr.write(f"note: no {metric.label}: {result.reasons[metric.key]}\n")
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console(highlight=False).print(table)
