"""Verdicts on claims: each outcome where it is due, and false ones no more often than promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmark.core.models import parse
from benchmark.statistics.claims import Claim
from benchmark.statistics.samples import Sample, sample
from benchmark.statistics.verdicts import FAMILY_LEVEL, Setting, decide

PEOPLE = [f"p{i:02d}" for i in range(10)]
SETTING = Setting("rendered", "FD[lite0]", {"gone": "no weights"}, {"ca": "CA", "fid": "FD[lite0]", "kid": "KD[lite0]"})
HARD = np.linspace(-9, 9, 10)
"""How much harder one person is than another, for all rows alike."""


def edits(mean, noise=1.0, seeds=(0.0,), rng=None):
    """A metric per edit, by seed so far off `mean`. Without `rng`, means have that mean and noise exactly."""
    own = (rng or np.random.default_rng(int(1000 * mean))).normal(size=10)
    own = own if rng else (own - own.mean()) / own.std(ddof=1)
    means = mean + HARD + noise * own
    values = {seed: float(means.mean() + off) for seed, off in enumerate(seeds)}
    return sample("edit", values, {seed: dict(zip(PEOPLE, means + off, strict=True)) for seed, off in enumerate(seeds)})


def whole(value, error, rng=None):
    """A metric of a set with a standard error of `error`, shared by nobody."""
    rng = rng or np.random.default_rng(int(1000 * abs(value)) + 7)
    steps = rng.normal(size=10)
    steps = (steps - steps.mean()) / steps.std() * error / 3
    return sample("set", {0: value}, {0: dict(zip(PEOPLE, (value + steps).tolist(), strict=True))})


def claim(*parts, name="one", **rest):
    return parse(Claim, {"id": name, "suite": "s", "words": "w", "place": "p", "parts": parts, **rest}, "test")


def part(row="a", over="b", metric="ca", direction="higher", margin=1.0, **rest):
    return {"row": row, "over": over, "metric": metric, "direction": direction, "margin": margin, **rest}


def verdict(samples, *parts, **rest):
    (actual,) = decide([claim(*parts, **rest)], samples, SETTING)
    return actual


# ---------------------------------------------------------------------------------------------- outcomes
def test_a_clear_difference_is_reproduced_and_its_opposite_contradicted():
    samples = {"a": {"ca": edits(60)}, "b": {"ca": edits(50)}}
    up, down = verdict(samples, part()), verdict(samples, part(direction="lower"))
    assert (up.outcome, up.why) == ("reproduced", "")
    assert (down.outcome, down.why) == ("contradicted", "CA of a and b differ the other way")
    assert [each.contradicts for each in (*up.evidence, *down.evidence)] == [False, True]
    assert up.p_reproduced == 2**-10
    assert up.p_contradicted == 1
    evidence = up.evidence[0]
    assert evidence.value - evidence.other == pytest.approx(10)
    assert evidence.low < evidence.value - evidence.other < evidence.high
    assert (down.evidence[0].low, down.evidence[0].high) == pytest.approx((evidence.low, evidence.high))
    assert (evidence.identities, evidence.test, evidence.seeds_low) == (10, "exact sign flip", None)


def test_a_difference_that_does_not_matter_contradicts_one_that_does():
    samples = {"a": {"ca": edits(50.3, 0.1)}, "b": {"ca": edits(50, 0.1)}}
    assert verdict(samples, part(margin=2)).why == "CA of a and b are equal within the margin of 2"
    assert verdict(samples, part(margin=0)).outcome == "reproduced"
    noisy = {"a": {"ca": edits(49, 4)}, "b": {"ca": edits(50, 0)}}
    assert verdict(noisy, part(margin=3)).why == "CA of a and b do not differ by the margin of 3"


def test_equality_needs_evidence_too():
    close = {"a": {"ca": edits(50.3, 0.1)}, "b": {"ca": edits(50, 0.1)}}
    assert verdict(close, part(direction="equal")).outcome == "reproduced"
    noisy = {"a": {"ca": edits(50.3, 9)}, "b": {"ca": edits(50, 9)}}
    assert verdict(noisy, part(direction="equal")).outcome == "undecided"
    apart = {"a": {"ca": edits(60)}, "b": {"ca": edits(50)}}
    actual = verdict(apart, part(direction="equal"))
    assert (actual.outcome, actual.why) == ("contradicted", "CA of a and b differ by more than the margin of 1")


def test_not_worse_is_reproduced_by_equals_and_contradicted_by_less():
    samples = {"a": {"ca": edits(50.3, 0.1)}, "b": {"ca": edits(50.1, 0.1)}, "c": {"ca": edits(60)}}
    assert verdict(samples, part("b", "a", direction="not lower")).outcome == "reproduced"
    assert verdict(samples, part("b", "c", direction="not lower")).outcome == "contradicted"
    assert verdict(samples, part("c", "b", direction="not higher")).outcome == "contradicted"


def test_undecided_says_what_sample_would_decide_and_that_sample_does():
    rng = np.random.default_rng(0)
    samples = {"a": {"ca": edits(52, 4)}, "b": {"ca": edits(50, 0)}}
    actual = verdict(samples, part(margin=0.1))
    assert actual.outcome == "undecided"
    assert actual.why == f"about {actual.needed_identities} test identities would decide (10 here)"
    estimate = samples["a"]["ca"].over_identities.minus(samples["b"]["ca"].over_identities)
    draws = rng.normal(estimate.value, estimate.deviation, (4000, actual.needed_identities))
    power = np.mean(stats.ttest_1samp(draws, 0, axis=1, alternative="greater").pvalue <= FAMILY_LEVEL)
    assert 0.77 <= power <= 0.86
    same = {"a": {"ca": edits(50, 3)}}
    same["b"] = same["a"]
    assert "too close for any affordable number of test identities (10 here)" in verdict(same, part(margin=0)).why


def test_all_parts_must_hold_and_one_that_fails_contradicts():
    samples = {"a": {"ca": edits(60)}, "b": {"ca": edits(50)}, "c": {"ca": edits(52, 5)}}
    assert verdict(samples, part(), part("c", "b")).outcome == "undecided"
    contradicted = verdict(samples, part(), part("b", "a"))
    assert contradicted.outcome == "contradicted"
    assert [each.contradicts for each in contradicted.evidence] == [False, True]


def test_a_number_as_the_other_side():
    samples = {"a": {"ca": edits(22)}}
    low = {"row": "a", "metric": "ca", "direction": "lower", "value": 40}
    assert verdict(samples, low).outcome == "reproduced"
    actual = verdict(samples, low | {"direction": "higher", "value": 60.0})
    assert (actual.outcome, actual.why) == ("contradicted", "CA of a is on the other side of 60")
    assert (actual.evidence[0].over, actual.evidence[0].other) == ("", 60)


def test_ranks():
    rows = {name: {"ca": edits(level, 0.5)} for name, level in (("a", 90), ("b", 80), ("c", 70), ("d", 60))}
    rows["tied"] = {"ca": edits(80.01, 0.5)}

    def rank(row, number, *among):
        return verdict(rows, {"row": row, "among": list(among), "metric": "ca", "direction": "higher", "rank": number})

    assert rank("a", 1, "b", "c", "d").outcome == "reproduced"
    assert rank("b", 2, "a", "c", "d").outcome == "reproduced"
    assert rank("d", 4, "a", "b", "c").outcome == "reproduced"
    assert rank("b", 1, "a", "c", "d").outcome == "contradicted"
    assert rank("a", 2, "b", "c", "d").outcome == "contradicted"
    assert rank("c", 2, "a", "b", "d").outcome == "contradicted"
    assert rank("b", 2, "a", "tied", "d").outcome == "undecided"
    assert rank("b", 3, "a", "tied", "d").outcome == "undecided"


# ---------------------------------------------------------------------------------------------- Fréchet distances
def test_the_unbiased_distance_decides_and_both_are_shown():
    samples = {"a": {"fid": whole(40, 0.3), "kid": whole(4, 0.05)}, "b": {"fid": whole(50, 0.3), "kid": whole(6, 0.05)}}
    actual = verdict(samples, part(metric="fid", direction="lower", margin="2%"))
    assert actual.outcome == "reproduced"
    assert [(each.metric, each.decides) for each in actual.evidence] == [("fid", False), ("kid", True)]
    assert actual.p_reproduced == actual.evidence[1].p < 1e-4


@pytest.mark.parametrize("kid", [(4.0, 6.0), (6.0, 4.0)])
def test_where_both_distances_disagree_nothing_is_decided(kid):
    first, second = (50, 40) if kid[0] < kid[1] else (40, 50)
    samples = {
        "a": {"fid": whole(first, 0.3), "kid": whole(kid[0], 0.05)},
        "b": {"fid": whole(second, 0.3), "kid": whole(kid[1], 0.05)},
    }
    actual = verdict(samples, part(metric="fid", direction="lower", margin=0))
    assert (actual.outcome, actual.why) == ("undecided", "FD[lite0] and KD[lite0] of a and b disagree")


def test_in_a_network_of_ones_own_too_the_unbiased_distance_decides():
    a = {"fd_1a2b3c4d": whole(40, 0.3), "kd_1a2b3c4d": whole(4, 0.05), "similarity_1a2b3c4d": whole(0.8, 0.001)}
    b = {"fd_1a2b3c4d": whole(50, 0.3), "kd_1a2b3c4d": whole(6, 0.05), "similarity_1a2b3c4d": whole(0.7, 0.001)}
    actual = verdict({"a": a, "b": b}, part(metric="fd_1a2b3c4d", direction="lower", margin="2%"))
    assert actual.outcome == "reproduced"
    assert [(each.metric, each.decides) for each in actual.evidence] == [("fd_1a2b3c4d", False), ("kd_1a2b3c4d", True)]
    similar = verdict({"a": a, "b": b}, part(metric="similarity_1a2b3c4d", direction="lower", margin=0))
    assert (similar.outcome, [each.metric for each in similar.evidence]) == ("contradicted", ["similarity_1a2b3c4d"])
    unmeasured = verdict({"a": a, "b": b}, part(metric="similarity_00000000", direction="higher", margin=0))
    assert (unmeasured.outcome, unmeasured.why) == ("not testable here", "row a has no similarity_00000000")


# ---------------------------------------------------------------------------------------------- seeds
def test_seeds_that_disagree_keep_a_claim_open_and_seeds_that_agree_do_not():
    steady = {"a": {"ca": edits(60, seeds=(0, 1, -1))}, "b": {"ca": edits(50, seeds=(0, 1, -1))}}
    actual = verdict(steady, part())
    assert actual.outcome == "reproduced"
    assert actual.evidence[0].seeds_low > 0
    shaky = {
        "a": {"ca": edits(60, 0.1, (0, 9, -9))},
        "b": {"ca": edits(50, 0.1, (0, 9, -9))},
    }
    for direction in ("higher", "lower"):
        actual = verdict(shaky, part(direction=direction))
        assert actual.outcome == "undecided"
        assert actual.why.startswith("test identities agree, and seeds differ too much: about")
        assert actual.needed_seeds > 3


def test_one_seed_of_a_row_has_no_interval_over_seeds():
    mixed = {"a": {"ca": edits(60, seeds=(0, 0.5))}, "b": {"ca": edits(50)}}
    actual = verdict(mixed, part())
    assert actual.outcome == "reproduced"
    assert actual.evidence[0].seeds_low is None


# ---------------------------------------------------------------------------------------------- not testable
def test_what_cannot_be_tested_says_why():
    samples = {"a": {"ca": edits(60)}, "b": {"ca": edits(50)}, "bare": {"ca": Sample({0: 3.0}, None)}}
    samples["others"] = {"ca": sample("edit", {0: 3.0}, {0: {"x": 3.0, "y": 3.0}})}
    claims = [
        claim(part(), name="data", only={"data": "rafd"}),
        claim(part(), name="features", only={"features": "FID"}),
        claim(part("gone"), name="row"),
        claim(part("never"), name="unknown"),
        claim(part(metric="ssim"), name="metric"),
        claim(part("bare"), name="identities"),
        claim(part("others"), name="pairs"),
        claim(name="picture", untestable="it is a picture"),
        claim(part(), name="fine"),
    ]
    actual = {each.id: each for each in decide(claims, samples, SETTING)}
    assert list(actual) == [each.id for each in claims]
    assert {each.outcome for name, each in actual.items() if name != "fine"} == {"not testable here"}
    assert actual["data"].why == "it is about the data set rafd, and these results are of the data set rendered"
    assert actual["features"].why == "it is about FID, and these results have FD[lite0]"
    assert actual["row"].why == "row gone has no numbers (no weights)"
    assert actual["unknown"].why == "the suite has no row never"
    assert actual["metric"].why == "row a has no ssim"
    assert actual["identities"].why == "CA of row bare is not known of two test identities"
    assert actual["pairs"].why.startswith("rows others and b are not measured on the same identities")
    assert actual["picture"].why == "it is a picture"
    assert actual["fine"].outcome == "reproduced"
    assert actual["fine"].p_reproduced == 2**-10  # what is not tested costs the others nothing


def test_trainings_that_are_too_short_decide_nothing():
    samples = {"a": {"ca": edits(60)}, "b": {"ca": edits(50)}}
    (actual,) = decide([claim(part(), name="fine")], samples, replace(SETTING, undecidable="too short"))
    assert (actual.outcome, actual.why) == ("not testable here", "too short")


# ---------------------------------------------------------------------------------------------- error rates
def test_false_verdicts_are_as_rare_as_promised():
    """Ten claims of rows that do not differ, margin 0: each true of nothing, so any verdict is false."""
    rng = np.random.default_rng(5)
    claims = [claim(part(f"a{i}", f"b{i}", margin=0), name=str(i)) for i in range(10)]
    wrong = 0
    for _ in range(120):
        samples = {f"{side}{i}": {"ca": edits(50, 1, rng=rng)} for side in "ab" for i in range(10)}
        wrong += any(each.outcome != "undecided" for each in decide(claims, samples, SETTING))
    assert wrong / 120 <= 0.09


def test_a_true_claim_of_several_parts_is_rarely_contradicted():
    rng = np.random.default_rng(6)
    rows = ("a", "b", "c", "d", "e")
    wrong = 0
    for _ in range(200):
        samples = {row: {"ca": edits(51 if row == "a" else 50, 1, rng=rng)} for row in rows}
        wrong += verdict(samples, *(part("a", row, margin=1) for row in rows[1:])).outcome == "contradicted"
    assert wrong / 200 <= 0.05


def test_verdicts_are_the_same_again():
    samples = {"a": {"ca": edits(52, 3)}, "b": {"ca": edits(50, 3)}}
    assert verdict(samples, part()) == verdict(samples, part())


def test_samples_need_one_set_of_identities():
    with pytest.raises(ValueError, match="not measured on the same identities"):
        sample("edit", {0: 1.0, 1: 2.0}, {0: {"x": 1.0}, 1: {"y": 2.0}})
    both = sample("set", {0: 1.0, 1: 3.0}, {0: {"x": 1.0, "y": 2.0}, 1: {"x": 3.0, "y": 4.0}})
    assert both.mean == 2
    assert both.over_identities.without == {"x": 2.0, "y": 3.0}
    assert both.seeds_interval.values == 2
    assert Sample({0: 3.0}, None).identities_interval is None
