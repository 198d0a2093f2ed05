"""The suite's own rows, from a report in the store, where the same stages measured them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmark.core.artifacts import Damaged, Manifest, Recipe, Store
from benchmark.core.errors import UserError
from benchmark.data.edit_lists import EditList
from benchmark.external.listing import Listing
from benchmark.metrics.metric import MetricDescription
from benchmark.metrics.own_network import OWN_KEY
from benchmark.protocol import Subset
from benchmark.report.results import Row, SuiteResults, load_results
from benchmark.stages.base import Stage
from benchmark.stages.features import RealFeatures
from benchmark.stages.judge import TrainJudge
from benchmark.stages.prepare import Prepare
from benchmark.stages.reader import ReadReal
from benchmark.stages.report import scores_role

T = TypeVar("T")
UNMEASURED = "the suite was not run with this network (benchmark.run --network)"
"""Why a row of a suite has no number in a network that a submission is measured in."""


@dataclass(frozen=True)
class MeasuringStages:
    """The edits, judge, real features and readings that two rows of a subset must share to be compared."""

    edits: EditList
    judge: TrainJudge
    real: RealFeatures
    readings: ReadReal


@dataclass(frozen=True)
class SuiteRows:
    """A report without the rows that other stages measured."""

    folder: Path
    results: SuiteResults

    @property
    def measured(self) -> int:
        """Number of rows that have numbers."""
        return sum(bool(row.seeds) for row in self.results.rows)


def find_suite_rows(
    store: Store,
    listing: Listing,
    prepare: Prepare,
    measuring: Mapping[Subset, MeasuringStages],
    metrics: tuple[MetricDescription, ...],
) -> SuiteRows | None:
    """Return the latest of the reports with the most rows of the list's suite, profile, data and measuring stages.

    metrics: those of the submission. A report has all but those in networks of one's own; one with more of these is
    taken before a later one.
    """
    built_in = tuple(metric for metric in metrics if not OWN_KEY.fullmatch(metric.key))
    best: SuiteRows | None = None
    most = (1, 0)
    reports = [manifest for manifest in store.manifests("reports") if _is_of(manifest, listing, prepare)]
    scores = {manifest.key: manifest for manifest in store.manifests("scores")} if reports else {}
    lists = {subset: sheet.key for subset, sheet in listing.sheets.items()}
    for manifest in sorted(reports, key=lambda manifest: str(manifest.made.get("time", ""))):
        recipe = Recipe(manifest.kind, manifest.name, manifest.settings, manifest.inputs, manifest.version)
        try:
            report = store.find(recipe)
            if report is None:
                continue
            results = load_results(report.folder / "results.json")
        except (Damaged, UserError):
            continue  # damaged, or written by another version of the benchmark
        if results.metrics[: len(built_in)] != built_in:
            continue
        known = sum(metric in results.metrics for metric in metrics)
        results = in_metrics(results, metrics)
        rows = tuple(
            row for row in results.rows if row.missing or _is_measured_with(row, manifest, scores, measuring, lists)
        )
        candidate = SuiteRows(report.folder, dataclasses.replace(results, rows=rows))
        if (candidate.measured, known) >= most:
            best, most = candidate, (candidate.measured, known)
    return best


def in_metrics(results: SuiteResults, metrics: tuple[MetricDescription, ...]) -> SuiteResults:
    """The results in a submission's metrics: without other networks of one's own, and with the reason where rows were
    not measured in those of the submission.
    """
    if results.metrics == metrics:
        return results
    there = {metric.key for metric in metrics if metric in results.metrics}
    lacking = [metric.key for metric in metrics if metric.key not in there]
    keys = {*there, *lacking}

    def kept(values: Mapping[str, T]) -> dict[str, T]:
        return {key: value for key, value in values.items() if key in there}

    def cut(row: Row) -> Row:
        seeds = {
            seed: dataclasses.replace(
                scores, metrics=kept(scores.metrics) | dict.fromkeys(lacking),
                reasons=kept(scores.reasons) | dict.fromkeys(lacking, UNMEASURED),
                by_identity=kept(scores.by_identity),
            )
            for seed, scores in row.seeds.items()
        }  # fmt: skip
        return dataclasses.replace(row, seeds=seeds, summary=kept(row.summary))

    rows, corners = (tuple(map(cut, side)) for side in (results.rows, results.corners))
    columns, extra = (tuple(filter(keys.__contains__, names)) for names in (results.columns, results.extra_columns))
    return dataclasses.replace(
        results, rows=rows, corners=corners, metrics=metrics, columns=columns, extra_columns=extra
    )


def _is_of(manifest: Manifest, listing: Listing, prepare: Prepare) -> bool:
    settings = manifest.settings
    return (
        settings.get("suite") == listing.suite
        and settings.get("profile") == listing.profile
        and manifest.inputs.get("faces") == prepare.recipe.key
    )


def _is_measured_with(
    row: Row,
    report: Manifest,
    scores: Mapping[str, Manifest],
    measuring: Mapping[Subset, MeasuringStages],
    lists: Mapping[Subset, str],
) -> bool:
    """Whether the stages of its subset measured all seeds of a row, on the edits of the list.

    scores: manifests by key. lists: SHA-256 of each subset's edits. The edits themselves may be gone: of stored
    results there are scores alone.
    """
    stages = measuring.get(row.subset)
    if stages is None:
        return False
    wanted: dict[str, Stage] = {"judge": stages.judge, "real": stages.real, "readings": stages.readings}
    for seed, measured in row.seeds.items():
        scored = scores.get(report.inputs.get(scores_role(row.id, seed), ""))
        if scored is None or measured.edits_key != lists[row.subset]:
            return False
        if any(scored.inputs.get(role) != stage.recipe.key for role, stage in wanted.items()):
            return False
    return True
