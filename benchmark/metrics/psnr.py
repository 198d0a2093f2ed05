"""PSNR between 8-bit pictures: 10 log10(255^2 / MSE), the error taken over all pixels and channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0

CAP_DB = 100.0
"""What a pair counts at most in a mean. Two identical pictures have an infinite PSNR, and one such pair would make the
mean infinite; to leave it out would punish the method that made it. 100 dB is out of reach of any visible difference
(one level in one channel of one pixel of a 64 x 64 picture is 89 dB). How many pairs are identical is always given with
the mean."""


@dataclass(frozen=True)
class MeanPsnr:
    """The mean over pairs, each capped at `CAP_DB`; `identical` of the `pairs` were equal in every byte."""

    decibel: float
    pairs: int
    identical: int


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """PSNR in dB of each pair of `a` and `b` (N x H x W x 3, uint8): N values, infinite where a pair is identical.

    Raises ValueError where shapes or types differ.
    """
    if a.shape != b.shape or a.ndim != 4 or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"two N x H x W x 3 uint8 arrays are needed, not {a.shape} {a.dtype} and {b.shape} {b.dtype}")
    # A level's difference squared is at most 65025: the sums are exact in 64-bit integers, and no float copy is made.
    squared = np.square(a.astype(np.int32) - b).sum(axis=(1, 2, 3), dtype=np.int64)
    error = squared / float(np.prod(a.shape[1:]))
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(PEAK**2 / error), dtype=np.float64)


def mean_psnr(values: NDArray[np.float64]) -> MeanPsnr:
    """The mean of `psnr`'s values (at least one)."""
    if len(values) == 0:
        raise ValueError("no pairs, no mean")
    return MeanPsnr(float(np.minimum(values, CAP_DB).mean()), len(values), int(np.isinf(values).sum()))
