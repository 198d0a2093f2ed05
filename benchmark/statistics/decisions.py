"""Corrections for many tests, ranks, the sample that would decide: each a few lines that scipy lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from benchmark.statistics.estimates import Estimate

LEVEL = 0.05
POWER = 0.8
LARGEST_SAMPLE = 10_000


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm, 1979) in the order given: each held to a level, the family's error stays below it."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, float)[order] * factors))
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Rank:
    """Ranks that a row can have, 1 the best: 1 + rows significantly better, to all rows - those significantly worse."""

    best: int
    worst: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}–{self.worst}"


def rank_intervals(estimates: Mapping[str, Estimate], higher_is_better: bool, level: float = LEVEL) -> dict[str, Rank]:
    """The ranks of rows measured on the same identities, from all pairwise differences, Holm-corrected at `level`.

    Rows whose intervals overlap are tied as far as these identities can tell.
    """
    names = list(estimates)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    differences = [estimates[a].minus(estimates[b]) for a, b in pairs]
    adjusted = holm([difference.p_value() for difference in differences])
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)  # rows that are better, worse than this one
    for (a, b), difference, p in zip(pairs, differences, adjusted, strict=True):
        if p <= level and difference.value:
            winner, loser = (a, b) if (difference.value > 0) == higher_is_better else (b, a)
            worse[winner] += 1
            better[loser] += 1
    return {name: Rank(1 + better[name], len(names) - worse[name]) for name in names}


def needed_sample(effect: float, deviation: float, level: float) -> int | None:
    """How many independent values a one-sided t test at `level` needs to find `effect` with power POWER.

    deviation: standard deviation of one value. None beyond LARGEST_SAMPLE.
    """
    if effect == 0 or not math.isfinite(deviation):
        return None

    def power(count: int) -> float:
        noncentrality = abs(effect) / deviation * math.sqrt(count) if deviation else math.inf
        if noncentrality > 30:
            return 1.0  # scipy's noncentral t loses its digits there
        return 1 - float(special.nctdtr(count - 1, noncentrality, special.stdtrit(count - 1, 1 - level)))

    low, high = 1, 2
    while power(high) < POWER:
        low, high = high, 2 * high
        if high > LARGEST_SAMPLE:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
