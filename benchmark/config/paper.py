"""The paper's tables as printed: results/paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from benchmark.config.loading import PAPER, find, load, names
from benchmark.core.errors import quoted, unknown
from benchmark.core.files import require_file
from benchmark.core.models import STRICT

PaperColumn = Literal["FID", "FID(Cp)", "PSNR", "CA"]


@dataclass(frozen=True, config=STRICT)
class Published:
    """A table of the paper. `rows`: by row id, then column; a column that the paper leaves empty is not there."""

    title: str
    source: str
    size: Annotated[int, Field(ge=1)]
    columns: tuple[PaperColumn, ...]
    rows: Mapping[str, Mapping[str, float]]

    @model_validator(mode="after")
    def _in_the_columns(self) -> Published:
        for row, values in self.rows.items():
            for column in values:
                if column not in self.columns:
                    columns = ", ".join(self.columns)
                    raise ValueError(f"row {quoted(row)}: {quoted(column)} is none of the table's columns ({columns})")
        return self


def paper_path(stem: str, where: str = "") -> Path:
    """The file of a published table. Raises UserError, with the nearest name, where there is none."""
    if stem not in names(PAPER):
        raise unknown("published table", stem, names(PAPER), where)
    return PAPER / f"{stem}.yaml"


def claims_path(name: str, where: str = "") -> Path:
    """A file of claims by its path, or by its stem in results/paper. Raises UserError where it is no file."""
    return require_file(find(f"file of claims{where}", PAPER, name), f"the file of claims{where}")


def load_published(path: Path) -> Published:
    """Read a published table. Raises UserError, naming file and row, for whatever is wrong in it."""
    published: Published = load(Published, path)
    return published
