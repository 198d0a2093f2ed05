"""The kernel distance against a loop written from its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmark.metrics import kid
from benchmark.metrics.kid import kernel_distance


def by_loops(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Bińkowski et al., Sec. 4, term by term; also torch-fidelity's with one subset that holds everything."""

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float((np.dot(x, y) / len(x) + 1.0) ** 3)

    n, m = len(a), len(b)
    within_a = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    between = sum(kernel(x, y) for x in a for y in b) / (n * m)
    return within_a + within_b - 2.0 * between


@settings(max_examples=25)
@given(n=st.integers(2, 12), m=st.integers(2, 12), dimensions=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_agrees_with_the_definition(n: int, m: int, dimensions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, dimensions)), rng.standard_normal((m, dimensions)) * 1.5 + 0.3
    assert kernel_distance(a, b) == pytest.approx(by_loops(a, b), rel=1e-9, abs=1e-12)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((50, 6)), rng.standard_normal((33, 6))
    whole = kernel_distance(a, b)
    monkeypatch.setattr(kid, "BLOCK", 7)
    assert kernel_distance(a, b) == pytest.approx(whole, rel=1e-12)


def test_unbiased_where_the_biased_estimate_is_not() -> None:
    """Over many pairs of samples of one distribution the mean is 0; with the self terms it would be well above."""
    rng = np.random.default_rng(1)
    pairs = [(rng.standard_normal((10, 5)), rng.standard_normal((10, 5))) for _ in range(400)]
    values = np.array([kernel_distance(a, b) for a, b in pairs])
    standard_error = values.std() / np.sqrt(len(values))
    assert abs(values.mean()) < 4 * standard_error
    biased = np.array([_with_self_terms(a, b) for a, b in pairs])
    assert biased.mean() > 4 * standard_error


def _with_self_terms(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    def mean(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float(np.mean((x @ y.T / x.shape[1] + 1.0) ** 3))

    return mean(a, a) + mean(b, b) - 2.0 * mean(a, b)


def test_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="N x D"):
        kernel_distance(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="N x D"):
        kernel_distance(np.zeros((1, 3)), np.zeros((4, 3)))
