"""Loss curves: a row for each training, a panel for each of its losses, all seeds in one panel."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 400
"""Number of points of a curve: each is a mean over some iterations, so that long trainings stay readable."""
DECADE_AND_A_HALF = 30.0
"""Smallest ratio of largest to smallest value at which the scale of a positive loss is logarithmic."""
OUTLIER = 15.0
"""Largest distance of a signed loss from its middle half, in interquartile ranges, on a linear scale."""
WIDTH, MARGIN, GAP = 13.0, 0.14, 0.13
"""Inches: width of the figure, margins left and right of the panels, and the gap between panels."""
HEADING, TITLES, PANEL, APART = 0.26, 0.34, 0.56, 0.34
"""Heights in inches, from top to bottom: the training's name, panel titles, panels, space to the next row."""
WIDEST = 1.9
"""Largest width of a panel in inches."""
COLOURS = ("#1f5fa8", "#c8501e", "#2e8b57", "#8a4fa3", "#a0802a", "#5a5a62")
INK, QUIET, RULE, ALARM = "#18181b", "#64646c", "#d4d4d8", "#b3261e"
NETWORKS = {"generator": "G", "discriminator": "D", "sdu": "SDU"}
Curves = dict[str, pd.DataFrame]


def draw_losses(losses: Mapping[str, pd.DataFrame], path: Path, failed: Collection[str] = ()) -> bool:
    """Write the figure as PNG, a row of panels for each training. Return False, without a file, for no losses.

    losses: by training name (`mtss F&P seed 0`): a frame with `iteration` and a column for each loss. failed: names of
    the trainings that failed by their own measure; their curves are dashed.
    """
    groups = by_training(losses)
    if not groups:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as New

    row = HEADING + TITLES + PANEL + APART
    height = len(groups) * row + 0.05
    figure = New(figsize=(WIDTH, height), dpi=110)
    FigureCanvasAgg(figure)
    for index, (title, seeds) in enumerate(groups.items()):
        broken = {seed for seed in seeds if f"{title} {seed}".strip() in failed}
        _row(figure, title, seeds, broken, height - index * row)
    figure.savefig(path, metadata={"Software": None})
    return True


def by_training(losses: Mapping[str, pd.DataFrame]) -> dict[str, Curves]:
    """Group the trainings that have losses by name without the seed, then by `seed 0`, `seed 1`, ..."""
    return _by_method({name: frame for name, frame in losses.items() if len(frame) and len(frame.columns) > 1})


def _row(figure: Figure, title: str, seeds: Curves, failed: Collection[str], top: float) -> None:
    """Draw a training: its name, the seeds' colours, its panels. top: in inches from the bottom of the figure."""
    height = figure.get_figheight()
    names = loss_names(seeds)
    last = max(int(frame["iteration"].iloc[-1]) for frame in seeds.values())
    figure.text(MARGIN / WIDTH, (top - 0.2) / height, title, fontsize=11, fontweight="bold", color=INK)
    right = WIDTH - MARGIN
    for seed, colour in reversed(list(zip(seeds, _colours(len(seeds)), strict=True))):
        words = f"{seed} failed" if seed in failed else seed
        if len(seeds) > 1 or seed in failed:
            text = words.strip() if len(seeds) > 1 else "failed"
            colour = ALARM if len(seeds) == 1 else colour
            figure.text(right / WIDTH, (top - 0.2) / height, text, fontsize=9, ha="right", color=colour)
            right -= 0.095 * len(text) + 0.1
    figure.text(
        right / WIDTH, (top - 0.2) / height, f"{last:,} iterations", fontsize=9, ha="right", color=QUIET
    )  # fmt: skip
    width = min(WIDEST, (WIDTH - 2 * MARGIN + GAP) / len(names) - GAP)
    bottom = (top - HEADING - TITLES - PANEL) / height
    for index, name in enumerate(names):
        left = (MARGIN + index * (width + GAP)) / WIDTH
        _panel(figure.add_axes((left, bottom, width / WIDTH, PANEL / height)), name, seeds, failed)


def _by_method(losses: Mapping[str, pd.DataFrame]) -> dict[str, Curves]:
    """Group by a training's name without its seed, then by `seed 0`, `seed 1`, ..."""
    groups: dict[str, Curves] = {}
    for name, frame in losses.items():
        match = re.fullmatch(r"(.*?) (seed \d+)", name)
        title, seed = (match[1], match[2]) if match else (name, "")
        groups.setdefault(title, {})[seed] = frame
    return groups


def loss_names(seeds: Curves) -> list[str]:
    """Return the names of a training's losses, grouped by network."""
    names = dict.fromkeys(name for frame in seeds.values() for name in frame.columns if name != "iteration")
    parts = list(dict.fromkeys(name.partition("/")[0] for name in names))
    return sorted(names, key=lambda name: parts.index(name.partition("/")[0]))


def _panel(axis: Axes, name: str, seeds: Curves, failed: Collection[str]) -> None:
    """Draw one loss, with its range instead of ticks."""
    everything = []
    for colour, (seed, frame) in zip(_colours(len(seeds)), seeds.items(), strict=True):
        iterations, values = thin(*finite(frame, name))
        everything.append(values)
        style = "--" if seed in failed else "-"
        axis.plot(iterations, values, style, color=colour, linewidth=1.1, solid_joinstyle="round")
    _scale(axis, np.concatenate(everything))
    network, _, term = name.partition("/")
    axis.set_title((term or network).replace("_", " "), fontsize=7.5, loc="left", color=INK, pad=3)
    if term:
        axis.text(0.0, 1.27, NETWORKS.get(network, network), transform=axis.transAxes, fontsize=6.5, color=QUIET)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.spines["left"].set_color(RULE)
    axis.set_xticks([])
    _range(axis, np.concatenate(everything))


def _range(axis: Axes, values: np.ndarray) -> None:
    """Write the range of the curves below the panel."""
    axis.set_yticks([])
    axis.minorticks_off()
    if len(values):
        words = f"{values.min():.3g} to {values.max():.3g}"
        axis.text(0.0, -0.08, words, transform=axis.transAxes, fontsize=6.5, color=QUIET, va="top")


def _scale(axis: Axes, values: np.ndarray) -> None:
    """Choose the scale: linear, logarithmic for positive losses over decades, symlog for signed ones with spikes."""
    kind = scale_of(values)
    if kind == "log":
        axis.set_yscale("log")
    elif kind == "symlog":
        axis.set_yscale("symlog", linthresh=bend_of(values))
    if len(values) and values.min() < 0 < values.max():
        axis.axhline(0, color=RULE, linewidth=0.7)


def bend_of(values: np.ndarray) -> float:
    """Return the linear threshold of a symlog scale: the power of ten above three quarters of the values."""
    return float(10.0 ** np.ceil(np.log10(max(float(np.quantile(np.abs(values), 0.75)), 1e-6))))


def scale_of(values: np.ndarray) -> str:
    """Return the scale that shows all values: `linear`, `log` or `symlog`."""
    if not len(values):
        return "linear"
    if values.min() > 0:
        return "log" if values.max() / values.min() > DECADE_AND_A_HALF else "linear"
    low, high = np.quantile(values, [0.25, 0.75])
    return "symlog" if max(values.max() - high, low - values.min()) > OUTLIER * max(high - low, 1e-12) else "linear"


def thin(iterations: np.ndarray, values: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Average over `points` stretches of about equal length; shorter series stay as they are."""
    if len(values) <= points:
        return iterations, values
    stretches = np.array_split(np.arange(len(values)), points)
    return (
        np.array([iterations[stretch].mean() for stretch in stretches]),
        np.array([values[stretch].mean() for stretch in stretches]),
    )


def finite(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return iterations and values where the loss was measured; some losses are not in every iteration."""
    if name not in frame:
        return np.empty(0), np.empty(0)
    values = frame[name].to_numpy(float)
    there = np.isfinite(values)
    return frame["iteration"].to_numpy(float)[there], values[there]


def _colours(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]
