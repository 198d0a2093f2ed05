"""What statistics of a row are computed from: each metric's value by seed, and its estimate over identities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.metrics.metric import Per
from benchmark.statistics.estimates import Estimate, IdentityMeans, Jackknife
from benchmark.statistics.intervals import Interval, t_interval


@dataclass(frozen=True)
class Sample:
    """One metric of one row.

    by_seed: its value by training seed. over_identities: of the mean over seeds; None where identities are not known.
    """

    by_seed: Mapping[int, float]
    over_identities: Estimate | None

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(list(self.by_seed.values())))

    @property
    def seeds_interval(self) -> Interval:
        """How sure the mean over seeds is, for these test identities."""
        return t_interval(list(self.by_seed.values()), "seeds")

    @property
    def identities_interval(self) -> Interval | None:
        """How sure it is over test identities, for these trainings."""
        return self.over_identities.interval() if self.over_identities is not None else None


def sample(per: Per, values: Mapping[int, float], by_identity: Mapping[int, Mapping[str, float]]) -> Sample:
    """A metric's sample from its values by seed (at least one), and by seed and identity.

    by_identity: for a metric per edit the mean of the identity's edits; for a metric of a set its value without the
    identity. Raises ValueError where seeds were measured on different identities.
    """
    seeds = [by_identity.get(seed, {}) for seed in values]
    names = seeds[0].keys()
    if any(other.keys() != names for other in seeds):
        raise ValueError("the seeds of a row are not measured on the same identities")
    averaged = {name: float(np.mean([seed[name] for seed in seeds])) for name in sorted(names)}
    if not averaged:
        return Sample(values, None)
    if per == "edit":
        return Sample(values, IdentityMeans(averaged))
    return Sample(values, Jackknife(float(np.mean(list(values.values()))), averaged))
