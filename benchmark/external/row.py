"""Pictures made elsewhere -> a row for each subset, by the stages that make the harness's own rows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.data.source import DataSource
from benchmark.external.answer import Answer, Pictures
from benchmark.external.listing import Listing, list_key
from benchmark.external.neighbours import Neighbours, Ruler, find_neighbours
from benchmark.external.result import OutsideResult, OutsideRow
from benchmark.external.sheets import edit_sheet, picture_name
from benchmark.external.stage import Outside
from benchmark.metrics.registry import METRICS
from benchmark.pipeline.context import make_missing
from benchmark.protocol import Subset
from benchmark.report.results import Features, JudgeReading, JudgeResult, Row, SuiteResults
from benchmark.stages.base import Context, Stage
from benchmark.stages.features import ExtractorChoice, RealFeatures
from benchmark.stages.judge import JUDGE_SEED, ReadByJudge, TrainJudge
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.score import Score

METHOD = "outside"
FOOTNOTE = "made elsewhere: these pictures were handed in as files, and what made them is not known here"


@dataclass(frozen=True)
class _Stages:
    """What one subset is measured by."""

    ruler: Ruler
    judged: ReadByJudge | None
    outside: Outside
    score: Score


class OutsideScorer:
    """A list, and the ruler for whatever answers it."""

    def __init__(
        self, listing: Listing, source: DataSource, extractor: ExtractorChoice, allow_small: bool, device: str
    ) -> None:
        self.listing, self.extractor = listing, extractor
        self.prepare = Prepare(source, listing.size)
        self._allow_small, self._device = allow_small, device
        self.edited = Prepare(source.uncropped(), listing.size) if listing.edited else self.prepare
        if (self.prepare.recipe.key, self.edited.recipe.key) != (listing.faces, listing.edited or listing.faces):
            raise UserError(
                f"the data set {source.name} is not the one that the list was written for (other pictures, another "
                "split, or another version of the benchmark): write the list again, or give the right one with --data"
            )

    def measure(self, name: str, answer: Answer, context: Context) -> tuple[OutsideResult, SuiteResults]:
        """Score every complete subset. Returns the rows, and the table that they stand in."""
        make_missing(list(dict.fromkeys([self.prepare, self.edited])), context)
        self._check_lists(answer, context)
        rulers = {subset: self._ruler(subset) for subset in self.listing.sheets}
        stages = {subset: self._stages(name, answer.subsets[subset], rulers[subset]) for subset in answer.subsets}
        for found in stages.values():
            judges: list[Stage] = [found.ruler.judge, *([found.judged] if found.judged else [])]
            make_missing([*judges, found.ruler.real, found.outside, found.score], context)
        neighbours = find_neighbours(context.store, self.listing, self.prepare, rulers)
        rows = tuple(self._row(subset, found, context) for subset, found in stages.items())
        result = self._result(name, rows, answer, neighbours)
        return result, self._table(result, neighbours)

    @staticmethod
    def timings(result: OutsideResult) -> dict[str, float]:
        """Seconds of the trainings of the other rows."""
        if not result.report:
            return {}
        timed: dict[str, float] = json.loads((Path(result.report) / "timings.json").read_text(encoding="utf-8"))
        return timed

    def _check_lists(self, answer: Answer, context: Context) -> None:
        faces = load_faces(self.edited.folder(context))
        for subset in answer.subsets:
            edits = self.listing.edit_list(subset).make(faces)
            sheet = self.listing.sheets[subset]
            if list_key(edits, faces.table["face_id"]) != sheet.key:
                raise UserError(
                    "the list asks for other edits than this version of the benchmark: write it again, and make the "
                    "pictures anew"
                )
            used = sorted({int(row) for row in (*edits["source"], *edits["reference"])})
            text = edit_sheet(subset, edits, faces, {row: picture_name(faces.images[row]) for row in used})
            if hashlib.sha256(text.encode("utf-8")).hexdigest() != sheet.sha256:
                raise UserError(
                    f"{sheet.file} does not ask for the edits of this data set in their order (rows are missing, "
                    "changed or swapped): write the list again, and make the pictures anew"
                )

    def _ruler(self, subset: Subset) -> Ruler:
        judge = TrainJudge(self.prepare, subset, self.listing.judge_epochs, self._device)
        real = RealFeatures(self.edited, subset, self.extractor, self.listing.targets)
        return Ruler(self.listing.edit_list(subset), judge, real)

    def _stages(self, name: str, pictures: Pictures, ruler: Ruler) -> _Stages:
        outside = Outside(name, self.edited, ruler.edits, pictures)
        score = Score(outside, self.edited, ruler.judge, ruler.real, self.extractor, self._allow_small)
        other = self.listing.edited or self.listing.targets
        judged = ReadByJudge(ruler.judge, self.edited, self.listing.targets) if other else None
        return _Stages(ruler, judged, outside, score)

    def _row(self, subset: Subset, stages: _Stages, context: Context) -> OutsideRow:
        return OutsideRow(
            subset,
            stages.score.facts(context),
            next(metric.key for metric in METRICS if metric.paper.get(subset) == "PSNR"),
            stages.ruler.judge.facts(context),
            str(stages.score.folder(context)),
            {
                "pictures": stages.outside.recipe.key,
                "scores": stages.score.recipe.key,
                "judge": stages.ruler.judge.recipe.key,
                "real": stages.ruler.real.recipe.key,
            },
            stages.judged.facts(context) if stages.judged else None,
        )

    def _result(
        self, name: str, rows: tuple[OutsideRow, ...], answer: Answer, neighbours: Neighbours | None
    ) -> OutsideResult:
        listing, choice = self.listing, self.extractor
        return OutsideResult(
            name=name,
            suite=listing.suite,
            profile=listing.profile,
            notice=listing.notice,
            data=self.prepare.source.name,
            data_description=listing.data_description,
            size=listing.size,
            features=Features(choice.name, choice.column, choice.comparable, choice.identity),
            test_identities=listing.test_identities,
            train_identities=listing.train_identities,
            rows=rows,
            absent=answer.absent,
            extra=len(answer.extra),
            report=str(neighbours.folder) if neighbours else "",
        )

    def _table(self, result: OutsideResult, neighbours: Neighbours | None) -> SuiteResults:
        """The rows as the report's tables take them, below those of the suite where it has been run."""
        ours = tuple(
            # No table prints the guide, which nobody but the maker of the pictures knows.
            Row(METHOD, result.name, METHOD, "T", row.subset, {0: row.scores}, footnote=FOOTNOTE)
            for row in result.rows
        )
        judges: dict[Subset, dict[int, JudgeResult]] = {row.subset: {JUDGE_SEED: row.judge} for row in result.rows}
        readings: dict[Subset, JudgeReading] = {row.subset: row.reading for row in result.rows if row.reading}
        images: dict[Subset, int] = {row.subset: row.judge.images for row in result.rows}
        images |= {subset: reading.target_images for subset, reading in readings.items()}
        if neighbours is not None:
            other = neighbours.results
            return dataclasses.replace(
                other,
                rows=(*other.rows, *ours),
                judges={**other.judges, **judges},
                test_images={**other.test_images, **images},
                readings={**other.readings, **readings},
            )
        return SuiteResults(
            suite=result.suite,
            title=self.listing.title,
            profile=result.profile,
            notice=result.notice,
            data=result.data,
            data_description=result.data_description,
            size=result.size,
            seeds=(),
            features=result.features,
            test_images=images,
            test_identities=result.test_identities,
            train_identities=result.train_identities,
            judges=judges,
            rows=ours,
            keys={},
            paper_table=self.listing.paper,
            metrics=tuple(metric.describe(self.extractor.column) for metric in METRICS),
            faces="nonaligned" if self.listing.edited else "aligned",
            targets=self.listing.targets,
            readings=readings,
        )
