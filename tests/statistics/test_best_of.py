"""The best of k trials, against all choices one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.statistics.best_of import best_of, best_of_curve

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=7)


@given(VALUES, st.booleans())
def test_it_is_the_mean_over_all_choices(values: list[float], higher: bool) -> None:
    best = max if higher else min
    for each in best_of_curve(values, higher):
        choices = [best(chosen) for chosen in itertools.combinations(values, each.trials)]
        assert each.mean == pytest.approx(np.mean(choices), abs=1e-9)
        assert np.mean([each.low <= choice <= each.high for choice in choices]) >= 0.95
        assert each.low in values
        assert each.high in values


def test_drawing_with_replacement_would_be_something_else() -> None:
    """The biased estimator of Dodge et al. gives the best of three of three values less than their best."""
    values = [1.0, 2.0, 6.0]
    biased = np.mean([max(chosen) for chosen in itertools.product(values, repeat=3)])
    assert biased < best_of(values, 3).mean == 6.0


@pytest.mark.parametrize("trials", [0, 4])
def test_no_best_of_none_or_of_more_than_there_are(trials: int) -> None:
    with pytest.raises(ValueError, match="not defined"):
        best_of([1.0, 2.0, 3.0], trials)
