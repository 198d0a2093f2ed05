"""Metrics of sets, measured between features drawn at random.

The edits of a short training are so far from real pictures that density and coverage are 0; true pictures are so near
that coverage is 1. Drawn sets lie in between.
"""

from __future__ import annotations

import numpy as np

from benchmark.gate.reference import Numbers
from benchmark.metrics.metric import SetMetric
from benchmark.metrics.registry import METRICS

SHAPES = ((60, 50, 8), (24, 30, 40))
"""Numbers of edits, real pictures and dimensions; more dimensions than pictures take another Fréchet computation."""
SHIFT = 0.5
"""Mean of the features of real pictures; that of edits is 0. Both have standard deviation 1."""


def measure_drawn() -> Numbers:
    """Return each metric of sets by key, for each of `SHAPES` by name."""
    random = np.random.default_rng(0)
    numbers: Numbers = {}
    for edits, real, dimensions in SHAPES:
        first, second = random.normal(0, 1, (edits, dimensions)), random.normal(SHIFT, 1, (real, dimensions))
        numbers[f"features drawn in {dimensions} dimensions"] = {
            metric.key: [metric.distance(first, second)] for metric in METRICS if isinstance(metric, SetMetric)
        }
    return numbers
