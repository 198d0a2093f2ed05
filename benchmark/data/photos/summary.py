"""The face table of prepared photographs, and the facts and notes that the check-up and every report repeat."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.core.files import read_regular
from benchmark.core.paths import readable
from benchmark.data.faceset import COLUMNS, PLACEMENT
from benchmark.data.photo import MOST_BYTES
from benchmark.data.photos.action_units import Prototypes, action_units_of
from benchmark.data.photos.face_detection import needed_packages
from benchmark.data.photos.index import Photo, PhotoIndex, SetAside, relative
from benchmark.data.photos.inspection import Inspection, PrepareOptions
from benchmark.data.photos.set_aside import ASIDE, count_reasons
from benchmark.data.photos.stand_ins import ORDER
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, LANDMARKS

if TYPE_CHECKING:
    import pandas as pd

SHOWN_NAMES, SHOWN_FOLDERS = 3, 4
ENLARGED = 1.05
"""Factors above this one are reported."""


@dataclass(frozen=True)
class UsedPhoto:
    """A picture that is used: its number in the index, its inspection, its landmarks and their source (`ORDER`)."""

    number: int
    photo: Photo
    inspection: Inspection
    landmarks: np.ndarray | None
    by: str

    def prepared_landmarks(self, size: int) -> np.ndarray:
        """Return the landmarks in pixels of the prepared picture: 136 float32, NaN where unknown."""
        if self.landmarks is None or self.inspection.square is None:
            return np.full(2 * LANDMARKS, np.nan, np.float32)
        return self.inspection.square.moved(self.landmarks, size).astype(np.float32).ravel()


def face_table(
    used: Sequence[UsedPhoto], root: Path, options: PrepareOptions, prototypes: Prototypes, test: frozenset[str]
) -> tuple[pd.DataFrame, str]:
    """Return the table of the prepared faces, and a note on their action units. test: the test identities."""
    import pandas as pd

    photos = [each.photo for each in used]
    units = action_units_of(photos, [each.inspection.units for each in used], prototypes)
    landmarks = [each.prepared_landmarks(options.size) for each in used]
    squares = [each.inspection.square for each in used]
    table = pd.DataFrame(
        {
            "face_id": [photo.face_id for photo in photos],
            "identity": [photo.identity for photo in photos],
            "group": [photo.group for photo in photos],
            "expression": [photo.expression for photo in photos],
            "camera": [photo.camera for photo in photos],
            "gaze": [photo.gaze for photo in photos],
            **{name: units.values[:, column].astype(np.float32) for column, name in enumerate(ACTION_UNITS)},
            "landmarks": landmarks,
            "visible": [np.full(LANDMARKS, bool(np.isfinite(points).all())) for points in landmarks],
            "split": ["test" if photo.identity in test else "train" for photo in photos],
            "file": [relative(photo.path, root) for photo in photos],
            "width": [each.inspection.width for each in used],
            "height": [each.inspection.height for each in used],
            "turned": [each.inspection.turned for each in used],
            "landmarks_by": [each.by for each in used],
            "units_by": units.by,
            "square": [list(square.box()) if square else [] for square in squares],
        }
    )
    if options.how == "uncropped":
        table[PLACEMENT] = options.how
    assert set(COLUMNS) <= set(table.columns)
    return table, units.note


def preparation_facts(
    index: PhotoIndex,
    options: PrepareOptions,
    inspections: Sequence[Inspection],
    used: Sequence[UsedPhoto],
    table: pd.DataFrame,
    aside: Sequence[SetAside],
    notes: Sequence[str],
    grey: int,
) -> dict[str, Any]:
    """Return the counts of a check-up and the notes. notes: on action units and split; grey: how many grey pictures are
    used because most are.
    """
    useless = [each.inspection.useless for each in used if each.inspection.useless]
    useless = [text.replace(f"{index.root}/", "") for text in (*index.unusable, *useless)]
    units_note, split_note = notes
    every = [
        units_note,
        _landmark_note(table),
        split_note,
        *_picture_notes(index, options, inspections, used, table, useless),
        f"{grey:,} pictures are grey: most of the set is, so they were kept." if grey else "",
        f"{_files(len(aside))} set aside: {count_reasons(aside)} ({ASIDE} has each)." if aside else "",
    ]
    return {
        "aside": dict(Counter(file.reason for file in aside)),
        "left_out": dict(index.left_out),
        "others": index.others,
        "landmarks_by": _count_in_order(table["landmarks_by"], ORDER),
        "units_by": {name: int(count) for name, count in table["units_by"].value_counts().items()},
        "turned": _turned(table),
        "useless": useless,
        "detector": needed_packages() if "dlib" in set(table["landmarks_by"]) else {},
        "notes": [note for note in every if note],
    }


def _picture_notes(
    index: PhotoIndex,
    options: PrepareOptions,
    inspections: Sequence[Inspection],
    used: Sequence[UsedPhoto],
    table: pd.DataFrame,
    useless: Sequence[str],
) -> list[str]:
    """Write the notes on the pictures that are used; "" for each that does not apply."""
    lost = [name for name in EXPRESSIONS if name not in set(table["expression"])]
    return [
        f"No picture shows: {', '.join(lost)}." if lost else "",
        _turned_note(_turned(table)),
        f"{_files(len(useless))} written by OpenFace and could not be used: benchmark.prepare names them."
        if useless
        else "",
        _enlarged_note(used, options.size),
        _copies_note(index, inspections),
        _names_note(
            used,
            lambda inspection: inspection.other_faces > 0,
            "In {} several faces were found; of those of comparable confidence the largest was taken",
        ),
        _names_note(
            used,
            lambda inspection: not inspection.still,
            "Of {} that are animations or have several pages the first picture was taken",
        ),
    ]


def _turned(table: pd.DataFrame) -> int:
    """Count the pictures that were turned upright."""
    return int((table["turned"] != 0).sum())


def _landmark_note(table: pd.DataFrame) -> str:
    counts = _count_in_order(table["landmarks_by"], ORDER)
    if set(counts) == {"nobody"}:
        return "Landmarks: none were looked for."
    unused = sorted({f"{camera:03d}" for camera in table["camera"][table["landmarks_by"] == ORDER[-1]]})
    where = f" at cameras {' and '.join(unused)}, which no suite uses" if unused else ""
    return f"Landmarks are by {', '.join(f'{name} ({count:,})' for name, count in counts.items())}{where}."


def _turned_note(turned: int) -> str:
    if not turned:
        return ""
    lay = "1 picture lay" if turned == 1 else f"{turned:,} pictures lay"
    return f"{lay} on the side or upside down; faces showed which way is up."


def _enlarged_note(used: Sequence[UsedPhoto], size: int) -> str:
    factors = [size / each.inspection.square.side for each in used if each.inspection.square is not None]
    large = [factor for factor in factors if factor > ENLARGED]
    if not large:
        return ""
    return f"Enlarged, because their faces are small: {len(large):,} of the pictures, {max(large):.1f} times at most."


def _copies_note(index: PhotoIndex, inspections: Sequence[Inspection]) -> str:
    """Return a note on faces with two pictures of different content: the folders whose pictures are used."""
    hashes = {photo.path: each.sha256 for photo, each in zip(index.photos, inspections, strict=True)}
    folders: Counter[tuple[str, str]] = Counter()
    for copy, original in index.copies:
        if original in hashes and _sha256(copy) != hashes[original]:
            folders[relative(original.parent, index.root), relative(copy.parent, index.root)] += 1
    if not folders:
        return ""
    pairs = [f"{used}/ and not {other}/ ({count:,})" for (used, other), count in folders.most_common(SHOWN_FOLDERS)]
    more = ", ..." if len(folders) > len(pairs) else ""
    return (
        f"{folders.total():,} faces are there in two pictures of DIFFERENT content; those used are from "
        f"{', '.join(pairs)}{more}: move the folder away whose pictures are not meant."
    )


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(read_regular(path, MOST_BYTES)).hexdigest()
    except OSError:
        return ""


def _names_note(used: Sequence[UsedPhoto], chosen: Callable[[Inspection], bool], sentence: str) -> str:
    """Return a sentence with the number of chosen pictures in place of `{}`, and the first of their names."""
    names = [each.photo.path.name for each in used if chosen(each.inspection)]
    if not names:
        return ""
    count = "1 picture" if len(names) == 1 else f"{len(names):,} pictures"
    shown = ", ".join(map(readable, names[:SHOWN_NAMES])) + (", ..." if len(names) > SHOWN_NAMES else "")
    return f"{sentence.format(count)} ({shown})."


def _count_in_order(values: pd.Series[str], order: Sequence[str]) -> dict[str, int]:
    counts = Counter(values)
    return {name: counts[name] for name in order if counts[name]}


def _files(count: int) -> str:
    return "1 file was" if count == 1 else f"{count:,} files were"
