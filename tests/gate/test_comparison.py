"""Bounds and separations held to simulations; probes; what is comparable; the exit statuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.gate.comparison import Margins, Rule, Tolerance, compare_probe, compare_runs, seeds_needed, spread_of
from benchmark.gate.drawn_features import measure_drawn
from benchmark.gate.reference import Probe, SeedRun, StoredMetric
from benchmark.gate.verdicts import Check, GateResult, LevelResult, overall
from benchmark.gate.writing import summary
from benchmark.metrics.registry import METRICS as METRICS_OF_ALL
from benchmark.statistics.gating import prediction_bound, visible_change
from tests.gate.made_up import METRICS, ROWS, changed, drawn, reference

VERSIONS = {"train hisd": ["hisd 1"]}
TIGHT = {"": Tolerance(1e-4)}
NORMAL = Rule(assume_normal=True)


# ------------------------------------------------------------------------------------------------ bounds
@pytest.mark.parametrize(("stored", "new"), [(3, 1), (6, 1), (6, 3), (20, 2)])
def test_the_bound_is_passed_as_often_as_stated_and_the_visible_change_four_times_in_five(
    stored: int, new: int
) -> None:
    random, rate, times = np.random.default_rng(1), 0.02, 40_000
    old = random.normal(5, 2, (times, stored))
    now = random.normal(5, 2, (times, new)).mean(1)
    spreads = old.std(1, ddof=1)
    factor = prediction_bound(1.0, stored, new, rate)
    assert np.mean(now - old.mean(1) > factor * spreads) == pytest.approx(rate, abs=0.003)
    # The change is in units of the true deviation; with the stored one in its place it is so on the whole.
    shift = 2 * visible_change(1.0, stored, new, rate)
    assert np.mean(now + shift - old.mean(1) > factor * spreads) == pytest.approx(0.8, abs=0.01)


def test_the_bound_is_the_formula() -> None:
    assert prediction_bound(2.0, 5, 2, 0.01) == pytest.approx(stats.t.isf(0.01, 4) * 2 * np.sqrt(1 / 5 + 1 / 2))
    with pytest.raises(ValueError, match="2 and 1 are needed"):
        prediction_bound(1.0, 1, 1, 0.01)


@given(st.integers(2, 40), st.integers(1, 10), st.floats(1e-6, 0.2))
def test_more_seeds_see_more(stored: int, new: int, rate: float) -> None:
    assert prediction_bound(1, stored + 1, new, rate) < prediction_bound(1, stored, new, rate)
    assert prediction_bound(1, stored, new + 1, rate) < prediction_bound(1, stored, new, rate)
    assert prediction_bound(1, stored, new, rate / 2) > prediction_bound(1, stored, new, rate)


# ------------------------------------------------------------------------------------------------ statistics
@pytest.mark.parametrize("rule", [Rule(), NORMAL], ids=["separation", "normal"])
def test_two_hundred_runs_in_which_nothing_changed_alarm_as_rarely_as_stated(rule: Rule) -> None:
    random = np.random.default_rng(2)
    verdicts = []
    for _ in range(200):
        stored = reference(drawn(random, range(6)))
        checks, compared = compare_runs(stored, drawn(random, [7]), METRICS, rule)
        assert compared == 5  # two metrics of two rows, and the judge
        verdicts.append(overall([check.verdict for check in checks]))
    # 1 % of regressions and 5 % of doubts are stated: with 200 runs, 7 and 19 are beyond chance (p < .005).
    assert verdicts.count("regressed") < 7
    assert verdicts.count("inconclusive") < 19


def test_known_wrong_bounds_alarm_far_too_often() -> None:
    """1.96 standard deviations for every number, as many gates have it, would fail every fifth clean run."""
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(200):
        stored, run = reference(drawn(random, range(6))), drawn(random, [7])[7]
        off = [
            (run.rows[row][key] - np.mean(stored.values(row, key))) / np.std(stored.values(row, key), ddof=1)  # type: ignore[operator]
            for row in ROWS
            for key in METRICS
        ]
        alarms += max(map(abs, off)) > 1.96
    assert alarms > 40


def test_each_stored_seed_left_out_passes() -> None:
    runs = drawn(np.random.default_rng(4), range(8))
    for seed, run in runs.items():
        stored = reference({other: each for other, each in runs.items() if other != seed})
        checks, _ = compare_runs(stored, {seed: run}, METRICS, Rule())
        assert {check.verdict for check in checks} == {"pass"}


def worse(count: int, **numbers: float) -> dict[int, SeedRun]:
    """New seeds, all with these numbers in one row."""
    runs = drawn(np.random.default_rng(5), range(10, 10 + count))
    return {seed: changed(run, "hisd-r", **numbers) for seed, run in runs.items()}


def verdict_of(checks: list[Check], quantity: str = "fid") -> str:
    return next(check.verdict for check in checks if (check.subject, check.quantity) == ("hisd-r", quantity))


def test_a_number_regresses_once_enough_seeds_are_worse_than_every_stored_one() -> None:
    stored = reference()
    needed = seeds_needed(stored, 5, Rule())
    assert needed == 6  # 5 / C(12, 6) = 0.5 %, and 5 / C(11, 5) = 1.08 %
    for count in range(1, needed + 2):
        checks, _ = compare_runs(stored, worse(count, fid=200.0), METRICS, Rule())
        assert verdict_of(checks) == ("regressed" if count >= needed else "inconclusive")
        assert {check.verdict for check in checks if check.subject != "hisd-r"} == {"pass"}
    checks, _ = compare_runs(stored, worse(needed, fid=20.0), METRICS, Rule())
    assert verdict_of(checks) == "improved"


def test_one_seed_as_good_as_a_stored_one_clears_the_number() -> None:
    stored, runs = reference(), worse(6, fid=200.0)
    worst = max(stored.values("hisd-r", "fid"))
    for number, verdict in ((worst, "pass"), (np.nextafter(worst, np.inf), "regressed")):
        checks, _ = compare_runs(stored, {**runs, 10: changed(runs[10], "hisd-r", fid=float(number))}, METRICS, Rule())
        assert verdict_of(checks) == verdict


def test_one_failed_training_is_a_doubt_that_the_next_seed_clears() -> None:
    """The rule of normal values fails on it."""
    stored, runs = reference(), drawn(np.random.default_rng(5), [10, 11])
    failed = {10: changed(runs[10], "hisd-r", fid=300.0)}
    assert verdict_of(compare_runs(stored, failed, METRICS, NORMAL)[0]) == "regressed"
    assert verdict_of(compare_runs(stored, failed, METRICS, Rule())[0]) == "inconclusive"
    assert verdict_of(compare_runs(stored, {**failed, 11: runs[11]}, METRICS, Rule())[0]) == "pass"


def test_metrics_that_are_not_gated_are_reported_and_make_the_rate_no_smaller() -> None:
    stored = dataclasses.replace(reference(), gated=["ca"])
    checks, compared = compare_runs(stored, worse(6, fid=200.0, ca=30.0), METRICS, Rule())
    assert compared == 3  # CA of two rows, and the judge
    assert [check.verdict for check in checks if check.quantity == "fid"] == ["reported", "reported"]
    assert overall([check.verdict for check in checks]) == "pass"
    lost, _ = compare_runs(stored, {9: changed(worse(1)[10], "mtss-r", fid=None)}, METRICS, Rule())
    assert "it has no number in this run" in [check.note for check in lost if check.verdict == "reported"]
    only = [check for check in checks if check.verdict == "reported"]
    assert overall([check.verdict for check in only]) == "not comparable"


@pytest.mark.parametrize(("now", "verdict"), [(1.9, "regressed"), (0.1, "regressed"), (1.0, "improved")])
def test_a_metric_that_is_best_at_one_is_worse_on_either_side(now: float, verdict: str) -> None:
    gain = StoredMetric("Gain", "one", "edit", "", 3, 1, False)
    random = np.random.default_rng(7)
    stored = reference(
        {seed: changed(run, "hisd-r", gain=random.normal(0.7, 0.02)) for seed, run in drawn(random, range(8)).items()}
    )
    stored = dataclasses.replace(stored, metrics={"gain": gain})
    checks, _ = compare_runs(stored, worse(5, gain=now), {"gain": gain}, Rule())
    assert verdict_of(checks, "gain") == verdict


def test_only_the_bad_direction_fails_and_a_large_improvement_is_reported() -> None:
    stored, run = reference(), drawn(np.random.default_rng(5), [9])[9]
    for number, verdict in ((200.0, "regressed"), (20.0, "improved")):
        checks, _ = compare_runs(stored, {9: changed(run, "hisd-r", fid=number)}, METRICS, NORMAL)
        actual = {(check.subject, check.quantity): check for check in checks}
        assert actual["hisd-r", "fid"].verdict == verdict
        assert {check.verdict for key, check in actual.items() if key != ("hisd-r", "fid")} == {"pass"}
        assert actual["hisd-r", "fid"].difference == pytest.approx(number - np.mean(stored.values("hisd-r", "fid")))


def test_a_change_beyond_chance_that_does_not_matter_passes() -> None:
    stored, run = reference(), changed(drawn(np.random.default_rng(5), [9])[9], "hisd-r", fid=200.0)
    for margins, verdict in (
        (Margins({"fid": 150}), "pass"), (Margins({}, {"fid": 1.5}), "pass"), (Margins({"fid": 50}), "regressed"),
    ):  # fmt: skip
        checks, _ = compare_runs(stored, {9: run}, METRICS, Rule(margins=margins, assume_normal=True))
        assert next(c.verdict for c in checks if (c.subject, c.quantity) == ("hisd-r", "fid")) == verdict


def test_looks_share_the_rate() -> None:
    stored, run = reference(), drawn(np.random.default_rng(5), [9])
    one, three = (compare_runs(stored, run, METRICS, Rule(looks=looks, assume_normal=True))[0][0] for looks in (1, 3))
    assert one.bound == pytest.approx(
        max(prediction_bound(np.std(stored.values("hisd-r", "fid"), ddof=1), 6, 1, 0.01 / 5), 1.0)
    )
    assert three.bound is not None
    assert one.bound is not None
    assert three.bound > one.bound


def test_results_under_one_judge_count_once_for_what_it_reads() -> None:
    stored = reference()
    checks, _ = compare_runs(stored, drawn(np.random.default_rng(6), [7, 8, 9], judge=0), METRICS, Rule())
    notes = {check.quantity: check.note for check in checks}
    assert "3 new" in notes["fid"]
    assert "1 new" in notes["ca"]


def test_equal_seeds_are_no_bound_of_zero() -> None:
    runs = {seed: changed(run, "hisd-r", ca=12.5) for seed, run in drawn(np.random.default_rng(0), range(6)).items()}
    one_edit = changed(drawn(np.random.default_rng(1), [7])[7], "hisd-r", ca=12.5 - 100 / 160)
    checks, _ = compare_runs(reference(runs), {7: one_edit}, METRICS, Rule())
    assert next(c.verdict for c in checks if (c.subject, c.quantity) == ("hisd-r", "ca")) == "pass"


def test_what_cannot_be_compared_is_reported_and_is_no_pass() -> None:
    stored, runs = reference(), drawn(np.random.default_rng(5), [9])
    raised = {**METRICS, "fid": dataclasses.replace(METRICS["fid"], version=2)}
    checks, compared = compare_runs(stored, runs, raised, Rule())
    assert compared == 3
    assert overall([check.verdict for check in checks]) == "not comparable"
    lost = {9: changed(runs[9], "mtss-r", ca=None)}
    checks, _ = compare_runs(stored, lost, METRICS, Rule())
    assert [check.note for check in checks if check.verdict == "not comparable"] == ["it has no number in this run"]
    one = reference({0: stored.runs[0]})
    assert overall([c.verdict for c in compare_runs(one, runs, METRICS, Rule())[0]]) == "not comparable"
    new = {**METRICS, "gain": METRICS["fid"]}
    checks, _ = compare_runs(stored, runs, new, Rule())
    assert [check.quantity for check in checks if check.verdict == "new"] == ["gain"]
    assert overall([check.verdict for check in checks]) == "pass"


# ------------------------------------------------------------------------------------------------ probes
def now(**series: list[float | None]) -> dict[str, dict[str, list[float | None]]]:
    return {"train hisd": {**reference().losses.values["train hisd"], **series}}


@pytest.mark.parametrize(
    ("series", "verdict"),
    [
        ({}, "pass"),
        ({"loss cycle": [1.0, 0.9, 0.8, 0.70009]}, "pass"),  # within ten times the spread, or 1e-4 of the largest
        ({"loss cycle": [1.0, 0.9002, 0.8, 0.7]}, "regressed"),
        ({"total generator 1": [None, 4.0, None, 3.009]}, "pass"),
        ({"total generator 1": [None, 4.0, None, 3.011]}, "regressed"),
        ({"total generator 1": [None, 4.0, 3.5, 3.0]}, "regressed"),  # an update that was not there
        ({"loss cycle": [1.0, float("inf"), 0.8, 0.7]}, "regressed"),
        ({"loss cycle": [-1.0, -0.9, -0.8, -0.7]}, "regressed"),
    ],
)
def test_a_series_may_be_off_by_what_kernels_make_of_it(series: dict[str, list[float | None]], verdict: str) -> None:
    checks = compare_probe("losses", reference().losses, now(**series), VERSIONS, TIGHT)
    assert overall([check.verdict for check in checks]) == verdict


@pytest.mark.parametrize(
    ("stored", "now", "verdict"),
    [([2.0], [None], "regressed"), ([None], [2.0], "new"), ([None], [None], "pass"), ([2.0], [2.0], "pass")],
)
def test_a_score_that_has_no_number_any_more_is_a_regression(
    stored: list[float | None], now: list[float | None], verdict: str
) -> None:
    probe = Probe([], {"hisd-r": {"gain": stored}}, {}, {"hisd-r": []})
    (check,) = compare_probe("scores", probe, {"hisd-r": {"gain": now}}, {}, TIGHT)
    assert check.verdict == verdict


def test_the_noise_of_early_iterations_is_expected_of_later_ones() -> None:
    probe = dataclasses.replace(
        reference().losses, spread={"train hisd": {"loss cycle": [1e-3, 0.0, 0.0, 0.0], "total generator 1": []}}
    )
    series: dict[str, list[float | None]] = {"loss cycle": [1.0, 0.9, 0.8, 0.709]}
    checks = compare_probe("losses", probe, now(**series), VERSIONS, TIGHT)
    assert overall([check.verdict for check in checks]) == "pass"


def test_a_method_of_another_version_has_nothing_to_compare() -> None:
    checks = compare_probe("losses", reference().losses, now(), {"train hisd": ["hisd 2"]}, TIGHT)
    assert [(check.verdict, check.note) for check in checks] == [("not comparable", "other versions: hisd 1, hisd 2")]
    checks = compare_probe("losses", reference().losses, {}, VERSIONS, TIGHT)
    assert overall([check.verdict for check in checks]) == "not comparable"


def test_the_spread_is_the_largest_difference() -> None:
    first = {"a": {"x": [1.0, None, 2.0]}}
    others = [{"a": {"x": [1.5, None, 2.0]}}, {"a": {"x": [0.8, None, 2.25]}}]
    assert spread_of(first, others) == {"a": {"x": [0.5, None, 0.25]}}
    with pytest.raises(ValueError, match="other kernels compute other numbers"):
        spread_of(first, [{"a": {"x": [1.0, 1.0, 2.0]}}])


def test_drawn_sets_are_neither_far_apart_nor_the_same() -> None:
    """Where density and coverage are at an end of their scale, what is wrong with them does not show."""
    numbers = measure_drawn()
    for series in numbers.values():
        assert series.keys() == {metric.key for metric in METRICS_OF_ALL if metric.per == "set"}
        assert all(0.05 < (series[key][0] or 0.0) < 0.95 for key in ("density", "coverage"))
    assert numbers == measure_drawn()


# ------------------------------------------------------------------------------------------------ verdicts
@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        (["pass", "improved"], 0),
        (["pass", "regressed", "not comparable"], 1),
        (["pass", "inconclusive"], 3),
        (["inconclusive", "not comparable"], 4),
        ([], 4),
        (["different", "new"], 4),
    ],
)
def test_exit_statuses(verdicts: list[str], status: int) -> None:
    levels = tuple(LevelResult("statistics", verdict, "") for verdict in verdicts)  # type: ignore[arg-type]
    assert GateResult("x", levels, ()).status == status


@pytest.mark.parametrize(
    ("levels", "unseen"),
    [
        ([("keys", "different"), ("losses", "regressed")], "scores, bytes, statistics"),
        ([("statistics", "regressed")], ""),  # of finished results
        ([("keys", "different"), ("losses", "pass"), ("scores", "pass")], ""),
    ],
)
def test_levels_that_were_not_looked_at_are_those_after_the_last(levels: list[tuple[str, str]], unseen: str) -> None:
    results = tuple(LevelResult(level, verdict, "") for level, verdict in levels)  # type: ignore[arg-type]
    text = summary(GateResult("x", results, ()))
    assert ("not looked at any more" in text) == bool(unseen)
    assert not unseen or f"not looked at any more: {unseen} (--all-levels goes on)" in text
