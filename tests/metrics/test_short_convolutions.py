"""Convolutions with fewer multiplications: against the sliding sum that they stand for, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.metrics.features import short_convolutions
from benchmark.metrics.features.short_convolutions import POINTS, Bilinear, LineChain, TileConv, line, tile

seeds = st.integers(0, 10_000)


def apply(algorithm: Bilinear, x: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(algorithm.synthesis @ ((algorithm.kernel @ w) * (algorithm.analysis @ x)))


@given(length=st.integers(2, 24), reach=st.integers(0, 4), seed=seeds)
def test_lines_are_sliding_sums_with_zeros_beyond_the_ends(length: int, reach: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal(length), rng.standard_normal(2 * reach + 1)
    expected = np.correlate(np.pad(x, reach), w, mode="valid")
    np.testing.assert_allclose(apply(line(length, len(w)), x, w), expected, atol=1e-10)


@given(outputs=st.integers(1, 4), taps=st.integers(1, 4), seed=seeds)
def test_tiles_are_sliding_sums(outputs: int, taps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = outputs + taps - 1
    x, w = rng.standard_normal(count), rng.standard_normal(taps)
    algorithm = tile(outputs, taps, (0.0, 1.0, -1.0, 0.5, -2.0, 2.0)[: count - 1])
    np.testing.assert_allclose(apply(algorithm, x, w), np.correlate(x, w, mode="valid"), atol=1e-9)
    assert len(algorithm.kernel) == count


def test_how_many_products_are_saved() -> None:
    assert line(17, 7).kernel.shape == (29, 7)
    assert tile(4, 3, POINTS).kernel.shape == (6, 3)
    with pytest.raises(ValueError, match="different points"):
        tile(4, 3, (0.0, 1.0, 1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="odd"):
        line(8, 2)


def layer(channels: int, outputs: int, kernel: tuple[int, int], padding: tuple[int, int], seed: int = 0) -> nn.Conv2d:
    generator = torch.Generator().manual_seed(seed)
    conv = nn.Conv2d(channels, outputs, kernel, padding=padding)
    conv.weight.data = torch.randn(conv.weight.shape, generator=generator) / conv.weight[0].numel() ** 0.5
    assert conv.bias is not None
    conv.bias.data = torch.randn(outputs, generator=generator) * 0.3
    return conv


def pictures(count: int, channels: int, height: int, width: int) -> Tensor:
    x = torch.rand((count, channels, height, width), generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


def exactly(conv: nn.Conv2d, x: Tensor) -> Tensor:
    assert conv.bias is not None
    return F.relu(F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), conv.stride, conv.padding))


def error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return float((actual - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    ("count", "height", "width", "padding"), [(3, 35, 35, 1), (2, 30, 21, 0), (1, 8, 8, 1), (5, 3, 4, 0), (5, 9, 6, 1)]
)
@torch.no_grad()
def test_tiled_convolutions(count: int, height: int, width: int, padding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    conv, x = layer(24, 16, (3, 3), (padding, padding)), pictures(count, 24, height, width)
    for tiles in (81, 8, 1):  # pictures at once, rows of tiles, single tiles
        monkeypatch.setattr(short_convolutions, "TILES", tiles)
        assert error(TileConv(conv)(x), exactly(conv, x)) < 2e-6


@pytest.mark.parametrize("kernels", [[(1, 7)], [(7, 1)], [(1, 7), (7, 1)], [(7, 1), (1, 7), (7, 1)]])
@torch.no_grad()
def test_chains_of_lines(kernels: list[tuple[int, int]]) -> None:
    convs = [layer(12, 12, kernel, (kernel[0] // 2, kernel[1] // 2), seed) for seed, kernel in enumerate(kernels)]
    x = pictures(3, 12, 17, 17)
    expected = x.double()
    for conv in convs:
        expected = exactly(conv, expected)
    # A slice of channels is not contiguous.
    assert error(LineChain(convs, 17)(torch.cat([x, x], dim=1)[:, 12:]), expected) < 1e-6
