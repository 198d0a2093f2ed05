"""The plan: suite x profile x data set x seeds, expanded into stages that share what they can, and run in order."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

from benchmark.config.reference import Index, load_index
from benchmark.config.suites import SuiteRow
from benchmark.core.artifacts import Artifact, Damaged, Store
from benchmark.core.errors import UserError
from benchmark.core.tracking import TrackedRow, Tracker
from benchmark.data.edit_lists import EditList, edit_lists
from benchmark.data.faceset import FaceSet
from benchmark.importing.stage import Imported
from benchmark.pipeline.engines.options import LOCAL, EngineOptions
from benchmark.pipeline.request import PlanRequest
from benchmark.pipeline.requirements import RowChecks, SourceFaces, no_row
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.stored_results import StoredResults
from benchmark.pipeline.workers import make_stages
from benchmark.protocol import Subset
from benchmark.report.stored_report import StoredReport, stored_report
from benchmark.stages.base import Context, Stage
from benchmark.stages.corners import CORNERS, Corner
from benchmark.stages.features import RealFeatures
from benchmark.stages.judge import ReadByJudge, TrainJudge
from benchmark.stages.own_networks import RealInNetwork, ScoreInNetwork
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.rates import Rates
from benchmark.stages.reader import ReadReal, TrainReader
from benchmark.stages.report import Report, RowStages, child_name
from benchmark.stages.score import Score
from benchmark.stages.stored import EditingWeights, OfTraining, TrainingRecord
from benchmark.stages.synthesize import Synthesize
from benchmark.stages.train import CheckpointStage, Train, check_contracts

S = TypeVar("S", bound=Stage)
NOT_FINISHED = "no training of it is finished"
State = Literal["there", "stored", "not needed", "begun", "to do"]


@dataclass(frozen=True)
class Step:
    """A stage as `--dry-run` shows it."""

    stage: Stage
    state: State
    seconds: float | None
    """Estimated; None where no such work was timed."""


def check_disk(stages: Iterable[Stage], store: Store) -> None:
    """Raise UserError where the missing stages may need more room than the disk has."""
    needed = sum(stage.work().bytes for stage in stages if not store.exists(stage.recipe))
    free = shutil.disk_usage(store.root).free
    if needed > free:
        raise UserError(
            f"{store.root} has {free / 1e9:.1f} GB left and this plan may write {needed / 1e9:.1f} GB: make room, "
            "or choose another place with --out"
        )


def _prepared(stage: Prepare, store: Store | None) -> FaceSet | None:
    """Return the faces of a stage, if they exist and are not damaged."""
    with suppress(Damaged):  # set aside when the stage is made
        artifact = store.find(stage.recipe) if store is not None else None
        return load_faces(artifact.folder) if artifact is not None else None
    return None


def prepare_stages(request: PlanRequest) -> tuple[Prepare, Prepare]:
    """Return the stages that prepare the faces to train on and those to edit; one stage where they are the same.

    No training, nor that of the judge, reads the faces to edit.
    """
    trained = Prepare(request.source, request.profile.size)
    return trained, trained if request.edited is request.source else Prepare(request.edited, request.profile.size)


class Plan:
    """All stages of a suite, each before those that read from it, each once."""

    def __init__(self, request: PlanRequest, store: Store | None = None) -> None:
        """store: may have the prepared faces, which decide which rows can be measured.

        Raises UserError where no row can be.
        """
        suite, profile = request.suite, request.profile
        self.suite, self.profile, self.seeds = suite, profile, request.seeds
        self._request, self._store = request, store
        self._stored = StoredResults(request.reference)
        self._stages: dict[str, Stage] = {}
        self.prepare, self.edited = map(self._once, prepare_stages(request))
        trained_on, to_edit = _prepared(self.prepare, store), _prepared(self.edited, store)
        self.prepared = trained_on is not None and to_edit is not None
        """Whether the faces are prepared, so that the rows that they suffice for are known."""

        self._reference = self._stored_report()
        trained = SourceFaces(self.prepare.source, trained_on)
        same = self.edited is self.prepare
        checks = RowChecks(suite, profile, trained, trained if same else SourceFaces(self.edited.source, to_edit))
        self._judges: dict[Subset, TrainJudge] = {}
        self._judged: dict[Subset, ReadByJudge] = {}
        self._real: dict[Subset, RealFeatures] = {}
        self._readings: dict[Subset, ReadReal] = {}
        self._in_networks: dict[str, tuple[ScoreInNetwork, ...]] = {}
        self.rows = [self._row_or_reason(row, checks.reason(row)) for row in suite.rows]
        if not self._judges:
            raise no_row(request, self.rows[0].missing)
        self.report = self._once(self._report())

    def _report(self) -> Report:
        request = self._request
        corners = [corner for subset in self._judges for corner in self._corners(subset)]
        return Report(
            self.suite, self.profile, self.prepare, self.edited, self._judges, self._judged, self.rows,
            request.extractor, self._readings, corners, request.options, request.faces_in_page, self._reference,
            self._in_networks,
        )  # fmt: skip

    def _once(self, stage: S) -> S:
        """Add a stage and return it, or return the stage of the same key that was added before."""
        return self._stages.setdefault(stage.recipe.key, stage)  # type: ignore[return-value]

    def _row_or_reason(self, row: SuiteRow, missing: str) -> RowStages:
        """Return the stages of a row; none where it cannot be measured. missing: why, or ""."""
        if missing:
            return RowStages(row, missing, {}, {}, None)
        if row.data not in self._judges:
            self._add_subset(row.data)
        return self._row(row)

    def _add_subset(self, subset: Subset) -> None:
        """Add the stages that all rows of a subset share: judge, real features and readings."""
        judge = self._judges[subset] = self._once(self._judge(subset))
        self._real[subset] = self._once(RealFeatures(self.edited, subset, self._request.extractor, self.suite.targets))
        edits, _ = self._edit_lists(subset)
        self._readings[subset] = self._once(ReadReal(self._once(self._reader()), self.edited, edits))
        if self.suite.faces == "nonaligned" or self.suite.targets:
            self._judged[subset] = self._once(ReadByJudge(judge, self.edited, self.suite.targets))

    def _row(self, row: SuiteRow) -> RowStages:
        """Return the stages of a row, with one training and one score for each seed."""
        trains: dict[int, CheckpointStage] = {}
        scores: dict[int, Score] = {}
        gallery = None
        request = self._request
        checkpoint = request.checkpoints.get(row.id)
        edits, shown = self._edit_lists(row.data)
        judge, real, readings = self._judges[row.data], self._real[row.data], self._readings[row.data]
        for seed in self.seeds[:1] if checkpoint else self.seeds:
            train, weights = (checkpoint, checkpoint) if checkpoint else self._trained(row, seed)
            synth = Synthesize(weights, self.edited, row.guide, edits, request.device)
            score = Score(synth, self.edited, judge, real, readings, request.extractor, self.profile.allow_small)
            editable = self._is_editable(weights)
            if request.finished_only and not editable and not (self._has(train) and self._has(score)):
                continue
            for stage in (*train.inputs.values(), train, weights, synth, score):
                self._once(stage)
            trains[seed], scores[seed] = self._once(train), self._once(score)
            self._measure_in_networks(score, row.data)
            if gallery is None and (editable or not request.finished_only):
                gallery = self._once(Synthesize(self._once(weights), self.edited, row.guide, shown, request.device))
        missing = "" if trains else NOT_FINISHED
        return RowStages(row, missing, trains, scores, gallery, self._stored_gallery(row, shown))

    def _stored_report(self) -> StoredReport | None:
        """Return the stored results of this suite and these faces; None while they are being stored."""
        request = self._request
        if request.finished_only:
            return None
        return stored_report(request.reference, request.suite.name, self.edited.recipe.key)

    def _stored_gallery(self, row: SuiteRow, shown: EditList) -> Synthesize | None:
        """Return the edits of a row's figure by its stored weights.

        None without such weights, and where the row itself uses them.
        """
        stored = self._reference
        if stored is None or stored.results.profile == self.profile.name or stored.results.size != self.profile.size:
            return None
        suite = self._index.suites.get(self.suite.name)
        seeds = suite.rows[row.id].seeds.values() if suite and row.id in suite.rows else ()
        folder = next((seed.weights for seed in seeds if seed.weights), None)
        if folder is None:
            return None
        weights = self._once(Imported(self._stored.root / folder))
        return self._once(Synthesize(weights, self.edited, row.guide, shown, self._request.device))

    @cached_property
    def _index(self) -> Index:
        return load_index(self._stored.root)

    def _corners(self, subset: Subset) -> Iterator[Score]:
        """Yield the scores of the rows of a subset that need no method."""
        edits, _ = self._edit_lists(subset)
        judge, real, readings = self._judges[subset], self._real[subset], self._readings[subset]
        allow_small = self.profile.allow_small
        for answer in CORNERS:
            corner = self._once(Corner(self.edited, edits, answer))
            score = Score(corner, self.edited, judge, real, readings, self._request.extractor, allow_small)
            self._measure_in_networks(score, subset)
            yield self._once(score)

    def _measure_in_networks(self, score: Score, subset: Subset) -> None:
        """Measure the edits of a score in the user's networks, too; stored results have none."""
        if self._request.finished_only:
            return
        networks = [self._once(RealInNetwork(self.edited, subset, network)) for network in self._request.networks]
        targets, allow_small = self.suite.targets, self.profile.allow_small
        self._in_networks[score.recipe.key] = tuple(
            self._once(ScoreInNetwork(score.edits, self.edited, real, targets, allow_small)) for real in networks
        )

    def _edit_lists(self, subset: Subset) -> tuple[EditList, EditList]:
        return edit_lists(subset, self.profile.targets_per_source, self.suite.targets)

    def _trained(self, row: SuiteRow, seed: int) -> tuple[CheckpointStage, CheckpointStage]:
        """Return the stages whose facts a row shows and whose weights edit; one stage where weights are not rounded.

        A training that is stored from the other kind of device counts where there is none from this one.
        """
        request, profile, stored = self._request, self.profile, self.profile.stored_weights
        if row.iterations is not None:
            profile = replace(profile, iterations={**profile.iterations, row.method: row.iterations})
        own = Train(self.prepare, row.method, row.variant, row.data, profile, seed, request.device)
        if stored is None or request.retrain:
            return own, own
        kept = TrainingRecord(own), EditingWeights(own, stored)
        if not self._has(kept[0]) and not self._has(own):
            other = "cpu" if request.device == "cuda" else "cuda"
            with suppress(UserError):  # this machine may lack that device
                train = Train(self.prepare, row.method, row.variant, row.data, profile, seed, other)
                if self._has(TrainingRecord(train)):
                    return TrainingRecord(train), EditingWeights(train, stored)
        return kept

    def _has(self, stage: Stage) -> bool:
        """Return whether a stage is finished or stored."""
        return (self._store is not None and self._store.exists(stage.recipe)) or self._stored.has(stage)

    def _reader(self) -> TrainReader:
        request = self._request
        return TrainReader(self.prepare, self.profile.reader_budget, request.device, request.judge_seed)

    def _judge(self, subset: Subset) -> TrainJudge:
        request = self._request
        return TrainJudge(self.prepare, subset, self.profile.judge_epochs, request.device, request.judge_seed)

    @property
    def stages(self) -> list[Stage]:
        """Return the stages in an order in which they can be run."""
        return list(self._stages.values())

    def tracked_rows(self) -> list[TrackedRow]:
        """Return the child runs of MLflow."""
        return [
            TrackedRow(
                child_name(entry.row, seed),
                train.training_key,
                {
                    "method": entry.row.method,
                    "guide": entry.row.guide,
                    "data": entry.row.data,
                    "profile": self.profile.name,
                    "seed": seed,
                    "iterations": "unknown" if train.iterations is None else train.iterations,
                    "size": train.shape.size,
                    **{f"settings.{name}": value for name, value in vars(train.settings).items()},
                },
            )
            for entry in self.rows
            for seed, train in entry.trains.items()
        ]

    def steps(self, store: Store, threads: int) -> Iterator[Step]:
        """Yield each stage with its state and estimated time."""
        rates = Rates(store, threads)
        needed = {stage.recipe.key for stage in self.needed(store)}
        for stage in self.stages:
            if store.exists(stage.recipe):
                yield Step(stage, "there", 0.0)
                continue
            if stage.recipe.key not in needed or self.is_taken(stage):
                yield Step(stage, "stored" if stage.recipe.key in needed else "not needed", 0.0)
                continue
            state: State = "begun" if store.begun(stage.recipe) else "to do"
            yield Step(stage, state, rates.measured(stage))

    def seconds(self, steps: Sequence[Step], jobs: int) -> float:
        """Return the seconds that missing stages take, `jobs` at a time; work that was never timed is not counted."""
        missing = [step for step in steps if step.state in ("begun", "to do")]
        expected = {step.stage.recipe.key: step.seconds or 0.0 for step in missing}
        return Schedule([step.stage for step in missing], expected).left(jobs)

    def run(self, context: Context, jobs: int = 1, engine: EngineOptions = LOCAL) -> Artifact:
        """Make the missing stages, `jobs` at a time; returns the report, which is all that a second call reads."""
        self.take_stored(context)
        missing = self._missing(context)
        check_contracts(missing, context.machine.device)
        if self.report in missing:
            context.tracker.start()
        elif missing:
            context = replace(context, tracker=Tracker())  # MLflow has all of it
        if missing:
            rates = Rates(context.store, context.machine.threads)
            schedule = Schedule(missing, {stage.recipe.key: rates.expected(stage) for stage in missing})
            make_stages(schedule, self.report, context, jobs, engine, rates.memory)
            context.reporter.say(context.peaks.sentence())
        context.tracker.close()
        return self.report.artifact(context)

    def _missing(self, context: Context) -> list[Stage]:
        """Return the stages to make, after damaged ones are set aside.

        They are all missing ones if the report is missing; else the damaged ones with their missing inputs.
        """
        store, tell = context.store, context.reporter.warn
        damaged = set(store.damaged(self.folders))
        if not damaged and store.exists(self.report.recipe):
            return []
        for stage in self.stages:
            if stage.recipe.key in damaged:
                store.find_or_set_aside(stage.recipe, tell)
        if not store.exists(self.report.recipe):
            return [stage for stage in self.needed(store) if not store.exists(stage.recipe)]
        wanted: set[str] = set()
        for stage in reversed(self.stages):  # each before those that it reads from
            if stage.recipe.key in damaged | wanted and not store.exists(stage.recipe):
                wanted |= {stage.recipe.key, *(other.recipe.key for other in stage.inputs.values())}
        return [stage for stage in self.stages if stage.recipe.key in wanted and not store.exists(stage.recipe)]

    def needed(self, store: Store) -> list[Stage]:
        """Return the stages that are read by the report, or by a missing one of these stages.

        So no training is run for edits or scores that exist.
        """
        for_others = (Train, EditingWeights, Synthesize)
        wanted = {stage.recipe.key for stage in self.stages if not isinstance(stage, for_others)}
        for entry in self.rows:
            shown: list[Stage] = [gallery for gallery in (entry.gallery, entry.reference) if gallery is not None]
            # The figure of claims shows edits of the first seeds.
            shown += [score.edits for score in [*entry.scores.values()][:1] if not self.is_taken(score)]
            wanted |= {stage.recipe.key for stage in (*shown, *entry.trains.values())}
        for stage in reversed(self.stages):  # each before those that it reads from
            if stage.recipe.key in wanted and not store.exists(stage.recipe) and not self.is_taken(stage):
                wanted |= {other.recipe.key for other in stage.inputs.values()}
        return [stage for stage in self.stages if stage.recipe.key in wanted]

    def _is_editable(self, weights: CheckpointStage) -> bool:
        """Return whether edits can be made without a training."""
        return self._has(weights) or (isinstance(weights, OfTraining) and self._has(weights.train))

    def is_taken(self, stage: Stage) -> bool:
        """Return whether a stage is taken from the stored results.

        These are records, weights, and scores whose weights are not stored.
        """
        if self._request.retrain or not self._stored.has(stage):
            return False
        if isinstance(stage, Score):
            if self._in_networks.get(stage.recipe.key):
                return False  # all numbers of a row are of the same edits
            edits = stage.edits
            return isinstance(edits, Synthesize) and not self._has(edits) and not self._is_editable(edits.train)
        return isinstance(stage, OfTraining)

    def take_stored(self, context: Context) -> None:
        """Copy what is needed of the stored results into the store. Raises UserError where that is damaged."""
        for stage in self.needed(context.store):
            if self.is_taken(stage) and not context.store.exists(stage.recipe):
                self._stored.take(stage, context.store, context.reporter.warn)

    @property
    def folders(self) -> dict[str, str]:
        """Return the folders of all stages by key, relative to the store's root."""
        return {stage.recipe.key: stage.recipe.folder for stage in self.stages}

    @cached_property
    def key(self) -> str:
        """Return the key of the report, which stands for the whole plan."""
        return self.report.recipe.key
