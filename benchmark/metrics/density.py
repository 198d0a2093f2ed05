"""Density and coverage of the edits among the real pictures (Naeem et al., 2020), in the features of FID.

Each real picture has a ball that reaches to its k-th nearest other real one. Density is how many balls an edit lies
in, over k, on average: low for edits that look like no real picture. Coverage is the share of balls with an edit in:
low for edits that all look alike. Real pictures of other people have a density of about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import Features, SetMetric

NEIGHBOURS = 5
"""k, as published."""


def density(edits: Features, real: Features) -> float:
    """Mean number of balls that an edit (N x D) lies in, over k; real: M x D."""
    inside, neighbours = _inside(edits, real)
    return float(inside.sum() / (neighbours * len(edits)))


def coverage(edits: Features, real: Features) -> float:
    """Share of the M balls that one of N edits lies in."""
    inside, _ = _inside(edits, real)
    return float(inside.any(axis=1).mean())


def _inside(edits: Features, real: Features) -> tuple[NDArray[np.bool_], int]:
    """Whether each edit lies in the ball of each real picture, M x N; and k, smaller where there are no more."""
    centre = real.mean(axis=0, dtype=np.float64)  # distances do not see it; products lose fewer digits
    a, b = edits.astype(np.float64) - centre, real.astype(np.float64) - centre
    neighbours = min(NEIGHBOURS, len(b) - 1)
    among = _squared(b, b)
    np.fill_diagonal(among, np.inf)
    radii = np.partition(among, neighbours - 1, axis=1)[:, neighbours - 1]
    return _squared(b, a) < radii[:, None], neighbours


def _squared(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1) - 2 * (x @ y.T)
    return np.asarray(np.maximum(squares, 0.0))


DENSITY = SetMetric(
    key="density",
    label="Density",
    direction="higher",
    decimals=3,
    definition="in how many of the balls round real pictures, each reaching to its 5th neighbour, an edit lies, over 5",
    distance=density,
)
COVERAGE = SetMetric(
    key="coverage",
    label="Coverage",
    direction="higher",
    decimals=3,
    definition="share of the same balls that an edit lies in",
    distance=coverage,
)
