"""OpenFace's CSV files (Baltrusaitis et al., 2018): landmarks and action units of the faces it found.

FaceLandmarkImg writes a row for each face of a picture, FeatureExtraction one for each frame of a video or picture of a
folder. Columns differ between versions and options and have stray spaces before their names, so they are read by name
alone: `x_0` to `x_67` and `y_0` to `y_67` (pixels of the upright picture), `AU01_r` to `AU45_r` (0 to 5), `confidence`,
`success`, `frame`.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.core.errors import UserError, did_you_mean
from benchmark.core.files import read_regular
from benchmark.protocol import ACTION_UNIT_MAX, ACTION_UNITS, LANDMARKS

X, Y = (tuple(f"{axis}_{number}" for number in range(LANDMARKS)) for axis in "xy")
MARKS = frozenset({"confidence", "success", "face", "face_id", "frame", "timestamp", "x_0", "pose_Tx", "gaze_0_x"})
"""Columns that only OpenFace's files have."""
MOST_BYTES = 1 << 28
COMPARABLE = 0.8
"""Faces with at least this share of the highest confidence are comparable; others are ignored."""


class NoFaceError(UserError):
    """OpenFace found no face in a picture."""


@dataclass(frozen=True)
class OpenFace:
    """One face. landmarks: 68 x 2 float64 (x, y) in pixels, centres at integers; units: 17 float64 in [0, 5], in the
    order of `protocol.ACTION_UNITS`; each None where the file has no such columns. others: how many smaller faces of
    comparable confidence the picture has.
    """

    landmarks: np.ndarray | None
    units: np.ndarray | None
    others: int = 0


@dataclass(frozen=True)
class Row:
    """A line of a file, its cells by column; `where` begins errors: `a.csv, line 3`."""

    where: str
    cells: Mapping[str, str]

    def number(self, column: str) -> float:
        """Return a cell as a number. Raises UserError where it is not finite."""
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            hint = ": decimals are written with a point" if _DECIMAL_COMMA.fullmatch(text) else ""
            raise UserError(f"{self.where}: column {column} is '{text[:40]}', not a number{hint}")
        return value

    def unit(self, column: str) -> float:
        """Return the intensity of an action unit. Raises UserError outside 0 to 5."""
        return intensity(self.number(column), f"{self.where}: column {column}")

    def numbers(self, columns: Sequence[str]) -> np.ndarray:
        """Return several cells as numbers."""
        return np.array([self.number(column) for column in columns])


_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


def read_face(path: Path) -> OpenFace:
    """Return the face in the file of one picture, as `face_of` does.

    Raises UserError also for the frames of a video: the file does not say which of them is the picture.
    """
    columns, rows = read_rows(path)
    frames = {row.cells["frame"] for row in rows} if "frame" in columns else set()
    if len(frames) > 1:
        raise UserError(
            f"{path} has {len(frames):,} frames of a video or a folder, and one picture is meant: keep the lines of "
            "its frame alone"
        )
    return face_of(path, columns, rows)


def face_of(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> OpenFace:
    """Return the face that rows of a file describe.

    Of several, it is the largest of those whose confidence is comparable with the highest; of equal ones, the more
    confident. Rows whose `success` is 0 are skipped.

    Raises UserError, naming file and column, for a file that is not OpenFace's, lacks columns, has values that are no
    numbers, or has several faces and nothing that tells which is the largest; NoFaceError where no face was found.
    """
    has_landmarks, has_units = _complete(path, columns, (*X, *Y)), _complete(path, columns, ACTION_UNITS)
    if not has_landmarks and not has_units:
        raise UserError(f"{path} has neither landmarks (x_0, ...) nor action units (AU01_r, ...): is it OpenFace's?")
    faces = [row for row in rows if "success" not in columns or row.number("success") > 0]
    if not faces:
        why = f"success is 0 in all {len(rows)} rows" if rows else "it has no rows"
        raise NoFaceError(f"{path}: OpenFace found no face ({why})")
    highest = max(map(_confidence, faces))
    sure = [row for row in faces if _confidence(row) >= COMPARABLE * highest]
    if len(sure) > 1 and not has_landmarks:
        raise UserError(
            f"{path} has {len(sure)} faces, and no landmarks (x_0, ...) that tell which is the largest: keep the line "
            "of one"
        )
    face = max(sure, key=lambda row: (_extent(row), _confidence(row))) if has_landmarks else sure[0]
    landmarks = _landmarks(face) if has_landmarks else None
    units = np.array([face.unit(name) for name in ACTION_UNITS]) if has_units else None
    return OpenFace(landmarks, units, len(sure) - 1)


def _landmarks(row: Row) -> np.ndarray:
    return np.stack([row.numbers(X), row.numbers(Y)], 1)


def _extent(row: Row) -> float:
    """Return the area of the landmarks' bounding box in whole square pixels, so that shifted copies are equal."""
    return round(float(np.ptp(_landmarks(row), axis=0).prod()))


def read_units(path: Path) -> np.ndarray:
    """Read 17 action units in [0, 5] from OpenFace's CSV or a plain one. Raises UserError.

    A plain one has a line of names and a line of values, or a line `name,value` for each action unit. Names are
    `AU12_r` or `AU12`; action units that are not named are 0.
    """
    _, columns = _lines(path)[0]
    if MARKS & set(columns):
        units = read_face(path).units
        if units is None:
            raise UserError(f"{path} has no action units (AU01_r, ...): let OpenFace write them (-aus)")
        return units
    entries = _named_columns(path) if len(columns) != 2 or _is_unit(columns[1]) else _named_lines(path)
    values = dict.fromkeys(ACTION_UNITS, 0.0)
    for where, name, text in entries:
        if _full(name) not in values:
            raise UserError(f"{where}: no action unit '{name}'{did_you_mean(_full(name), ACTION_UNITS)}")
        values[_full(name)] = Row(where, {name: text}).unit(name)
    return np.array(list(values.values()))


def intensity(value: float, where: str) -> float:
    """Return `value`. Raises UserError where an action unit cannot have it."""
    if not 0 <= value <= ACTION_UNIT_MAX:
        raise UserError(f"{where} is {value:g}, and intensities are 0 to {ACTION_UNIT_MAX:g}")
    return value


def _confidence(row: Row) -> float:
    return row.number("confidence") if "confidence" in row.cells else 1.0


def _complete(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether the columns exist. Raises UserError where only some of them do."""
    missing = [name for name in wanted if name not in columns]
    if missing and len(missing) < len(wanted):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{path}: column {missing[0]}{more} is missing")
    return not missing


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the lines that are not empty (at least one): line number and stripped cells."""
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""))
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no CSV file in UTF-8 (byte {error.start}): save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file ({error})") from error
    filled = [(number, cells) for number, cells in lines if any(cells)]
    if not filled:
        raise UserError(f"{path} is empty")
    first = text[: text.find("\n")] if "\n" in text else text
    commas = re.sub(r"(?<=\d),(?=\d)", "", first).count(",")  # without those of decimals
    separator = next((sign for sign in ";\t" if first.count(sign) > commas), "")
    if separator:
        decimals = ", and decimals with points" if re.search(r"\d,\d", text) else ""
        raise UserError(
            f"{path} has values separated by {'semicolons' if separator == ';' else 'tabs'}: save it with commas "
            f"between values{decimals}"
        )
    return filled


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Return the stripped header of a CSV file, and the rows below it.

    Raises UserError for duplicate columns and lines of another length.
    """
    (_, header), *lines = _lines(path)
    for name in header:
        if name and header.count(name) > 1:
            raise UserError(f"{path}: column {name} is there twice")
    for number, line in lines:
        if len(line) != len(header):
            why = (
                "is the file cut off?"
                if len(line) < len(header)
                else "are decimals, or texts without quotation marks, written with commas?"
            )
            raise UserError(f"{path}, line {number}: {len(line)} values for {len(header)} columns: {why}")
    rows = [Row(f"{path}, line {number}", dict(zip(header, line, strict=True))) for number, line in lines]
    return header, rows


def read_header(path: Path) -> list[str]:
    """Return the first line of a CSV file that is not empty, without stray spaces. Raises UserError as `read_rows`."""
    return _lines(path)[0][1]


def _is_unit(name: str) -> bool:
    return _full(name) in ACTION_UNITS


def _full(name: str) -> str:
    """Return OpenFace's name of the intensity of `AU12` or `AU12_r`."""
    upper = name.upper()
    return f"{upper.removesuffix('_R')}_r"


def _named_columns(path: Path) -> list[tuple[str, str, str]]:
    """Return place, name and value of a line of names and a line of values; presences (`AU12_c`) are skipped."""
    first = _lines(path)[0][1]
    if any(map(_is_number, first)) or (len(first) == 1 and " " in first[0]):
        plural = "s" if len(first) > 1 else ""
        raise UserError(
            f"{path}, {first[0][:40]}: {len(first)} value{plural}, and name,value is needed: a comma between the two, "
            "and decimals with points"
        )
    _, rows = read_rows(path)
    if len(rows) != 1:
        raise UserError(f"{path} has {len(rows)} lines of values below its names: one is needed")
    return [(rows[0].where, name, text) for name, text in rows[0].cells.items() if not name.endswith("_c")]


def _named_lines(path: Path) -> list[tuple[str, str, str]]:
    """Return place, name and value of lines `name,value`, with or without a header."""
    lines = [cells for _, cells in _lines(path)]
    if not _is_unit(lines[0][0]) and not _is_number(lines[0][1]):
        lines = lines[1:]
    entries: dict[str, tuple[str, str, str]] = {}
    for line in lines:
        where = f"{path}, {line[0] or 'a line without a name'}"
        if len(line) != 2:
            raise UserError(f"{where}: {len(line)} values, and name,value is needed")
        if _full(line[0]) in entries:
            raise UserError(f"{where} is there twice")
        entries[_full(line[0])] = (where, line[0], line[1])
    if not entries:
        raise UserError(f"{path} names no action unit")
    return list(entries.values())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
