"""Compare numbers with stored ones: probes within the spread over processors, metrics within that over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.gate.reference import Numbers, Probe, Reference, SeedRun, StoredMetric
from benchmark.gate.verdicts import Check, Level, Verdict
from benchmark.statistics.gating import (
    prediction_bound,
    seeds_to_decide,
    visible_change,
    visible_separation,
)

FAMILY, DOUBT = 0.01, 0.05
"""Chances that a comparison of statistics finds any regression, and any doubt, although nothing has changed."""
FURTHER = 0.2
"""Chance that a comparison takes a further seed, if further ones are declared and nothing has changed."""
FACTOR = 10.0
"""Tolerance of a number of a probe, as a multiple of its spread over kernels, which is measured on one processor."""
JUDGE = "judge"


@dataclass(frozen=True)
class Tolerance:
    """Smallest tolerance of numbers of a probe; `FACTOR` times their spread is allowed, too."""

    relative: float
    """Relative to the largest number of a series."""
    absolute: float = 0.0


@dataclass(frozen=True)
class Margins:
    """Differences that do not matter: stated by metric, else a share of the stored value or one printed digit."""

    stated: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    default: float = 0.01

    def of(self, key: str, metric: StoredMetric, stored: float) -> float:
        """Return the margin of a metric at its stored value."""
        if key in self.stated:
            return self.stated[key]
        if key in self.shares:
            return self.shares[key] * abs(stored)
        return max(self.default * abs(stored), 10.0**-metric.decimals)


# ------------------------------------------------------------------------------------------------ probes
def compare_probe(
    level: Level,
    probe: Probe,
    now: Numbers,
    versions: Mapping[str, Sequence[str]],
    tolerance: Mapping[str, Tolerance],
    raised: Mapping[str, str] | None = None,
) -> list[Check]:
    """Compare each series of a probe; return a check of the number that differs most from its stored value.

    tolerance: by name of a series or by its first word; "" for all others. raised: reasons why series cannot be
    compared, by name.
    """
    raised = raised or {}
    checks = []
    for subject, series in probe.values.items():
        if subject not in now:
            checks.append(Check(level, subject, "all", "not comparable", note="it is not in this run"))
            continue
        if list(versions.get(subject, ())) != probe.versions.get(subject, []):
            other = sorted(set(versions.get(subject, ())) ^ set(probe.versions.get(subject, [])))
            checks.append(Check(level, subject, "all", "not comparable", note=f"other versions: {', '.join(other)}"))
            continue
        for name, stored in series.items():
            if name in raised:
                checks.append(Check(level, subject, name, "not comparable", note=raised[name]))
                continue
            allowed = tolerance.get(name, tolerance.get(name.partition(" ")[0], tolerance[""]))
            checks.append(_series(level, subject, name, stored, now[subject].get(name), probe.spread, allowed))
        known = {name.partition(" ")[0] for name in series}
        for name in now[subject]:
            if name not in series and name.startswith("total") and name.partition(" ")[0] in known:
                checks.append(Check(level, subject, name, "regressed", note="an update that was not there"))
            elif name not in series:
                checks.append(Check(level, subject, name, "new", note="it was not stored"))
    return checks


def _series(
    level: Level,
    subject: str,
    name: str,
    stored: Sequence[float | None],
    now: Sequence[float | None] | None,
    spread: Numbers,
    allowed: Tolerance,
) -> Check:
    if now is None:
        return Check(level, subject, name, "regressed", note="it is computed no more")
    if level == "scores" and all(value is None for value in stored) and not all(value is None for value in now):
        return Check(level, subject, name, "new", note="it had no number")
    if [value is None for value in stored] != [value is None for value in now]:
        return Check(level, subject, name, "regressed", note="it is computed elsewhere than it was, or not at all")
    known = [(index, value) for index, value in enumerate(stored) if value is not None]
    if not known:
        return Check(level, subject, name, "pass", note="neither had a number")
    scale = max(abs(value) for _, value in known)
    floor = max(allowed.relative * scale, allowed.absolute)
    spreads = spread.get(subject, {}).get(name, [])
    worst, most = known[0][0], -1.0
    widest, bounds = 0.0, {}
    for index, value in known:
        widest = max(widest, (spreads[index] or 0.0) if index < len(spreads) else 0.0)  # rounding grows with each step
        bounds[index] = max(FACTOR * widest, floor)
        here = now[index]
        off = abs(here - value) if here is not None and math.isfinite(here) else math.inf
        if off / bounds[index] > most if bounds[index] else off > 0:
            worst, most = index, off / bounds[index] if bounds[index] else math.inf
    before, after = stored[worst], now[worst]
    assert before is not None
    assert after is not None
    where = f"number {worst + 1} of {len(stored)}" if len(stored) > 1 else ""
    verdict: Verdict = "regressed" if most > 1 else "pass"
    return Check(
        level, subject, name, verdict, before, after, after - before, bounds[worst], bounds[worst], 6, where
    )  # fmt: skip


def spread_of(first: Numbers, others: Iterable[Numbers]) -> Numbers:
    """Return the largest difference of each number from that of `first`. Raises ValueError where only one is None."""
    spread: Numbers = {
        subject: {name: [None if value is None else 0.0 for value in values] for name, values in series.items()}
        for subject, series in first.items()
    }
    for other in others:
        for subject, series in first.items():
            for name, values in series.items():
                there = other[subject][name]
                if [value is None for value in there] != [value is None for value in values]:
                    raise ValueError(f"{subject}, {name}: other kernels compute other numbers")
                spread[subject][name] = [
                    None if value is None or known is None or far is None else max(far, abs(value - known))
                    for far, value, known in zip(spread[subject][name], there, values, strict=True)
                ]
    return spread


# ------------------------------------------------------------------------------------------------ statistics
@dataclass(frozen=True)
class Rule:
    """The rule that decides which differences are regressions."""

    looks: int = 1
    """Largest number of comparisons, each with one more seed."""
    family: float = FAMILY
    doubt: float = DOUBT
    margins: Margins = field(default_factory=Margins)
    assume_normal: bool = False
    """Whether to take seeds as normally distributed: then one seed can decide, else only the order of several."""


@dataclass(frozen=True)
class _Pair:
    subject: str
    quantity: str
    metric: StoredMetric
    stored: list[float]
    now: list[float]
    new: int
    """Number of independent values among `now`."""
    resolution: float
    gated: bool

    def worsening(self) -> tuple[list[float], list[float]]:
        """Stored and new values, larger is worse; for a metric that is best at 1 the distance from 1."""
        direction = self.metric.direction

        def scaled(values: Sequence[float]) -> list[float]:
            if direction == "one":
                return [abs(value - 1) for value in values]
            return [value if direction == "lower" else -value for value in values]

        return scaled(self.stored), scaled(self.now)


def compare_runs(
    reference: Reference, runs: Mapping[int, SeedRun], metrics: Mapping[str, StoredMetric], rule: Rule
) -> tuple[list[Check], int]:
    """Compare new seeds with the stored ones, number by number; also return how many numbers can regress.

    These are the reference's gated numbers; all others are reported. metrics: as measured now. A metric of another
    version is not comparable.
    """
    pairs, checks = [], []
    for pair in _pairs(reference, runs):
        known = metrics.get(pair.quantity, pair.metric)
        reason = ""
        if known.version != pair.metric.version:
            reason = f"its version was {pair.metric.version} and is {known.version}"
        elif not pair.now and pair.stored:
            reason = "it has no number in this run"
        elif len(pair.stored) < 2 and pair.now:
            reason = "it has fewer than two stored numbers"
        if reason and pair.gated:
            checks.append(Check("statistics", pair.subject, pair.quantity, "not comparable", note=reason))
        elif reason:
            checks.append(Check("statistics", pair.subject, pair.quantity, "reported", note=reason))
        elif pair.now:
            pairs.append(pair)
    compared = sum(pair.gated for pair in pairs)
    checks += [_compare(pair, rule, compared) if pair.gated else _report(pair) for pair in pairs]
    unknown = [name for name in metrics if name not in reference.metrics]
    checks += [Check("statistics", "all rows", name, "new", note="it was not stored") for name in unknown]
    return checks, compared


def gated_numbers(reference: Reference) -> int:
    """Return how many stored numbers can regress."""
    return sum(pair.gated and len(pair.stored) > 1 for pair in _pairs(reference, {}))


def seeds_needed(reference: Reference, numbers: int, rule: Rule) -> int:
    """Return how many new seeds can show a regression of any of `numbers` numbers; 0 for no numbers or no seeds."""
    if not numbers or not reference.runs:
        return 0
    return 1 if rule.assume_normal else seeds_to_decide(len(reference.runs), numbers, rule.family)


def _pairs(reference: Reference, runs: Mapping[int, SeedRun]) -> Iterator[_Pair]:
    first = next(iter(reference.runs.values()))
    judges = len({run.judge_seed for run in runs.values()})
    for row in first.rows:
        for key, metric in reference.metrics.items():
            now = [value for run in runs.values() if (value := run.rows.get(row, {}).get(key)) is not None]
            new = min(judges, len(now)) if metric.judged else len(now)
            edits = first.edits.get(row, 0)
            step = 100 / edits if edits and metric.unit == "%" else 0.0
            resolution = max(step, 0.5 * 10.0**-metric.decimals)
            gated = key in (reference.gated or reference.metrics)
            yield _Pair(row, key, metric, reference.values(row, key), now, new, resolution, gated)
    for subset in first.judges:
        stored = [run.judges[subset] for run in reference.runs.values() if subset in run.judges]
        values = {run.judge_seed: run.judges[subset] for run in runs.values() if subset in run.judges}
        accuracy = StoredMetric(f"accuracy of the judge on {subset}", "higher", "set", "%", 2, 1, True)
        yield _Pair(JUDGE, accuracy.label, accuracy, stored, list(values.values()), len(values), 0.5, True)


def _report(pair: _Pair) -> Check:
    mean, now = statistics.fmean(pair.stored), statistics.fmean(pair.now)
    return Check(
        "statistics", pair.subject, pair.quantity, "reported", mean, now, now - mean, decimals=pair.metric.decimals
    )


def _compare(pair: _Pair, rule: Rule, comparisons: int) -> Check:
    metric, sizes = pair.metric, (len(pair.stored), pair.new)
    stored, new = pair.worsening()
    mean, now = statistics.fmean(pair.stored), statistics.fmean(pair.now)
    middle = statistics.fmean(stored)
    worse = statistics.fmean(new) - middle
    # Seeds may be equal, so the spread is at least the resolution of the number.
    spread = max(statistics.stdev(stored), pair.resolution)
    margin = rule.margins.of(pair.quantity, metric, mean)
    verdict: Verdict = "pass"
    if rule.assume_normal:
        share = comparisons * rule.looks
        bound = max(prediction_bound(spread, *sizes, rule.family / share), margin)
        doubtful = max(prediction_bound(spread, *sizes, rule.doubt / share), margin)
        if worse > doubtful:
            verdict = "regressed" if worse > bound else "inconclusive"
        elif -worse > bound:
            verdict = "improved"
        visible = visible_change(spread, *sizes, rule.family / share)
        note = f"{sizes[0]} stored seeds, {sizes[1]} new"
    else:
        needed = seeds_to_decide(sizes[0], comparisons, rule.family)
        doubtful = prediction_bound(spread, *sizes, rule.doubt / comparisons)
        bound = max(max(stored) - middle, margin, 0.0 if sizes[1] >= needed else doubtful)
        if min(new) > max(stored) and worse > bound:
            verdict = "regressed" if sizes[1] >= needed else "inconclusive"
        elif max(new) < min(stored) and -worse > max(doubtful, margin):
            verdict = "improved"
        first = 1 if rule.looks > 1 else min(sizes[1], needed)
        visible = spread * visible_separation(sizes[0], first, max(needed, sizes[1]), FURTHER / comparisons)
        note = f"{sizes[0]} stored seeds, {sizes[1]} new; {needed} decide"
    return Check(
        "statistics", pair.subject, pair.quantity, verdict, mean, now, now - mean, bound, max(visible, bound),
        metric.decimals, note,
    )  # fmt: skip
