"""The JSON of `benchmark.score --edits`: the rows of submitted pictures."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from benchmark.metrics.metric import MetricDescription
from benchmark.protocol import Subset
from benchmark.report.results import Features, JudgeReading, JudgeResult, Scores

SCHEMA = 2


@dataclass(frozen=True)
class ExternalRow:
    """The scores of one subset, as in `results.json`."""

    subset: Subset
    scores: Scores
    judge: JudgeResult
    folder: str
    """The folder of the scores in the store, with one line for each edit."""
    keys: dict[str, str]
    """Content keys: pictures, scores, judge, real features."""
    reading: JudgeReading | None = None
    """The judge's accuracy on the real pictures that are edited, where it was tested on others."""


@dataclass(frozen=True)
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
    """Subsets of which no picture was submitted."""
    extra: int
    """Number of files that the list does not ask for."""
    report: str
    """Folder of the report whose rows the table has too, or ""."""
    schema: int = SCHEMA

    def dump(self) -> str:
        """Return the text of `--json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def paths(self) -> dict[str, Path]:
        """Return the folders that are named under the table."""
        paths = {f"scores {row.subset}": Path(row.folder) for row in self.rows}
        return {**paths, "report": Path(self.report)} if self.report else paths
