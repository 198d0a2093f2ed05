"""Holm, equivalence, ranks, samples that decide, best of k: known values, and simulations in which wrong ways fail."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.decisions import (
    Rank,
    equivalence_p,
    expected_best,
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


def test_equivalence_is_two_one_sided_tests():
    values = np.random.default_rng(1).normal(0.1, 0.5, 12)
    wanted = max(
        stats.permutation_test((values + 1,), np.mean, permutation_type="samples", alternative="greater").pvalue,
        stats.permutation_test((values - 1,), np.mean, permutation_type="samples", alternative="less").pvalue,
    )
    assert equivalence_p(means(values), 1) == pytest.approx(wanted, abs=1e-3)
    with pytest.raises(ValueError, match="positive margin"):
        equivalence_p(means(values), 0)


def test_equivalence_keeps_its_level_at_the_margin_and_no_difference_found_does_not():
    """A test that finds no difference is no evidence for equality: with few identities it is rarely anything else."""
    rng = np.random.default_rng(2)
    runs = [means(row) for row in rng.normal(1, 1, (800, 8))]
    assert np.mean([equivalence_p(run, 1) <= 0.05 for run in runs]) <= 0.065
    assert np.mean([run.p_value() > 0.05 for run in runs]) > 0.25


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


def test_best_of_k_is_the_mean_over_all_subsets():
    scores = [3.0, 1.0, 4.0, 1.5, 9.0]
    for tries in range(1, 6):
        subsets = [max(chosen) for chosen in combinations(scores, tries)]
        assert expected_best(scores, tries) == pytest.approx(np.mean(subsets))
    with pytest.raises(ValueError, match="best of 6"):
        expected_best(scores, 6)


def test_best_of_k_is_unbiased_and_drawing_with_replacement_is_not():
    rng = np.random.default_rng(6)
    samples = rng.uniform(size=(3000, 6))
    truth = 4 / 5  # the expected maximum of four uniform numbers
    assert np.mean([expected_best(row, 4) for row in samples]) == pytest.approx(truth, abs=0.01)
    draws = np.array(list(product(range(6), repeat=4)))
    assert samples[:, draws].max(axis=2).mean() < truth - 0.05
