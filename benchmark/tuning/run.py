"""Run the trials of a tuning as rows of a suite, on the train identities only, and record failed trials."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config.spaces import load_space
from benchmark.core.artifacts import Manifest, Store
from benchmark.core.errors import RunFailed, UserError, unknown
from benchmark.core.files import read_memory
from benchmark.core.hashes import write_text
from benchmark.data.faceset import FaceSet
from benchmark.data.validation import Validation
from benchmark.metrics.registry import METRICS
from benchmark.pipeline import steps
from benchmark.pipeline.finished import FinishedSuite
from benchmark.pipeline.request import PlanRequest, RunOptions, check_options
from benchmark.pipeline.steps import PlannedSuite
from benchmark.report.results import SuiteResults, load_results
from benchmark.tuning.trials import Tuning, plan_tuning, row_id, trials_suite

if TYPE_CHECKING:
    from benchmark.pipeline.plan import Plan

FAILURES = "cache/failed-trials.json"


@dataclass(frozen=True)
class TuneOptions:
    """The options of `benchmark.tune` beside those of a run."""

    space: str = "optimisation"
    trials: int = 8
    share: float = 0.33
    seed: int = 0


@dataclass(frozen=True)
class RunTrials:
    """Finished trials. failed: reason by name of a trial whose training failed. report: the folder of their report."""

    tuning: Tuning
    results: SuiteResults
    report: Path
    failed: Mapping[str, str]
    trainings: Mapping[str, Manifest]
    """Their manifests, by the trainings' names in the results."""
    identities: Mapping[str, list[str]]
    """Those trained on ("train") and those validated on ("test")."""
    profile: str
    """Its name, or the path of its file."""


def check_tuning(options: RunOptions, tune: TuneOptions) -> tuple[Tuning, PlanRequest, Store]:
    """Check all options and draw the trials. Raises UserError, before any work."""
    request, store = check_options(dataclasses.replace(options, methods=None))
    space = load_space(tune.space)
    known = {metric.key for metric in METRICS}
    for key in (space.criterion, space.ties):
        if key not in known:
            raise unknown("metric", key, known, f"in space {space.name}")
    if request.suite.faces != "aligned":
        raise UserError(f"suite {request.suite.name} edits faces that are not trained on: tune with another")
    profile = dataclasses.replace(request.profile, stored_weights=None)
    tuning = plan_tuning(request.suite, profile, space, tune.trials, tune.share, tune.seed, options.methods)
    return tuning, dataclasses.replace(request, source=Validation(request.source), profile=profile), store


def preview_trials(options: RunOptions, tune: TuneOptions) -> tuple[Tuning, PlannedSuite]:
    """Return the trials and the plan without running anything. Raises UserError."""
    tuning, request, store = check_tuning(options, tune)
    request = dataclasses.replace(request, suite=trials_suite(tuning, sorted(_failures(store, tuning, request))))
    return tuning, steps.plan(request, store, options)


def run_trials(options: RunOptions, tune: TuneOptions) -> RunTrials:
    """Train, edit with and measure all trials. A trial whose training fails is recorded and left out.

    Raises UserError, and RunFailed where anything else fails.
    """
    tuning, request, store = check_tuning(options, tune)
    while True:
        failed = _failures(store, tuning, request)
        if len(failed) == len(tuning.trials):
            raise RunFailed(f"every trial has failed; {next(iter(failed.values()))}")
        asked = dataclasses.replace(request, suite=trials_suite(tuning, sorted(failed)))
        finished = FinishedSuite(store, asked)
        report = finished.report()
        if report is None:
            steps.prepare(asked, store, options)
            planned = steps.plan(asked, store, options)
            try:
                report = steps.make(planned)
            except RunFailed as error:
                if not _note(store, planned, tuning, error):
                    raise
                planned.context.reporter.warn(f"{error}; this trial has failed, and the others go on")
                continue
            finished.remember(planned.plan.key, planned.plan.report.recipe.folder)
        results = load_results(report / "results.json")
        trainings = _trainings(store, results)
        return RunTrials(tuning, results, report, failed, trainings, _identities(store, results), options.profile)


def _trainings(store: Store, results: SuiteResults) -> dict[str, Manifest]:
    """Return the manifests of the trainings behind some results, by name."""
    names = {key: name.removeprefix("train ") for name, key in results.keys.items() if name.startswith("train ")}
    return {names[each.key]: each for each in store.manifests("train") if each.key in names}


def _identities(store: Store, results: SuiteResults) -> dict[str, list[str]]:
    """Return the identities of the face set behind some results, by split."""
    keys = {key[:12] for key in results.keys.values()}
    (folder,) = (folder for folder in store.finished("faces") if folder[-12:] in keys)
    faces = FaceSet.load(store.root / folder)
    return {split: faces.identities(split) for split in ("train", "test")}


# ------------------------------------------------------------------------------------------------ failed trials
def _note(store: Store, planned: PlannedSuite, tuning: Tuning, error: RunFailed) -> bool:
    """Record the failed training by its key; return False where the failed stage is no training."""
    if error.stage not in _training_keys(planned.plan, tuning).values():
        return False
    path = store.root / FAILURES
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(_noted(store) | {error.stage: str(error)}, indent=1, sort_keys=True) + "\n")
    return True


def _failures(store: Store, tuning: Tuning, request: PlanRequest) -> dict[str, str]:
    """Return the reason by name of each trial whose training failed, in this call or an earlier one."""
    noted = _noted(store)
    if not noted:
        return {}
    from benchmark.pipeline.plan import Plan

    keys = _training_keys(Plan(dataclasses.replace(request, suite=trials_suite(tuning))), tuning)
    return {name: noted[key] for name, key in keys.items() if key in noted}


def _training_keys(plan: Plan, tuning: Tuning) -> dict[str, str]:
    """Return the key of each trial's training by the trial's name."""
    trains = {entry.row.id: entry.trains.values() for entry in plan.rows}
    return {
        trial.name: train.recipe.key
        for trial in tuning.trials
        for row in tuning.rows[trial.method]
        for train in trains.get(row_id(trial, row), ())
    }


def _noted(store: Store) -> dict[str, str]:
    noted = read_memory(store.root / FAILURES)
    return {str(key): str(why) for key, why in noted.items()} if isinstance(noted, dict) else {}
