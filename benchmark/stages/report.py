"""report: Scores of all rows -> tables, figures, a page, and the runs of the suite in MLflow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.config.paper import claims_path, paper_path
from benchmark.config.profiles import Profile
from benchmark.config.suites import Suite, SuiteRow
from benchmark.core.artifacts import MANIFEST, Manifest
from benchmark.core.mlflow_log import DatasetLog, RowDetails, SuiteDetails
from benchmark.data.faceset import ALIGNED, FaceSet
from benchmark.data.photos.set_aside import ASIDE, read_aside
from benchmark.metrics.registry import METRICS
from benchmark.protocol import EXPRESSIONS, Subset
from benchmark.report.files import files_with_faces
from benchmark.report.results import (
    Features,
    Floor,
    JudgeReading,
    Override,
    Row,
    Scores,
    SuiteResults,
    Training,
    check_columns,
    marked,
)
from benchmark.report.stored_report import StoredReport, reference_results
from benchmark.report.summary import summary_metrics, with_statistics
from benchmark.report.tracked import CHECKPOINT_FILES, data_profile, headline, row_metrics, row_note, suite_note
from benchmark.stages.base import Context, NoFacts, Stage, StageResult, Work
from benchmark.stages.checkpoints import CHECKPOINT
from benchmark.stages.claims import claim_pairs, suite_claims
from benchmark.stages.corners import CORNERS, Corner
from benchmark.stages.features import ExtractorChoice
from benchmark.stages.judge import ReadByJudge, TrainJudge
from benchmark.stages.own_networks import ScoreInNetwork, with_networks
from benchmark.stages.page import confusions, edit_examples
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.reader import ReadReal
from benchmark.stages.score import Score
from benchmark.stages.stored import TRAINING
from benchmark.stages.synthesize import EDITED, EDITS, Synthesize
from benchmark.stages.train import CheckpointStage
from benchmark.training.trainer import LOSSES

if TYPE_CHECKING:
    from benchmark.report.claims_figure import ClaimPair
    from benchmark.report.figures import RowPictures
    from benchmark.report.html.content import PageContent


PRIVATE = (
    "The pictures are somebody's who has not given them to everyone: figures with faces are written below the output "
    "folder only, and logged to no MLflow server; keep them to yourself, as the data set's licence asks."
)
PEAK = "peak memory (bytes)"
"""Name in `timings.json` of the peak memory of all processes of the call that wrote the report."""


@dataclass(frozen=True)
class RowStages:
    """The stages of one row of a suite. missing: why there are none, or ""."""

    row: SuiteRow
    missing: str
    trains: Mapping[int, CheckpointStage]
    scores: Mapping[int, Score]
    gallery: Synthesize | None
    reference: Synthesize | None = None
    """The same edits by stored weights, which figures show above the gallery."""


class Report(Stage[NoFacts]):
    """The report of a suite: all its results, as tables, figures, pages and runs in MLflow."""

    kind = "reports"
    facts_type = NoFacts
    version = 29
    files = ("results.json",)

    def __init__(
        self,
        suite: Suite,
        profile: Profile,
        prepare: Prepare,
        edited: Prepare,
        judges: Mapping[Subset, TrainJudge],
        judged: Mapping[Subset, ReadByJudge],
        rows: list[RowStages],
        extractor: ExtractorChoice,
        readings: Mapping[Subset, ReadReal],
        corners: Sequence[Score],
        options: Sequence[str] = (),
        faces_in_page: bool = False,
        reference: StoredReport | None = None,
        in_networks: Mapping[str, Sequence[ScoreInNetwork]] | None = None,
    ) -> None:
        """prepare: the faces to train on. edited: the faces to edit, which may be the same stage.

        options: of `benchmark.run`, for the page's commands. faces_in_page: show also pictures that may not be passed
        on. reference: stored results of the same suite and faces. in_networks: scores in the user's own networks, by
        the key of a row's scores. Raises UserError for an unknown column.
        """
        self.options, self.faces_in_page = tuple(options), faces_in_page
        self.suite, self.profile, self.prepare, self.judges, self.rows = suite, profile, prepare, judges, rows
        self.edited, self.judged, self.extractor, self.readings = edited, judged, extractor, readings
        self.corners, self.reference = corners, reference
        self.in_networks = dict(in_networks or {})
        networks = next(iter(self.in_networks.values()), ())
        self.own_metrics = tuple(metric for stage in networks for metric in stage.network.metrics)
        self.claims = suite_claims(suite)
        known = {metric.key for metric in (*METRICS, *self.own_metrics)}
        check_columns((*suite.columns, *suite.extra_columns), known, where=f"suite {suite.name}: ")
        name = f"{suite.name} {profile.name} {prepare.source.name}"
        super().__init__(name, self._settings(), self._input_stages())

    def _input_stages(self) -> dict[str, Stage]:
        """The stages that the report reads, by role, in the order of their keys in the results."""
        inputs: dict[str, Stage] = {"faces": self.prepare}
        if self.edited is not self.prepare:
            inputs["edited faces"] = self.edited
        inputs |= {f"judge {subset}": judge for subset, judge in self.judges.items()}
        inputs |= {f"judged {subset}": stage for subset, stage in self.judged.items()}
        inputs |= {f"readings {subset}": stage for subset, stage in self.readings.items()}
        inputs |= {score.edits.name: score for score in self.corners}
        for entry in self.rows:
            inputs |= {f"train {entry.row.id} {seed}": train for seed, train in entry.trains.items()}
            inputs |= {scores_role(entry.row.id, seed): score for seed, score in entry.scores.items()}
            if entry.gallery is not None:
                inputs[f"gallery {entry.row.id}"] = entry.gallery
            if entry.reference is not None:
                inputs[f"reference gallery {entry.row.id}"] = entry.reference
        for stages in self.in_networks.values():
            inputs |= {f"{stage.name} {stage.recipe.key[:12]}": stage for stage in stages}
        return inputs

    def _settings(self) -> dict[str, Any]:
        """Everything that decides the report beside its inputs. Options that are not used have no part in the key."""
        suite, profile = self.suite, self.profile
        settings: dict[str, Any] = {
            "suite": suite.name,
            "title": suite.title,
            "profile": profile.name,
            "notice": profile.notice,
            "ladder": suite.ladder,
            "figure": suite.figure,
            "rows": {
                entry.row.id: [entry.row.label, entry.missing, entry.row.extended, entry.row.note, entry.row.variant]
                for entry in self.rows
            },
            "overrides": {method: vars(stated) for method, stated in self._overrides().items()},
            "paper": _paper_hash(suite.paper),
        }
        if self.claims is not None:
            settings["claims"] = hashlib.sha256(claims_path(suite.claims).read_bytes()).hexdigest()
            if not profile.decides_claims:
                settings["decides_claims"] = False
        if self.reference is not None:
            settings["reference"] = self.reference.digest
        if suite.faces != "aligned":
            settings["faces"] = suite.faces
        if self.own_metrics:
            settings["networks"] = {metric.key: [metric.label, metric.definition] for metric in self.own_metrics}
        settings |= {name: list(getattr(suite, name)) for name in ("columns", "extra_columns") if getattr(suite, name)}
        if self.faces_in_page and self.prepare.source.licensed:
            settings["faces_in_page"] = True
        if suite.targets:
            settings["targets"] = list(suite.targets)
        return settings

    def work(self) -> Work:
        """Estimate the work of one page."""
        return Work("report", 1, 20_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        """Gather the results, write the files and log them."""
        from benchmark.report.write import write_report, write_timings

        results = self.results(context)
        losses, seconds = self._trainings(context)
        pictures = self._pictures(results, context)
        pairs = claim_pairs(results, self._scores, self.in_networks, self.edited, context)
        page = self._page(results, pictures, pairs, losses, seconds, context)
        files = write_report(folder, results, pictures, losses, seconds, self.suite.figure, pairs, page)
        write_timings(folder, {**seconds, PEAK: context.peaks.sum})  # after the figures, which need the most memory
        self._track(context, results, losses, files)
        aside = self._write_aside(context, folder)
        return StageResult(NoFacts(), sorted([*(path.name for path in files.values()), *aside]))

    @property
    def _scores(self) -> dict[str, Mapping[int, Score]]:
        """Scores by row id and seed."""
        return {entry.row.id: entry.scores for entry in self.rows}

    def _page(
        self,
        results: SuiteResults,
        pictures: Sequence[RowPictures],
        pairs: Sequence[ClaimPair],
        losses: Mapping[str, pd.DataFrame],
        seconds: Mapping[str, float],
        context: Context,
    ) -> PageContent:
        """Gather the content of `report.html`; pictures that may not be passed on only with `faces_in_page`."""
        from benchmark.report.html.content import PageContent

        licensed = self.prepare.source.licensed
        withheld = licensed and not self.faces_in_page
        return PageContent(
            pictures=[] if withheld else pictures,
            pairs={} if withheld else {each.verdict.id: each.pair for each in pairs},
            examples=[] if withheld else edit_examples(results, self._scores, self.in_networks, self.edited, context),
            confusions=confusions(self._scores, context),
            losses=losses,
            timings=seconds,
            options=self.options,
            withheld=withheld,
            shown=licensed and self.faces_in_page,
        )

    def _write_aside(self, context: Context, folder: Path) -> list[str]:
        """Write the list of photographs set aside. It has names of private files, so it is not logged to a server."""
        folders = dict.fromkeys(stage.folder(context) for stage in (self.prepare, self.edited))
        tables = [read_aside(folder / ASIDE) for folder in folders if (folder / ASIDE).exists()]
        if not any(map(len, tables)):
            return []
        pd.concat(tables).drop_duplicates().to_csv(folder / ASIDE, index=False)
        return [ASIDE]

    def results(self, context: Context) -> SuiteResults:
        """Gather the results from the artifacts."""
        faces, edited = self.prepare.facts(context), self.edited.facts(context)
        features = self._features()
        judges = {subset: judge.facts(context) for subset, judge in self.judges.items()}
        readings: dict[Subset, JudgeReading] = {subset: stage.facts(context) for subset, stage in self.judged.items()}
        descriptions = dict.fromkeys((faces.description, edited.description))
        notes = dict.fromkeys((*faces.notes, *edited.notes))
        results = SuiteResults(
            suite=self.suite.name,
            title=self.suite.title,
            profile=self.profile.name,
            notice=self.profile.notice,
            data=self.prepare.source.name,
            data_description="; edited: ".join(descriptions),
            size=self.profile.size,
            seeds=tuple(sorted({seed for entry in self.rows for seed in entry.scores})),
            features=features,
            test_images={
                subset: readings[subset].target_images if subset in readings else facts.images
                for subset, facts in judges.items()
            },
            test_identities=edited.identities["test"],
            train_identities=min(faces.identities["train"], self.profile.train_identities or 10**9),
            judges={subset: {self.judges[subset].seed: facts} for subset, facts in judges.items()},
            rows=tuple(self._row(entry, context) for entry in self.rows),
            keys=self._keys(),
            paper_table=self.suite.paper,
            metrics=tuple(metric.describe(features.column) for metric in (*METRICS, *self.own_metrics)),
            columns=self.suite.columns,
            extra_columns=self._extra_columns(),
            overrides=self._overrides(),
            ladder=self.suite.ladder,
            data_notes=(*notes, *([PRIVATE] if self.prepare.source.licensed else [])),
            faces=self.suite.faces,
            targets=self.suite.targets,
            readings=readings,
            floors=self._floors(context),
            readers={subset: stage.facts(context) for subset, stage in self.readings.items()},
            corners=tuple(_corner_row(score, self._measured(score, context)) for score in self.corners),
            reference=None if self.reference is None else reference_results(self.reference),
        )
        return with_statistics(results, self.claims, self.undecided)

    @property
    def undecided(self) -> str:
        """Why these results decide no claim, or ""."""
        return "" if self.profile.decides_claims else f"profile {self.profile.name} trains too briefly to decide"

    def _measured(self, score: Score, context: Context) -> Scores:
        """Return a row's scores, with those in the user's own networks."""
        others = self.in_networks.get(score.recipe.key, ())
        return with_networks(score.facts(context), [stage.facts(context) for stage in others])

    def _extra_columns(self) -> tuple[str, ...]:
        """Return the suite's extra columns and those of the user's own networks; empty for all metrics."""
        named = (*self.suite.columns, *self.suite.extra_columns)
        own = tuple(metric.key for metric in self.own_metrics if metric.key not in named)
        return (*self.suite.extra_columns, *own) if self.suite.extra_columns else ()

    def _floors(self, context: Context) -> dict[Subset, Floor]:
        """Return the Fréchet distances between halves of the rows' real pictures, by subset."""
        stages = {entry.row.data: score.real for entry in self.rows for score in entry.scores.values()}
        floors = {subset: stage.facts(context) for subset, stage in stages.items()}
        return {
            subset: Floor(facts.floor_whole, facts.floor_cropped, facts.whole // 2) for subset, facts in floors.items()
        }

    def _keys(self) -> dict[str, str]:
        """Return the content keys of all inputs by name; of inputs with the same name also by role."""
        keys: dict[str, str] = {}
        for role, stage in self.inputs.items():
            same = keys.get(stage.name, stage.recipe.key) == stage.recipe.key
            keys[stage.name if same else f"{stage.name} ({role})"] = stage.recipe.key
        return keys

    def _overrides(self) -> dict[str, Override]:
        """Return the profile's overrides of the methods that were trained."""
        run = {entry.row.method for entry in self.rows if any(not stage.origin for stage in entry.trains.values())}
        stated = sorted(self.profile.overrides.items())
        return {
            name: Override(override.why.strip(), dict(override.settings)) for name, override in stated if name in run
        }

    def same_as(self, entry: RowStages) -> str:
        """Return the id of the first row above that is the same run (equal keys of all seeds), or ""."""
        mine = [score.recipe.key for score in entry.scores.values()]
        for other in self.rows:
            if other is entry:
                break
            if mine and mine == [score.recipe.key for score in other.scores.values()]:
                return other.row.id
        return ""

    def _features(self) -> Features:
        choice = self.extractor
        return Features(choice.name, choice.column, choice.comparable, choice.identity)

    def _row(self, entry: RowStages, context: Context) -> Row:
        row = entry.row
        description = Row(
            row.id, row.label, row.method, row.guide, row.data,
            missing=entry.missing, variant=dict(row.variant), extended=row.extended, note=row.note,
        )  # fmt: skip
        if entry.missing:
            return description
        measured = {seed: self._measured(stage, context) for seed, stage in entry.scores.items()}
        train = next(iter(entry.trains.values()))
        facts = train.facts(context)
        training = Training(
            facts.iterations,
            facts.images_seen,
            dict(facts.updates),
            dict(facts.parameters),
            dict(facts.changed_settings),
            train.recipe.settings["settings"],
        )
        failed = {seed: stage.facts(context).failures for seed, stage in entry.trains.items()}
        return replace(
            description,
            seeds=measured,
            failed={seed: failures for seed, failures in failed.items() if failures},
            training=training,
            footnote=train.footnote,
            trainings={seed: stage.title(row.data) for seed, stage in entry.trains.items() if not stage.origin},
            origin=train.origin,
            same_as=self.same_as(entry),
        )

    def _trainings(self, context: Context) -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
        """Return losses and seconds of every training of this suite, once each."""
        losses, seconds = {}, {}
        for entry in self.rows:
            for train in entry.trains.values():
                if train.origin:
                    continue
                artifact = train.artifact(context)
                name = train.title(entry.row.data)
                losses[name] = pd.read_parquet(artifact.folder / LOSSES)
                seconds[name] = artifact.manifest.seconds
        return losses, seconds

    def _pictures(self, results: SuiteResults, context: Context) -> list[RowPictures]:
        """Return the edits of the galleries, which are of the first seeds; stored ones come before the row's own."""
        faces = load_faces(self.edited.folder(context))
        pictures = []
        for entry, row in zip(self.rows, results.rows, strict=True):
            if entry.reference is not None:
                beside = results.reference.rows.get(row.id) if results.reference is not None else None
                failed = beside is not None and next(iter(beside.seeds)) in beside.failed
                stored = _arrange(entry.row, entry.reference.folder(context), faces, failed)
                pictures.append(replace(stored, row=f"reference {stored.row}", label=f"{stored.label}, reference"))
            if entry.gallery is not None:
                failed = next(iter(entry.trains)) in row.failed
                pictures.append(_arrange(entry.row, entry.gallery.folder(context), faces, failed))
        return pictures

    def _track(
        self, context: Context, results: SuiteResults, losses: Mapping[str, pd.DataFrame], files: Mapping[str, Path]
    ) -> None:
        """Log each seed of each row, then the suite. losses: by training name; files: by their names in `FILES`."""
        for entry, row in zip(self.rows, results.rows, strict=True):
            for seed in row.seeds:
                history = losses.get(row.trainings.get(seed, ""), pd.DataFrame({"iteration": []}))
                metrics, details = row_metrics(results, row, seed), self._row_details(context, entry, row, seed)
                context.tracker.row(child_name(entry.row, seed), history, metrics, row.failed.get(seed, ()), details)
        names = {name: path.name for name, path in files.items()}
        faces = files_with_faces(self.faces_in_page)
        private = {name for name in faces if name in files} if self.prepare.source.licensed else set()
        context.tracker.finish(
            self.recipe.folder, names, self._suite_metrics(results), private, self._suite_details(results)
        )

    def _suite_metrics(self, results: SuiteResults) -> dict[str, float]:
        """The judges' accuracies in percent, and the summary over seeds."""
        judged = {
            f"judge_accuracy/{subset.replace('&', '_and_')}": judge[self.judges[subset].seed].accuracy
            for subset, judge in results.judges.items()
        }
        return {**judged, **summary_metrics(results)}

    def _suite_details(self, results: SuiteResults) -> SuiteDetails:
        """The charts, the note and the data set of the suite's run."""
        source = {"data": self.prepare.source.name, "description": results.data_description}
        dataset = DatasetLog(results.data, self.prepare.recipe.key[:32], source, data_profile(results))
        return SuiteDetails(headline(results), suite_note(results), dataset)

    def _row_details(self, context: Context, entry: RowStages, row: Row, seed: int) -> RowDetails:
        """Return times, manifest and checkpoint of a row's training, or of its edits if it was not trained here."""
        train, score = entry.trains[seed], entry.scores[seed]
        artifact, find = train.artifact(context), context.store.find
        # With stored scores, the weights are not in the store.
        weights = find(score.edits.inputs["checkpoint"].recipe) or artifact
        begun = ended = artifact.manifest
        if train.origin:
            ended = score.artifact(context).manifest
            edits = find(score.edits.recipe)
            begun = ended if edits is None else edits.manifest
        elif (artifact.folder / TRAINING).is_file():
            begun = ended = Manifest.read(artifact.folder / TRAINING)
        paths = [artifact.folder / MANIFEST, artifact.folder / TRAINING, weights.folder / CHECKPOINT]
        files = [str(path.relative_to(context.store.root)) for path in paths if path.is_file()]
        note = row_note(row, seed, str(weights.folder), [Path(file).name for file in files])
        return RowDetails(milliseconds(begun.began), milliseconds(ended.ended), {CHECKPOINT_FILES: files}, note)


def milliseconds(moment: datetime | None) -> int | None:
    """Return a time in milliseconds since 1970, as MLflow expects; None for None."""
    return None if moment is None else round(moment.timestamp() * 1000)


def _corner_row(score: Score, measured: Scores) -> Row:
    """Make a row without a method. It has one seed, since nothing of it is trained."""
    corner = score.edits
    assert isinstance(corner, Corner)
    subset, label = corner.edits.subset, CORNERS[corner.answer]
    # No table prints the guide of a row without a method.
    return Row(f"{corner.answer} {subset}", label, "", "T", subset, {0: measured}, extended=True)


def scores_role(row: str, seed: int) -> str:
    """Return the role of a row's scores among the inputs of its report."""
    return f"scores {row} {seed}"


def child_name(row: SuiteRow, seed: int) -> str:
    """Return the name of a row's run in MLflow."""
    return f"{row.id} seed {seed}"


def _arrange(row: SuiteRow, gallery: Path, faces: FaceSet, failed: bool) -> RowPictures:
    """Arrange a gallery's edits as a grid: a line for each source, a column for each expression.

    The cell of the source's own expression holds the source.
    """
    from benchmark.report.figures import RowPictures

    edited = np.load(gallery / EDITED)
    edits = pd.read_parquet(gallery / EDITS)
    images, table, placements = faces.images, faces.table, faces.placements
    sources = list(dict.fromkeys(edits["source"]))
    grid = np.repeat(images[sources][:, None], len(EXPRESSIONS), 1)
    references, truths = grid.copy(), grid.copy()
    columns = edits["source"], edits["target"], edits["reference"], edits["truth"]
    for index, (source, target, reference, truth) in enumerate(zip(*columns, strict=True)):
        cell = sources.index(source), EXPRESSIONS.index(target)
        grid[cell], references[cell], truths[cell] = edited[index], images[reference], images[truth]
    return RowPictures(
        row.id,
        marked(row.label, failed),
        row.guide,
        row.data,
        images[sources],
        list(table["expression"].iloc[sources]),
        grid,
        references if row.guide == "R" else None,
        [
            f"{placements[source] if placements[source] != ALIGNED else 'camera'} {camera:03d}"
            for source, camera in zip(sources, table["camera"].iloc[sources], strict=True)
        ],
        truths if (edits["truth"] >= 0).all() else None,
    )


def _paper_hash(stem: str) -> str:
    """Return the SHA-256 of a published table, which also decides the report; "" for none."""
    return hashlib.sha256(paper_path(stem).read_bytes()).hexdigest() if stem else ""
