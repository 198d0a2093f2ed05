"""Holm, ranks, samples that decide: known values, and simulations in which wrong ways fail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.decisions import (
    Rank,
    holm,
    needed_sample,
    rank_intervals,
)
from benchmark.statistics.estimates import IdentityMeans


def means(values):
    return IdentityMeans({f"p{i:02d}": float(value) for i, value in enumerate(values)})


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []


def test_holm_keeps_the_error_of_a_family_and_no_correction_does_not():
    rng = np.random.default_rng(0)
    families = rng.uniform(size=(2000, 8))
    assert np.mean([min(holm(family)) <= 0.05 for family in families]) <= 0.065
    assert np.mean(families.min(axis=1) <= 0.05) > 0.25


def test_ranks_are_as_wide_as_the_rows_are_close():
    rng = np.random.default_rng(3)
    people = rng.normal(0, 5, 12)
    rows = {
        "clear": means(people + 10 + rng.normal(0, 1, 12)),
        "tied": means(people + rng.normal(0, 1, 12)),
        "too": means(people + rng.normal(0, 1, 12)),
        "last": means(people - 10 + rng.normal(0, 1, 12)),
    }
    assert rank_intervals(rows, True) == {
        "clear": Rank(1, 1),
        "tied": Rank(2, 3),
        "too": Rank(2, 3),
        "last": Rank(4, 4),
    }
    assert rank_intervals(rows, False)["clear"] == Rank(4, 4)
    assert str(Rank(2, 3)) == "2–3"
    assert str(Rank(1, 1)) == "1"


def test_rank_intervals_hold_the_true_rank():
    rng = np.random.default_rng(4)
    true = np.array([0.0, 0.3, 0.6, 0.9])
    held = []
    for _ in range(150):
        rows = {str(i): means(level + rng.normal(0, 1, 10)) for i, level in enumerate(true)}
        ranks = rank_intervals(rows, False)
        held.append(all(ranks[str(i)].best <= i + 1 <= ranks[str(i)].worst for i in range(4)))
    assert np.mean(held) >= 0.93


def test_a_needed_sample_has_the_power():
    assert needed_sample(0.5, 1, 0.025) == 34  # G*Power: one sample, one-sided, alpha .025, d .5, power .8
    rng = np.random.default_rng(5)
    count = needed_sample(0.8, 1, 0.05)
    actual = stats.ttest_1samp(rng.normal(0.8, 1, (4000, count)), 0, axis=1, alternative="greater").pvalue <= 0.05
    assert 0.77 <= actual.mean() <= 0.86
    assert needed_sample(0, 1, 0.05) is None
    assert needed_sample(1e-4, 1, 0.05) is None
    assert needed_sample(1, 0, 0.05) == 2
