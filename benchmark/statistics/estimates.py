"""One number of a row, or the difference of two rows, with its error over test identities: interval and tests.

Two kinds. `IdentityMeans`: a metric of single edits, averaged for each identity; tested by flipping the signs of whole
identities. `Jackknife`: a metric of a whole set, such as a Fréchet distance; its error is what leaving out one identity
after the other (edits and real pictures) changes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.statistics.intervals import CONFIDENCE, Interval, interval_from_error

Alternative = Literal["two-sided", "greater", "less"]
EXACT_IDENTITIES = 20
"""All 2^n sign patterns are tried up to this many identities: a million sums take 30 ms."""
RANDOM_FLIPS = 99_999


class Estimate(ABC):
    """A number estimated from test identities."""

    test: str
    """How p values are computed, as text."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The estimate."""

    @property
    @abstractmethod
    def standard_error(self) -> float:
        """Standard error over identities; NaN with fewer than two."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the identities."""

    @property
    def identities(self) -> int:
        """Number of independent values."""
        return len(self.names)

    @abstractmethod
    def p_value(self, alternative: Alternative = "two-sided", threshold: float = 0.0) -> float:
        """p value of the true value being `threshold` (or beyond it, on the other side) against the alternative."""

    @abstractmethod
    def minus(self, other: Self) -> Self:
        """The difference over the same identities. Raises ValueError where these differ."""

    @abstractmethod
    def times(self, factor: float, offset: float = 0.0) -> Self:
        """factor x estimate + offset."""

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval over identities."""
        return interval_from_error(self.value, self.standard_error, self.identities, "identities", confidence)

    @property
    def deviation(self) -> float:
        """Standard deviation of one identity's share: the standard error times the root of their number."""
        return self.standard_error * math.sqrt(self.identities)


@dataclass(frozen=True)
class IdentityMeans(Estimate):
    """The mean of independent means, one of each identity, by its name."""

    means: Mapping[str, float]

    @property
    def test(self) -> str:  # type: ignore[override]
        """Exact sign flip where that is feasible."""
        return "exact sign flip" if self.identities <= EXACT_IDENTITIES else "sign flip"

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        return np.array(list(self.means.values()))

    @property
    def value(self) -> float:
        """The mean over identities."""
        return float(self._values.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean."""
        return float(stats.sem(self._values)) if self.identities > 1 else math.nan

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the identities."""
        return tuple(self.means)

    def p_value(self, alternative: Alternative = "two-sided", threshold: float = 0.0) -> float:
        """Sign flip of whole identities about `threshold`."""
        return sign_flip(self._values - threshold, alternative)

    def minus(self, other: Self) -> Self:
        """Means of the paired differences."""
        _same(self.means, other.means)
        return type(self)({name: mean - other.means[name] for name, mean in self.means.items()})

    def times(self, factor: float, offset: float = 0.0) -> Self:
        """Scale and shift the mean of each identity."""
        return type(self)({name: factor * mean + offset for name, mean in self.means.items()})


@dataclass(frozen=True)
class Jackknife(Estimate):
    """A metric of a whole set: `whole` on all identities, `without` by the name of the identity that is left out."""

    whole: float
    without: Mapping[str, float]
    test = "jackknife t test"

    @property
    def value(self) -> float:
        """The value on all identities, as in the tables."""
        return self.whole

    @property
    def standard_error(self) -> float:
        """sqrt((n - 1)/n sum (value without i - their mean)^2), Efron and Stein (1981)."""
        if self.identities < 2:
            return math.nan
        return float(np.std(list(self.without.values())) * math.sqrt(self.identities - 1))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the identities that are left out in turn."""
        return tuple(self.without)

    def p_value(self, alternative: Alternative = "two-sided", threshold: float = 0.0) -> float:
        """t test with one degree of freedom fewer than identities; 1 with fewer than two."""
        if self.identities < 2:
            return 1.0
        distance = self.whole - threshold
        if self.standard_error == 0:
            t = math.copysign(math.inf, distance) if distance else 0.0
        else:
            t = distance / self.standard_error
        distribution = stats.t(self.identities - 1)
        if alternative == "two-sided":
            return float(2 * distribution.sf(abs(t)))
        return float(distribution.sf(t) if alternative == "greater" else distribution.cdf(t))

    def minus(self, other: Self) -> Self:
        """The jackknife of the difference, not the difference of two jackknives: both rows share the real pictures."""
        _same(self.without, other.without)
        without = {name: value - other.without[name] for name, value in self.without.items()}
        return type(self)(self.whole - other.whole, without)

    def times(self, factor: float, offset: float = 0.0) -> Self:
        """Scale and shift the whole and each replicate."""
        without = {name: factor * value + offset for name, value in self.without.items()}
        return type(self)(factor * self.whole + offset, without)


def sign_flip(values: NDArray[np.float64], alternative: Alternative = "two-sided") -> float:
    """p value of the mean of independent `values` being 0: how many sign patterns give a mean as far out.

    As scipy.stats.permutation_test(permutation_type="samples"), which takes 6 s for 20 values where this takes 30 ms; a
    report makes hundreds of these tests. Beyond EXACT_IDENTITIES values RANDOM_FLIPS patterns are drawn from a fixed
    seed, and the observed one is counted among them.
    """
    if len(values) > EXACT_IDENTITIES:
        flips = np.random.default_rng(0).integers(0, 2, (RANDOM_FLIPS, len(values)), np.int8)
        sums = np.append(values.sum() - 2 * (flips @ values), values.sum())
    else:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
    slack = 1e-12 * float(np.abs(values).sum())  # equal sums, added in another order, differ in last bits
    greater = float(np.mean(sums >= values.sum() - slack))
    less = float(np.mean(sums <= values.sum() + slack))
    return {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]


def _same(first: Mapping[str, float], second: Mapping[str, float]) -> None:
    if first.keys() != second.keys():
        lacking = sorted(first.keys() ^ second.keys())
        raise ValueError(f"not measured on the same identities ({lacking[0]} is in one of them)")
