"""The best of k trials: what one expects of a search of that length, from the values of a longer one.

The expectation is the unbiased estimator of Tang et al. (arXiv 2004.13705): the mean over all choices of k among the n
values. (Dodge et al. draw with replacement, which is biased.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.statistics.intervals import CONFIDENCE


@dataclass(frozen=True)
class BestOf:
    """The best of `trials` values: its expectation, and bounds that hold it for 95 of 100 choices of so many."""

    trials: int
    mean: float
    low: float
    high: float


def best_of(values: Sequence[float], trials: int, higher: bool = True) -> BestOf:
    """The best of `trials` of the values. higher: whether a higher value is better.

    Raises ValueError where `trials` is below 1 or above the number of values.
    """
    count = len(values)
    if not 1 <= trials <= count:
        raise ValueError(f"the best of {trials} of {count} values is not defined")
    if not higher:
        best = best_of([-value for value in values], trials)
        return BestOf(trials, -best.mean, -best.high, -best.low)
    ordered = sorted(values)
    choices = math.comb(count, trials)
    # The i-th smallest is the largest of those choices that take the others from the i - 1 below it.
    shares = [math.comb(rank, trials - 1) / choices for rank in range(count)]
    mean = math.fsum(share * value for share, value in zip(shares, ordered, strict=True))
    return BestOf(
        trials, mean, _quantile(ordered, shares, (1 - CONFIDENCE) / 2), _quantile(ordered, shares, (1 + CONFIDENCE) / 2)
    )


def best_of_curve(values: Sequence[float], higher: bool = True) -> list[BestOf]:
    """The best of 1, 2, ... and all of the values."""
    return [best_of(values, trials, higher) for trials in range(1, len(values) + 1)]


def _quantile(ordered: Sequence[float], shares: Sequence[float], level: float) -> float:
    """The smallest value up to which the shares add up to a level."""
    reached = 0.0
    for value, share in zip(ordered, shares, strict=True):
        reached += share
        if reached >= level - 1e-12:
            return value
    return ordered[-1]
