"""Any folder of pictures with a table, a CSV file in it:

    path, identity, expression [, group, camera, gaze, AU01_r ... AU45_r, x_0 ... x_67, y_0 ... y_67]

`path` is below the folder. Camera is one of RaFD's codes (090, frontal, where it is not given), gaze frontal, left or
right. The 17 action units (0 to 5) are named as OpenFace names them, stray spaces and all; landmarks are 68 points in
pixels of the upright picture. Names are read whatever their order; columns with other names are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmark.data.openface import Row, X, Y, read_rows
from benchmark.data.photos.listing import Listing, Photo, SetAside, is_picture, relative, scan, tidy
from benchmark.data.photos.source import Photographs
from benchmark.data.spelling import EXPRESSION_OF, expression_of
from benchmark.errors import UserError, did_you_mean
from benchmark.protocol import ACTION_UNITS, CAMERAS, GAZES

NEEDED = ("path", "identity", "expression")
HEADER = "path,identity,expression"


class Folder(Photographs):
    """Pictures and a table."""

    name = "folder"
    title = "the folder"
    like = HEADER
    framing = "face"
    fixed_cameras = False
    test_fraction = 0.15
    prototypes: ClassVar[Mapping[str, Mapping[int, float]]] = {}

    @classmethod
    def listing_of(cls, folder: Path) -> Listing:
        """By the table."""
        table, columns, rows = find_table(folder)
        photos, aside, named = [], [], set()
        for row in rows:
            try:
                photo = photo_of(row, columns, folder)
            except ValueError as error:
                aside.append(SetAside(row.cells[columns["path"]] or row.where, "misnamed", str(error)))
                continue
            named.add(photo.path)
            if photo.path.is_file():
                photos.append(photo)
            else:
                aside.append(SetAside(relative(photo.path, folder), "missing", f"{row.where} names it"))
        files = [path for path in scan(folder) if path not in named]
        strangers = sum(map(is_picture, files))
        left_out = {"pictures that the table does not name": strangers} if strangers else {}
        return tidy(folder, photos, aside, left_out, len(files) - strangers - 1, (table,))


def find_table(folder: Path) -> tuple[Path, dict[str, str], list[Row]]:
    """The one CSV file of the folder's top that has the columns, its columns by their small-letter names, and its
    rows. Raises UserError where there is none, or more than one.
    """
    found = []
    near: list[str] = []
    for path in sorted(folder.glob("*.[cC][sS][vV]")):
        try:
            header, rows = read_rows(path)
        except UserError as error:
            near.append(str(error))
            continue
        columns = {name.lower(): name for name in header}
        missing = [name for name in NEEDED if name not in columns]
        if not missing:
            found.append((path, columns, rows))
        elif len(header) == 1 and re.search(r"[;\t]", header[0]):
            near.append(f"{path} has values separated by '{';' if ';' in header[0] else 'tabs'}': commas are needed")
        elif len(missing) < len(NEEDED):
            near.append(f"{path} has no column '{missing[0]}'{did_you_mean(missing[0], columns)}")
    if len(found) > 1:
        raise UserError(
            f"{folder} has several tables: {found[0][0].name} and {found[1][0].name}; keep one of them there"
        )
    if not found:
        why = near[0] if near else f"there is no CSV file with the columns {HEADER} in {folder}"
        raise UserError(f"--data folder:{folder}: {why}")
    for wanted in (ACTION_UNITS, (*X, *Y)):
        lost = [name for name in wanted if name.lower() not in found[0][1]]
        if 0 < len(lost) < len(wanted):
            raise UserError(f"{found[0][0]}: column {lost[0]} and {len(lost) - 1} more are missing beside the others")
    return found[0]


def photo_of(row: Row, columns: Mapping[str, str], folder: Path) -> Photo:
    """A line of the table. Raises ValueError, beginning with where it is, for one that says nothing known."""

    def cell(name: str, default: str = "") -> str:
        return row.cells[columns[name]] if name in columns else default

    path, identity, word = (cell(name) for name in NEEDED)
    for name, value in zip(NEEDED, (path, identity, word), strict=True):
        if not value:
            raise ValueError(f"{row.where}: no {name}")
    place = Path(path.replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"{row.where}: '{path}' lies outside the folder")
    expression = expression_of(word)
    if expression is None:
        raise ValueError(f"{row.where}: unknown expression '{word}'{did_you_mean(word, EXPRESSION_OF)}")
    camera, gaze = cell("camera") or "90", (cell("gaze") or "frontal").lower()
    if not re.fullmatch(r"\d{1,3}(\.0+)?", camera) or int(float(camera)) not in CAMERAS:
        raise ValueError(f"{row.where}: camera '{camera}' is none of {', '.join(f'{code:03d}' for code in CAMERAS)}")
    if gaze not in GAZES:
        raise ValueError(f"{row.where}: gaze '{gaze}' is none of {', '.join(GAZES)}")
    try:
        units = _numbers(row, columns, ACTION_UNITS, row.unit)
        points = _numbers(row, columns, (*X, *Y), row.number)
    except UserError as error:
        raise ValueError(str(error)) from error
    return Photo(
        folder / place,
        re.sub(r"[^\w.-]", "_", place.with_suffix("").as_posix().replace("/", "__")),
        identity,
        cell("group") or "folder",
        expression,
        int(float(camera)),
        gaze,
        units,
        None if points is None else points.reshape(2, -1).T,
    )


def _numbers(
    row: Row, columns: Mapping[str, str], wanted: Sequence[str], read: Callable[[str], float]
) -> np.ndarray | None:
    """Cells by name; None where the table has no such columns, or the line has nothing in them."""
    names = [columns[name.lower()] for name in wanted if name.lower() in columns]
    return np.array([read(name) for name in names]) if any(row.cells[name] for name in names) else None
