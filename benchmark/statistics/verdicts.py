"""Claims held against results: reproduced, contradicted, undecided, or not testable here. docs/statistics.md has the
rules.

Each part of a claim becomes comparisons: by how much a row is ahead in the claimed direction. A claim is *reproduced*
where every comparison is significant and at least as large as its margin, and *contradicted* where some comparison is
significantly smaller than its margin (which the opposite is, and equality within the margin). Each is a family of tests
over the claims, corrected after Holm at half of LEVEL, so that a false verdict of either kind comes with at most LEVEL.
Where both rows have several seeds, the t interval over seeds has to agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmark.metrics.own_network import OWN_DISTANCE
from benchmark.statistics.claims import Claim, Part
from benchmark.statistics.decisions import LEVEL, holm, needed_sample
from benchmark.statistics.estimates import Estimate
from benchmark.statistics.intervals import Interval, seeds_difference, t_interval
from benchmark.statistics.samples import Sample
from benchmark.statistics.verdict import Evidence, Outcome, Verdict

FAMILY_LEVEL = LEVEL / 2
UNBIASED = {"fid": "kid", "fid_cropped": "kid_cropped"}

Samples = Mapping[str, Mapping[str, Sample]]
"""By row, then metric."""


@dataclass(frozen=True)
class Setting:
    """What results are of: name of the data set, heading of the Fréchet distance; why rows have no numbers."""

    data: str
    features: str
    missing: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of metrics, by key."""
    undecidable: str = ""
    """Why no claim can be decided on these results, or ""."""

    def label(self, metric: str) -> str:
        """Heading of a metric."""
        return self.labels.get(metric, metric)


@dataclass(frozen=True)
class Comparison:
    """By how much a row is ahead in the claimed direction (`ahead`), and the bounds that it is held to.

    least: what `ahead` has to exceed. enough: what it has to reach. sign: 1 where higher values are claimed, else -1.
    """

    row: str
    over: str
    metric: str
    value: float
    other: float
    sign: int
    ahead: Estimate
    seeds: Interval | None
    seeds_deviation: float
    least: float
    enough: float

    @property
    def pair(self) -> str:
        """What is compared, in words."""
        return f"{self.row} and {self.over or format(self.other, 'g')}"

    @property
    def p_for(self) -> float:
        """Of the row not being ahead."""
        return self.ahead.p_value("greater", self.least)

    @property
    def p_against(self) -> float:
        """Of the row being ahead by enough."""
        return self.ahead.p_value("less", self.enough)

    @property
    def supports(self) -> bool:
        """Whether the estimate is large enough."""
        return self.ahead.value >= self.enough

    @property
    def seeds_support(self) -> bool:
        """Whether the interval over seeds, if there is one, excludes what is not ahead."""
        return self.seeds is None or self.seeds.low is None or self.seeds.low > self.least

    @property
    def seeds_oppose(self) -> bool:
        """Whether the interval over seeds, if there is one, excludes what is enough."""
        return self.seeds is None or self.seeds.high is None or self.seeds.high < self.enough

    @property
    def _to_tell(self) -> float:
        """How far the estimate is from the bound that it has to be told from."""
        return self.ahead.value - self.least if self.supports else self.enough - self.ahead.value

    def needed(self, level: float) -> tuple[int | None, int | None]:
        """Identities, and seeds of each row, that would decide at `level` if the truth were as estimated."""
        seeds = None if self.seeds is None else needed_sample(self._to_tell, self.seeds_deviation, FAMILY_LEVEL)
        identities = needed_sample(self._to_tell, self.ahead.deviation, level)
        # No sign flip of fewer can have so small a p value.
        return identities and max(identities, math.ceil(-math.log2(level))), seeds

    def evidence(self, decides: bool, contradicts: bool) -> Evidence:
        """In plain data."""
        interval = self.ahead.interval()
        over_seeds = (None, None) if self.seeds is None else (self.seeds.low, self.seeds.high)
        low, high = _turned(self.sign, interval.low, interval.high)
        identities, test = interval.values, self.ahead.test
        return Evidence(
            self.row, self.over, self.metric, self.value, self.other, low, high, *_turned(self.sign, *over_seeds),
            identities, test, self.p_for, decides, contradicts,
        )  # fmt: skip


@dataclass(frozen=True)
class PartResult:
    """A part of a claim: the comparisons that decide it, and those of the biased metric that they stand in for."""

    deciding: tuple[Comparison, ...]
    shown: tuple[Comparison, ...]
    p_for: float
    p_against: float

    @property
    def supports(self) -> bool:
        """Whether all estimates are as claimed."""
        return all(each.supports for each in (*self.deciding, *self.shown))

    @property
    def opposes(self) -> bool:
        """Whether some estimate of the metric that decides is not as claimed, nor that of the one it stands in for."""
        return not all(each.supports for each in self.deciding) and not (
            self.shown and all(each.supports for each in self.shown)
        )


def decide(claims: Sequence[Claim], samples: Samples, setting: Setting) -> list[Verdict]:
    """The verdict on each of `claims`, which are one family of tests."""
    obstacles = {claim.id: _obstacle(claim, samples, setting) for claim in claims}
    tested = [claim for claim in claims if not obstacles[claim.id]]
    parts = [[_test(part, samples) for part in claim.parts] for claim in tested]
    p_for = holm([max(part.p_for for part in mine) for mine in parts])  # all parts must hold
    p_against = holm([min(1.0, len(mine) * min(part.p_against for part in mine)) for mine in parts])
    decided = iter(zip(parts, p_for, p_against, strict=True))
    return [
        Verdict(claim.id, claim.words, claim.place, "not testable here", obstacles[claim.id])
        if obstacles[claim.id]
        else _verdict(claim, *next(decided), level=FAMILY_LEVEL / len(tested), setting=setting)
        for claim in claims
    ]


# ---------------------------------------------------------------------------------------------- what can be tested
def _obstacle(claim: Claim, samples: Samples, setting: Setting) -> str:
    """Why a claim cannot be tested on these results, or ""."""
    if claim.untestable:
        return claim.untestable
    if setting.undecidable:
        return setting.undecidable
    if claim.only.data not in (None, setting.data):
        return f"it is about the data set {claim.only.data}, and these results are of the data set {setting.data}"
    if claim.only.features not in (None, setting.features):
        return f"it is about {claim.only.features}, and these results have {setting.features}"
    for part in claim.parts:
        for row in (part.row, *part.others):
            if row not in samples:
                if row not in setting.missing:
                    return f"the suite has no row {row}"
                return f"row {row} has no numbers ({setting.missing[row]})"
            for metric in _metrics(part):
                sample = samples[row].get(metric)
                if sample is None:
                    return f"row {row} has no {setting.label(metric)}"
                if sample.over_identities is None or sample.over_identities.identities < 2:
                    return f"{setting.label(metric)} of row {row} is not known of two test identities"
                try:
                    _ahead(samples[part.row][metric], sample, 1)
                except ValueError as error:
                    return f"rows {part.row} and {row} are {error}"
    return ""


def _metrics(part: Part) -> tuple[str, ...]:
    """The part's metric, and the one that decides in its place where it is biased."""
    return tuple(dict.fromkeys((part.metric, unbiased(part.metric))))


def unbiased(metric: str) -> str:
    """The metric that decides for one. A Fréchet distance of few pictures has a bias that depends on the method: the
    kernel distance decides for it, in a network of one's own too.
    """
    if OWN_DISTANCE.fullmatch(metric):
        return metric.replace("fd_", "kd_", 1)
    return UNBIASED.get(metric, metric)


# ---------------------------------------------------------------------------------------------- tests
def _test(part: Part, samples: Samples) -> PartResult:
    """All comparisons of a part, and its two p values before the correction for other claims."""
    decides = unbiased(part.metric)
    deciding = _comparisons(part, decides, samples)
    shown = _comparisons(part, part.metric, samples) if decides != part.metric else ()
    p_for, count = max(each.p_for for each in deciding), len(deciding)
    if part.rank is None:
        return PartResult(deciding, shown, p_for, min(1.0, count * min(each.p_against for each in deciding)))
    if 1 < part.rank <= count:
        p_for = min(1.0, count * p_for)  # which rows are above is read off the data
    return PartResult(deciding, shown, p_for, _against_rank(part, samples))


def _comparisons(part: Part, metric: str, samples: Samples) -> tuple[Comparison, ...]:
    """In one metric: one, both sides of an equality, or one with each row of a ranking."""
    mine = samples[part.row][metric]
    if part.rank is not None:
        sign = 1 if part.direction == "higher" else -1
        above = sorted(part.among, key=lambda row: -sign * samples[row][metric].mean)[: part.rank - 1]
        return tuple(
            _comparison(part.row, row, metric, mine, samples[row][metric], -sign if row in above else sign, 0, 0)
            for row in part.among
        )
    other: Sample | float = samples[part.over][metric] if part.over is not None else part.value or 0.0
    margin = part.margin.of(other.mean if isinstance(other, Sample) else other)
    bounds = (0.0, margin) if part.direction in ("higher", "lower") else (-margin, -margin)
    signs = {"higher": [1], "not lower": [1], "lower": [-1], "not higher": [-1], "equal": [1, -1]}[part.direction]
    return tuple(_comparison(part.row, part.over or "", metric, mine, other, sign, *bounds) for sign in signs)


def _comparison(
    row: str, over: str, metric: str, mine: Sample, other: Sample | float, sign: int, least: float, enough: float
) -> Comparison:
    values = sign * np.array(list(mine.by_seed.values()))
    if isinstance(other, Sample):
        others = sign * np.array(list(other.by_seed.values()))
        seeds, number = seeds_difference(values, others), other.mean
        deviation = math.hypot(_deviation(values), _deviation(others))
    else:
        seeds, number, deviation = t_interval(values - sign * other, "seeds"), other, _deviation(values)
    return Comparison(
        row, over, metric, mine.mean, number, sign, _ahead(mine, other, sign),
        None if seeds.low is None else seeds, deviation, least, enough,
    )  # fmt: skip


def _ahead(mine: Sample, other: Sample | float, sign: int) -> Estimate:
    """The difference over identities, turned so that the claimed direction is up."""
    assert mine.over_identities is not None
    if not isinstance(other, Sample):
        return mine.over_identities.times(sign, -sign * other)
    assert other.over_identities is not None
    return mine.over_identities.minus(other.over_identities).times(sign)


def _against_rank(part: Part, samples: Samples) -> float:
    """p value of the rank being true, against too many rows being better, or too many being worse."""
    assert part.rank is not None
    metric, count = unbiased(part.metric), len(part.among)
    sign = 1 if part.direction == "higher" else -1
    mine = samples[part.row][metric]
    ahead = [_ahead(mine, samples[row][metric], sign) for row in part.among]
    behind_p = sorted(each.p_value("less") for each in ahead)
    ahead_p = sorted(each.p_value("greater") for each in ahead)
    sides = behind_p[part.rank - 1 : part.rank] + (ahead_p[count + 1 - part.rank :][:1] if part.rank > 1 else [])
    return min(1.0, len(sides) * count * min(sides))


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _turned(sign: int, low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """An interval of `ahead` as one of value - other."""
    if low is None or high is None:
        return None, None
    return (low, high) if sign > 0 else (-high, -low)


# ---------------------------------------------------------------------------------------------- verdicts
def _verdict(
    claim: Claim, parts: list[PartResult], p_for: float, p_against: float, level: float, setting: Setting
) -> Verdict:
    """One claim, from its parts and its corrected p values. level: of one test, for the sample that would decide."""
    reproduced = p_for <= FAMILY_LEVEL and all(part.supports for part in parts)
    weakest = min(parts, key=lambda part: part.p_against)
    failing = min(weakest.deciding, key=lambda each: (each.supports, each.p_against))
    contradicted = p_against <= FAMILY_LEVEL and weakest.opposes
    outcome: Outcome = "undecided"
    why = ""
    needed: tuple[int | None, int | None] = (None, None)
    if contradicted and failing.seeds_oppose:
        outcome, why = "contradicted", _how_it_fails(failing, setting)
    elif reproduced and all(each.seeds_support for part in parts for each in part.deciding):
        outcome = "reproduced"
    else:
        why, needed = _what_would_decide(parts, reproduced or contradicted, level, setting)
    evidence = tuple(
        each.evidence(decides, outcome == "contradicted" and each is failing)
        for part in parts for group, decides in ((part.shown, False), (part.deciding, True)) for each in group
    )  # fmt: skip
    return Verdict(claim.id, claim.words, claim.place, outcome, why, evidence, p_for, p_against, *needed)


def _how_it_fails(failing: Comparison, setting: Setting) -> str:
    """The opposite, equal within the margin, or too small to matter."""
    label = setting.label(failing.metric)
    if not failing.over:
        return f"{label} of {failing.row} is on the other side of {failing.other:g}"
    subject = f"{label} of {failing.pair}"
    if failing.enough < 0:
        return f"{subject} differ by more than the margin of {-failing.enough:.3g}"
    if failing.ahead.p_value("less") <= FAMILY_LEVEL:
        return f"{subject} differ the other way"
    if failing.ahead.p_value("greater", -failing.enough) <= FAMILY_LEVEL:
        return f"{subject} are equal within the margin of {failing.enough:.3g}"
    return f"{subject} do not differ by the margin of {failing.enough:.3g}"


def _what_would_decide(
    parts: list[PartResult], seeds_only: bool, level: float, setting: Setting
) -> tuple[str, tuple[int | None, int | None]]:
    """Why nothing was decided, and how many identities or seeds would, were the differences as estimated."""
    comparisons = [each for part in parts for each in part.deciding]
    if seeds_only:
        wanted = [each.needed(level)[1] for each in comparisons if each.seeds is not None]
        if None in wanted:
            return "test identities agree, and seeds differ too much for any affordable number of them", (None, None)
        seeds = max(filter(None, wanted))
        return f"test identities agree, and seeds differ too much: about {seeds} of each row would decide", (
            None,
            seeds,
        )
    for part in parts:
        if part.shown and not part.supports and not part.opposes:
            biased, unbiased = setting.label(part.shown[0].metric), setting.label(part.deciding[0].metric)
            return f"{biased} and {unbiased} of {part.shown[0].pair} disagree", (None, None)
    undecided = [each for each in comparisons if each.p_for > level or not each.supports] or comparisons
    here = comparisons[0].ahead.identities
    needed = [each.needed(level)[0] for each in undecided]
    if None in needed:
        close = undecided[needed.index(None)]
        return (
            f"{setting.label(close.metric)} of {close.pair} are too close for any affordable number of test identities "
            f"({here} here)",
            (None, None),
        )
    identities = max(here + 1, *filter(None, needed))
    return f"about {identities} test identities would decide ({here} here)", (identities, None)
