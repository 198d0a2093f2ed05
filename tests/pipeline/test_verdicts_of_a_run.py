"""Verdicts of a run, recomputed from its per-edit files with pandas and scipy alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from benchmark.report.results import load_results
from benchmark.stages.score import PER_EDIT
from benchmark.statistics.decisions import LEVEL
from tests.pipeline.conftest import CLAIMS, House
from tests.statistics.by_hand import holm, sign_flip


def by_person(out: Path, row: str, metric: str) -> tuple[pd.Series, float]:
    """The mean of each person's edits, and of all; CA in percent."""
    (folder,) = (out / "scores").glob(f"score-tests-dummy-*-seed-0-{row.removeprefix('d-')}-*")
    table = pd.read_parquet(folder / PER_EDIT)
    values = table[metric] * (100 if metric == "ca" else 1)
    return values.groupby(table["identity"]).mean(), float(values.mean())


def test_three_verdicts_are_those_computed_by_hand(house: House) -> None:
    verdicts = load_results(house.report / "results.json").verdicts
    assert [verdict.id for verdict in verdicts] == list(CLAIMS)
    for_it, against_it, estimates = [], [], []
    for verdict, part in zip(verdicts, CLAIMS.values(), strict=True):
        metric, sign = str(part["metric"]), 1.0 if part["direction"] == "higher" else -1.0
        people, mean = by_person(house.out, str(part["row"]), metric)
        other, other_mean = float(part.get("value", 0)), float(part.get("value", 0))
        if "over" in part:
            others, other_mean = by_person(house.out, str(part["over"]), metric)
            assert (others.index == people.index).all()
            difference = (people - others).to_numpy()
        else:
            difference = (people - other).to_numpy()
        ahead, margin = sign * difference, float(part.get("margin", 0))
        (evidence,) = verdict.evidence
        assert (evidence.value, evidence.other) == pytest.approx((mean, other_mean))
        assert evidence.identities == len(people) == 7
        interval = stats.t.interval(0.95, len(people) - 1, difference.mean(), stats.sem(difference))
        assert (evidence.low, evidence.high) == pytest.approx(interval)
        for_it.append(sign_flip(ahead, "greater"))
        assert evidence.p == pytest.approx(for_it[-1])
        against_it.append(sign_flip(ahead - margin, "less"))
        estimates.append(ahead.mean() - margin)
    reproduced, contradicted = holm(for_it), holm(against_it)
    outcomes = []
    for index, verdict in enumerate(verdicts):
        assert verdict.p_reproduced == pytest.approx(reproduced[index])
        assert verdict.p_contradicted == pytest.approx(contradicted[index])
        by_hand = "undecided"
        if reproduced[index] <= LEVEL / 2 and estimates[index] >= 0:
            by_hand = "reproduced"
        elif contradicted[index] <= LEVEL / 2:
            by_hand = "contradicted"
        assert verdict.outcome == by_hand
        outcomes.append(by_hand)
    assert {"reproduced", "contradicted"} <= set(outcomes)
