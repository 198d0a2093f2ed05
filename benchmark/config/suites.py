"""Suites: the rows of tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from benchmark.config.loading import HERE, find, load
from benchmark.config.paper import paper_path
from benchmark.core.errors import UserError, quoted, unknown
from benchmark.core.models import STRICT
from benchmark.protocol import EXPRESSIONS, Guide, Subset

SUITES = HERE / "suites"
METHOD = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*(\.\w+)*|\w[\w.-]*")
"""A registered name, or an import path `package.module:Class`."""
MOST_ROWS = 1000
MOST_ITERATIONS = 10**9
LONGEST_TITLE = 500
MOST_NETWORKS = 20
EMPTY = {
    "targets": "no expression: leave them out for all",
    "columns": "no metric: leave them out for the paper's",
    "extra_columns": "no metric: leave them out for all",
}
"""What is said of lists that are empty."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"must be of characters that can be printed, not {quoted(text)}")
    return text


def _printable_lines(text: str) -> str:
    for line in text.split("\n"):
        _printable(line)
    return text


def _method(name: str) -> str:
    if not METHOD.fullmatch(name):
        raise ValueError(f"must be the name of a method or its import path, my.module:MyMethod, not {quoted(name)}")
    return name


def or_empty(value: Any) -> Any:
    """Take an empty YAML field for an empty mapping."""
    return {} if value is None else value


Word = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_printable)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TITLE), AfterValidator(_printable)]
Note = Annotated[str, StringConstraints(max_length=5000), AfterValidator(_printable_lines)]
Settings = Annotated[Mapping[str, Any], BeforeValidator(or_empty)]
"""Settings of a method in place of its defaults; the method checks them."""
MethodName = Annotated[str, StringConstraints(max_length=300), AfterValidator(_method)]


@dataclass(frozen=True, config=STRICT)
class SuiteRow:
    """A row: which method, which of its variants (settings in place of its defaults), how guided, on which faces.

    extended: not in the main table, only in the extended ones. note: printed under the tables, or "". iterations: of
    its training, in place of the profile's.
    """

    id: Word
    label: Word
    method: MethodName
    guide: Guide
    data: Subset
    variant: Settings = field(default_factory=dict)
    extended: bool = False
    note: Note = ""
    iterations: Annotated[int, Field(ge=1, le=MOST_ITERATIONS)] | None = None


SuiteFigure = Literal["ablation"]
"""Figures that a suite may have in addition."""
FacesKind = Literal["aligned", "nonaligned"]


@dataclass(frozen=True, config=STRICT)
class Suite:
    """The rows of a table, in its order. `paper` is the stem of the published table in results/paper, or "".

    ladder: the rows are meant to be read as steps, and a table says what each changes. figure: one more, or None.
    faces: which pictures are edited and compared with; models and the judge are trained on aligned ones, whichever.
    targets: the expressions edited to, in the order of `EXPRESSIONS`; all where it is empty. columns: keys of the
    metrics in the main table, the paper's where it is empty; extra_columns: of those that the extended table has
    besides, all where it is empty. claims: stem or path of a file of claims about these rows, or "". networks: files of
    networks of one's own, which add columns (`config.networks`).
    """

    name: str
    title: Title
    rows: Annotated[tuple[SuiteRow, ...], Field(max_length=MOST_ROWS)]
    paper: str = ""
    ladder: bool = False
    figure: SuiteFigure | None = None
    faces: FacesKind = "aligned"
    targets: tuple[str, ...] = ()
    columns: tuple[Word, ...] = ()
    extra_columns: tuple[Word, ...] = ()
    claims: str = ""
    networks: Annotated[tuple[FileName, ...], Field(max_length=MOST_NETWORKS)] = ()

    @field_validator("rows")
    @classmethod
    def _rows_tell_apart(cls, rows: tuple[SuiteRow, ...]) -> tuple[SuiteRow, ...]:
        if not rows:
            raise ValueError("are none: a table needs one at least")
        seen = set()
        for row in rows:
            if row.id in seen:
                raise ValueError(f"hold the id {quoted(row.id)} twice")
            seen.add(row.id)
        if all(row.extended for row in rows):
            raise ValueError("are all 'extended', so the main table has none")
        return rows

    @field_validator("targets", "columns", "extra_columns", mode="before")
    @classmethod
    def _some(cls, names: Any, info: ValidationInfo) -> Any:
        if names == []:  # of a file; an empty tuple stands for the default
            raise ValueError(f"name {EMPTY[info.field_name or '']}")
        return tuple(names) if isinstance(names, list) else names

    @field_validator("targets")
    @classmethod
    def _in_order(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        """Sort by `EXPRESSIONS`; empty where all are named."""
        for name in targets:
            if name not in EXPRESSIONS:
                raise ValueError(f"hold an {unknown('expression', name, EXPRESSIONS)}")
            if targets.count(name) > 1:
                raise ValueError(f"hold {quoted(name)} twice")
        return tuple(name for name in EXPRESSIONS if name in targets) if len(targets) < len(EXPRESSIONS) else ()

    def only(self, methods: list[str]) -> Suite:
        """The rows of `methods`. Raises UserError for a method that no row has, and for no method."""
        if not methods:
            raise UserError("no method is named: leave methods out for all of them")
        known = {row.method for row in self.rows}
        for method in methods:
            if method not in known:
                raise unknown("method", method, known, f"in suite {self.name}")
        return replace(self, rows=tuple(row for row in self.rows if row.method in methods))


def load_suite(name: str) -> Suite:
    """Load the suite of that name or path. Raises UserError, naming file and field, where it is wrong."""
    path: Path = find("suite", SUITES, name)
    suite: Suite = load(Suite, path, name=path.stem)
    if suite.paper:
        paper_path(suite.paper, f"in {path}")
    return suite
