"""What `benchmark.score --edits` prints as JSON: the rows of pictures made elsewhere."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from benchmark.protocol import Subset
from benchmark.report.results import Features, JudgeReading, JudgeResult, Scores

SCHEMA = 1


@dataclass(frozen=True)
class OutsideRow:
    """One subset, measured. The fields of `scores` are those of results.json."""

    subset: Subset
    scores: Scores
    psnr: str
    """Key of the metric that stands in the table's column PSNR: it depends on the subset."""
    judge: JudgeResult
    folder: str
    """Where the store keeps the scores, with one line an edit."""
    keys: dict[str, str]
    """Content keys: pictures, scores, judge, real features."""
    reading: JudgeReading | None = None
    """How the judge reads the real pictures that are edited, where those are not what it was tested on."""


@dataclass(frozen=True)
class OutsideResult:
    """Everything that `--json` prints; docs/results.md documents it."""

    name: str
    suite: str
    profile: str
    notice: str
    data: str
    data_description: str
    size: int
    features: Features
    test_identities: int
    train_identities: int
    rows: tuple[OutsideRow, ...]
    absent: tuple[Subset, ...]
    """Subsets of which no picture was handed in."""
    extra: int
    """Files that nothing asks for."""
    report: str
    """The report whose rows stand beside these in the table, or ""."""
    schema: int = SCHEMA

    def dump(self) -> str:
        """The text of `--json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def paths(self) -> dict[str, Path]:
        """What the table names below it."""
        paths = {f"scores {row.subset}": Path(row.folder) for row in self.rows}
        return {**paths, "report": Path(self.report)} if self.report else paths
