"""Metrics of sets, measured between features that are drawn.

The edits of a short training are so far from real pictures that density and coverage are 0, and true pictures so near
that coverage is 1. Drawn sets lie in between, and cost next to nothing.
"""

from __future__ import annotations

import numpy as np

from benchmark.gate.reference import Numbers
from benchmark.metrics.metric import SetMetric
from benchmark.metrics.registry import METRICS

SHAPES = ((60, 50, 8), (24, 30, 40))
"""Edits, real pictures and dimensions: with more dimensions than pictures a Fréchet distance is computed otherwise."""
SHIFT = 0.5
"""Mean of the features of real pictures; those of edits have 0, and all the deviation 1."""


def measure_drawn() -> Numbers:
    """For each of `SHAPES`, by key of each metric of sets, its number."""
    random = np.random.default_rng(0)
    numbers: Numbers = {}
    for edits, real, dimensions in SHAPES:
        first, second = random.normal(0, 1, (edits, dimensions)), random.normal(SHIFT, 1, (real, dimensions))
        numbers[f"features drawn in {dimensions} dimensions"] = {
            metric.key: [metric.distance(first, second)] for metric in METRICS if isinstance(metric, SetMetric)
        }
    return numbers
