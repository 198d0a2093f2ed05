"""The JSON of `benchmark.score --edits`: the rows of submitted pictures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal, get_args

from pydantic.dataclasses import dataclass

from benchmark.core.errors import UserError, quoted
from benchmark.core.models import STRICT, parse_json, read_json
from benchmark.metrics.metric import MetricDescription
from benchmark.protocol import Subset
from benchmark.report.results import Features, JudgeReading, JudgeResult, Row, Scores, SuiteResults, load_results
from benchmark.report.summary import summarise

Schema = Literal[3]
SCHEMA: Schema = get_args(Schema)[0]
METHOD = "external"
FOOTNOTE = "made elsewhere: these pictures were submitted as files, and what made them is not known here"


@dataclass(frozen=True, config=STRICT)
class ExternalRow:
    """The scores of one subset, as in `results.json`."""

    subset: Subset
    scores: Scores
    judge: JudgeResult
    folder: str
    """The folder of the scores in the store."""
    keys: dict[str, str]
    """Content keys: pictures, scores, judge, real features, readings."""
    reading: JudgeReading | None = None
    """The judge's accuracy on the edited real pictures, if it was tested on others."""


@dataclass(frozen=True, config=STRICT)
class ExternalResult:
    """Everything that `--json` prints; docs/elsewhere.md documents it."""

    name: str
    suite: str
    profile: str
    notice: str
    data: str
    data_description: str
    size: int
    features: Features
    metrics: tuple[MetricDescription, ...]
    test_identities: int
    train_identities: int
    rows: tuple[ExternalRow, ...]
    absent: tuple[Subset, ...]
    """Subsets without a submitted picture."""
    extra: int
    """Number of files that the list does not ask for."""
    report: str
    """Folder of the report whose rows are also in the table, or ""."""
    prepared: dict[str, str]
    """Content keys of the prepared faces, by the names of their stages."""
    faces: Literal["aligned", "nonaligned"] = "aligned"
    """Which pictures are edited."""
    targets: tuple[str, ...] = ()
    """The expressions edited to; empty for all."""
    schema: Schema = SCHEMA

    def dump(self) -> str:
        """Return the text of `--json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def paths(self) -> dict[str, Path]:
        """Return the folders that are printed under the table, by name."""
        paths = {f"scores {row.subset}": Path(row.folder) for row in self.rows}
        return {**paths, "report": Path(self.report)} if self.report else paths

    def as_results(self, judge_seed: int = 0) -> SuiteResults:
        """Return the rows as results of their own suite. A row's id is its name, with the subset if there are both."""
        several = len(self.rows) > 1
        rows = tuple(
            # No table prints the guide, which is not known.
            Row(f"{self.name} {row.subset}" if several else self.name, self.name, METHOD, "T", row.subset,
                {0: row.scores}, footnote=FOOTNOTE)
            for row in self.rows
        )  # fmt: skip
        readings: dict[Subset, JudgeReading] = {row.subset: row.reading for row in self.rows if row.reading}
        images: dict[Subset, int] = {row.subset: row.judge.images for row in self.rows}
        images |= {subset: reading.target_images for subset, reading in readings.items()}
        keys = dict(self.prepared)
        for row in self.rows:
            keys |= {f"judge {row.subset}": row.keys["judge"], f"readings {row.subset}": row.keys["readings"]}
        return SuiteResults(
            suite=self.suite,
            title=self.name,
            profile=self.profile,
            notice=self.notice,
            data=self.data,
            data_description=self.data_description,
            size=self.size,
            seeds=(),
            features=self.features,
            test_images=images,
            test_identities=self.test_identities,
            train_identities=self.train_identities,
            judges={row.subset: {judge_seed: row.judge} for row in self.rows},
            rows=summarise(rows, self.metrics),
            keys=keys,
            paper_table="",
            metrics=self.metrics,
            faces=self.faces,
            targets=self.targets,
            readings=readings,
        )


def load_any_results(path: Path) -> SuiteResults:
    """Read a `results.json`, or the output of `benchmark.score --edits --json`. Raises UserError in one line."""
    text, content = read_json(path)
    if not isinstance(content, dict) or "absent" not in content:
        return load_results(path)
    if content.get("schema") != SCHEMA:
        raise UserError(
            f"{path} has schema {quoted(content.get('schema'))} and this version reads {SCHEMA}: call benchmark.score "
            "again"
        )
    result = parse_json(ExternalResult, text, path)
    if any({"judge", "readings"} - row.keys.keys() for row in result.rows):
        raise UserError(f"{path} is damaged: a row lacks the key of its judge or its readings")
    return result.as_results()
