"""Write a list of edits into a folder, complete or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.config.profiles import Profile
from benchmark.config.suites import Suite
from benchmark.core.artifacts import whole_folder
from benchmark.core.cli import check_writable
from benchmark.core.errors import UserError
from benchmark.core.files import folder_fault_of
from benchmark.data.faceset import FaceSet
from benchmark.data.split import lowest_ranked
from benchmark.external.listing import (
    LISTING,
    PICTURES,
    README,
    TRAINING,
    TRAINING_TABLE,
    Listing,
    Sheet,
    TrainingSheet,
    read_listing,
    read_sheet,
)
from benchmark.external.readme import readme
from benchmark.external.sheets import edit_sheet, picture_name, training_name, training_sheet
from benchmark.metrics.own_network import OWN_KEY
from benchmark.protocol import EDIT_SEED, SUBSET_CAMERAS, Subset
from benchmark.stages.prepare import Prepare

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Content:
    """A list of edits to write. texts, pictures (S x S x 3 uint8, memory-mapped): by file name."""

    listing: Listing
    texts: dict[str, str]
    pictures: dict[str, np.ndarray]


@dataclass(frozen=True)
class PreparedFaces:
    """A finished prepare stage and its faces."""

    stage: Prepare
    faces: FaceSet


def gather(
    suite: Suite, profile: Profile, data: str, trained: PreparedFaces, edited: PreparedFaces, training: bool
) -> Content:
    """Collect the content of a list of edits.

    trained: faces to train on. edited: faces to edit, the same except in a suite of non-aligned faces. training:
    whether the list has the training pictures. Raises UserError where the faces allow no edit, or no training.
    """
    subsets = list(dict.fromkeys(row.data for row in suite.rows))
    sheets, texts, pictures = _edit_sheets(suite, profile, subsets, edited.faces)
    sources = len(pictures)
    identities = lowest_ranked(trained.faces.identities("train"), profile.train_identities)
    part = None
    if training:
        chosen = _training_rows(trained.faces, subsets, identities)
        texts[TRAINING_TABLE] = training_sheet(trained.faces, chosen)
        part = TrainingSheet(TRAINING_TABLE, _sha256(texts[TRAINING_TABLE]), len(chosen), len(identities))
        pictures |= {training_name(number): trained.faces.images[row] for number, row in enumerate(chosen, 1)}
    listing = Listing(
        suite=suite.name,
        title=suite.title,
        paper=suite.paper,
        profile=profile.name,
        notice=profile.notice,
        size=profile.size,
        features=profile.features,
        judge_epochs=profile.judge_epochs,
        reader_pictures=profile.reader_budget,
        allow_small=profile.allow_small,
        targets_per_source=profile.targets_per_source,
        seed=EDIT_SEED,
        data=data,
        data_description="; edited: ".join(dict.fromkeys(one.stage.source.describe() for one in (trained, edited))),
        faces=trained.stage.recipe.key,
        test_identities=len(edited.faces.identities("test")),
        train_identities=len(identities),
        sheets=sheets,
        pictures=sources,
        training=part,
        targets=suite.targets,
        columns=submission_columns(suite.columns),
        extra_columns=submission_columns(suite.extra_columns),
        edited=edited.stage.recipe.key if edited is not trained else "",
    )
    texts[README] = readme(listing)
    texts[LISTING] = listing.dump()
    return Content(listing, texts, pictures)


def _edit_sheets(
    suite: Suite, profile: Profile, subsets: Sequence[Subset], faces: FaceSet
) -> tuple[dict[Subset, Sheet], dict[str, str], dict[str, np.ndarray]]:
    """Return the sheets by subset, their texts by file name, and the pictures that they name.

    Raises UserError where the faces allow no edit.
    """
    from benchmark.data.edit_lists import edit_lists, list_key

    wanted = {subset: edit_lists(subset, profile.targets_per_source, suite.targets)[0] for subset in subsets}
    lists = {subset: edits.make(faces) for subset, edits in wanted.items()}
    used = sorted({int(row) for edits in lists.values() for row in (*edits["source"], *edits["reference"])})
    names = {row: picture_name(faces.images[row]) for row in used}
    sheets: dict[Subset, Sheet] = {}
    texts: dict[str, str] = {}
    for subset, edits in lists.items():
        file = f"edits-{subset.lower().replace('&', '')}.csv"
        texts[file] = edit_sheet(subset, edits, faces, names)
        key = list_key(edits, faces.table["face_id"])
        test = edits["source"].nunique() if suite.targets else len(faces.rows(subset, "test"))
        sheets[subset] = Sheet(file, _sha256(texts[file]), len(edits), test, key)
    return sheets, texts, {name: faces.images[row] for row, name in names.items()}


def submission_columns(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns without those in the user's own networks, which a list does not have."""
    return tuple(key for key in columns if not OWN_KEY.fullmatch(key))


def _training_rows(faces: FaceSet, subsets: list[Subset], identities: list[str]) -> np.ndarray:
    """Return the rows of the training pictures: those of the widest subset, which contains the others."""
    widest = max(subsets, key=lambda subset: len(SUBSET_CAMERAS[subset]))
    chosen = faces.rows(widest, "train", identities)
    if not len(chosen):
        raise UserError(f"no picture of the train identities belongs to subset {widest}")
    return chosen


def check_out(folder: Path) -> None:
    """Raise UserError if a folder has other content than a list of edits, or cannot be written."""
    if folder_fault_of(folder):
        check_writable(folder, "--out")
    elif any(folder.iterdir()) and not (folder / LISTING).is_file():
        raise UserError(f"--out {folder} exists and is no list of edits: choose another folder")


def is_there(folder: Path, content: Content) -> bool:
    """Whether a folder has this list, undamaged; False if it is missing or empty.

    Raises UserError if it has any other content.
    """
    check_out(folder)
    if not folder.exists() or not any(folder.iterdir()):
        return False
    existing = read_listing(folder)
    if not existing.same_as(content.listing):
        raise UserError(
            f"--out {folder} holds another list ({existing.suite}, profile {existing.profile}, {existing.data}"
            f"{'' if existing.training else ', without training pictures'}): choose another folder, or remove it"
        )
    for sheet in existing.sheets.values():
        read_sheet(folder, sheet)
    if existing.training:
        read_sheet(folder, existing.training)
    lost = [name for name in content.pictures if not (folder / name).is_file()]
    if lost:
        raise UserError(
            f"--out {folder} holds this list, but {len(lost)} of its pictures are missing ({lost[0]}): remove it"
        )
    return True


def write(folder: Path, content: Content, advance: Advance) -> None:
    """Write into a temporary folder beside `folder`, then rename it.

    advance: called with the number of pictures written since the last call. Raises UserError if nothing can be written.
    """
    with whole_folder(folder, "--out") as partial:
        for name in (PICTURES, *([TRAINING] if content.listing.training else [])):
            (partial / name).mkdir()
        for name, picture in content.pictures.items():
            Image.fromarray(np.asarray(picture)).save(partial / name)
            advance(1)
        for name, text in content.texts.items():
            (partial / name).write_text(text, encoding="utf-8", newline="\n")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
