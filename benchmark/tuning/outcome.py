"""The outcome of a tuning: the value of every trial, the chosen trial of each method, and the cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmark.core.artifacts import Manifest
from benchmark.metrics.metric import MetricDescription
from benchmark.report.results import Row
from benchmark.stages.train import PROCESSOR
from benchmark.statistics.best_of import BestOf, best_of_curve
from benchmark.tuning.run import RunTrials
from benchmark.tuning.trials import Trial, row_id


@dataclass(frozen=True)
class Measured:
    """The measured values of a trial: means over its rows.

    pictures: number that its training saw. record: the training's manifest; None where it failed.

    value, tie: None where it could not be measured. why: reason of a training that failed, also by its own criterion.
    """

    trial: Trial
    value: float | None = None
    tie: float | None = None
    others: Mapping[str, float] = field(default_factory=dict)
    pictures: int = 0
    why: str = ""
    record: Manifest | None = None

    @property
    def seconds(self) -> float:
        """Processor time of the training; 0 where its manifest has none."""
        timings = self.record.made.get("timings", {}) if self.record is not None else {}
        return float(timings.get(PROCESSOR, 0.0))


@dataclass(frozen=True)
class MethodOutcome:
    """All trials of a method. chosen: None where none could be measured. curve: the best of so many drawn trials."""

    method: str
    trials: tuple[Measured, ...]
    chosen: Measured | None
    curve: tuple[BestOf, ...]

    @property
    def seconds(self) -> float:
        """Return the processor time of all its trainings."""
        return sum(each.seconds for each in self.trials)

    @property
    def pictures(self) -> int:
        """Return the number of pictures that all its trainings saw."""
        return sum(each.pictures for each in self.trials)


def outcomes(run: RunTrials) -> list[MethodOutcome]:
    """Return the outcome of each method, in the order of the suite."""
    tuning = run.tuning
    described = {metric.key: metric for metric in run.results.metrics}
    criterion, ties = described[tuning.space.criterion], described[tuning.space.ties]
    rows = {row.id: row for row in run.results.rows}
    result = []
    for method in tuning.rows:
        measured = tuple(_measured(trial, run, rows, criterion, ties) for trial in tuning.of_method(method))
        drawn = [each.value for each in measured if each.trial.kind == "drawn" and each.value is not None]
        curve = tuple(best_of_curve(drawn, criterion.direction == "higher")) if drawn else ()
        result.append(MethodOutcome(method, measured, choose(measured, criterion, ties), curve))
    return result


def _measured(
    trial: Trial, run: RunTrials, rows: Mapping[str, Row], criterion: MetricDescription, ties: MetricDescription
) -> Measured:
    if trial.name in run.failed:
        return Measured(trial, why=run.failed[trial.name])
    mine = [rows[row_id(trial, row)] for row in run.tuning.rows[trial.method]]
    means = {metric.key: _mean([row.mean(metric.key) for row in mine]) for metric in run.results.metrics}
    training = mine[0].training
    # All rows of a trial are of one training.
    record = next((run.trainings.get(name) for row in mine for name in row.trainings.values()), None)
    why = "; ".join(dict.fromkeys(sentence for row in mine for each in row.failed.values() for sentence in each))
    return Measured(
        trial,
        means[criterion.key],
        means[ties.key],
        {key: value for key, value in means.items() if value is not None},
        training.images_seen or 0 if training is not None else 0,
        why or next((row.missing for row in mine if row.missing), ""),
        record,
    )


def choose(measured: tuple[Measured, ...], criterion: MetricDescription, ties: MetricDescription) -> Measured | None:
    """Return the trial that is best by the criterion as printed, then by the second measure, then the first of them.

    A training that failed by its own criterion is chosen only where all have failed.
    """
    sign = 1 if criterion.direction == "higher" else -1
    tie_sign = 1 if ties.direction == "higher" else -1

    def merit(each: Measured) -> tuple[bool, float, float, int]:
        assert each.value is not None
        tie = tie_sign * each.tie if each.tie is not None else -float("inf")
        return not each.why, sign * round(each.value, criterion.decimals), tie, -each.trial.number

    candidates = [each for each in measured if each.value is not None]
    return max(candidates, key=merit) if candidates else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
