"""The index of stored reference results: which trainings, weights and scores of which rows and seeds are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.config.loading import REFERENCE
from benchmark.core.errors import UserError, did_you_mean, quoted
from benchmark.core.files import folder_fault_of, read_regular
from benchmark.core.models import STRICT, parse_json
from benchmark.protocol import Guide, Subset

INDEX, REPORTS = "index.json", "reports"
LARGEST_INDEX = 16 << 20
Folder = Annotated[str, Field(pattern=r"^([a-z]+/[a-z0-9-]+)?$")]


@dataclass(frozen=True, config=STRICT)
class StoredSeed:
    """Folders below that of the index; "" for what is not stored."""

    record: Folder
    scores: Folder
    weights: Folder = ""


@dataclass(frozen=True, config=STRICT)
class StoredRow:
    """A row of a suite, with the seeds that are finished."""

    label: str
    method: str
    guide: Guide
    subset: Subset
    seeds: Mapping[int, StoredSeed]


@dataclass(frozen=True, config=STRICT)
class StoredSuite:
    """A suite, by row id; `missing` has the seeds of rows that were asked for and are not finished."""

    profile: str
    rows: Mapping[str, StoredRow]
    missing: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class Index:
    """All that is stored, by suite."""

    suites: Mapping[str, StoredSuite] = field(default_factory=dict)
    format: Literal[1] = 1

    def rows(self) -> Iterator[tuple[str, StoredRow]]:
        """All rows by id, suite after suite."""
        for name in sorted(self.suites):
            yield from self.suites[name].rows.items()

    @property
    def folders(self) -> set[str]:
        """Of everything that is stored."""
        seeds = [seed for _, row in self.rows() for seed in row.seeds.values()]
        return {folder for seed in seeds for folder in (seed.record, seed.weights, seed.scores) if folder}


def load_index(root: Path) -> Index:
    """The index of a folder of stored results; an empty one where there is none. Raises UserError for a damaged one."""
    path = root / INDEX
    if not path.exists():
        return Index()
    try:
        return parse_json(Index, read_regular(path, LARGEST_INDEX), path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error


def check_stored(root: Path) -> None:
    """Raise UserError where what the user named is no folder; one without an index is a folder with nothing stored."""
    if fault := folder_fault_of(root):
        raise UserError(f"--reference {root} {fault}; benchmark.reference --to DIR makes one with stored results")


def stored_weights(name: str, root: Path = REFERENCE) -> Path:
    """The folder of the stored weights of a row (by its id) or of a method (its first row).

    Raises UserError, with the nearest name, where none are stored.
    """
    index = load_index(root)
    by_name: dict[str, str] = {}
    for row_id, row in index.rows():
        weights = [seed.weights for _, seed in sorted(row.seeds.items()) if seed.weights]
        for key in (row_id, row.method) if weights else ():
            by_name.setdefault(key, weights[0])
    if name not in by_name:
        raise UserError(
            f"--checkpoint {quoted(name)[1:-1]} is missing, and no stored weights have this name"
            f"{did_you_mean(name, by_name)}; benchmark.run --out runs puts checkpoints into runs/train/"
        )
    return root / by_name[name]
