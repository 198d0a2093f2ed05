"""Structural similarity (Wang et al., 2004): their window (Gaussian, sigma 1.5, 11 x 11), K1 = 0.01, K2 = 0.03, range
255.

Per channel, then the mean over channels and over all positions where the window lies wholly inside: what scikit-image
computes with `channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import PairMetric

SIGMA = 1.5
RADIUS = 5
WINDOW = 2 * RADIUS + 1
C1 = (0.01 * 255.0) ** 2
C2 = (0.03 * 255.0) ** 2

BLOCK = 64
"""Rows of a picture filtered by one matrix product; the band of the filter's matrix is 11 wide, so larger blocks waste
work."""
PIXELS = 1 << 18
"""Pixels (times channels) held as doubles at once, so that the half dozen maps stay in the processor's cache."""

Maps = NDArray[np.float64]


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Maps:
    """Mean SSIM of each pair of `a` and `b` (N x H x W x 3, uint8; H and W at least 11): N values in [-1, 1].

    Raises ValueError where shapes or types differ or the pictures are smaller than the window.
    """
    if a.shape != b.shape or a.ndim != 4 or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"two N x H x W x 3 uint8 arrays are needed, not {a.shape} {a.dtype} and {b.shape} {b.dtype}")
    if min(a.shape[1:3]) < WINDOW:
        raise ValueError(f"pictures of {a.shape[1]} x {a.shape[2]} are smaller than the {WINDOW} x {WINDOW} window")
    chunk = max(1, PIXELS // int(np.prod(a.shape[1:])))
    values = np.empty(len(a))
    for start in range(0, len(a), chunk):
        part = slice(start, start + chunk)
        values[part] = _ssim_maps(_planes(a[part]), _planes(b[part])).mean(axis=(1, 2, 3))
    return values


def _ssim_maps(x: Maps, y: Maps) -> Maps:
    """Wang et al., Eq. (13), at each position of the window: N x 3 x (H - 10) x (W - 10)."""
    mean_x, mean_y = _blur(x), _blur(y)
    product = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    covariance = _blur(x * y) - product
    variances = _blur(x**2 + y**2) - squares
    return np.asarray((2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2)))


def _planes(images: NDArray[np.uint8]) -> Maps:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float64)


def _band() -> Maps:
    """The filter as a matrix, BLOCK x (BLOCK + 10): row i holds the window's weights from column i on."""
    weights = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    weights /= weights.sum()
    band = np.zeros((BLOCK, BLOCK + 2 * RADIUS))
    for row in range(BLOCK):
        band[row, row : row + WINDOW] = weights
    return band


BAND = _band()


def _blur(planes: Maps) -> Maps:
    """Gaussian means over the windows inside the picture: N x C x H x W to N x C x (H - 10) x (W - 10)."""
    rows = np.empty((*planes.shape[:2], planes.shape[2] - 2 * RADIUS, planes.shape[3]))
    for start in range(0, rows.shape[2], BLOCK):
        size = min(BLOCK, rows.shape[2] - start)
        reach = size + 2 * RADIUS
        np.matmul(BAND[:size, :reach], planes[:, :, start : start + reach], out=rows[:, :, start : start + size])
    means = np.empty((*rows.shape[:3], rows.shape[3] - 2 * RADIUS))
    for start in range(0, means.shape[3], BLOCK):
        size = min(BLOCK, means.shape[3] - start)
        reach = size + 2 * RADIUS
        means[..., start : start + size] = rows[..., start : start + reach] @ BAND[:size, :reach].T
    return means


SSIM = PairMetric(
    key="ssim",
    label="SSIM",
    direction="higher",
    decimals=4,
    definition="SSIM to the true picture, as PSNR-true",
    against="truth",
    compare=ssim,
    smallest_side=WINDOW,
)
