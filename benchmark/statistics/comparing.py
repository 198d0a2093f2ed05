"""Two rows compared in several metrics, in numbers and in a line of words for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.metrics.metric import Direction, MetricDescription
from benchmark.statistics.decisions import LEVEL, holm
from benchmark.statistics.intervals import P_VALUE_SEEDS, seeds_difference, seeds_p_value
from benchmark.statistics.samples import Sample


@dataclass(frozen=True)
class Compared:
    """The difference of two rows in one metric.

    difference: first - second. low, high: of it over test identities, 95 %; for the mean over seeds. seeds_low,
    seeds_high: likewise over seeds, None where a row has one. p, p_holm: of no difference, alone and corrected for all
    that was asked; seeds_p, seeds_p_holm: likewise over seeds, None where a row has fewer than P_VALUE_SEEDS. better:
    "first", "second", or "" where nothing can be told over identities. words: all of it in a line.
    """

    metric: str
    label: str
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    identities: int
    test: str
    p: float
    p_holm: float
    seeds: tuple[int, int]
    seeds_low: float | None
    seeds_high: float | None
    seeds_p: float | None
    seeds_p_holm: float | None
    better: str
    words: str


def compare_rows(
    first: Mapping[str, Sample],
    second: Mapping[str, Sample],
    metrics: Sequence[MetricDescription],
    names: tuple[str, str],
) -> list[Compared]:
    """Compare in each of `metrics`, which both rows have with estimates over identities. names: of the rows, for the
    words.

    Raises ValueError where the rows are not measured on the same identities.
    """
    differences = []
    for metric in metrics:
        mine, other = first[metric.key].over_identities, second[metric.key].over_identities
        if mine is None or other is None:
            raise ValueError(f"{metric.label} is not known by test identity")
        differences.append(mine.minus(other))
    p_values = [difference.p_value() for difference in differences]
    by_seed = [(list(first[each.key].by_seed.values()), list(second[each.key].by_seed.values())) for each in metrics]
    over_seeds = [seeds_p_value(*values) for values in by_seed]
    corrected = iter(holm([p for p in over_seeds if p is not None]))
    compared = []
    for metric, difference, values, p, p_holm, seeds_p in zip(
        metrics, differences, by_seed, p_values, holm(p_values), over_seeds, strict=True
    ):
        a, b = first[metric.key], second[metric.key]
        interval = difference.interval()
        seeds = seeds_difference(*values)
        better = ""
        if p_holm <= LEVEL and difference.value:
            better = _better(difference.value, a.mean, b.mean, metric.direction)
        compared.append(
            Compared(
                metric.key, metric.label, a.mean, b.mean, difference.value, interval.low, interval.high,
                interval.values, difference.test, p, p_holm, (len(a.by_seed), len(b.by_seed)), seeds.low, seeds.high,
                seeds_p, None if seeds_p is None else next(corrected), better, "",
            )
        )  # fmt: skip
    return [
        Compared(**{**vars(each), "words": _words(each, metric, names)})
        for each, metric in zip(compared, metrics, strict=True)
    ]


def _better(difference: float, first: float, second: float, direction: Direction) -> Literal["first", "second", ""]:
    """Which of two numbers that differ is better; "" where 1 is best and lies between them."""
    if direction == "one":
        if (first - 1) * (second - 1) < -1e-12:  # more than rounding
            return ""
        return "first" if abs(first - 1) < abs(second - 1) else "second"
    return "first" if (difference > 0) == (direction == "higher") else "second"


def _words(compared: Compared, metric: MetricDescription, names: tuple[str, str]) -> str:
    """`CA: a is better than b by 12.10 % [8.20, 16.00] ...`."""
    unit = f" {metric.unit}" if metric.unit else ""
    link = " is better than " if compared.better else " cannot be told from "
    order = link.join(names if compared.better != "second" else names[::-1])
    bounds = _bounds(compared.low, compared.high, metric.decimals)
    parts = [
        f"{metric.label}: {order}",
        f"{compared.first:.{metric.decimals}f} and {compared.second:.{metric.decimals}f}{unit}, difference "
        f"{compared.difference:+.{metric.decimals}f}{bounds} over {compared.identities} test identities",
        f"p = {compared.p:.2g}, after Holm {compared.p_holm:.2g} ({compared.test})",
    ]
    if compared.seeds_low is not None:
        over_seeds = _bounds(compared.seeds_low, compared.seeds_high, metric.decimals).strip()
        over_seeds = f"over {compared.seeds[0]} and {compared.seeds[1]} seeds {over_seeds}"
        if compared.seeds_p is not None:
            over_seeds += f", p = {compared.seeds_p:.2g}, after Holm {compared.seeds_p_holm:.2g} (permutation of seeds)"
        parts.append(over_seeds)
    return "; ".join(parts)


def _bounds(low: float | None, high: float | None, decimals: int) -> str:
    return "" if low is None or high is None else f" [{low:+.{decimals}f}, {high:+.{decimals}f}]"


def caution(compared: Sequence[Compared]) -> list[str]:
    """What a reader of the comparison must know: sentences without a full stop."""
    notes = []
    if any(min(each.seeds) == 1 for each in compared):
        notes.append(
            "one training seed of a row: this is about these trainings on other people, not about training again"
        )
    elif any(min(each.seeds) < P_VALUE_SEEDS for each in compared):
        notes.append(f"no p value over fewer than {P_VALUE_SEEDS} seeds: look at their interval")
    if any(each.metric.startswith(("fid", "fd_")) for each in compared):
        notes.append("a Fréchet distance of few pictures is biased, and differently for each method: KID decides")
    return notes
