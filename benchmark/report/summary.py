"""Uncertainty of a report's numbers: intervals, ranks with ties, verdicts on claims."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmark.metrics.metric import MetricDescription
from benchmark.report.results import ClaimsSource, MetricSummary, Row, SuiteResults
from benchmark.statistics.claims import Claims
from benchmark.statistics.decisions import rank_intervals
from benchmark.statistics.intervals import Interval
from benchmark.statistics.samples import Sample
from benchmark.statistics.verdicts import Setting, decide

NOT_IN_A_NAME = re.compile(r"[^\w. :-]", re.ASCII)
"""Characters that MLflow refuses in names of metrics; a slash starts a group."""


def with_statistics(results: SuiteResults, claims: Claims | None, undecidable: str = "") -> SuiteResults:
    """Return results with intervals, ranks, and verdicts on the claims about their suite.

    undecidable: why these results decide no claim, or "".
    """
    rows, corners = summarise(results.rows, results.metrics), without_ranks(results.corners, results.metrics)
    results = replace(results, corners=corners)
    if claims is None:
        return replace(results, rows=rows)
    setting = Setting(
        results.data,
        results.features.column,
        {row.id: row.missing for row in rows if row.missing},
        {metric.key: metric.label for metric in results.metrics},
        undecidable,
    )
    samples = {row.id: row.samples(results.metrics) for row in rows if not row.missing}
    verdicts = decide(claims.of_suite(results.suite), samples, setting)
    source = ClaimsSource(claims.title, claims.source)
    return replace(results, rows=rows, claims=source, verdicts=tuple(verdicts))


def summarise(rows: Sequence[Row], metrics: Sequence[MetricDescription]) -> tuple[Row, ...]:
    """Return rows with their `summary`. Ranks are among rows with the same list of edits; a run counts once."""
    samples = [row.samples(metrics) for row in rows]
    ranks: list[dict[str, tuple[int, int]]] = [{} for _ in rows]
    for metric in metrics:
        if metric.direction == "one":  # a difference does not say which row is nearer to 1
            continue
        for group in _comparable(rows, samples, metric):
            estimates = {str(index): samples[index][metric.key].over_identities for index in group}
            known = {name: estimate for name, estimate in estimates.items() if estimate is not None}
            for name, rank in rank_intervals(known, metric.direction == "higher").items():
                ranks[int(name)][metric.key] = (rank.best, rank.worst)
    indices = {row.id: index for index, row in enumerate(rows)}
    return tuple(
        replace(row, summary=_summary(samples[index], ranks[indices.get(row.same_as, index)]))
        for index, row in enumerate(rows)
    )


def without_ranks(rows: Sequence[Row], metrics: Sequence[MetricDescription]) -> tuple[Row, ...]:
    """Return rows without a method, with their `summary`."""
    return tuple(replace(row, summary=_summary(row.samples(metrics), {})) for row in rows)


def _comparable(
    rows: Sequence[Row], samples: Sequence[Mapping[str, Sample]], metric: MetricDescription
) -> list[list[int]]:
    """Return the indices of rows to rank in a metric, grouped by their list of edits; single rows are left out."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, row in enumerate(rows):
        sample = samples[index].get(metric.key)
        if sample is None or sample.over_identities is None or row.same_as:
            continue
        people = sample.over_identities.names
        groups.setdefault((next(iter(row.seeds.values())).edits_key, *people), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _summary(samples: Mapping[str, Sample], ranks: Mapping[str, tuple[int, int]]) -> dict[str, MetricSummary]:
    return {
        key: MetricSummary(
            sample.mean, _bounds(sample.seeds_interval), _bounds(sample.identities_interval), ranks.get(key)
        )
        for key, sample in samples.items()
    }


def _bounds(interval: Interval | None) -> tuple[float, float] | None:
    if interval is None or interval.low is None or interval.high is None:
        return None
    return interval.low, interval.high


def summary_metrics(results: SuiteResults) -> dict[str, float]:
    """Means and intervals of every row and metric by name, for the suite's run in MLflow: `mtss-r/ca/seeds_low`."""
    metrics: dict[str, float] = {}
    for row in (*results.rows, *results.corners):
        for key, summary in row.summary.items():
            name = f"{NOT_IN_A_NAME.sub('_', row.id)}/{key}"
            metrics[f"{name}/mean"] = summary.mean
            for source, bounds in (("seeds", summary.seeds), ("identities", summary.identities)):
                if bounds is not None:
                    metrics[f"{name}/{source}_low"], metrics[f"{name}/{source}_high"] = bounds
    return metrics
