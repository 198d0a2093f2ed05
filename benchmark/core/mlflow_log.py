"""The log of a suite for MLflow: plain data, which a journal keeps as JSON while MLflow cannot be reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class DatasetLog:
    """The data set of a suite. digest: at most 36 characters; source, profile: shown by MLflow as JSON."""

    name: str
    digest: str
    source: Mapping[str, Any]
    profile: Mapping[str, Any]


@dataclass
class RowLog:
    """A child run: one row and seed. losses: (iteration, value) by name. metrics: None until the row is scored.

    started, ended: of its training, in milliseconds since 1970; None where unknown. files: paths by the folder that
    MLflow shows them in, below the output folder or absolute. note: its description, in Markdown.
    """

    name: str
    training: str
    parameters: Mapping[str, Any]
    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    metrics: dict[str, float] | None = None
    failures: str = ""
    started: int | None = None
    ended: int | None = None
    files: dict[str, list[str]] = field(default_factory=dict)
    note: str = ""


@dataclass
class SuiteLog:
    """The log of a suite: its parent run, and the runs of its rows.

    files: of the report, by name, below `folder`, which is below the output folder. private: names of those that show
    somebody's faces. metrics: None until the report is written. runs: ids by row, the suite's own under "".
    headline: names of the metrics that a comparison begins with, each with its heading. note: the description, in
    Markdown; `{run}` stands for the id of the suite's run, `[[NAME]]` for the figure of that name in `files`.
    """

    plan: str
    title: str
    command: str
    parameters: dict[str, str]
    rows: list[RowLog]
    folder: str = ""
    files: dict[str, str] = field(default_factory=dict)
    private: list[str] = field(default_factory=list)
    metrics: dict[str, float] | None = None
    runs: dict[str, str] = field(default_factory=dict)
    headline: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""
    dataset: DatasetLog | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> SuiteLog:
        """Build the log from JSON, the inverse of `content`."""
        rows = [RowLog(**row) for row in content["rows"]]
        dataset = DatasetLog(**content["dataset"]) if content.get("dataset") else None
        return cls(**{**content, "rows": rows, "dataset": dataset})

    def content(self) -> dict[str, Any]:
        """Return the log as values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class RowDetails:
    """Fields of a scored row's `RowLog` beside its metrics."""

    started: int | None = None
    ended: int | None = None
    files: Mapping[str, list[str]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class SuiteDetails:
    """Fields of a reported suite's `SuiteLog` beside its files and metrics."""

    headline: tuple[tuple[str, str], ...] = ()
    note: str = ""
    dataset: DatasetLog | None = None
