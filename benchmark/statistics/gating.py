"""Bounds for a new result beside stored ones: how far chance carries it, and which change would be seen."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy import optimize, stats

POWER = 0.8
DRAWS = 20_000


def prediction_bound(spread: float, stored: int, new: int, rate: float, freedom: int | None = None) -> float:
    """How far the mean of `new` values is above that of `stored` ones with probability `rate`, were nothing changed.

    t(stored - 1) s sqrt(1/stored + 1/new), with s = `spread`, the stored values' deviation; freedom: degrees of it,
    where it is of more values. Raises ValueError for fewer than two stored values and no other degrees of freedom.
    """
    freedom = stored - 1 if freedom is None else freedom
    if freedom < 1 or stored < 1 or new < 1:
        raise ValueError(f"{stored} stored and {new} new values give no prediction bound: 2 and 1 are needed")
    return _quantile(freedom, rate) * spread * math.sqrt(1 / stored + 1 / new)


def visible_change(spread: float, stored: int, new: int, rate: float, power: float = POWER) -> float:
    """The change of the mean that passes `prediction_bound` with probability `power`, from the noncentral t."""
    if stored < 2 or new < 1:
        raise ValueError(f"{stored} stored and {new} new values give no prediction bound: 2 and 1 are needed")
    return _shift(stored, rate, power) * spread * math.sqrt(1 / stored + 1 / new)


def chance_of_separation(stored: int, new: int) -> float:
    """Chance that every new value is worse than every stored one, were nothing changed: 1 / C(stored + new, new).

    All orders of exchangeable values are equally likely, so this holds for any distribution; ties make it smaller.
    """
    return 1 / math.comb(stored + new, new)


def seeds_to_decide(stored: int, numbers: int, rate: float) -> int:
    """How many new values `numbers` comparisons need for a chance of any separation of at most `rate` (Bonferroni)."""
    if stored < 1 or numbers < 1 or not 0 < rate < 1:
        raise ValueError(f"{stored} stored values, {numbers} numbers, a rate of {rate}: nothing can be decided")
    new = 1
    while numbers * chance_of_separation(stored, new) > rate:
        new += 1
    return new


@cache
def visible_separation(stored: int, first: int, last: int, rate: float, power: float = POWER) -> float:
    """The change, in standard deviations of normal values, that a separation of `last` new values sees.

    The new values come one by one, from `first` on, and the comparison ends in a pass where one is no worse than every
    stored one, or where their mean is within `prediction_bound` at `rate` before the last has come. Simulated.
    """
    random = np.random.default_rng(0)
    old, new = random.standard_normal((DRAWS, stored)), random.standard_normal((DRAWS, last))
    needed = old.max(1) - new.min(1)
    spread, mean = old.std(1, ddof=1), old.mean(1)
    for count in range(first, last):
        bound = prediction_bound(1.0, stored, count, rate) * spread
        needed = np.maximum(needed, bound + mean - new[:, :count].mean(1))
    return float(np.quantile(needed, power))


@cache
def _quantile(freedom: int, rate: float) -> float:
    return float(stats.t.isf(rate, freedom))


@cache
def _shift(stored: int, rate: float, power: float) -> float:
    """The noncentrality with which a t of stored - 1 degrees of freedom passes the quantile with that power."""
    bound = _quantile(stored - 1, rate)

    def missing(shift: float) -> float:
        return float(stats.nct.sf(bound, stored - 1, shift)) - power

    return float(optimize.brentq(missing, 0.0, 4 * bound + 10))
