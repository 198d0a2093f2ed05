"""Any folder of pictures with a table, a CSV file in it:

    path, identity, expression [, group, camera, gaze, AU01_r ... AU45_r, x_0 ... x_67, y_0 ... y_67]

`path` is below the folder. Camera is one of RaFD's codes (090, frontal, where it is not given), gaze frontal, left or
right. The 17 action units (0 to 5) are named as OpenFace names them, stray spaces and all; landmarks are 68 points in
pixels of the upright picture. Names are read whatever their order; columns with other names are passed over.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmark.core.errors import UserError, did_you_mean
from benchmark.core.paths import printable
from benchmark.data.layouts import layout_of
from benchmark.data.openface import Row, X, Y, read_header, read_rows
from benchmark.data.photos.index import (
    Photo,
    PhotoIndex,
    SetAside,
    build_index,
    most_frequent,
    relative,
)
from benchmark.data.photos.source import Photographs
from benchmark.data.picture_files import FolderWalk, is_picture
from benchmark.data.source import NotThisDataSetError
from benchmark.data.spelling import EXPRESSION_OF, expression_of
from benchmark.protocol import ACTION_UNITS, CAMERAS, GAZES

NEEDED = ("path", "identity", "expression")
HEADER = "path,identity,expression"
READ = frozenset(name.lower() for name in (*NEEDED, "group", "camera", "gaze", *ACTION_UNITS, *X, *Y))
LONGEST, LONGEST_PATH = 255, 4095
"""Most bytes of a name and of a path on common file systems."""


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
    def title_of(cls, folder: Path) -> str:
        """Recognise a folder by its table."""
        try:
            return "pictures with a table" if cls.index_folder(folder).photos else ""
        except UserError:
            return ""

    @classmethod
    def index_folder(cls, folder: Path) -> PhotoIndex:
        """Index the pictures that the table names."""
        table, columns, rows = find_table(folder)
        photos: list[Photo] = []
        aside: list[SetAside] = []
        lines: dict[Path, list[tuple[str, Photo]]] = {}  # by picture: where a line is, and what it describes
        refused: set[Path] = set()
        for row in rows:
            try:
                photo = photo_of(row, columns, folder)
            except ValueError as error:
                name = row.cells[columns["path"]]
                refused.add(folder / _as_path(name))
                aside.append(SetAside(printable(name)[:LONGEST] or row.where, "misnamed", printable(str(error))))
                continue
            lines.setdefault(photo.path, []).append((row.where, photo))
        for path, described in lines.items():
            first = described[0][1]
            where, *others = (line.replace(f"{folder}/", "") for line, _ in described)
            name = relative(path, folder)
            labels = [_labels(photo) for _, photo in described]
            if not os.path.isfile(path):  # noqa: PTH113 - never raises; the walk below names folders it cannot read
                aside.append(SetAside(name, "missing", f"{where} names it"))
            elif len(set(labels)) > 1:
                other = next(line for line, each in zip(others, labels[1:], strict=True) if each != labels[0])
                aside.append(SetAside(name, "misnamed", f"{where} and {other} say different things of it"))
            else:
                photos.append(first)
                aside += [SetAside(name, "twofold", f"{where} names it, and {line}") for line in others]
        photos = _with_unique_ids(_with_groups(photos), folder)
        walk = FolderWalk(folder, frozenset({*lines, *refused}))
        files = [path for path in walk if path not in lines and path not in refused and path != table]
        strangers = sum(map(is_picture, files))
        left_out = {"pictures that the table does not name": strangers} if strangers else {}
        return build_index(walk, photos, aside, left_out, len(files) - strangers, (table,))

    def _why_empty(self, index: PhotoIndex) -> str:
        first = index.aside[0]  # a table has lines
        return (
            f"no line of {index.tables[0]} names a picture that can be used: {first.path}: {first.detail} "
            f"({len(index.aside):,} lines)"
        )


def _labels(photo: Photo) -> tuple[object, ...]:
    """Return the labels in a line of the table, without its numbers."""
    return photo.identity, photo.group, photo.expression, photo.camera, photo.gaze


def _with_groups(photos: Sequence[Photo]) -> list[Photo]:
    """Give pictures without a group the group of their person's other pictures."""
    groups: dict[str, Counter[str]] = {}
    for photo in photos:
        if photo.group:
            groups.setdefault(photo.identity, Counter())[photo.group] += 1
    usual = {name: most_frequent(counts) or "" for name, counts in groups.items()}  # "": the index refuses them
    return [photo if photo.group else replace(photo, group=usual.get(photo.identity, "folder")) for photo in photos]


def _with_unique_ids(photos: Sequence[Photo], folder: Path) -> list[Photo]:
    """Make face ids unique where paths differ only in special characters or the suffix."""
    count = Counter(photo.face_id.lower() for photo in photos)

    def own(photo: Photo) -> str:
        path = photo.path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
        return f"{photo.face_id}-{hashlib.sha256(path).hexdigest()[:8]}"

    return [replace(photo, face_id=own(photo)) if count[photo.face_id.lower()] > 1 else photo for photo in photos]


def find_table(folder: Path) -> tuple[Path, dict[str, str], list[Row]]:
    """Return the CSV file in the folder that has the columns, its columns by lower-case name, and its rows.

    Raises UserError where no file has them, or several have.
    """
    tables = []
    near: list[str] = []
    for path in sorted(folder.glob("[!.]*.[cC][sS][vV]")):
        try:
            header = read_header(path)
        except UserError as error:
            near.append(str(error))
            continue
        columns = {name.lower(): name for name in header}
        missing = [name for name in NEEDED if name not in columns]
        if not missing:
            tables.append((path, columns))
        elif len(missing) < len(NEEDED):
            near.append(f"{path} has no column '{missing[0]}'{did_you_mean(missing[0], columns)}")
    if len(tables) > 1:
        raise UserError(
            f"{folder} has several tables: {tables[0][0].name} and {tables[1][0].name}; keep one of them there"
        )
    if not tables:
        layout = "" if near else layout_of(folder)
        if layout:
            raise NotThisDataSetError(f"{folder} holds {layout}", f"{folder} has no table, and holds")
        why = near[0] if near else f"there is no CSV file with the columns {HEADER} in {folder}"
        raise NotThisDataSetError(f"--data folder:{folder}: {why}", f"{folder} has no table, and holds")
    table, columns = tables[0]
    for name in read_header(table):
        if name.lower() in READ and columns[name.lower()] != name:
            raise UserError(f"{table} has two columns '{name}' and '{columns[name.lower()]}': keep one of them")
    for wanted in (ACTION_UNITS, (*X, *Y)):
        lost = [name for name in wanted if name.lower() not in columns]
        if 0 < len(lost) < len(wanted):
            more = f" and {len(lost) - 1} more are" if len(lost) > 1 else " is"
            raise UserError(f"{table}: column {lost[0]}{more} missing beside the others")
    rows = read_rows(table)[1]
    if not rows:
        raise UserError(f"{table} has a header and no line below it: it needs one for each picture")
    return table, columns, rows


def photo_of(row: Row, columns: Mapping[str, str], folder: Path) -> Photo:
    """Parse a line of the table. Raises ValueError that begins with where the line is."""

    def cell(name: str, default: str = "") -> str:
        return row.cells[columns[name]] if name in columns else default

    path, identity, word = (cell(name) for name in NEEDED)
    for name, value in zip(NEEDED, (path, identity, word), strict=True):
        if not value:
            raise ValueError(f"{row.where}: no {name}")
    relative_path = _as_path(path)
    if relative_path.is_absolute() or ".." in relative_path.parts:
        raise ValueError(f"{row.where}: '{path[:80]}' lies outside the folder")
    if not relative_path.name or "\0" in path:
        raise ValueError(f"{row.where}: '{path[:80]}' is no file's name")
    if (
        max(len(os.fsencode(part)) for part in relative_path.parts) > LONGEST
        or len(os.fsencode(folder / relative_path)) > LONGEST_PATH
    ):
        raise ValueError(f"{row.where}: '{path[:40]}...' is too long for a file's name")
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
        folder / relative_path,
        re.sub(r"[^\w.-]", "_", relative_path.with_suffix("").as_posix().replace("/", "__")),
        identity,
        cell("group"),
        expression,
        int(float(camera)),
        gaze,
        units,
        None if points is None else points.reshape(2, -1).T,
    )


def _as_path(path: str) -> Path:
    """Read a path that may have been written on Windows."""
    return Path(path.replace("\\", "/"))


def _numbers(
    row: Row, columns: Mapping[str, str], wanted: Sequence[str], read: Callable[[str], float]
) -> np.ndarray | None:
    """Return cells by name; None where the table lacks the columns, or the line leaves them empty."""
    names = [columns[name.lower()] for name in wanted if name.lower() in columns]
    return np.array([read(name) for name in names]) if any(row.cells[name] for name in names) else None
