"""PSNR and SSIM against scikit-image, pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import metrics

from benchmark.metrics.psnr import CAP_DB, mean_psnr, psnr
from benchmark.metrics.ssim import ssim

Pictures = NDArray[np.uint8]
scikit_image: Any = metrics


def pairs(count: int, height: int, width: int, seed: int = 0) -> tuple[Pictures, Pictures]:
    """Smooth pictures and noisier and noisier versions of them."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, height // 8 + 1, width // 8 + 1, 3))
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    noise = rng.standard_normal(smooth.shape) * np.linspace(1, 60, count)[:, None, None, None]
    return smooth.astype(np.uint8), np.clip(smooth + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (11, 17), (150, 90)])
def test_psnr_agrees_with_scikit_image(height: int, width: int) -> None:
    a, b = pairs(6, height, width)
    expected = [scikit_image.peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(psnr(a, b), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (11, 17), (150, 90), (64 + 10, 128 + 11)])
def test_ssim_agrees_with_scikit_image(height: int, width: int) -> None:
    a, b = pairs(5, height, width)
    expected = [
        scikit_image.structural_similarity(
            x, y, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(ssim(a, b), expected, rtol=0, atol=1e-6)


sides = st.integers(11, 90)


@settings(max_examples=40)
@given(height=sides, width=sides, seed=st.integers(0, 10_000), levels=st.sampled_from((1, 2, 16, 256)))
def test_any_size_and_any_contrast_agree_with_scikit_image(height: int, width: int, seed: int, levels: int) -> None:
    """With few levels: flat pictures, where the variances vanish, and pairs of equal ones."""
    rng = np.random.default_rng(seed)
    base = int(rng.integers(0, 257 - levels))
    a, b = rng.integers(base, base + levels, (2, 3, height, width, 3), dtype=np.uint8)
    b[2] = a[2]
    actual = np.stack([psnr(a, b), ssim(a, b)], axis=1)
    for x, y, ours in zip(a, b, actual, strict=True):
        identical = bool((x == y).all())
        decibel = np.inf if identical else scikit_image.peak_signal_noise_ratio(x, y, data_range=255)
        similarity = scikit_image.structural_similarity(
            x, y, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        np.testing.assert_allclose(ours, [decibel, similarity], rtol=0, atol=1e-6)


def test_ssim_is_not_that_of_the_flat_window() -> None:
    """scikit-image's default, a 7 x 7 mean with the sample covariance, is another number: the test above can tell."""
    a, b = pairs(4, 64, 64)
    other = [
        scikit_image.structural_similarity(x, y, channel_axis=-1, data_range=255) for x, y in zip(a, b, strict=True)
    ]
    assert np.abs(ssim(a, b) - other).max() > 1e-3


def test_ssim_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pairs(7, 40, 40)
    whole = ssim(a, b)
    monkeypatch.setattr("benchmark.metrics.ssim.PIXELS", 1)
    np.testing.assert_array_equal(ssim(a, b), whole)


def test_identical_pictures() -> None:
    a, b = pairs(4, 32, 32)
    b[1] = a[1]
    values = psnr(a, b)
    assert np.isinf(values).tolist() == [False, True, False, False]
    assert ssim(a, b)[1] == pytest.approx(1.0, abs=1e-12)
    assert mean_psnr(values) == pytest.approx((values[[0, 2, 3]].sum() + CAP_DB) / 4)


def test_wrapping_differences_are_not_small() -> None:
    """uint8 arithmetic would wrap 0 - 255 to 1 and call the darkest and the brightest picture alike."""
    black, white = np.zeros((1, 16, 16, 3), np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    assert psnr(black, white)[0] == pytest.approx(0.0, abs=1e-12)


def test_refuses_pairs_that_are_none() -> None:
    a, b = pairs(2, 16, 16)
    with pytest.raises(ValueError, match="uint8"):
        psnr(a, b[:, :12])
    with pytest.raises(ValueError, match="uint8"):
        ssim(a.astype(np.float32), b)
    with pytest.raises(ValueError, match="window"):
        ssim(a[:, :10], b[:, :10])
    with pytest.raises(ValueError, match="no pairs"):
        mean_psnr(np.empty(0))
