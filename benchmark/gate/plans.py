"""The stages of a gate: a suite without its report, and the probes."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core.artifacts import Artifact, canonical
from benchmark.gate.drawn_features import measure_drawn
from benchmark.gate.first_losses import FirstLosses
from benchmark.gate.first_steps import FirstSteps
from benchmark.gate.fixed_networks import FixedJudge, FixedReader
from benchmark.gate.machine import Machine, this_machine
from benchmark.gate.photographs import edit_photographs, write_photographs
from benchmark.gate.reference import EDITS, FEATURES, PHOTOGRAPHS, Numbers, SeedRun, StoredMetric
from benchmark.gate.stored_weights import SUFFIX, pack, unpack
from benchmark.importing.stage import Imported
from benchmark.metrics.metric import MetricDescription
from benchmark.metrics.registry import METRICS
from benchmark.pipeline.context import open_context
from benchmark.pipeline.engines.options import LOCAL, EngineOptions
from benchmark.pipeline.plan import Plan
from benchmark.pipeline.request import RunOptions, check_options
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.steps import jobs_of, prepare
from benchmark.pipeline.workers import make_stages
from benchmark.protocol import JUDGE_SEED, Subset
from benchmark.report.results import SuiteResults
from benchmark.stages.base import Context, NoFacts, Stage, StageResult, Work, with_threads
from benchmark.stages.corners import Corner
from benchmark.stages.features import load_features
from benchmark.stages.judge import TrainJudge
from benchmark.stages.prepare import load_faces
from benchmark.stages.rates import Rates
from benchmark.stages.reader import TrainReader
from benchmark.stages.score import Score
from benchmark.stages.synthesize import EDITED, Synthesize
from benchmark.stages.train import Train
from benchmark.training.registry import find_method

TRAINED_NEEDS = frozenset({"judge", "action units", "landmarks read"})
"""Needs of metrics that depend on the judge or the reader, both of which are trained."""
SHOWN = 12
"""Number of edits of each row whose colours are compared one by one, and of pictures whose features are."""
AXES = 4
"""Number of axes that features are projected on."""
GRID = 4
"""Number of fields per side of such an edit; the mean colour of each field is kept."""


class Made(Stage[NoFacts]):
    """The last of a list of stages; its inputs are all others."""

    kind = "made"
    facts_type = NoFacts

    def __init__(self, name: str, stages: Sequence[Stage]) -> None:
        super().__init__(f"all of {name}", {}, {f"{number}": stage for number, stage in enumerate(stages)})

    def work(self) -> Work:
        """Nothing."""
        return Work("made", 1, 1)

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        """Leave a manifest."""
        return StageResult(NoFacts())


class ProbePlan(Plan):
    """A plan of stored checkpoints whose judge and reader need no training."""

    def _reader(self) -> TrainReader:
        return FixedReader(self.prepare, self._request.device)

    def _judge(self, subset: Subset) -> TrainJudge:
        return FixedJudge(self.prepare, subset, self._request.device)


def make_all(name: str, stages: Sequence[Stage], context: Context, jobs: int, engine: EngineOptions = LOCAL) -> None:
    """Make the stages that are missing, `jobs` at a time."""
    last = Made(name, stages)
    tell = context.reporter.warn
    missing = [stage for stage in (*stages, last) if context.store.find_or_set_aside(stage.recipe, tell) is None]
    if missing:
        rates = Rates(context.store, context.machine.threads)
        schedule = Schedule(missing, {stage.recipe.key: rates.expected(stage) for stage in missing})
        make_stages(schedule, last, context, jobs, engine, rates.memory)


def measured_stages(plan: Plan, corners: bool = False) -> list[Stage]:
    """Return the scores and the stages behind them, without galleries. corners: include rows without a method."""
    scores = [score for entry in plan.rows for score in entry.scores.values()]
    return behind([*scores, *plan.report.corners] if corners else scores)


def behind(stages: Iterable[Stage], given: Collection[str] = ()) -> list[Stage]:
    """Return the stages and their inputs, each once and after its own inputs.

    given: keys of stages whose inputs are left out, since they are finished.
    """
    needed: dict[str, Stage] = {}

    def need(stage: Stage) -> None:
        if stage.recipe.key in needed:
            return
        for other in () if stage.recipe.key in given else stage.inputs.values():
            need(other)
        needed[stage.recipe.key] = stage

    for stage in stages:
        need(stage)
    return list(needed.values())


def true_pictures(plan: Plan) -> list[tuple[str, Score]]:
    """Return the scores of true pictures in place of edits, by name: values that no short training reaches."""
    corners = ((score, score.edits) for score in plan.report.corners)
    return [
        (f"{corner.answer} {corner.edits.subset}", score)
        for score, corner in corners
        if isinstance(corner, Corner) and corner.answer == "truth"
    ]


def trainings(plan: Plan) -> list[Train]:
    """Return the trainings of a plan, each once."""
    return [stage for stage in plan.stages if isinstance(stage, Train)]


def classifiers(plan: Plan) -> list[TrainJudge | TrainReader]:
    """Return the trainings of judge and reader."""
    return [stage for stage in measured_stages(plan) if isinstance(stage, TrainJudge | TrainReader)]


class Suite:
    """A suite with checked options and prepared faces, for any number of seeds and probes."""

    def __init__(self, options: RunOptions, threads: int = 1) -> None:
        """threads: of each stage. Raises UserError."""
        self.options = options
        self.request, self.store = check_options(options)
        profile, device = self.request.profile, self.request.device
        self.jobs = jobs_of(options, device, os.cpu_count() or 1, profile.width)
        self.threads = threads
        self._written: dict[Subset, list[Path]] = {}
        prepare(self.request, self.store, options)
        self.context = open_context(self.store, device, threads * self.jobs, options.quiet, self.jobs)

    @property
    def machine(self) -> Machine:
        """The machine that the stages run on."""
        return this_machine(self.request.device, self.threads)

    def plan(self, seed: int, judge_seed: int) -> Plan:
        """Return the plan of one training seed."""
        request = dataclasses.replace(self.request, seeds=(seed,), judge_seed=judge_seed)
        return Plan(request, self.store)

    def run(self, seed: int, judge_seed: int) -> tuple[SeedRun, dict[str, StoredMetric]]:
        """Make the missing stages of one training seed; also return the metrics as measured."""
        plan = self.plan(seed, judge_seed)
        stages = measured_stages(plan)
        make_all(f"seed {seed}", stages, self.context, self.jobs, self.options.engine)
        named = {stage.name: stage.artifact(self.context) for stage in stages}
        scores = {entry.row.id: entry.scores[seed].facts(self.context) for entry in plan.rows if entry.scores}
        trains = {entry.row.id: entry.trains[seed].facts(self.context) for entry in plan.rows if entry.trains}
        run = SeedRun(
            judge_seed=judge_seed,
            rows={name: dict(facts.metrics) for name, facts in scores.items()},
            judges={subset: judge.facts(self.context).accuracy for subset, judge in plan.report.judges.items()},
            edits={name: facts.edits for name, facts in scores.items()},
            failed={name: list(facts.failures) for name, facts in trains.items() if facts.failures},
            keys={name: artifact.manifest.key for name, artifact in named.items()},
            contents={name: content(artifact) for name, artifact in named.items()},
        )
        column = self.request.extractor.column
        return run, metrics_of([metric.describe(column) for metric in METRICS])

    def edits_keys(self, weights: Mapping[str, Path]) -> dict[str, tuple[str, int]]:
        """Return SHA-256 and length of each row's list of edits. weights: files by row, already scored."""
        facts = {
            entry.row.id: score.facts(self.context)
            for entry in self.probe_plan(weights).rows
            for score in entry.scores.values()
        }
        return {row: (each.edits_key, each.edits) for row, each in facts.items()}

    def train(self, seed: int) -> None:
        """Make only the trainings of one seed."""
        make_all("trainings", trainings(self.plan(seed, JUDGE_SEED)), self.context, self.jobs, self.options.engine)

    # -------------------------------------------------------------------------------------------- probes
    def losses(self) -> Numbers:
        """Return the first losses of each training and the first steps of judge and reader, by their names."""
        plan = self.plan(0, JUDGE_SEED)
        losses = {train.name: FirstLosses(train) for train in trainings(plan)}
        steps = {stage.name: FirstSteps(stage) for stage in classifiers(plan)}
        stages: dict[str, FirstLosses | FirstSteps] = {**losses, **steps}
        make_all("first losses", list(stages.values()), self.context, self.jobs, self.options.engine)
        series = {name: stage.facts(self.context).series for name, stage in stages.items()}
        return {name: numbers for name, numbers in series.items() if numbers}

    def training_versions(self) -> dict[str, list[str]]:
        """Return the versions of the code that first losses depend on, by name of the training."""
        plan = self.plan(0, JUDGE_SEED)
        versions = {
            train.name: [
                f"method {train.method} {train.method_class.version}",
                f"train {train.version}",
                f"first losses {FirstLosses.version}",
            ]
            for train in trainings(plan)
        }
        for stage in classifiers(plan):
            versions[stage.name] = [f"{stage.kind} {stage.version}", f"first steps {FirstSteps.version}"]
        return versions

    def row_versions(self) -> dict[str, list[str]]:
        """Versions of what edits of stored weights depend on, by row."""
        plan = self.plan(0, JUDGE_SEED)
        trained = [entry.row for entry in plan.rows if entry.trains]
        versions = {
            row.id: [f"method {row.method} {find_method(row.method).version}", f"synthesize {Synthesize.version}"]
            for row in trained
        }
        versions |= {name: [] for name in measure_drawn()}
        return versions | {name: [f"corner {Corner.version}"] for name, _ in true_pictures(plan)}

    def scores(self, weights: Mapping[str, Path]) -> Numbers:
        """The scores of stored weights by row, judged by the judge that needs no training; those of true pictures by
        subset; those of drawn features.

        weights: a file of `pack` by row.
        """
        plan = self.probe_plan(weights)
        truths = true_pictures(plan)
        stages = behind([*measured_stages(plan), *(score for _, score in truths)])
        make_all("stored weights", stages, self.context, self.jobs, self.options.engine)
        numbers = measure_drawn()
        for name, score in truths:
            numbers[name] = {key: [value] for key, value in score.facts(self.context).metrics.items()}
            for view, features in zip(("", " cropped"), load_features(score.real.folder(self.context)), strict=True):
                if features is not None:
                    numbers[name][FEATURES + view] = projections(features)
        for entry in plan.rows:
            for score in entry.scores.values():
                facts = score.facts(self.context)
                numbers[entry.row.id] = {name: [value] for name, value in facts.metrics.items()}
                edits = np.load(score.edits.folder(self.context) / EDITED, mmap_mode="r")
                numbers[entry.row.id][EDITS] = colours(edits)
            for train in entry.trains.values():
                photographs = self._photographs(entry.row.data)
                if photographs:
                    with with_threads(self.threads):
                        edited = edit_photographs(
                            photographs, train.folder(self.context), entry.row.guide, self.request.device
                        )
                    numbers[entry.row.id][PHOTOGRAPHS] = colours(edited)
        return numbers

    def _photographs(self, subset: Subset) -> list[Path]:
        """Return photographs of a subset, written once; none if landmarks or action units are unknown."""
        if subset not in self._written:
            faces = load_faces(self.plan(0, JUDGE_SEED).edited.folder(self.context))
            self._written[subset] = write_photographs(faces, subset, self.store.root / "photographs" / subset)
        return self._written[subset]

    def probe_plan(self, weights: Mapping[str, Path]) -> ProbePlan:
        """Return the plan that edits with stored weights and scores the edits. weights: files by row."""
        folder = self.store.root / "weights"
        unpacked = {path: unpack(path, folder / path.stem) for path in dict.fromkeys(weights.values())}
        imported = {path: Imported(at) for path, at in unpacked.items()}
        checkpoints = {row: imported[path] for row, path in weights.items()}
        rows = tuple(row for row in self.request.suite.rows if row.id in checkpoints)
        suite = dataclasses.replace(self.request.suite, rows=rows)
        return ProbePlan(dataclasses.replace(self.request, suite=suite, checkpoints=checkpoints), self.store)

    def pack(self, seed: int, judge_seed: int, folder: Path) -> dict[str, str]:
        """Write the weights of a finished seed, a file for each training; return the file names by row."""
        names: dict[str, str] = {}
        for entry in self.plan(seed, judge_seed).rows:
            for train in entry.trains.values():
                name = f"{train.name.removeprefix('train ').replace(' ', '-').replace('&', '')}{SUFFIX}"
                if name not in names.values():
                    pack(train.folder(self.context), folder / name)
                names[entry.row.id] = name
        return names


def seed_run(results: SuiteResults, seed: int, judge_seed: int) -> SeedRun:
    """Return one seed of results, not rounded."""
    rows = {row.id: row.seeds[seed] for row in results.rows if seed in row.seeds}
    return SeedRun(
        judge_seed=judge_seed,
        rows={name: dict(scores.metrics) for name, scores in rows.items()},
        judges={str(subset): judge[judge_seed].accuracy for subset, judge in results.judges.items()},
        edits={name: scores.edits for name, scores in rows.items()},
        failed={row.id: list(row.failed[seed]) for row in results.rows if seed in row.failed},
    )


def metrics_of(descriptions: Sequence[MetricDescription]) -> dict[str, StoredMetric]:
    """Return metrics by key, as results describe them, with the versions of this code."""
    known = {metric.key: metric for metric in METRICS}
    return {
        each.key: StoredMetric(
            each.label,
            each.direction,
            each.per,
            each.unit,
            each.decimals,
            known[each.key].version if each.key in known else 0,
            each.key in known and not TRAINED_NEEDS.isdisjoint(known[each.key].needs),
        )
        for each in descriptions
    }


def content(artifact: Artifact) -> str:
    """Return the SHA-256 of the files and facts of an artifact; its key has no part in it."""
    manifest = artifact.manifest
    files = {name: file.sha256 for name, file in manifest.files.items()}
    facts: dict[str, Any] = dict(manifest.facts)
    return hashlib.sha256(canonical([files, facts]).encode()).hexdigest()


def projections(features: np.ndarray) -> list[float | None]:
    """Project features (N x D) of up to `SHOWN` pictures on `AXES` drawn axes.

    A shift of the network's input changes the features; if both sides are shifted, it hardly changes their distance.
    """
    chosen = np.linspace(0, len(features) - 1, min(SHOWN, len(features))).astype(int)
    dimensions = features.shape[1]
    axes = np.random.default_rng(0).choice([-1.0, 1.0], (dimensions, AXES)) / np.sqrt(dimensions)
    return [float(f"{value:.9g}") for value in (np.asarray(features[chosen], np.float64) @ axes).ravel()]


def colours(edits: np.ndarray) -> list[float | None]:
    """Return mean colours, 0 to 255, of `GRID` x `GRID` fields of up to `SHOWN` edits (N x S x S x 3 uint8)."""
    chosen = np.linspace(0, len(edits) - 1, min(SHOWN, len(edits))).astype(int)
    pictures = np.asarray(edits[chosen], np.float64)
    count, size = pictures.shape[:2]
    side = size // GRID
    fields = pictures[:, : side * GRID, : side * GRID].reshape(count, GRID, side, GRID, side, 3).mean((2, 4))
    return [round(float(value), 3) for value in fields.ravel()]
