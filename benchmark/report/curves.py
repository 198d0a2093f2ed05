"""Loss curves: a small panel for every loss of every training, seeds on top of one another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_LINE = 6
POINTS = 400
"""Means of so many stretches are drawn: a long training is not a bar of ink."""
DECADE_AND_A_HALF = 30.0
"""Range of a positive loss from which on its scale is logarithmic."""
OUTLIER = 15.0
"""How many times the range of the middle half of its values a signed loss may leave it before its scale is bent."""
WIDTH, LEFT, PANEL, LINE, HEADING, BOTTOM = 13.0, 0.6, 2.09, 1.8, 0.42, 0.1
"""Inches: of the figure, of the first panel's left side, from panel to panel, from line to line; above and below."""
COLOURS = ("#1f5fa8", "#c8501e", "#2e8b57", "#8a4fa3", "#a0802a", "#5a5a62")
INK, QUIET, RULE = "#18181b", "#64646c", "#d4d4d8"
NETWORKS = {"generator": "G", "discriminator": "D", "sdu": "SDU"}
Curves = dict[str, pd.DataFrame]


def draw_losses(losses: Mapping[str, pd.DataFrame], path: Path) -> bool:
    """Write the figure as PNG. False, and no file, where there are no losses.

    losses: by training name (`mtss F&P seed 0`): a frame with `iteration` and a column for each loss.
    """
    groups = _by_method({name: frame for name, frame in losses.items() if len(frame) and len(frame.columns) > 1})
    if not groups:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as New

    names = {title: _loss_names(seeds) for title, seeds in groups.items()}
    height = sum(_height(len(panels)) for panels in names.values()) + BOTTOM
    figure = New(figsize=(WIDTH, height), dpi=110)
    FigureCanvasAgg(figure)
    top = height
    for title, seeds in groups.items():
        _section(figure, title, names[title], seeds, top)
        top -= _height(len(names[title]))
    figure.savefig(path, metadata={"Software": None})
    return True


def _height(panels: int) -> float:
    """Inches that a training takes."""
    return HEADING + -(-panels // PER_LINE) * LINE


def _section(figure: Figure, title: str, names: Sequence[str], seeds: Curves, top: float) -> None:
    """A training: its name, the seeds' colours, its panels. Everything is placed in inches, `top` from below."""
    height = figure.get_figheight()
    line = (top - 0.32) / height
    figure.text(LEFT / WIDTH - 0.04, line, title, fontsize=11, fontweight="bold", color=INK)
    for index, name in enumerate(names):
        row, column = divmod(index, PER_LINE)
        bottom = top - HEADING - (row + 1) * LINE + 0.45
        box = ((LEFT + column * PANEL) / WIDTH, bottom / height, (PANEL - 0.62) / WIDTH, (LINE - 0.75) / height)
        axis = figure.add_axes(box)
        _panel(axis, name, seeds)
        if index + PER_LINE >= len(names):
            axis.set_xlabel("iteration", fontsize=8, color=QUIET, labelpad=2)
    if len(seeds) > 1:
        right = LEFT + PER_LINE * PANEL - 0.62
        for index, (seed, colour) in enumerate(zip(reversed(seeds), reversed(_colours(len(seeds))), strict=True)):
            figure.text((right - 0.7 * index) / WIDTH, line, seed, fontsize=9, ha="right", color=colour)


def _by_method(losses: Mapping[str, pd.DataFrame]) -> dict[str, Curves]:
    """By everything in a training's name but its seed, then by `seed 0`, `seed 1`, ..."""
    groups: dict[str, Curves] = {}
    for name, frame in losses.items():
        match = re.fullmatch(r"(.*?) (seed \d+)", name)
        title, seed = (match[1], match[2]) if match else (name, "")
        groups.setdefault(title, {})[seed] = frame
    return groups


def _loss_names(seeds: Curves) -> list[str]:
    """The losses of a training, those of one network side by side."""
    names = dict.fromkeys(name for frame in seeds.values() for name in frame.columns if name != "iteration")
    parts = list(dict.fromkeys(name.partition("/")[0] for name in names))
    return sorted(names, key=lambda name: parts.index(name.partition("/")[0]))


def _panel(axis: Axes, name: str, seeds: Curves) -> None:
    """One loss."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    everything = []
    for colour, frame in zip(_colours(len(seeds)), seeds.values(), strict=True):
        iterations, values = thin(*_finite(frame, name))
        everything.append(values)
        axis.plot(iterations, values, color=colour, linewidth=1.2, solid_joinstyle="round")
    _scale(axis, np.concatenate(everything))
    network, _, term = name.partition("/")
    axis.set_title((term or network).replace("_", " "), fontsize=9.5, loc="left", color=INK, pad=4)
    if term:
        axis.set_title(NETWORKS.get(network, network), fontsize=8, loc="right", color=QUIET, pad=4)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(QUIET)
    axis.grid(axis="y", color=RULE, linewidth=0.6)
    axis.tick_params(labelsize=8, colors=QUIET, length=3)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))


def _scale(axis: Axes, values: np.ndarray) -> None:
    """Linear where that can be read, logarithmic for positive losses over decades, bent for signed ones with spikes."""
    from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator

    kind = scale_of(values)
    if kind == "log":
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(numticks=5))
        axis.yaxis.set_minor_formatter(NullFormatter())
    elif kind == "symlog":
        decade = 10.0 ** np.ceil(np.log10(max(float(np.quantile(np.abs(values), 0.75)), 1e-6)))
        axis.set_yscale("symlog", linthresh=decade)
        last = int(np.ceil(np.log10(max(float(np.abs(values).max()), decade) / decade)))
        powers = decade * 10.0 ** np.arange(0, last + 1, max(1, last // 2))
        axis.yaxis.set_major_locator(FixedLocator([*-powers[::-1], 0, *powers]))
        axis.yaxis.set_minor_locator(NullLocator())
    else:
        axis.yaxis.set_major_locator(MaxNLocator(4))
    if len(values) and values.min() < 0 < values.max():
        axis.axhline(0, color=QUIET, linewidth=0.7)


def scale_of(values: np.ndarray) -> str:
    """`linear`, `log` or `symlog`: which scale shows all of these values."""
    if not len(values):
        return "linear"
    if values.min() > 0:
        return "log" if values.max() / values.min() > DECADE_AND_A_HALF else "linear"
    low, high = np.quantile(values, [0.25, 0.75])
    return "symlog" if max(values.max() - high, low - values.min()) > OUTLIER * max(high - low, 1e-12) else "linear"


def thin(iterations: np.ndarray, values: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Means of `points` stretches of about equal length; as they are where there are no more."""
    if len(values) <= points:
        return iterations, values
    stretches = np.array_split(np.arange(len(values)), points)
    return (
        np.array([iterations[stretch].mean() for stretch in stretches]),
        np.array([values[stretch].mean() for stretch in stretches]),
    )


def _finite(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the loss was measured: some are not in every iteration."""
    if name not in frame:
        return np.empty(0), np.empty(0)
    values = frame[name].to_numpy(float)
    there = np.isfinite(values)
    return frame["iteration"].to_numpy(float)[there], values[there]


def _colours(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]
