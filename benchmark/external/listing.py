"""What a folder of edits holds, as its `edits.json` says: suite, profile, data set, and a CSV file for each subset."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from benchmark.core.errors import UserError
from benchmark.protocol import EXPRESSIONS, SUBSETS, Subset

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.data.edit_lists import EditList

SCHEMA = 1
Features = Literal["inception", "efficientnet-lite0"]
LISTING, README = "edits.json", "README.txt"
PICTURES, TRAINING, TRAINING_TABLE = "pictures", "training", "train.csv"


@dataclass(frozen=True)
class Sheet:
    """The CSV file of one subset."""

    file: str
    sha256: str
    edits: int
    test_images: int
    """Test pictures of the subset that are sources: all but those that show the only target already."""
    key: str
    """SHA-256 over what is asked for: sources, targets, references and seeds."""


@dataclass(frozen=True)
class TrainingSheet:
    """The CSV file of the training pictures."""

    file: str
    sha256: str
    pictures: int
    identities: int


@dataclass(frozen=True)
class Listing:
    """All of `edits.json`: enough to make the faces, the judge and the real features that the edits are scored with."""

    suite: str
    title: str
    paper: str
    """Stem of the published table in results/paper, or ""."""
    profile: str
    notice: str
    size: int
    """Side of all pictures in pixels."""
    features: Features
    judge_epochs: int
    allow_small: bool
    targets_per_source: int | None
    seed: int
    """Of the draw of references and of the latent seeds: the protocol's own."""
    data: str
    """What `--data` was, its folder absolute."""
    data_description: str
    faces: str
    """Key of the prepared faces: content, split and size."""
    test_identities: int
    train_identities: int
    sheets: dict[Subset, Sheet]
    pictures: int
    """Different pictures among the sources and references."""
    training: TrainingSheet | None
    """None where the list was written without."""
    targets: tuple[str, ...] = ()
    """The expressions edited to; all where it is empty."""
    edited: str = ""
    """Key of the prepared faces that are edited, where those are not `faces`: of non-aligned ones."""
    schema: int = SCHEMA

    def edit_list(self, subset: Subset) -> EditList:
        """The edits of a subset as the harness asks its own methods for them."""
        from benchmark.data.edit_lists import EditList

        return EditList(subset, self.seed, self.targets_per_source, targets=self.targets)

    def same_as(self, other: Listing) -> bool:
        """Whether both ask for the same and hold the same files; where the data set lay is no part of it."""
        return dataclasses.replace(self, data=other.data) == other

    def dump(self) -> str:
        """The text of `edits.json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def file_name(subset: Subset, number: int, target: str) -> str:
    """The file expected for an edit, counted from 1: `fp-00017-happy.png`. Lower-case ASCII that every file system
    takes, and one of its own for every edit, so that both subsets may share a folder.
    """
    return f"{subset.lower().replace('&', '')}-{number:05d}-{target}.png"


def list_key(edits: pd.DataFrame, face_ids: pd.Series[str]) -> str:
    """SHA-256 over the edits of a list, whatever the file they are written in looks like."""
    digest = hashlib.sha256()
    references = face_ids.iloc[edits["reference"].to_numpy()]
    for row in zip(edits["source_id"], edits["target"], references, edits["seed"], strict=True):
        digest.update(("|".join(map(str, row)) + "\n").encode())
    return digest.hexdigest()


def read_listing(folder: Path) -> Listing:
    """The list in a folder. Raises UserError where there is none, or one of another version."""
    path = folder / LISTING
    if not path.is_file():
        raise UserError(f"{folder} holds no list of edits (no {LISTING}): python -m benchmark.edits writes one")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        schema = raw["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): write the list again") from error
    if schema != SCHEMA:
        raise UserError(f"{path} has schema {schema}, and this version reads {SCHEMA}: write the list again")
    try:
        return _listing(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}): write the list again") from error


def _listing(raw: dict[str, Any]) -> Listing:
    """Raises KeyError or TypeError where something is missing, too much, or of another type."""
    sheets = {subset: Sheet(**sheet) for subset, sheet in raw["sheets"].items()}
    training = TrainingSheet(**raw["training"]) if raw["training"] else None
    targets = tuple(raw.get("targets", ()))
    listing = Listing(**{**raw, "sheets": sheets, "training": training, "targets": targets})
    counts = (listing.size, listing.judge_epochs, listing.seed, listing.targets_per_source or 0)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise TypeError("size, judge_epochs, seed and targets_per_source must be whole numbers")
    if not sheets or not set(sheets) <= set(SUBSETS) or listing.features not in get_args(Features):
        raise TypeError("unknown subset or features")
    if not set(targets) <= set(EXPRESSIONS) or not isinstance(listing.edited, str):
        raise TypeError("unknown targets or edited faces")
    return listing


def expected_files(folder: Path, sheet: Sheet) -> list[str]:
    """The `file` column of a sheet. Raises UserError where the sheet is not the one that was written."""
    text = read_sheet(folder, sheet)
    return [row["file"] for row in csv.DictReader(text.splitlines())]


def read_sheet(folder: Path, sheet: Sheet | TrainingSheet) -> str:
    """The text of a CSV file, held against its hash. Raises UserError where it has changed."""
    path = folder / sheet.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): write the list again") from error
    if hashlib.sha256(content).hexdigest() != sheet.sha256:
        raise UserError(f"{path} is not the file that {LISTING} speaks of: write the list again")
    return content.decode("utf-8")
