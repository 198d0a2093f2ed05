"""Density and coverage against their definition, and on sets whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from benchmark.metrics.density import COVERAGE, DENSITY, NEIGHBOURS, coverage, density

RNG = np.random.default_rng(0)


def by_definition(edits: NDArray[np.float64], real: NDArray[np.float64]) -> tuple[float, float]:
    """Loops over every picture, as Naeem et al. (2020), Eq. 4 and 5, write it."""
    radii = [np.sort(cdist(real, real)[i])[NEIGHBOURS] for i in range(len(real))]  # place 0 is the picture itself
    dense, covered = 0, 0
    for i in range(len(real)):
        inside = [np.linalg.norm(real[i] - edit) < radii[i] for edit in edits]
        dense += sum(inside)
        covered += any(inside)
    return dense / (NEIGHBOURS * len(edits)), covered / len(real)


def test_they_are_as_defined() -> None:
    edits, real = RNG.normal(0.2, 1, (40, 6)), RNG.normal(0, 1, (30, 6))
    wanted = by_definition(edits, real)
    assert (density(edits, real), coverage(edits, real)) == pytest.approx(wanted)
    far = 1e4
    assert (density(edits + far, real + far), coverage(edits + far, real + far)) == pytest.approx(wanted)


def test_the_same_distribution_has_about_one_and_all() -> None:
    edits, real = RNG.normal(0, 1, (400, 4)), RNG.normal(0, 1, (400, 4))
    assert density(edits, real) == pytest.approx(1, abs=0.15)
    assert coverage(edits, real) > 0.9


def test_what_looks_all_alike_is_dense_and_covers_little() -> None:
    real = RNG.normal(0, 1, (200, 4))
    alike = RNG.normal(0, 0.01, (200, 4))
    assert density(alike, real) > 0.5
    assert coverage(alike, real) < 0.1


def test_noise_far_away_has_nothing() -> None:
    real, noise = RNG.normal(0, 1, (100, 4)), RNG.normal(50, 1, (100, 4))
    assert density(noise, real) == coverage(noise, real) == 0


def test_copies_of_real_pictures_cover_them() -> None:
    real = RNG.normal(0, 1, (100, 4))
    assert coverage(real, real) == 1
    assert density(real, real) > 1  # each lies in its own ball, too


def test_few_real_pictures_have_fewer_neighbours() -> None:
    real = np.array([[0.0], [1.0], [10.0]])
    assert coverage(np.array([[0.5], [0.6]]), real) == 1
    assert {metric.direction for metric in (DENSITY, COVERAGE)} == {"higher"}
