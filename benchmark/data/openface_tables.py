"""Assign OpenFace's CSV files, and rows of them, to pictures.

A file of the picture's name (FaceLandmarkImg's), beside it or in OpenFace's output folder there or in a folder above;
or one file for a whole folder (FeatureExtraction's), whose rows name their pictures or number them: by the number at
the end of the pictures' names, or in the order of their names, in which OpenFace reads a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from benchmark.core.errors import UserError
from benchmark.core.files import open_regular
from benchmark.data.openface import MARKS, NoFaceError, OpenFace, Row, face_of, read_face, read_rows
from benchmark.data.picture_files import OPENFACE_FOLDERS, is_picture

NAME_COLUMNS = ("file", "filename", "file_name", "image", "image_name", "imagename", "name", "path", "picture")
FRAME, FACE = "frame", "face_id"
_LAST_NUMBER = re.compile(r"\d{1,18}$")


@dataclass(frozen=True)
class FaceTable:
    """A CSV file and, where it is a whole folder's, the rows of one picture: those with `value` in `column`."""

    path: Path
    column: str = ""
    value: str = ""

    def read(self) -> OpenFace:
        """Return the face of the picture. Raises UserError as `openface.read_face`."""
        if not self.column:
            return read_face(self.path)
        columns, rows = _rows_by_value(self.path, self.column, _modified(self.path))
        if self.value not in rows:
            raise NoFaceError(f"{self.path} has no line of {self.column} {self.value}")
        faces = [row.cells[FACE] for row in rows[self.value]] if self.column == FRAME and FACE in columns else []
        if twofold := next((face for face in faces if faces.count(face) > 1), ""):
            raise UserError(
                f"{self.path} has face {twofold[:40]} of frame {self.value[:40]} twice: are two files in one? Keep one "
                "of the lines"
            )
        return face_of(self.path, columns, rows[self.value])


@dataclass(frozen=True)
class FaceTables:
    """The table of each picture, and the files that could not be assigned, each with the reason as a sentence."""

    by_picture: Mapping[Path, FaceTable]
    unusable: tuple[str, ...]


def find_tables(
    root: Path, pictures: Iterable[Path], exclude: Sequence[Path] = (), folder_table: Path | None = None
) -> FaceTables:
    """Find the tables of pictures below `root`. exclude: CSV files that are not OpenFace's. folder_table: the file of a
    whole folder, which comes before all others.
    """
    wanted = list(pictures)
    search = _Search(root, frozenset(picture.stem for picture in wanted), frozenset(exclude), folder_table)
    by_picture: dict[Path, FaceTable] = {}
    unusable: dict[str, None] = {}
    for picture in wanted:
        try:
            table = search.table_of(picture)
        except UserError as error:
            unusable[str(error)] = None
        else:
            if table is not None:
                by_picture[picture] = table
    # A file elsewhere than beside its picture does not say which of two pictures of one name it belongs to.
    claims: dict[FaceTable, set[Path]] = {}
    for picture, table in by_picture.items():
        claims.setdefault(table, set()).add(picture.parent)
    for picture, table in list(by_picture.items()):
        if len(claims[table]) > 1:
            del by_picture[picture]
            unusable[f"{table.path}: pictures in {len(claims[table])} folders are named {picture.stem}"] = None
    return FaceTables(by_picture, tuple(unusable))


class _Search:
    """Search folders, each of them once."""

    def __init__(self, root: Path, stems: frozenset[str], exclude: frozenset[Path], folder_table: Path | None) -> None:
        self._root, self._stems, self._exclude, self._folder_table = root, stems, exclude, folder_table
        self._files: dict[Path, dict[str, Path]] = {}
        self._shared: dict[Path, list[tuple[Path, str]]] = {}
        self._numbers: dict[tuple[Path, Path], dict[str, int]] = {}

    def table_of(self, picture: Path) -> FaceTable | None:
        """Find the table of a picture. Raises UserError where frames cannot be assigned to pictures."""
        if self._folder_table is not None:
            if len(self._stems) == 1 and not _key_column_if_any(self._folder_table):
                return FaceTable(self._folder_table)  # one picture's own file
            return self._row_of(picture, self._folder_table, _key_column(self._folder_table))
        above = [picture.parent, *picture.parent.parents]
        near = above[: above.index(self._root) + 1] if self._root in above else above[:1]
        directories = [folder / name for folder in near for name in (".", *OPENFACE_FOLDERS)]
        for directory in directories:
            if picture.stem in self._files_in(directory):
                return FaceTable(self._files_in(directory)[picture.stem])
        for directory in directories:
            for path, column in self._shared_in(directory):
                of_folder = column != FRAME or directory.parent == picture.parent or directory == picture.parent
                if of_folder or path.stem == picture.parent.name:
                    table = self._row_of(picture, path, column)
                    if table is not None:
                        return table
        return None

    def _files_in(self, folder: Path) -> dict[str, Path]:
        """Return a folder's CSV files by stem."""
        if folder not in self._files:
            try:
                paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv")
            except OSError:
                paths = []
            kept = [path for path in reversed(paths) if path not in self._exclude and not path.name.startswith(".")]
            self._files[folder] = {path.stem: path for path in kept}
        return self._files[folder]

    def _shared_in(self, folder: Path) -> list[tuple[Path, str]]:
        """Return a folder's files with rows of several pictures, each with the column that names the picture."""
        if folder not in self._shared:
            paths = [path for stem, path in self._files_in(folder).items() if stem not in self._stems]
            self._shared[folder] = [(path, column) for path in paths if (column := _key_column_if_any(path))]
        return self._shared[folder]

    def _row_of(self, picture: Path, path: Path, column: str) -> FaceTable | None:
        """Return the rows of a picture; None where the file names others."""
        if column == FRAME:
            frames = _frames(path, _modified(path))
            if (path, picture.parent) not in self._numbers:
                self._numbers[path, picture.parent] = _frame_numbers(picture.parent, sorted(frames), path)
            return FaceTable(path, FRAME, frames[self._numbers[path, picture.parent][picture.name]])
        by_name = _values_by_name(path, column, _modified(path))
        values = sorted({*by_name.get(picture.name, ()), *by_name.get(picture.stem, ())})
        matching = [value for value in values if _lies_in(value, picture.parent)]
        if len(matching) > 1:
            raise UserError(f"{path}: '{matching[0]}' and '{matching[1]}' both name {picture.name}")
        return FaceTable(path, column, matching[0]) if matching else None


def _lies_in(value: str, folder: Path) -> bool:
    """Return whether the folders in a cell's path are the parents of the picture."""
    named = _parts(value)[:-1]
    return not named or folder.parts[-len(named) :] == named


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(value.replace("\\", "/")).parts if part not in ("/", ".", ".."))


def _frame_numbers(folder: Path, frames: Sequence[int], path: Path) -> dict[str, int]:
    """Return the frame of each picture of a folder, by name. Raises UserError where it is ambiguous."""
    names = sorted(path.name for path in folder.iterdir() if is_picture(path) and not path.name.startswith("."))
    matches = [_LAST_NUMBER.search(Path(name).stem) for name in names]
    by_number = {name: int(match[0]) for name, match in zip(names, matches, strict=True) if match}
    fits_number = len(set(by_number.values())) == len(names) and set(by_number.values()) <= set(frames)
    by_order = dict(zip(names, frames, strict=False))
    fits_order = len(frames) == len(names) and frames[-1] - frames[0] == len(frames) - 1
    if fits_number and fits_order and by_number != by_order:
        raise UserError(
            f"{path}: frames may be the numbers in the pictures' names or their places in the order of names, which "
            "differ: give the numbers leading zeros, and let OpenFace read the folder again"
        )
    if fits_number or fits_order:
        return by_number if fits_number else by_order
    raise UserError(
        f"{path} has {len(frames):,} frames, and {folder} has {len(names):,} pictures whose names do not end in the "
        "frames' numbers: which belong together is not known"
    )


def _key_column_if_any(path: Path) -> str:
    """Return the column that assigns rows to pictures; "" where there is none, or the file is not OpenFace's."""
    try:
        with open_regular(path) as stream:
            header = stream.readline(1 << 16).decode("utf-8-sig", "replace")
        names = {name.strip() for name in header.split(",")}
        return _key_column(path) if (MARKS | {"AU01_r"}) & names else ""
    except (OSError, UserError):
        return ""


def _key_column(path: Path) -> str:
    """Return the column that assigns rows of OpenFace's file to pictures. Raises UserError where there is none."""
    columns, rows = _folder_rows(path, _modified(path))
    by_lower = {name.lower(): name for name in columns}
    for name in NAME_COLUMNS:
        if name in by_lower:
            return by_lower[name]
    if FRAME not in columns or len({row.cells[FRAME] for row in rows}) < 2:
        raise UserError(f"{path} has no column that names pictures, and not several frames: it is not a whole folder's")
    return FRAME


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _folder_rows(path: Path, _modified: int) -> tuple[list[str], list[Row]]:
    return read_rows(path)


@lru_cache(maxsize=4)
def _rows_by_value(path: Path, column: str, modified: int) -> tuple[list[str], dict[str, list[Row]]]:
    columns, rows = _folder_rows(path, modified)
    by_value: dict[str, list[Row]] = {}
    for row in rows:
        by_value.setdefault(row.cells[column], []).append(row)
    return columns, by_value


@lru_cache(maxsize=4)
def _values_by_name(path: Path, column: str, modified: int) -> dict[str, list[str]]:
    """Return the cells of a column by the file name at their end."""
    by_name: dict[str, list[str]] = {}
    for value in _rows_by_value(path, column, modified)[1]:
        if parts := _parts(value):
            by_name.setdefault(parts[-1], []).append(value)
    return by_name


@lru_cache(maxsize=4)
def _frames(path: Path, modified: int) -> dict[int, str]:
    """Return the text of each number in the file."""
    return {int(row.number(FRAME)): row.cells[FRAME] for row in _folder_rows(path, modified)[1]}
