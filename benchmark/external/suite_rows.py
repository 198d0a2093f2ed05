"""The suite's own rows in a report of the store, if the same stages measured them."""

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
"""Why a suite's row has no number in a network that a submission is measured in."""


@dataclass(frozen=True)
class MeasuringStages:
    """Edits, judge, real features and readings, which comparable rows of a subset share."""

    edits: EditList
    judge: TrainJudge
    real: RealFeatures
    readings: ReadReal


@dataclass(frozen=True)
class SuiteRows:
    """A report without the rows that were measured by other stages."""

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
    """Return the report with the most rows of the list's suite, profile, data and measuring stages, or None.

    metrics: of the submission. A report has all of them except those in the user's own networks. Among reports with
    equally many rows, one with more of these metrics is preferred, then the latest.
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
    """Return results in the metrics of a submission.

    Metrics in other networks are removed; in those that the rows were not measured in, they get None and a reason.
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
    """Whether the measuring stages of its subset scored all seeds of a row, on the edits of the list.

    scores: manifests by key. lists: SHA-256 of each subset's edits. The edits themselves may be missing: stored results
    have only scores.
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
