"""The table of a rendered set (`faces.parquet`), checked before anything is made of it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.core.errors import one_line
from benchmark.core.files import read_regular
from benchmark.core.hashes import recorded_sha256
from benchmark.protocol import ACTION_UNIT_MAX, ACTION_UNITS, CAMERAS, EXPRESSIONS, GAZES, LANDMARKS

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES, MOST_ROWS = 1 << 31, 10_000_000
"""Of a table's file, and of a table."""
LARGEST_UNIT = 2 * ACTION_UNIT_MAX
"""Largest value of an action unit on any scale of intensities."""
FARTHEST = 1e5
"""Pixels by which a landmark may lie from the picture's corner; pictures have at most 16,384."""
KNOWN = ("face_id", "expression", *ACTION_UNITS, "landmarks")
"""Columns of annotations."""
NEEDED = ("face_id", "identity", "group", "expression", "camera", "gaze", *ACTION_UNITS, "landmarks", "visible")
"""Columns of a set."""
_WORDS = {"expression": EXPRESSIONS, "camera": CAMERAS, "gaze": GAZES}


def read_face_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Read and parse a file, checked against the SHA-256 recorded beside it, if any.

    Raises OSError where it cannot be read, and ValueError as `parse_face_table` does.
    """
    content = read_regular(path, MOST_BYTES)
    if recorded_sha256(path) not in (None, hashlib.sha256(content).hexdigest()):
        raise ValueError(f"its SHA-256 is not the one in {path.with_suffix('.sha256').name}")
    return parse_face_table(content, columns, optional)


def parse_face_table(content: bytes, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Read a Parquet file and check it: `columns` are there, `optional` ones where the file has them.

    Raises ValueError, saying what is wrong with which face, for a file that is not Parquet or is damaged, a column that
    is missing, a face that is there twice or whose name leads out of the folder, words and cameras that are not the
    protocol's, and action units or landmarks (68 points) that are no finite numbers.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        rows, names = file.metadata.num_rows, set(file.schema_arrow.names)
    except Exception as error:  # Arrow raises many kinds on damaged files
        raise ValueError(f"it is no Parquet file, or a damaged one ({_in_short(error)})") from error
    lacking = [name for name in columns if name not in names]
    if lacking:
        raise ValueError(f"column {lacking[0]}{f' and {len(lacking) - 1} more' if len(lacking) > 1 else ''} is missing")
    if not 0 < rows <= MOST_ROWS:
        raise ValueError(f"it has {rows:,} rows")
    try:
        table = pd.read_parquet(io.BytesIO(content), columns=[*columns, *(name for name in optional if name in names)])
    except Exception as error:  # as above
        raise ValueError(f"it is a damaged Parquet file ({_in_short(error)})") from error
    _check_words(table)
    _check_numbers(table)
    return table


def _check_words(table: pd.DataFrame) -> None:
    faces = table["face_id"]
    for column in ("face_id", "identity", "group", "placement"):
        if column in table and (wrong := [value for value in table[column] if not isinstance(value, str)]):
            raise ValueError(f"column {column} has {_shown(wrong[0])}, which is no text")
    odd = [face for face in faces if not face or "/" in face or "\0" in face or face in (".", "..")]
    if odd:
        raise ValueError(f"{odd[0][:60]!r} is no name of a face")
    twofold = faces[faces.duplicated()]
    if len(twofold):
        raise ValueError(f"face {twofold.iloc[0][:60]} is there twice")
    for column, known in _WORDS.items():
        if column in table:
            wrong_rows = ~table[column].isin(known).to_numpy()
            if wrong_rows.any():
                face, value = faces[wrong_rows].iloc[0], table[column][wrong_rows].iloc[0]
                raise ValueError(f"face {face[:60]} has {column} {_shown(value)}")


def _check_numbers(table: pd.DataFrame) -> None:
    for column in ACTION_UNITS:
        try:
            values = table[column].to_numpy(np.float64)
        except (ValueError, TypeError) as error:
            raise ValueError(f"column {column} has texts for numbers ({_in_short(error)})") from error
        _check_all(table, np.isfinite(values), f"has no finite number as {column}")
        _check_all(table, (values >= 0) & (values <= LARGEST_UNIT), f"has {column} outside 0 to {LARGEST_UNIT:g}")
    for column, length in (("landmarks", 2 * LANDMARKS), ("visible", LANDMARKS)):
        if column not in table:
            continue
        largest = FARTHEST if column == "landmarks" else 1.0
        usable = [_is_list_of_numbers(value, length, largest) for value in table[column]]
        points = f"{LANDMARKS} landmarks in finite numbers of up to {FARTHEST:,.0f}"
        fault = points if column == "landmarks" else f"{length} values of {column} from 0 to 1"
        _check_all(table, np.array(usable), f"has not {fault}")


def _is_list_of_numbers(value: object, length: int, largest: float) -> bool:
    try:
        numbers = np.asarray(value, np.float64)
    except (ValueError, TypeError):
        return False
    return numbers.shape == (length,) and bool((np.abs(numbers) <= largest).all())  # NaN is not


def _check_all(table: pd.DataFrame, right: np.ndarray, fault: str) -> None:
    if not right.all():
        raise ValueError(f"face {str(table['face_id'][~right].iloc[0])[:60]} {fault}")


def _shown(value: object) -> str:
    return repr(value[:40]) if isinstance(value, str) else str(value)[:40]


def _in_short(error: Exception) -> str:
    return one_line(error)[:120] or type(error).__name__
