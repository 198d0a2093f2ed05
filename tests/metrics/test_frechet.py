"""The Fréchet distance against pytorch-fid's own, closed forms, properties, and an implementation that is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy import linalg

from benchmark.metrics import frechet
from benchmark.metrics.frechet import frechet_distance

Features = NDArray[np.float64]


def features(count: int, dimensions: int, seed: int) -> Features:
    """Positive, correlated features with a few strong directions, as networks make them."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dimensions, dimensions)) * np.linspace(1.0, 0.05, dimensions)[:, None]
    return np.asarray(np.abs(rng.standard_normal((count, dimensions)) @ mixing + rng.standard_normal(dimensions)))


def published(a: Features, b: Features) -> float:
    """pytorch-fid's distance; its formula where this SciPy has no `sqrtm(disp=)` any more (1.18), which pytorch-fid
    calls."""
    statistics = (a.mean(axis=0), np.cov(a, rowvar=False), b.mean(axis=0), np.cov(b, rowvar=False))
    if "disp" in inspect.signature(linalg.sqrtm).parameters:
        return float(calculate_frechet_distance(*statistics))
    mean_a, covariance_a, mean_b, covariance_b = statistics
    root = np.real(linalg.sqrtm(covariance_a @ covariance_b))
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(covariance_a + covariance_b - 2.0 * root))


# pytorch-fid calls SciPy in a way that 1.18 will no longer know; `published` has the answer ready.
pytestmark = pytest.mark.filterwarnings("ignore:The `disp` argument is deprecated:DeprecationWarning")

CASES = [
    pytest.param(400, 300, 48, id="more images than dimensions"),
    pytest.param(30, 45, 48, id="fewer images than dimensions"),
    pytest.param(30, 400, 48, id="one set of each kind"),
    pytest.param(49, 48, 48, id="at the border"),
]


@pytest.mark.parametrize(("n", "m", "dimensions"), CASES)
def test_agrees_with_pytorch_fid(n: int, m: int, dimensions: int) -> None:
    a, b = features(n, dimensions, 1), features(m, dimensions, 2)
    assert frechet_distance(a, b) == pytest.approx(published(a, b), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "dimensions"), CASES)
def test_both_ways_to_the_trace_agree(n: int, m: int, dimensions: int) -> None:
    a, b = features(n, dimensions, 3), features(m, dimensions, 4)
    left, right = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b))
    from_covariances = frechet.root_trace_from_covariances(left.T @ left, right.T @ right)
    assert frechet.root_trace_from_deviations(left, right) == pytest.approx(from_covariances, rel=1e-6)


def biased(a: Features, b: Features) -> float:
    """Wrong: covariances divided by N instead of N - 1."""
    left, right = (x - x.mean(axis=0) for x in (a, b))
    root = frechet.root_trace_from_deviations(left / np.sqrt(len(a)), right / np.sqrt(len(b)))
    spread = np.trace(np.cov(a, rowvar=False, bias=True)) + np.trace(np.cov(b, rowvar=False, bias=True))
    return float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + spread - 2.0 * root)


def without_root(a: Features, b: Features) -> float:
    """Wrong: the trace of the product instead of that of its square root."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(first + second - 2.0 * first @ second))


@pytest.mark.parametrize("wrong", [biased, without_root])
def test_known_wrong_implementations_are_told_apart(wrong: Callable[[Features, Features], float]) -> None:
    a, b = features(400, 48, 1), features(300, 48, 2)
    assert wrong(a, b) != pytest.approx(published(a, b), rel=1e-4)


sizes = st.integers(min_value=2, max_value=24)
seeds = st.integers(min_value=0, max_value=10_000)


@given(n=sizes, m=sizes, dimensions=st.integers(1, 12), seed=seeds)
def test_symmetric_and_zero_for_equal_sets(n: int, m: int, dimensions: int, seed: int) -> None:
    a, b = features(n, dimensions, seed), features(m, dimensions, seed + 1)
    scale = np.var(a, axis=0).sum() + np.var(b, axis=0).sum()
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6, abs=1e-6 * scale)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0.0, abs=1e-6 * scale)


@given(n=sizes, dimensions=st.integers(1, 12), seed=seeds, step=st.floats(0.1, 10.0))
def test_of_a_translated_set_is_the_step_squared(n: int, dimensions: int, seed: int, step: float) -> None:
    a = features(n, dimensions, seed)
    shift = np.random.default_rng(seed).standard_normal(dimensions) * step
    scale = np.var(a, axis=0).sum()
    assert frechet_distance(a, a + shift) == pytest.approx(shift @ shift, rel=1e-6, abs=1e-6 * scale)


@given(n=sizes, dimensions=st.integers(2, 12), seed=seeds)
def test_rotation_changes_nothing(n: int, dimensions: int, seed: int) -> None:
    a, b = features(n, dimensions, seed), features(n + 3, dimensions, seed + 1)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimensions, dimensions)))[0]
    scale = np.var(a, axis=0).sum() + np.var(b, axis=0).sum()
    assert frechet_distance(a @ rotation, b @ rotation) == pytest.approx(
        frechet_distance(a, b), rel=1e-6, abs=1e-6 * scale
    )


def test_of_scaled_sets_is_the_closed_form() -> None:
    # C_b = 9 C_a, so d^2 = |2 mu|^2 + tr(C) (1 + 9 - 2 * 3).
    a = features(200, 10, 7)
    expected = 4 * np.sum(a.mean(axis=0) ** 2) + 4 * np.trace(np.cov(a, rowvar=False))
    assert frechet_distance(a, 3 * a) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4))),
        (np.zeros((5, 4)), np.zeros((5, 3))),
        (np.zeros((5, 4)), np.full((5, 4), np.nan)),
    ],
)
def test_refuses_what_has_no_distance(a: Features, b: Features) -> None:
    with pytest.raises(ValueError, match="features"):
        frechet_distance(a, b)
