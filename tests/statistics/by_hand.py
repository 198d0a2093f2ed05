"""Statistics with scipy and loops alone, which verdicts are held to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def sign_flip(ahead: ArrayLike, alternative: str) -> float:
    """The exact p value of a mean other than 0: the signs of whole people are flipped in all ways."""
    test = stats.permutation_test(
        (np.asarray(ahead),), np.mean, permutation_type="samples", alternative=alternative, n_resamples=np.inf
    )
    return float(test.pvalue)


def greater(ahead: ArrayLike) -> float:
    """The exact p value of a mean above 0, for so many people that scipy would take seconds: sums of either half's sign
    patterns, those of one half sorted and looked up for each of the other.
    """
    values = np.asarray(ahead, float)
    low, high = (_signs(len(half)) @ half for half in np.array_split(values, 2))
    least = values.sum() - 1e-9 * np.abs(values).sum() - high
    return float((len(low) - np.searchsorted(np.sort(low), least)).sum()) / 2 ** len(values)


def _signs(count: int) -> NDArray[np.int64]:
    """All sign patterns of so many values, a line each."""
    return 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)


def holm(values: Sequence[float]) -> list[float]:
    """P values after Holm."""
    adjusted, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(np.argsort(values)):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = least
    return adjusted
