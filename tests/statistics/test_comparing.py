"""Comparing two rows: who is better, corrected for all that is asked, and in words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.metrics.metric import MetricDescription
from benchmark.statistics.comparing import caution, compare_rows
from benchmark.statistics.decisions import holm
from benchmark.statistics.samples import Sample, sample

CA = MetricDescription(key="ca", label="CA", direction="higher", definition="", per="edit", unit="%")
FID = MetricDescription(key="fid", label="FD[lite0]", direction="lower", definition="", per="set")


def row(ca, fid, seeds=1, noise=1.0):
    rng = np.random.default_rng(int(ca))
    means = {seed: {f"p{i}": ca + i + noise * rng.normal() for i in range(10)} for seed in range(seeds)}
    steps = {f"p{i}": fid + 0.02 * rng.normal() for i in range(10)}
    return {
        "ca": sample("edit", {seed: float(np.mean(list(mine.values()))) for seed, mine in means.items()}, means),
        "fid": sample("set", dict.fromkeys(range(seeds), fid), dict.fromkeys(range(seeds), steps)),
    }


def test_who_is_better_by_the_direction_of_each_metric():
    ca, fid = compare_rows(row(70, 30.0), row(50, 40.0), [CA, FID], ("new", "old"))
    assert (ca.better, fid.better) == ("first", "first")
    assert [ca.p_holm, fid.p_holm] == pytest.approx(holm([ca.p, fid.p]))
    assert ca.words.startswith("CA: new is better than old; 7")
    assert "over 10 test identities; p = 0.002, after Holm" in ca.words
    assert fid.words.startswith("FD[lite0]: new is better than old; 30.00 and 40.00, difference -10.00 [-10.")
    assert fid.words.endswith("(jackknife t test)")
    ca, fid = compare_rows(row(50, 40.0), row(70, 30.0), [CA, FID], ("new", "old"))
    assert (ca.better, fid.better) == ("second", "second")
    assert fid.words.startswith("FD[lite0]: old is better than new; 40.00 and 30.00")


def test_missing_facts_are_reported():
    (ca,) = compare_rows(row(50, 40.0, noise=5), row(51, 40.0, noise=5), [CA], ("a", "b"))
    assert ca.better == ""
    assert ca.words.startswith("CA: a cannot be told from b; ")
    (same,) = compare_rows(row(50, 40.0), row(50, 40.0), [FID], ("a", "b"))
    assert (same.better, same.p, same.difference) == ("", 1, 0)


def test_holm_is_over_what_was_asked():
    first, second = row(52, 30.0, noise=2), row(50, 30.001, noise=2)
    (alone,) = compare_rows(first, second, [CA], ("a", "b"))
    both = compare_rows(first, second, [CA, FID], ("a", "b"))
    assert both[0].p == alone.p == alone.p_holm
    assert both[0].p_holm >= alone.p_holm


def test_seeds_have_an_interval_and_a_caution():
    one = compare_rows(row(70, 30.0), row(50, 40.0, 3), [CA, FID], ("a", "b"))
    assert one[0].seeds_low is None
    assert caution(one)[0].startswith("one training seed")
    few = compare_rows(row(70, 30.0, 3), row(50, 40.0, 3), [CA], ("a", "b"))
    assert "; over 3 and 3 seeds [+" in few[0].words
    assert caution(few) == ["no p value over fewer than 5 seeds: look at their interval"]
    assert (few[0].seeds_p, few[0].seeds_p_holm) == (None, None)
    ca, fid = compare_rows(row(70, 30.0, 5), row(50, 40.0, 5), [CA, FID], ("a", "b"))
    assert caution([ca]) == []
    assert (ca.seeds_p, fid.seeds_p) == pytest.approx((2 / 252, 2 / 252))
    assert (ca.seeds_p_holm, fid.seeds_p_holm) == pytest.approx((4 / 252, 4 / 252))
    assert ca.words.endswith(", p = 0.0079, after Holm 0.016 (permutation of seeds)")


def test_every_frechet_distance_is_cautioned():
    (own,) = compare_rows(
        {"fd_1a2b3c4d": row(70, 30.0)["fid"]}, {"fd_1a2b3c4d": row(50, 40.0)["fid"]},
        [dataclasses.replace(FID, key="fd_1a2b3c4d")], ("a", "b"),
    )  # fmt: skip
    assert caution([own])[1].startswith("a Fréchet distance of few pictures is biased")


def test_rows_of_other_people_are_refused():
    other = {"ca": sample("edit", {0: 1.0}, {0: {"x": 1.0, "y": 1.0}})}
    with pytest.raises(ValueError, match="same identities"):
        compare_rows(row(70, 30.0), other, [CA], ("a", "b"))
    with pytest.raises(ValueError, match="CA is not known by test identity"):
        compare_rows(row(70, 30.0), {"ca": Sample({0: 1.0}, None)}, [CA], ("a", "b"))
