"""The contents of a folder of edits (`edits.json`): suite, profile, data set, and a CSV file for each subset."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.dataclasses import dataclass

from benchmark.config.paper import paper_path
from benchmark.core.errors import UserError
from benchmark.core.files import read_regular
from benchmark.core.models import STRICT, parse_json
from benchmark.protocol import EXPRESSIONS, Subset

if TYPE_CHECKING:
    from benchmark.data.edit_lists import EditList

SCHEMA = 1
MOST_BYTES = 1 << 30
"""Largest size of a file of the list in bytes."""
Features = Literal["inception", "efficientnet-lite0"]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
FileName = Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*\.csv$")]
Expression = Annotated[str, StringConstraints(pattern=f"^({'|'.join(EXPRESSIONS)})$")]
LISTING, README = "edits.json", "README.txt"
PICTURES, TRAINING, TRAINING_TABLE = "pictures", "training", "train.csv"


@dataclass(frozen=True, config=STRICT)
class Sheet:
    """The CSV file of one subset."""

    file: FileName
    sha256: Hash
    edits: Annotated[int, Field(ge=1)]
    test_images: Count
    """Number of test pictures that are sources: all but those that already show the only target."""
    key: str
    """SHA-256 of sources, targets, references and seeds."""


@dataclass(frozen=True, config=STRICT)
class TrainingSheet:
    """The CSV file of the training pictures."""

    file: FileName
    sha256: Hash
    pictures: Count
    identities: Count


@dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class _Version:
    schema: int


@dataclass(frozen=True, config=STRICT)
class Listing:
    """The content of `edits.json`, which is enough to make faces, judge and real features and score the edits."""

    suite: str
    title: str
    paper: str
    """Stem of the published table in results/paper, or ""."""
    profile: str
    notice: str
    size: Annotated[int, Field(ge=1, le=1 << 14)]
    """Side of all pictures in pixels."""
    features: Features
    judge_epochs: Count
    allow_small: bool
    targets_per_source: Count | None
    seed: Count
    """Seed of the protocol, for the draw of references and the latent seeds."""
    data: str
    """The value of `--data`, with an absolute path."""
    data_description: str
    faces: str
    """Key of the prepared faces: content, split and size."""
    test_identities: Count
    train_identities: Count
    sheets: Annotated[dict[Subset, Sheet], Field(min_length=1)]
    pictures: Count
    """Number of distinct pictures among sources and references."""
    training: TrainingSheet | None
    """None if the list has no training pictures."""
    targets: tuple[Expression, ...] = ()
    """Target expressions; empty for all."""
    edited: str = ""
    """Key of the prepared faces to edit, if these are not `faces` (non-aligned ones); else ""."""
    columns: tuple[str, ...] = ()
    extra_columns: tuple[str, ...] = ()
    """Columns of the suite."""
    reader_pictures: Count = 0
    """Pictures drawn in the training of the reader; 0 in lists of versions without a reader: take the default."""
    schema: int = SCHEMA

    def edit_list(self, subset: Subset) -> EditList:
        """Return the edit list of a subset, the same as for the benchmark's own methods."""
        from benchmark.data.edit_lists import EditList

        return EditList(subset, self.seed, self.targets_per_source, targets=self.targets)

    def same_as(self, other: Listing) -> bool:
        """Whether both have the same edits and files; the data set's path is ignored."""
        return dataclasses.replace(self, data=other.data) == other

    def dump(self) -> str:
        """Return the text of `edits.json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def file_name(subset: Subset, number: int, target: str) -> str:
    """Return the file name of an edit, numbered from 1: `fp-00017-happy.png`.

    It is lower-case ASCII, for any file system, and unique over both subsets, which may share a folder.
    """
    return f"{subset.lower().replace('&', '')}-{number:05d}-{target}.png"


def read_listing(folder: Path) -> Listing:
    """Read the list in a folder. Raises UserError if it is missing, damaged or of another version."""
    path = folder / LISTING
    try:
        content = read_regular(path, MOST_BYTES)
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} holds no list of edits (no {LISTING}): python -m benchmark.edits writes one"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): write the list again") from error
    try:
        if (schema := parse_json(_Version, content, f"{path} is damaged").schema) != SCHEMA:
            raise UserError(f"{path} has schema {schema}, and this version reads {SCHEMA}")
        listing = parse_json(Listing, content, f"{path} is damaged")
        if listing.paper:
            paper_path(listing.paper, f"in {path}")
    except UserError as error:
        raise UserError(f"{error}: write the list again") from error
    return listing


def expected_files(folder: Path, subset: Subset, sheet: Sheet) -> list[str]:
    """Return the `file` column of a sheet.

    Raises UserError if the sheet is not the file that was written, or rows were removed, repeated or swapped.
    """
    path = folder / sheet.file
    try:
        rows = list(csv.DictReader(io.StringIO(read_sheet(folder, sheet), newline="")))
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file ({error}): write the list again") from error
    names = [row.get("file") or "" for row in rows]
    expected = [file_name(subset, number, row.get("target") or "") for number, row in enumerate(rows, 1)]
    if len(rows) != sheet.edits or names != expected:
        raise UserError(
            f"{path} is damaged: it must have the {sheet.edits:,} rows that {LISTING} records, numbered in order: "
            "write the list again"
        )
    return names


def read_sheet(folder: Path, sheet: Sheet | TrainingSheet) -> str:
    """Read the text of a CSV file and check its hash. Raises UserError if it has changed."""
    path = folder / sheet.file
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): write the list again") from error
    if hashlib.sha256(content).hexdigest() != sheet.sha256:
        raise UserError(f"{path} is not the file that {LISTING} records (another SHA-256): write the list again")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8 (byte {error.start}): write the list again") from error
