"""The plan: suite x profile x data set x seeds, expanded into stages that share what they can, and run in order."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from benchmark.artifacts import Artifact, Store
from benchmark.config import Profile, Suite, SuiteRow
from benchmark.data.edits import EditList, why_no_edits
from benchmark.data.faceset import FaceSet
from benchmark.data.source import DataSource
from benchmark.errors import UserError
from benchmark.jobs import make_stages
from benchmark.protocol import KNOWLEDGE, Subset
from benchmark.registry import find_method, is_known
from benchmark.schedule import Schedule
from benchmark.stages.base import Context, Stage, made_by
from benchmark.stages.features import ExtractorChoice, RealFeatures
from benchmark.stages.imported import Imported
from benchmark.stages.judge import ReadByJudge, TrainJudge
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.rates import Rates
from benchmark.stages.report import Report, RowStages, child_name
from benchmark.stages.score import Score
from benchmark.stages.synthesize import Synthesize
from benchmark.stages.train import CheckpointStage, Train
from benchmark.tracking import TrackedRow

EDIT_SEED = 0
"""The edits are the protocol's: every training seed is asked for the same ones, so their spread is the training's
alone.
"""
GALLERY = 4
"""Faces shown in the figures for each row."""
TARGET_GALLERY = 9
"""The same where a suite has but some targets, and a face is a column: three placements by three cameras."""
S = TypeVar("S", bound=Stage)
State = Literal["there", "begun", "to do"]


@dataclass(frozen=True)
class Step:
    """A stage as `--dry-run` shows it."""

    stage: Stage
    state: State
    seconds: float | None
    """Estimated; None where nothing is known of it."""


def why_missing(row: SuiteRow, source: DataSource) -> str:
    """Why a row can't be measured with what a data set knows, or ""; wrong settings of a method that is there are
    errors, not gaps.
    """
    if not is_known(row.method):
        return f"the method '{row.method}' is not in this version"
    method = find_method(row.method)
    if row.guide not in method.guides:
        return f"'{row.method}' has no {row.guide} guide"
    if row.data not in method.subsets:
        return f"'{row.method}' is for {' and '.join(sorted(method.subsets))} faces only"
    unknown = [KNOWLEDGE[what] for what in sorted(method.needs - source.knows)]
    return f"'{row.method}' needs {' and '.join(unknown)}, and {source.name} has none" if unknown else ""


def preparations(suite: Suite, profile: Profile, source: DataSource) -> tuple[Prepare, Prepare]:
    """Of the faces that are trained on and of those that are edited; mostly the same stage."""
    trained = Prepare(source, profile.size)
    return trained, Prepare(source.uncropped(), profile.size) if suite.faces == "nonaligned" else trained


def check_disk(stages: Iterable[Stage], store: Store) -> None:
    """Raises UserError where the disk has less room than those of the stages that are missing may need."""
    needed = sum(stage.work().bytes for stage in stages if not store.exists(stage.recipe))
    free = shutil.disk_usage(store.root).free
    if needed > free:
        raise UserError(
            f"{store.root} has {free / 1e9:.1f} GB left and this plan may write {needed / 1e9:.1f} GB: make room, "
            "or choose another place with --out"
        )


def _prepared(stage: Prepare, store: Store | None) -> FaceSet | None:
    """Its faces, if they are there."""
    found = store.find(stage.recipe) if store is not None else None
    return load_faces(found.folder) if found is not None else None


class Plan:
    """All stages of a suite, each before those that read from it, each once."""

    def __init__(
        self,
        suite: Suite,
        profile: Profile,
        source: DataSource,
        seeds: tuple[int, ...],
        extractor: ExtractorChoice,
        device: str,
        checkpoints: Mapping[str, Imported] | None = None,
        store: Store | None = None,
    ) -> None:
        """checkpoints: by row id, those that take the place of a training. store: where faces may be prepared, which
        tell what they lack. Raises UserError where no row can be measured.
        """
        self.suite, self.profile, self.seeds = suite, profile, seeds
        self._checkpoints = checkpoints or {}
        self._extractor, self._device = extractor, device
        self._stages: dict[str, Stage] = {}
        # Edited is what is edited and compared with: nothing learns from it, nor does the judge.
        self.prepare, self.edited = map(self._once, preparations(suite, profile, source))
        trained_on, to_edit = _prepared(self.prepare, store), _prepared(self.edited, store)
        self.prepared = trained_on is not None and to_edit is not None
        """Whether it is known which rows the faces are enough for."""

        def why(row: SuiteRow) -> str:
            said = [why_missing(row, self.prepare.source), why_missing(row, self.edited.source)]
            if trained_on is not None:
                said.append(why_no_edits(trained_on, row.data))
            if to_edit is not None and self.edited is not self.prepare:
                said.append(why_no_edits(to_edit, row.data, ("test",), suite.targets))
            return next(filter(None, said), "")

        judges: dict[Subset, TrainJudge] = {}
        judged: dict[Subset, ReadByJudge] = {}
        real: dict[Subset, RealFeatures] = {}
        rows = []
        for row in suite.rows:
            if missing := why(row):
                rows.append(RowStages(row, missing, {}, {}, None))
                continue
            if row.data not in judges:
                judges[row.data] = self._once(TrainJudge(self.prepare, row.data, profile.judge_epochs, device))
                real[row.data] = self._once(RealFeatures(self.edited, row.data, extractor, suite.targets))
                if suite.faces == "nonaligned" or suite.targets:
                    judged[row.data] = self._once(ReadByJudge(judges[row.data], self.edited, suite.targets))
            rows.append(self._row(row, judges[row.data], real[row.data]))
        if not judges:
            first = rows[0]
            raise UserError(
                f"no row of suite {suite.name} can be measured, the first ({first.row.label}, {first.row.data}) since "
                f"{first.missing}; python -m benchmark.prepare says what a data set has"
            )
        self.rows = rows
        self.report = self._once(Report(suite, profile, self.prepare, self.edited, judges, judged, rows, extractor))

    def _once(self, stage: S) -> S:
        """The stage, or the one of the same key that is there already."""
        return self._stages.setdefault(stage.recipe.key, stage)  # type: ignore[return-value]

    def _row(self, row: SuiteRow, judge: TrainJudge, real: RealFeatures) -> RowStages:
        trains, scores, gallery = {}, {}, None
        given, targets = self._checkpoints.get(row.id), self.suite.targets
        for seed in self.seeds[:1] if given else self.seeds:
            train = self._once(given or self._train(row, seed))
            edits = EditList(row.data, EDIT_SEED, self.profile.targets_per_source, targets=targets)
            synth = self._once(Synthesize(train, self.edited, row.guide, edits, self._device))
            score = Score(synth, self.edited, judge, real, self._extractor, self.profile.allow_small)
            trains[seed], scores[seed] = train, self._once(score)
            if gallery is None:
                count = TARGET_GALLERY if targets else GALLERY
                shown = EditList(row.data, EDIT_SEED, gallery=count, targets=targets)
                gallery = self._once(Synthesize(train, self.edited, row.guide, shown, self._device))
        return RowStages(row, "", trains, scores, gallery)

    def _train(self, row: SuiteRow, seed: int) -> CheckpointStage:
        return Train(self.prepare, row.method, dict(row.variant), row.data, self.profile, seed, self._device)

    @property
    def stages(self) -> list[Stage]:
        """In an order in which they can be run."""
        return list(self._stages.values())

    def tracked_rows(self) -> list[TrackedRow]:
        """The child runs of MLflow."""
        return [
            TrackedRow(
                child_name(entry.row, seed),
                train.recipe.key,
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
        """What is there, what is not, and how long that will take."""
        rates = Rates(store, threads)
        for stage in self.stages:
            if store.exists(stage.recipe):
                yield Step(stage, "there", 0.0)
                continue
            state: State = "begun" if store.begun(stage.recipe) else "to do"
            yield Step(stage, state, rates.measured(stage))

    def seconds(self, steps: Sequence[Step], jobs: int) -> float:
        """How long what is missing takes, `jobs` stages at a time; what nobody has timed is not counted."""
        missing = [step for step in steps if step.state != "there"]
        expected = {step.stage.recipe.key: step.seconds or 0.0 for step in missing}
        return Schedule([step.stage for step in missing], expected).left(jobs)

    def run(self, context: Context, jobs: int = 1) -> Artifact:
        """Make what is missing, `jobs` stages at a time; returns the report, which is all that a second call reads."""
        missing = [stage for stage in self.stages if not context.store.exists(stage.recipe)]
        if self.report in missing:
            rates = Rates(context.store, context.machine.threads)
            schedule = Schedule(missing, {stage.recipe.key: rates.expected(stage) for stage in missing})
            make_stages(schedule, self.report, context, jobs)
            context.reporter.say(context.peaks.sentence())
        context.store.check(self.folders)  # so that damage is said now and not when it is next read
        return made_by(self.report, context)

    @property
    def folders(self) -> dict[str, str]:
        """Of all stages, below the store's root, by key."""
        return {stage.recipe.key: stage.recipe.folder for stage in self.stages}

    @cached_property
    def key(self) -> str:
        """The key of the report, which stands for the whole plan."""
        return self.report.recipe.key
