"""Intervals of a mean over few independent values, by Student's t distribution.

Seeds and test identities are two sources of error, and an interval is of one of them. A bootstrap of a few seeds covers
too little (three seeds: 75 % where 95 % is asked for), and edits are not independent of each other: those of one
identity share its face, so values are averaged for each identity first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
P_VALUE_SEEDS = 5
"""With fewer seeds no test can reject at 5 %, so none is made: each seed is shown, and a t interval."""

RANDOM_SHARES = 9999
"""Ways of sharing seeds out among two rows that are tried; there are 252 of five and five."""

Source = Literal["seeds", "identities"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean, and the source of error it is of.

    low, high: None with fewer than two independent values. values: number of independent values (seeds or identities).
    """

    of: Source
    estimate: float
    low: float | None
    high: float | None
    values: int


def t_interval(values: ArrayLike, of: Source, confidence: float = CONFIDENCE) -> Interval:
    """The t interval of the mean of independent `values` (at least one). Raises ValueError for none."""
    sample = _sample(values)
    return interval_from_error(float(sample.mean()), _standard_error(sample), len(sample), of, confidence)


def interval_from_error(
    estimate: float, standard_error: float, values: int, of: Source, confidence: float = CONFIDENCE
) -> Interval:
    """estimate +- t(values - 1) standard errors; no bounds with fewer than two values."""
    if values < 2:
        return Interval(of, estimate, None, None, values)
    half = float(stats.t.ppf((1 + confidence) / 2, values - 1)) * standard_error
    return Interval(of, estimate, estimate - half, estimate + half, values)


def prediction_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Where one new seed falls: mean +- t(n - 1) s sqrt(1 + 1/n). Raises ValueError for fewer than two seeds."""
    sample = _sample(values)
    if len(sample) < 2:
        raise ValueError("a prediction interval needs two seeds at least")
    half = float(stats.t.ppf((1 + confidence) / 2, len(sample) - 1)) * float(sample.std(ddof=1))
    half *= math.sqrt(1 + 1 / len(sample))
    return float(sample.mean()) - half, float(sample.mean()) + half


def seeds_difference(first: ArrayLike, second: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Welch's t interval of mean(first) - mean(second). Trainings of two methods share no randomness, so seeds are not
    paired.

    values: the smaller number of seeds.
    """
    a, b = _sample(first), _sample(second)
    estimate, fewest = float(a.mean() - b.mean()), min(len(a), len(b))
    if fewest < 2:
        return Interval("seeds", estimate, None, None, fewest)
    # As scipy.stats.ttest_ind(equal_var=False).confidence_interval, which warns where the seeds of a row are equal.
    variances = [float(sample.var(ddof=1)) / len(sample) for sample in (a, b)]
    total = sum(variances)
    if total == 0:
        return Interval("seeds", estimate, estimate, estimate, fewest)
    freedom = total**2 / sum(part**2 / (len(sample) - 1) for part, sample in zip(variances, (a, b), strict=True))
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(total)
    return Interval("seeds", estimate, estimate - half, estimate + half, fewest)


def seeds_p_value(first: ArrayLike, second: ArrayLike) -> float | None:
    """p value of equal means over seeds, two-sided: how many ways of sharing the seeds out among both rows differ as
    much (exact up to RANDOM_SHARES ways). None where a row has fewer than P_VALUE_SEEDS.
    """
    a, b = _sample(first), _sample(second)
    if min(len(a), len(b)) < P_VALUE_SEEDS:
        return None

    def difference(x: NDArray[np.float64], y: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        return np.asarray(x.mean(axis=axis) - y.mean(axis=axis))

    test = stats.permutation_test(
        (a, b), difference, permutation_type="independent", n_resamples=RANDOM_SHARES, vectorized=True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(test.pvalue)


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or not len(sample):
        raise ValueError("at least one value is needed")
    return sample


def _standard_error(sample: NDArray[np.float64]) -> float:
    return float(sample.std(ddof=1) / math.sqrt(len(sample))) if len(sample) > 1 else math.nan
