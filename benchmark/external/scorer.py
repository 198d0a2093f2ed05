"""Score submitted pictures, a row for each subset, with the stages that score the suite's own rows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.profiles import READER_PICTURES
from benchmark.core.errors import UserError
from benchmark.data.edit_lists import list_key
from benchmark.data.source import DataSource
from benchmark.external.listing import Listing
from benchmark.external.result import METHOD, ExternalResult, ExternalRow
from benchmark.external.sheets import edit_sheet, picture_name
from benchmark.external.stage import ExternalEdits
from benchmark.external.submission import Submission, SubmittedPictures
from benchmark.external.suite_rows import MeasuringStages, SuiteRows, find_suite_rows
from benchmark.metrics.registry import METRICS
from benchmark.pipeline.context import make_missing
from benchmark.protocol import JUDGE_SEED, Subset
from benchmark.report.results import Features, SuiteResults
from benchmark.report.summary import summarise
from benchmark.stages.base import Context, Stage
from benchmark.stages.features import ExtractorChoice, RealFeatures
from benchmark.stages.judge import ReadByJudge, TrainJudge
from benchmark.stages.network_choice import NetworkChoice
from benchmark.stages.own_networks import RealInNetwork, ScoreInNetwork, with_networks
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.reader import ReadReal, TrainReader
from benchmark.stages.score import Score


@dataclass(frozen=True)
class _Stages:
    """The stages of one subset."""

    measuring: MeasuringStages
    judged: ReadByJudge | None
    external: ExternalEdits
    score: Score
    in_networks: tuple[ScoreInNetwork, ...]


class ExternalScorer:
    """The stages that score submissions for one list of edits."""

    def __init__(
        self,
        listing: Listing,
        source: DataSource,
        extractor: ExtractorChoice,
        allow_small: bool,
        device: str,
        networks: Sequence[NetworkChoice] = (),
    ) -> None:
        """Raise UserError unless the data set is the list's. networks: the user's own, which add columns."""
        self.listing, self.extractor, self.networks = listing, extractor, networks
        own = [metric for network in networks for metric in network.metrics]
        self.metrics = tuple(metric.describe(extractor.column) for metric in (*METRICS, *own))
        self._own = tuple(metric.key for metric in own)
        self.prepare = Prepare(source, listing.size)
        self._allow_small, self._device = allow_small, device
        self.edited = Prepare(source.uncropped(), listing.size) if listing.edited else self.prepare
        pictures = listing.reader_pictures or READER_PICTURES * listing.judge_epochs
        self._reader = TrainReader(self.prepare, pictures, device)
        if (self.prepare.recipe.key, self.edited.recipe.key) != (listing.faces, listing.edited or listing.faces):
            raise UserError(
                f"the data set {source.name} is not the one that the list was written for (other pictures, another "
                "split, or another version of the benchmark): write the list again, or give the right one with --data"
            )

    def measure(self, name: str, submission: Submission, context: Context) -> tuple[ExternalResult, SuiteResults]:
        """Score each complete subset. Return the rows, and the table that also has the suite's own rows.

        Raises UserError if the list asks for other edits than this version of the benchmark.
        """
        make_missing(list(dict.fromkeys([self.prepare, self.edited])), context)
        self._check_lists(submission, context)
        measuring = {subset: self._measuring(subset) for subset in self.listing.sheets}
        stages = {
            subset: self._stages(name, submission.complete[subset], measuring[subset]) for subset in submission.complete
        }
        for needed in stages.values():
            judges: list[Stage] = [needed.measuring.judge, *([needed.judged] if needed.judged else [])]
            measuring_stages: list[Stage] = [needed.measuring.real, self._reader, needed.measuring.readings]
            real: list[Stage] = [stage.real for stage in needed.in_networks]
            scored: list[Stage] = [needed.external, needed.score, *real, *needed.in_networks]
            make_missing([*judges, *measuring_stages, *scored], context)
        suite_rows = find_suite_rows(context.store, self.listing, self.prepare, measuring, self.metrics)
        rows = tuple(self._row(subset, finished, context) for subset, finished in stages.items())
        result = self._result(name, rows, submission, suite_rows)
        return result, self._table(result, suite_rows)

    @staticmethod
    def timings(result: ExternalResult) -> dict[str, float]:
        """Return the seconds of the suite's own trainings, by name."""
        if not result.report:
            return {}
        timings: dict[str, float] = json.loads((Path(result.report) / "timings.json").read_text(encoding="utf-8"))
        return timings

    def _check_lists(self, submission: Submission, context: Context) -> None:
        faces = load_faces(self.edited.folder(context))
        for subset in submission.complete:
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

    def _measuring(self, subset: Subset) -> MeasuringStages:
        judge = TrainJudge(self.prepare, subset, self.listing.judge_epochs, self._device)
        real = RealFeatures(self.edited, subset, self.extractor, self.listing.targets)
        edits = self.listing.edit_list(subset)
        return MeasuringStages(edits, judge, real, ReadReal(self._reader, self.edited, edits))

    def _stages(self, name: str, pictures: SubmittedPictures, measuring: MeasuringStages) -> _Stages:
        external = ExternalEdits(name, self.edited, measuring.edits, pictures)
        score = Score(
            external, self.edited, measuring.judge, measuring.real, measuring.readings, self.extractor,
            self._allow_small,
        )  # fmt: skip
        other = self.listing.edited or self.listing.targets
        judged = ReadByJudge(measuring.judge, self.edited, self.listing.targets) if other else None
        subset = measuring.edits.subset
        in_networks = tuple(
            ScoreInNetwork(
                external, self.edited, RealInNetwork(self.edited, subset, network), self.listing.targets,
                self._allow_small,
            )
            for network in self.networks
        )  # fmt: skip
        return _Stages(measuring, judged, external, score, in_networks)

    def _row(self, subset: Subset, stages: _Stages, context: Context) -> ExternalRow:
        return ExternalRow(
            subset,
            with_networks(stages.score.facts(context), [stage.facts(context) for stage in stages.in_networks]),
            stages.measuring.judge.facts(context),
            str(stages.score.folder(context)),
            {
                "pictures": stages.external.recipe.key,
                "scores": stages.score.recipe.key,
                "judge": stages.measuring.judge.recipe.key,
                "real": stages.measuring.real.recipe.key,
                "readings": stages.measuring.readings.recipe.key,
                **{f"network {stage.network.sha256[:8]}": stage.recipe.key for stage in stages.in_networks},
            },
            stages.judged.facts(context) if stages.judged else None,
        )

    def _result(
        self, name: str, rows: tuple[ExternalRow, ...], submission: Submission, suite_rows: SuiteRows | None
    ) -> ExternalResult:
        listing, choice = self.listing, self.extractor
        return ExternalResult(
            name=name,
            suite=listing.suite,
            profile=listing.profile,
            notice=listing.notice,
            data=self.prepare.source.name,
            data_description=listing.data_description,
            size=listing.size,
            features=Features(choice.name, choice.column, choice.comparable, choice.identity),
            metrics=self.metrics,
            test_identities=listing.test_identities,
            train_identities=listing.train_identities,
            rows=rows,
            absent=submission.absent,
            extra=len(submission.surplus),
            report=str(suite_rows.folder) if suite_rows else "",
            prepared={stage.name: stage.recipe.key for stage in (self.prepare, self.edited)},
            faces="nonaligned" if listing.edited else "aligned",
            targets=listing.targets,
        )

    def _extra_columns(self, other: SuiteResults) -> tuple[str, ...]:
        """Return the extra columns of the suite's report and of the user's own networks; empty for all metrics."""
        named = (*other.columns, *other.extra_columns)
        return other.extra_columns and (*other.extra_columns, *(key for key in self._own if key not in named))

    def _table(self, result: ExternalResult, suite_rows: SuiteRows | None) -> SuiteResults:
        """Return the rows as results of the suite, below the suite's own rows if it was run."""
        alone = result.as_results(JUDGE_SEED)
        rows = tuple(dataclasses.replace(row, id=METHOD) for row in alone.rows)
        if suite_rows is not None:
            other = suite_rows.results
            return dataclasses.replace(
                other,
                rows=summarise((*other.rows, *rows), other.metrics),
                claims=None,
                verdicts=(),
                extra_columns=self._extra_columns(other),
                judges={**other.judges, **alone.judges},
                test_images={**other.test_images, **alone.test_images},
                readings={**other.readings, **alone.readings},
            )
        return dataclasses.replace(
            alone,
            title=self.listing.title,
            rows=rows,
            keys={},
            paper_table=self.listing.paper,
            columns=self.listing.columns,
            extra_columns=(*self.listing.extra_columns, *self._own) if self.listing.extra_columns else (),
        )
