"""How far two metrics order the same rows alike."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import stats

FEWEST = 3
"""Rows; two are ordered alike or not by a coin."""


def rank_agreement(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b of two metrics over the same rows, both turned so that less is better: 1 for one order, -1 for
    the opposite. None for fewer rows than FEWEST, or where a metric has one value.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} rows are not the same")
    if len(first) < FEWEST or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(stats.kendalltau(first, second).statistic)
