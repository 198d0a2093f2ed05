"""Bounds for a new result beside stored ones: how far chance carries it, and which change would be seen."""

from __future__ import annotations

import math
from functools import cache

from scipy import optimize, stats

POWER = 0.8


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
