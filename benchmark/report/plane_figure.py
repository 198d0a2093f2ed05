"""The plane of expression and identity: every row as a point with its intervals, between the two corners.

A method that changes too little lies left of the true picture, at the extreme at the source's corner; one that
exaggerates lies right of it, and one that changes the person lies below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.protocol import Subset
from benchmark.report.curves import COLOURS, INK, QUIET, RULE
from benchmark.report.results import Row, SuiteResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS, UP = "gain", "id_similarity"
PANEL, HEIGHT = 5.4, 4.8
"""Sizes in inches: of a subset's panel, of the figure."""
MARKERS = "osD^vPX*"


def draw_plane(results: SuiteResults, path: Path) -> bool:
    """Write the figure as PNG, a panel for each subset. Return False, without a file, if no row has both numbers."""
    panels = {subset: rows for subset in results.test_images if (rows := _rows(results.rows, subset))}
    if not panels:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PANEL * len(panels), HEIGHT), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for number, (subset, rows) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), number)
        _draw_panel(axes, subset, rows, _rows(results.corners, subset))
    figure.savefig(path, metadata={"Software": None})
    return True


def _rows(rows: Sequence[Row], subset: Subset) -> list[Row]:
    """Select the rows of a subset that have both numbers; a run of several rows counts once."""
    return [row for row in rows if row.subset == subset and {ACROSS, UP} <= row.summary.keys() and not row.same_as]


def _draw_panel(axes: Axes, subset: Subset, rows: Sequence[Row], corners: Sequence[Row]) -> None:
    for corner in corners:
        x, y = corner.summary[ACROSS].mean, corner.summary[UP].mean
        axes.plot(x, y, "s", color=INK, markersize=9, markerfacecolor="white", zorder=4)
        axes.annotate(corner.label, (x, y), (7, 7), textcoords="offset points", fontsize=8, color=INK)
        if corner.id.startswith("truth"):
            axes.axvline(x, color=RULE, zorder=0)
            axes.axhline(y, color=RULE, zorder=0)
    for number, row in enumerate(rows):
        across, up = row.summary[ACROSS], row.summary[UP]
        axes.errorbar(
            across.mean, up.mean,
            xerr=_arms(across.mean, across.identities), yerr=_arms(up.mean, up.identities),
            fmt=MARKERS[number % len(MARKERS)], color=COLOURS[number % len(COLOURS)], capsize=2, label=row.marked_label,
        )  # fmt: skip
    axes.set_title(f"{subset} pictures", fontsize=10, color=INK)
    axes.set_xlabel("gain: lazy below 1, exaggerated above", fontsize=9, color=QUIET)
    axes.set_ylabel("identity: similarity to the source", fontsize=9, color=QUIET)
    axes.margins(0.16)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="best")


def _arms(mean: float, interval: tuple[float, float] | None) -> list[list[float]] | None:
    """Return the lengths of an error bar below and above, over test identities."""
    return None if interval is None else [[max(mean - interval[0], 0.0)], [max(interval[1] - mean, 0.0)]]
