"""Intervals over seeds and identities: coverage by simulation, with the wrong ways failing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.intervals import (
    prediction_interval,
    seeds_difference,
    seeds_p_value,
    t_interval,
)

RUNS = 2000
IDENTITIES, EDITS = 10, 24


def covers(low, high, truth):
    return np.mean((np.asarray(low) <= truth) & (truth <= np.asarray(high)))


def clustered(rng, runs=RUNS):
    """runs x identities x edits: half of the variance is an identity's own; true mean 0."""
    return rng.normal(size=(runs, IDENTITIES, 1)) + rng.normal(size=(runs, IDENTITIES, EDITS))


def bootstrap(rng, samples, draws=400):
    """Percentile bootstrap of the mean of each row of `samples`."""
    picks = rng.integers(samples.shape[1], size=(draws, samples.shape[1]))
    return np.percentile(samples[:, picks].mean(axis=2), [2.5, 97.5], axis=1)


def test_three_seeds_are_covered_by_the_t_interval_and_not_by_the_bootstrap():
    rng = np.random.default_rng(0)
    seeds = rng.normal(size=(RUNS, 3))
    intervals = [t_interval(row, "seeds") for row in seeds]
    assert 0.935 <= covers([i.low for i in intervals], [i.high for i in intervals], 0) <= 0.965
    assert covers(*bootstrap(rng, seeds), 0) < 0.82


def test_half_width_of_three_seeds_is_two_and_a_half_deviations():
    values = np.array([1.0, 2.0, 4.0])
    interval = t_interval(values, "seeds")
    assert (interval.high - interval.low) / 2 == pytest.approx(2.484 * values.std(ddof=1), rel=1e-3)
    assert (interval.low, interval.high) == pytest.approx(
        stats.ttest_1samp(values, 0).confidence_interval(0.95), rel=1e-12
    )


def test_identities_are_covered_where_edits_are_taken_together_and_not_where_each_counts():
    rng = np.random.default_rng(1)
    runs = clustered(rng)
    mine = [t_interval(run.mean(axis=1), "identities") for run in runs]
    assert 0.935 <= covers([i.low for i in mine], [i.high for i in mine], 0) <= 0.965
    edits = runs.reshape(RUNS, -1)
    naive = [t_interval(run, "identities") for run in edits]
    assert covers([i.low for i in naive], [i.high for i in naive], 0) < 0.6
    assert covers(*bootstrap(rng, edits[:400], 200), 0) < 0.6


def test_a_new_seed_falls_into_the_prediction_interval_and_rarely_into_that_of_the_mean():
    rng = np.random.default_rng(2)
    seeds = rng.normal(size=(RUNS, 6))
    predicted = np.array([prediction_interval(row[:5]) for row in seeds])
    means = [t_interval(row[:5], "seeds") for row in seeds]
    assert 0.935 <= np.mean((predicted[:, 0] <= seeds[:, 5]) & (seeds[:, 5] <= predicted[:, 1])) <= 0.965
    assert np.mean([mean.low <= new <= mean.high for mean, new in zip(means, seeds[:, 5], strict=True)]) < 0.8


def test_the_difference_of_two_rows_over_seeds_is_covered_with_unequal_spread():
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, (RUNS, 3)), rng.normal(0, 2, (RUNS, 3))
    intervals = [seeds_difference(x, y) for x, y in zip(a, b, strict=True)]
    assert 0.93 <= covers([i.low for i in intervals], [i.high for i in intervals], 1) <= 0.985
    for x, y, interval in zip(a[:5], b[:5], intervals, strict=False):
        theirs = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
        assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


def test_the_p_value_over_seeds_counts_all_ways_of_sharing_them_out():
    a, b = [3.0, 4.0, 4.5, 6.0, 7.0], [1.0, 2.0, 3.5, 5.0, 2.5]
    pool = np.array(a + b)
    ways = [pool[list(ours)].mean() - np.delete(pool, ours).mean() for ours in combinations(range(10), 5)]
    assert len(ways) == 252
    assert seeds_p_value(a, b) == pytest.approx(np.mean(np.abs(ways) >= np.mean(a) - np.mean(b) - 1e-12))
    assert seeds_p_value(np.arange(5) + 10, np.arange(5)) == pytest.approx(2 / 252)
    assert seeds_p_value(a, b[:4]) is None
    assert seeds_p_value([1.0] * 5, [1.0] * 5) == 1


def test_the_p_value_over_seeds_keeps_its_level_and_the_normal_distribution_does_not():
    rng = np.random.default_rng(4)
    runs = rng.normal(size=(600, 2, 5))
    assert 0.03 <= np.mean([seeds_p_value(a, b) <= 0.05 for a, b in runs]) <= 0.065
    z = (runs[:, 0].mean(1) - runs[:, 1].mean(1)) / np.sqrt(runs.var(axis=2, ddof=1).sum(1) / 5)
    assert np.mean(2 * stats.norm.sf(np.abs(z)) <= 0.05) > 0.07


def test_one_value_has_no_interval():
    assert t_interval([3.0], "seeds").low is None
    assert t_interval([3.0], "seeds").high is None
    assert seeds_difference([1.0], [2.0, 3.0]).high is None
    assert seeds_difference([2.0, 2.0], [1.0, 1.0]).low == 1
    with pytest.raises(ValueError, match="two seeds"):
        prediction_interval([1.0])
    with pytest.raises(ValueError, match="at least one"):
        t_interval([], "seeds")
