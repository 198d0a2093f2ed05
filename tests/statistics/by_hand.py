"""Statistics with scipy and loops alone, which verdicts are held to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def sign_flip(ahead: ArrayLike, alternative: str) -> float:
    """The exact p value of a mean other than 0: the signs of whole people are flipped in all ways."""
    test = stats.permutation_test(
        (np.asarray(ahead),), np.mean, permutation_type="samples", alternative=alternative, n_resamples=np.inf
    )
    return float(test.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """P values after Holm."""
    adjusted, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(np.argsort(values)):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = least
    return adjusted
