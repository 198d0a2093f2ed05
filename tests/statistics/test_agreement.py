"""Kendall's tau of two orders."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from benchmark.statistics.agreement import rank_agreement


def test_the_same_the_opposite_and_one_swap() -> None:
    assert rank_agreement([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert rank_agreement([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert rank_agreement([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx((5 - 1) / 6)


def test_it_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=7), rng.normal(size=7)
    signs = [np.sign((a[i] - a[j]) * (b[i] - b[j])) for i, j in combinations(range(7), 2)]
    assert rank_agreement(list(a), list(b)) == pytest.approx(np.mean(signs))


def test_what_has_no_order_has_none() -> None:
    assert rank_agreement([1, 2], [1, 2]) is None
    assert rank_agreement([1, 1, 1], [1, 2, 3]) is None
    with pytest.raises(ValueError, match="not the same"):
        rank_agreement([1, 2, 3], [1, 2])
