"""Schedules of learning rates."""

from __future__ import annotations

from benchmark.interface import Progress


def falling(progress: Progress, flat_share: float) -> float:
    """The factor of a rate that is 1 for `flat_share` of the iterations, then falls linearly towards 0.

    A share of 1 keeps it at 1.
    """
    start = round(progress.iterations * flat_share)
    return min(1.0, (progress.iterations - progress.iteration) / max(1, progress.iterations - start))
