"""The kernel distance between two sets of features, as KID uses it (Bińkowski et al., 2018, Sec. 4).

The unbiased estimate of the squared maximum mean discrepancy with the kernel k(x, y) = (x . y / D + 1)^3. Its
expectation does not depend on the number of images, whereas that of the Fréchet distance does; so of the two it is the
one to read at a few hundred images.

KID is often printed as a mean over random subsets of 1000 images (torch-fidelity does so), which makes large sets
affordable and gives a spread. The sets here are small enough to use whole: the same estimator, with the least variance
and no seed to agree on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import SetMetric

BLOCK = 1024
"""Rows of the kernel matrix held at once: memory stays at BLOCK x M doubles, whatever N is."""


def kernel_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Unbiased MMD^2 of `a` (N x D) and `b` (M x D), N and M at least 2. Can be slightly negative.

    Raises ValueError for sets of other shapes.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"features must be N x D and M x D with N, M at least 2, not {a.shape} and {b.shape}")
    first, second = a.astype(np.float64), b.astype(np.float64)
    within_first = _kernel_sum(first, first) - _self_sum(first)
    within_second = _kernel_sum(second, second) - _self_sum(second)
    n, m = len(first), len(second)
    between = _kernel_sum(first, second) / (n * m)
    return within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2.0 * between


def _kernel_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The sum of k over all pairs of a row of `x` and a row of `y`."""
    blocks = (x[start : start + BLOCK] @ y.T for start in range(0, len(x), BLOCK))
    return float(sum(np.sum((block / x.shape[1] + 1.0) ** 3) for block in blocks))


def _self_sum(x: NDArray[np.float64]) -> float:
    """The sum of k(x_i, x_i), which the unbiased estimate leaves out."""
    return float(np.sum((np.sum(x**2, axis=1) / x.shape[1] + 1.0) ** 3))


def thousandfold(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """The kernel distance times 1000, as it is printed."""
    return 1000 * kernel_distance(a, b)


KID = SetMetric(
    key="kid",
    label="KID × 1000",
    label_elsewhere="KD{} × 1000",
    direction="lower",
    definition="unbiased kernel distance between the same features, times 1000",
    distance=thousandfold,
)
KID_CROPPED = SetMetric(
    key="kid_cropped",
    label="KID(Cp) × 1000",
    label_elsewhere="KD{}(Cp) × 1000",
    direction="lower",
    definition="the same kernel distance, of tight face boxes",
    distance=thousandfold,
    view="cropped",
)
