"""The loss curves of the page: the panels of `losses.png` as paths of SVG."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.report.curves import COLOURS, NETWORKS, bend_of, by_training, finite, loss_names, scale_of, thin

WIDTH, HEIGHT, POINTS = 100.0, 40.0, 90
"""Size of a panel in SVG units, and number of points of a curve."""


@dataclass(frozen=True)
class Curve:
    """A seed's curve. points: for `polyline`. colour: an index in the page's palette."""

    seed: str
    points: str
    colour: int
    failed: bool


@dataclass(frozen=True)
class Panel:
    """One loss. zero: y of the value 0 if it is in the panel, else None."""

    network: str
    term: str
    words: str
    curves: tuple[Curve, ...]
    zero: float | None


@dataclass(frozen=True)
class TrainingPanels:
    """A training, with the curves of all seeds in one panel."""

    title: str
    iterations: int
    seeds: tuple[Curve, ...]
    panels: tuple[Panel, ...]


def loss_panels(losses: Mapping[str, pd.DataFrame], failed: Collection[str]) -> list[TrainingPanels]:
    """Make a row of panels for each training that has losses. failed: names of those that failed."""
    rows = []
    for title, seeds in by_training(losses).items():
        broken = {seed for seed in seeds if f"{title} {seed}".strip() in failed}
        key = tuple(
            Curve(seed, "", index % len(COLOURS), seed in broken) for index, seed in enumerate(seeds)
        )  # fmt: skip
        panels = tuple(_panel(name, list(seeds.values()), key) for name in loss_names(seeds))
        last = max(int(frame["iteration"].iloc[-1]) for frame in seeds.values())
        rows.append(TrainingPanels(title, last, key, panels))
    return rows


def _panel(name: str, frames: Sequence[pd.DataFrame], key: Sequence[Curve]) -> Panel:
    network, _, term = name.partition("/")
    histories = [thin(*finite(frame, name), POINTS) for frame in frames]
    values = np.concatenate([history[1] for history in histories])
    longest = max((history[0][-1] for history in histories if len(history[0])), default=1.0)
    scaled = _scaled(values)
    low, high = (float(scaled.min()), float(scaled.max())) if len(scaled) else (0.0, 1.0)
    span = high - low or 1.0

    def height(scaled_values: np.ndarray) -> np.ndarray:
        return (
            HEIGHT - 2 - (HEIGHT - 4) * (scaled_values - low) / span if high > low else scaled_values * 0 + HEIGHT / 2
        )

    curves, start = [], 0
    for entry, (iterations, own) in zip(key, histories, strict=True):
        y = height(scaled[start : start + len(own)])
        start += len(own)
        x = WIDTH * iterations / longest
        points = " ".join(f"{a:.4g},{b:.4g}" for a, b in zip(x, y, strict=True))
        curves.append(Curve(entry.seed, points, entry.colour, entry.failed))
    crosses = len(values) and values.min() < 0 < values.max()
    zero = float(height(np.zeros(1))[0]) if crosses else None
    words = f"{values.min():.3g} to {values.max():.3g}" if len(values) else "no values"
    return Panel(
        NETWORKS.get(network, network) if term else "", (term or network).replace("_", " "), words, tuple(curves), zero
    )


def _scaled(values: np.ndarray) -> np.ndarray:
    """Transform values to the scale that shows all of them; zero stays zero unless the scale is logarithmic."""
    kind = scale_of(values)
    if kind == "log":
        return np.asarray(np.log10(values))
    return np.asarray(np.arcsinh(values / bend_of(values))) if kind == "symlog" else values
