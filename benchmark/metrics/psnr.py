"""PSNR between 8-bit pictures: 10 log10(255^2 / MSE), the error taken over all pixels and channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import PairMetric

PEAK = 255.0

CAP_DB = 100.0
"""What a pair counts at most in a mean. Two identical pictures have an infinite PSNR, and one such pair would make the
mean infinite; to leave it out would punish the method that made it. 100 dB is out of reach of any visible difference
(one level in one channel of one pixel of a 64 x 64 picture is 89 dB)."""


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


def mean_psnr(values: NDArray[np.float64]) -> float:
    """The mean of `psnr`'s values (at least one), each capped at `CAP_DB`."""
    if len(values) == 0:
        raise ValueError("no pairs, no mean")
    return float(np.minimum(values, CAP_DB).mean())


PSNR_REF = PairMetric(
    key="psnr_ref",
    label="PSNR-ref",
    direction="higher",
    unit="dB",
    definition="PSNR to the reference, a real picture of another person with the target expression",
    paper={"F&P": "PSNR"},
    against="reference",
    compare=psnr,
    average=mean_psnr,
)
PSNR_TRUE = PairMetric(
    key="psnr_true",
    label="PSNR-true",
    direction="higher",
    unit="dB",
    definition="PSNR to the true picture, of the same person, camera and gaze with the target expression",
    paper={"F": "PSNR"},
    against="truth",
    compare=psnr,
    average=mean_psnr,
)
PSNR_SRC = PairMetric(
    key="psnr_src",
    label="PSNR-src",
    direction="higher",
    unit="dB",
    definition="PSNR to the source picture",
    against="source",
    compare=psnr,
    average=mean_psnr,
)
