"""Separation of new seeds from stored ones: exact chances, and simulations with heavy tails, failures and ties."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.gate.comparison import FURTHER
from benchmark.statistics.gating import chance_of_separation, prediction_bound, seeds_to_decide, visible_separation

STORED, NUMBERS, FAMILY, RUNS = 8, 15, 0.01, 8000
Drawn = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def failing(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Trainings of which one in ten fails, in all its numbers together."""
    failed = random.random((*shape[:-1], 1)) < 0.1
    return random.normal(size=shape) + 40 * failed * random.exponential(size=(*shape[:-1], 1))


def dependent(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that hardly differ, as those of one training under two guides do."""
    return random.standard_t(2, (*shape[:-1], 1)) + 0.1 * random.normal(size=shape)


DISTRIBUTIONS: dict[str, Drawn] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "Student, two degrees": lambda random, shape: random.standard_t(2, shape),
    "Cauchy": lambda random, shape: random.standard_cauchy(shape),
    "lognormal": lambda random, shape: random.lognormal(0, 1.5, shape),
    "three values": lambda random, shape: random.integers(0, 3, shape).astype(float),
    "one in ten fails": failing,
    "dependent": dependent,
}


def test_the_chance_is_that_of_all_orders_and_of_an_exact_rank_test() -> None:
    for stored, new in ((3, 2), (4, 3), (5, 1)):
        orders = itertools.permutations(range(stored + new))
        separated = [min(order[:new]) > max(order[new:]) for order in orders]
        assert chance_of_separation(stored, new) == pytest.approx(np.mean(separated))
        ranks = stats.mannwhitneyu(
            np.arange(new) + stored, np.arange(stored), alternative="greater", method="exact"
        )  # fmt: skip
        assert chance_of_separation(stored, new) == pytest.approx(ranks.pvalue)


@given(st.integers(1, 40), st.integers(1, 200), st.floats(1e-3, 0.5))
def test_as_few_seeds_as_keep_the_rate(stored: int, numbers: int, rate: float) -> None:
    new = seeds_to_decide(stored, numbers, rate)
    assert numbers * chance_of_separation(stored, new) <= rate
    assert new == 1 or numbers * chance_of_separation(stored, new - 1) > rate
    assert seeds_to_decide(stored + 1, numbers, rate) <= new


def test_nothing_stored_decides_nothing() -> None:
    for stored, numbers, rate in ((0, 5, 0.01), (5, 0, 0.01), (5, 5, 0.0)):
        with pytest.raises(ValueError, match="nothing can be decided"):
            seeds_to_decide(stored, numbers, rate)


def runs_in_turn(values: np.ndarray, stored: int, last: int, rate: float) -> tuple[float, float]:
    """Shares of runs that regress, and that run a second seed; values: runs x (stored + last) x numbers."""
    old, new = values[:, :stored], values[:, stored:]
    worst, mean, spread = old.max(1), old.mean(1), old.std(1, ddof=1)
    suspected = np.ones(worst.shape, bool)
    second = 0.0
    for count in range(1, last + 1):
        bound = prediction_bound(1.0, stored, count, rate) * spread if count < last else 0.0
        suspected &= (new[:, count - 1] > worst) & (new[:, :count].mean(1) - mean > bound)
        second = float(suspected.any(1).mean()) if count == 1 else second
    return float(suspected.any(1).mean()), second


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_no_distribution_alarms_more_often_than_stated(name: str) -> None:
    last = seeds_to_decide(STORED, NUMBERS, FAMILY)
    random = np.random.default_rng(0)
    values = DISTRIBUTIONS[name](random, (RUNS, STORED + last, NUMBERS))
    # Without the bound in between, which makes alarms rarer still, the chance of independent numbers is known.
    separated = (values[:, STORED:].min(1) > values[:, :STORED].max(1)).any(1)
    assert stats.binomtest(int(separated.sum()), RUNS, FAMILY, "greater").pvalue > 0.001
    alarms, second = runs_in_turn(values, STORED, last, FURTHER / NUMBERS)
    assert alarms <= separated.mean()
    if name == "normal":
        chance = 1 - (1 - chance_of_separation(STORED, last)) ** NUMBERS
        assert separated.mean() == pytest.approx(chance, abs=0.004)
        assert second < FURTHER + 0.01


@pytest.mark.parametrize("name", ["Student, two degrees", "one in ten fails"])
def test_known_wrong_a_bound_of_normal_values_alarms_far_too_often_with_heavy_tails(name: str) -> None:
    random = np.random.default_rng(1)
    values = DISTRIBUTIONS[name](random, (RUNS, STORED + 1, NUMBERS))
    old, new = values[:, :STORED], values[:, STORED]
    bound = prediction_bound(1.0, STORED, 1, FAMILY / NUMBERS) * old.std(1, ddof=1)
    assert ((new - old.mean(1)) > bound).any(1).mean() > 3 * FAMILY


@pytest.mark.parametrize(("stored", "first", "last"), [(8, 1, 6), (12, 1, 4), (8, 6, 6)])
def test_the_visible_change_is_found_four_times_in_five(stored: int, first: int, last: int) -> None:
    random = np.random.default_rng(2)
    rate = FURTHER / NUMBERS
    values = random.normal(size=(RUNS, stored + last, 1))
    values[:, stored:] += visible_separation(stored, first, last, rate)
    if first == last:
        found = float((values[:, stored:].min(1) > values[:, :stored].max(1)).mean())
    else:
        found, _ = runs_in_turn(values, stored, last, rate)
    assert found == pytest.approx(0.8, abs=0.015)
