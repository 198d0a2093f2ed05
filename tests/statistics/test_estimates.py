"""Paired tests by identity, and the jackknife: against scipy, by simulation, with the wrong ways failing."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from benchmark.metrics.density import COVERAGE, DENSITY
from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.kid import kernel_distance
from benchmark.metrics.metric import SetMetric
from benchmark.metrics.registry import METRICS
from benchmark.statistics.estimates import IdentityMeans, Jackknife, sign_flip
from benchmark.statistics.intervals import t_interval
from benchmark.statistics.leaving_out import frechet_floor, frechet_without_each, kernel_without_each, without_each


# ---------------------------------------------------------------------------------------------- sign flips
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_sign_flip_is_scipys_exact_permutation_test(alternative):
    rng = np.random.default_rng(0)
    for values in (rng.normal(0.4, 1, 9), np.round(rng.normal(0.4, 1, 10), 1), np.array([0.1, 0.2, 0.3, 0.0, 0.0])):
        theirs = stats.permutation_test(
            (values,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=np.inf
        )
        assert sign_flip(values, alternative) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_the_smallest_p_of_n_identities_is_one_of_all_patterns():
    assert sign_flip(np.arange(1.0, 11)) == 2 / 2**10
    assert sign_flip(np.arange(1.0, 4)) == 0.25  # three pairs can never be significant


def test_many_identities_are_drawn_from_a_fixed_seed_and_agree_with_the_t_test():
    values = np.random.default_rng(1).normal(0.3, 1, 60)
    assert sign_flip(values) == sign_flip(values)
    assert sign_flip(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.005)


def test_flipping_identities_keeps_its_level_and_wilcoxon_over_edits_does_not():
    rng = np.random.default_rng(2)
    runs = rng.normal(size=(1000, 10, 1)) + rng.normal(size=(1000, 10, 12))
    ours = np.array([sign_flip(run.mean(axis=1)) for run in runs])
    assert 0.03 <= np.mean(ours <= 0.05) <= 0.065
    over_edits = stats.wilcoxon(runs.reshape(1000, -1), axis=1).pvalue
    assert np.mean(over_edits <= 0.05) > 0.3


def test_a_threshold_moves_the_hypothesis():
    estimate = IdentityMeans({f"p{i}": value for i, value in enumerate(np.linspace(1.5, 2.5, 10))})
    assert estimate.p_value("greater", 1) == 2**-10
    assert estimate.p_value("less", 1) == 1
    assert estimate.p_value("less", 3) == 2**-10
    assert estimate.p_value(threshold=2) > 0.9


def test_a_paired_difference_needs_the_same_identities():
    a, b = IdentityMeans({"x": 3.0, "y": 5.0}), IdentityMeans({"x": 1.0, "y": 2.0})
    assert a.minus(b).means == {"x": 2.0, "y": 3.0}
    with pytest.raises(ValueError, match="y is in one"):
        a.minus(IdentityMeans({"x": 1.0, "z": 2.0}))
    with pytest.raises(ValueError, match="y is in one"):
        Jackknife(1, {"x": 3.0, "y": 5.0}).minus(Jackknife(1, {"x": 3.0}))


# ---------------------------------------------------------------------------------------------- the jackknife
def test_the_jackknife_of_a_mean_is_the_t_interval_over_identities():
    values = np.random.default_rng(3).normal(size=8)
    without = {str(i): float(np.delete(values, i).mean()) for i in range(8)}
    estimate = Jackknife(float(values.mean()), without)
    wanted = t_interval(values, "identities")
    assert (estimate.interval().low, estimate.interval().high) == pytest.approx((wanted.low, wanted.high), rel=1e-10)
    for alternative in ("two-sided", "greater", "less"):
        theirs = stats.ttest_1samp(values, 0.2, alternative=alternative).pvalue
        assert estimate.p_value(alternative, 0.2) == pytest.approx(theirs, rel=1e-9)


def test_equal_rows_differ_by_nothing():
    one = Jackknife(2.0, {"a": 1.0, "b": 3.0})
    assert one.minus(one).p_value() == 1
    assert one.minus(one).p_value("greater", -0.1) == 0
    assert Jackknife(2.0, {"a": 1.0}).p_value() == 1
    assert math.isnan(Jackknife(2.0, {"a": 1.0}).standard_error)


def people(rng, count, pictures, dimensions, spread=1.0, shift=0.0):
    """Features of `pictures` of each of `count` people, who differ from each other as their own pictures do."""
    own = rng.normal(size=(count, 1, dimensions)) + rng.normal(size=(count, pictures, dimensions))
    return (spread * own + shift).reshape(count * pictures, dimensions), np.repeat(
        [f"p{i:02d}" for i in range(count)], pictures
    )


@pytest.mark.parametrize(("dimensions", "pictures", "edited"), [(40, 3, 7), (40, 7, 3), (6, 4, 9), (30, 3, 3)])
def test_replicates_are_distances_of_what_is_left(dimensions, pictures, edited):
    rng = np.random.default_rng(4)
    real, of_real = people(rng, 6, pictures, dimensions)
    edits, of_edits = people(rng, 6, edited, dimensions, 1.1, 5.0)
    order = rng.permutation(len(edits))
    edits, of_edits = edits[order].astype(np.float32), of_edits[order]
    frechet = frechet_without_each(edits, of_edits, real, of_real)
    kernel = kernel_without_each(edits, of_edits, real, of_real)
    assert list(frechet) == list(kernel) == sorted(set(of_real))
    for name, value in frechet.items():
        left, right = edits[of_edits != name], real[of_real != name]
        assert value == pytest.approx(frechet_distance(left, right), rel=1e-6)
        assert kernel[name] == pytest.approx(kernel_distance(left, right), rel=1e-9)


@pytest.mark.parametrize("metric", [metric for metric in METRICS if isinstance(metric, SetMetric)], ids=lambda m: m.key)
def test_fast_ways_are_those_of_each_metric(metric):
    rng = np.random.default_rng(11)
    real, of_real = people(rng, 4, 5, 6)
    edits, of_edits = people(rng, 4, 5, 6, 1.1, 0.5)
    slow = dataclasses.replace(metric, distance=lambda a, b: metric.distance(a, b))
    fast = without_each(metric, edits, of_edits, real, of_real)
    assert fast == pytest.approx(without_each(slow, edits, of_edits, real, of_real), rel=1e-6)


def test_replicates_at_the_size_of_a_profile():
    """Few pictures, many dimensions, most of them nearly empty, as features are."""
    rng = np.random.default_rng(5)
    scale = np.exp(-np.arange(1280) / 80)
    real, of_real = people(rng, 10, 24, 1280)
    edits, of_edits = people(rng, 10, 48, 1280, 0.95, 0.02)
    real, edits = (real * scale).astype(np.float32), (edits * scale).astype(np.float32)
    frechet = frechet_without_each(edits, of_edits, real, of_real)
    for name in ("p00", "p07"):
        wanted = frechet_distance(edits[of_edits != name], real[of_real != name])
        assert frechet[name] == pytest.approx(wanted, rel=1e-6)


def test_an_identity_of_one_side_only_is_left_out_too():
    rng = np.random.default_rng(6)
    real, of_real = people(rng, 5, 4, 6)
    edits, of_edits = people(rng, 4, 4, 6)
    without = frechet_without_each(edits, of_edits, real, of_real)
    assert without["p04"] == pytest.approx(frechet_distance(edits, real[of_real != "p04"]), rel=1e-6)
    with pytest.raises(ValueError, match="p00"):
        frechet_without_each(edits[:5], of_edits[:5], real, of_real)
    with pytest.raises(ValueError, match="p00"):
        kernel_without_each(edits[:5], of_edits[:5], real, of_real)


COUNT, PICTURES, DIMENSIONS, RUNS = 12, 6, 8, 300


def draw(rng):
    """Two rows of edits of the same people, and their real pictures."""
    own = rng.normal(size=(COUNT, 1, DIMENSIONS))
    names = np.repeat([f"p{i:02d}" for i in range(COUNT)], PICTURES)
    sets = [own + rng.normal(size=(COUNT, PICTURES, DIMENSIONS)) for _ in range(3)]
    real, first, second = (part.reshape(-1, DIMENSIONS) for part in sets)
    return names, real, 1.15 * first + 0.3, 0.9 * second + 0.15


def jackknifed(measure, without, names, edits, real):
    return Jackknife(measure(edits, real), without(edits, names, real, names))


@pytest.mark.parametrize(
    ("measure", "without"), [(frechet_distance, frechet_without_each), (kernel_distance, kernel_without_each)]
)
def test_the_jackknife_covers_a_distance_and_a_difference_of_two(measure, without):
    """Truth: the mean over fresh samples of the same size, since a Fréchet distance has a bias that depends on it."""
    rng = np.random.default_rng(7)
    estimates = []
    for _ in range(RUNS):
        names, real, first, second = draw(rng)
        a, b = (jackknifed(measure, without, names, edits, real) for edits in (first, second))
        estimates.append((a, a.minus(b)))
    for kind in zip(*estimates, strict=True):
        truth = np.mean([estimate.value for estimate in kind])
        intervals = [estimate.interval() for estimate in kind]
        assert 0.9 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.99
        errors = np.mean([estimate.standard_error for estimate in kind])
        assert errors == pytest.approx(np.std([estimate.value for estimate in kind]), rel=0.25)


@pytest.mark.parametrize("metric", [DENSITY, COVERAGE], ids=lambda metric: metric.key)
def test_the_jackknife_of_density_and_coverage_errs_on_the_safe_side(metric):
    """They count neighbours, so what leaving somebody out changes is jumpy: errors come out up to half too large."""
    rng = np.random.default_rng(7)
    estimates = []
    for _ in range(40):
        names, real, first, _ = draw(rng)
        estimates.append(Jackknife(metric.distance(first, real), without_each(metric, first, names, real, names)))
    values = [estimate.value for estimate in estimates]
    intervals = [estimate.interval() for estimate in estimates]
    assert np.mean([i.low <= np.mean(values) <= i.high for i in intervals]) >= 0.92
    assert 0.9 < np.mean([estimate.standard_error for estimate in estimates]) / np.std(values) < 1.8


def test_the_percentile_bootstrap_of_a_frechet_distance_fails():
    """Pictures drawn twice make a set look poorer: most bootstrapped distances lie above the distance itself."""
    rng = np.random.default_rng(8)
    values, bounds = [], []
    for _ in range(60):
        _, real, first, _ = draw(rng)
        values.append(frechet_distance(first, real))
        drawn = []
        for _ in range(60):
            picked, picked_real = rng.integers(len(first), size=(2, len(first)))
            drawn.append(frechet_distance(first[picked], real[picked_real]))
        bounds.append(np.percentile(drawn, [2.5, 97.5]))
    truth = np.mean(values)
    assert np.mean([low <= truth <= high for low, high in bounds]) < 0.75


def test_the_difference_of_two_rows_is_surer_than_either():
    """Both rows share the real pictures and the people, so their errors cancel: subtracting intervals would hide it."""
    rng = np.random.default_rng(9)
    names, real, first, _ = draw(rng)
    a, b = (jackknifed(frechet_distance, frechet_without_each, names, e, real) for e in (first, first * 1.02))
    assert a.minus(b).standard_error < 0.5 * math.hypot(a.standard_error, b.standard_error)


def test_the_floor_is_the_distance_of_real_pictures_to_themselves():
    rng = np.random.default_rng(10)
    real, names = people(rng, 20, 6, 8)
    floor = frechet_floor(real, names)
    fresh = [frechet_distance(people(rng, 10, 6, 8)[0], people(rng, 10, 6, 8)[0]) for _ in range(60)]
    assert floor == pytest.approx(np.mean(fresh), rel=0.35)
    assert floor == frechet_floor(real, names)
    assert frechet_floor(real[:6], names[:6]) is None
    pair, _ = people(rng, 2, 3, 4)
    assert frechet_floor(pair, ["a"] * 3 + ["b"] * 3) == pytest.approx(frechet_distance(pair[:3], pair[3:]))
    assert frechet_floor(pair[:3], ["a", "a", "b"]) is None
