"""A metric that the benchmark has not, as somebody would write it: one object in one file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import Images, PairMetric


def mean_absolute_difference(a: Images, b: Images) -> NDArray[np.float64]:
    """Levels, over pixels and channels: N values."""
    return np.asarray(np.abs(a.astype(np.float64) - b).mean(axis=(1, 2, 3)))


MAD = PairMetric(
    key="mad",
    label="MAD",
    direction="lower",
    unit="levels",
    definition="mean absolute difference to the true picture",
    against="truth",
    compare=mean_absolute_difference,
)
