"""Read photographs for a model: framed as its training pictures, with the annotations of their faces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.core.errors import UserError, why_unreadable
from benchmark.core.files import fault_of
from benchmark.data.face_table import KNOWN, read_face_table
from benchmark.data.framing import Framed, Framing, frame
from benchmark.data.openface import NoFaceError
from benchmark.data.openface_tables import FaceTable, find_tables
from benchmark.data.photo import cut_square, read_photograph
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, LANDMARKS, Knowledge

TABLE = "faces.parquet"
REACH = 0.5
"""Pixels by which a square may reach outside its picture without a message."""


@dataclass(frozen=True)
class Known:
    """What is known of the face in a picture. landmarks: 68 x 2 in the picture's pixels; units: 17 in [0, 5].
    not_found: whether OpenFace looked for a face in it and found none.
    """

    landmarks: np.ndarray | None = None
    units: np.ndarray | None = None
    expression: str | None = None
    not_found: bool = False


@dataclass(frozen=True)
class Portrait:
    """A photograph, framed. image: S x S x 3 uint8; units: 17 float32 in [0, 5]; landmarks: 68 x 2 float32 in pixels
    of `image`; NaN where unknown. label: index into `EXPRESSIONS`, -1 where unknown. box: left, top, right, bottom of
    the square in the upright photograph. not_found: see `Known`.
    """

    image: np.ndarray
    units: np.ndarray
    landmarks: np.ndarray
    label: int
    framed: Framed
    not_found: bool = False

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the framed picture and its annotations, all that an edit takes from the source."""
        parts = (self.image, self.units, self.landmarks)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]

    def lacks(self, needed: frozenset[Knowledge]) -> list[Knowledge]:
        """Return the annotations of `needed` that are unknown."""
        values = {"units": self.units, "landmarks": self.landmarks}
        return [name for name in sorted(needed) if np.isnan(values[name]).any()]


class PortraitReader:
    """Reads photographs for a model that edits pictures of `size` px.

    openface: a folder with OpenFace's CSV files, named as the pictures are, or one file for all pictures; else they lie
    beside the pictures. tell: receives a line for each decision on a picture that the user should know of.
    """

    def __init__(self, size: int, framing: Framing, openface: Path | None, tell: Callable[[str], None]) -> None:
        self.size, self.framing, self.openface = size, framing, openface
        self._tell = tell
        self._rendered_tables: dict[Path, pd.DataFrame | None] = {}
        self._face_tables: dict[Path, FaceTable] = {}

    def find_tables(self, root: Path, pictures: Sequence[Path]) -> None:
        """Find OpenFace's tables of pictures below `root` at once: only so can frames be assigned to them. Raises
        UserError where `openface` is one file and cannot be assigned.
        """
        folder_table = self.openface if self.openface is not None and not self.openface.is_dir() else None
        tables = find_tables(root, pictures, folder_table=folder_table)
        self._face_tables |= tables.by_picture
        if folder_table is not None and not tables.by_picture and not tables.unusable:
            raise UserError(
                f"--openface {folder_table} names none of the pictures of --source ({pictures[0].name}, ...)"
            )
        for why in tables.unusable:
            if folder_table is not None:
                raise UserError(f"--openface {why}")
            self._tell(f"not used: {why}")

    def read(self, path: Path, name: Path | None = None) -> Portrait:
        """Read one photograph. name: its path relative to --source.

        Raises UserError with the reason in one line, without the picture's name.
        """
        called = name or Path(path.name)
        known = self.known(path, called)
        try:
            photograph = read_photograph(path)
            picture = photograph.image
            framed = frame(known.landmarks, *picture.size, self.framing)
            image = cut_square(picture, framed.square, self.size)
        except (OSError, ValueError) as error:
            raise UserError(why_unreadable(error, path)) from error
        if not photograph.still:
            self._tell(f"first picture: {called} is an animation or has several pages")
        self._report_framing(called, framed, picture.size)
        landmarks = None if known.landmarks is None else framed.square.moved(known.landmarks, self.size)
        return Portrait(
            image,
            _or_unknown(known.units, len(ACTION_UNITS)),
            _or_unknown(landmarks, LANDMARKS, 2),
            -1 if known.expression is None else EXPRESSIONS.index(known.expression),
            framed,
            known.not_found,
        )

    def known(self, path: Path, name: Path) -> Known:
        """Return the annotations from OpenFace's CSV of the picture, or from the table of its rendered set."""
        table = self._table_of(path, name)
        if table is None:
            return self._rendered(path)
        try:
            face = table.read()
        except NoFaceError:
            self._tell(f"no face: OpenFace found none in {name}")
            return Known(not_found=True)
        if face.others:
            self._tell(f"largest face: OpenFace found {face.others + 1} of comparable confidence in {name}")
        return Known(face.landmarks, face.units)

    def _table_of(self, path: Path, name: Path) -> FaceTable | None:
        if self.openface is not None and self.openface.is_dir():
            for suffix in (".csv", ".CSV"):
                table = (self.openface / name).with_suffix(suffix)
                if fault_of(table) != "is missing":
                    return FaceTable(table)
        if path not in self._face_tables:  # a reference
            self._face_tables |= find_tables(path.parent, [path]).by_picture
        return self._face_tables.get(path)

    def _rendered(self, path: Path) -> Known:
        """Return the annotations in the `faces.parquet` beside a picture; none where there is no such file."""
        table = self._table(path.parent)
        if table is None or path.suffix != ".png" or path.stem not in table.index:
            return Known()
        row = table.loc[path.stem]
        landmarks = np.asarray(row["landmarks"], np.float64).reshape(LANDMARKS, 2)
        return Known(landmarks, row[list(ACTION_UNITS)].to_numpy(np.float64), str(row["expression"]))

    def _table(self, folder: Path) -> pd.DataFrame | None:
        """Return the face table of a rendered set, indexed by face."""
        if folder not in self._rendered_tables:
            file = folder / TABLE
            if fault_of(file) == "is missing":
                self._rendered_tables[folder] = None
                return None
            try:
                table = read_face_table(file, KNOWN)
            except (OSError, ValueError) as error:
                raise UserError(
                    f"{file} is no table of a rendered set ({why_unreadable(error, file)}): move it away"
                ) from error
            self._rendered_tables[folder] = table.set_index("face_id")
        return self._rendered_tables[folder]

    def _report_framing(self, name: Path, framed: Framed, size: tuple[int, int]) -> None:
        """Report how a picture was framed, where it was not simply taken whole."""
        if framed.how == "centre":
            self._tell(f"centre square: no landmarks for {name}")
        outside = framed.square.outside(*size)
        if outside > REACH:
            self._tell(f"edge repeated: the square of {name} reaches {outside:.0f} px outside the picture")
        if framed.square.side < self.size:
            self._tell(f"enlarged: the square of {name} has {framed.square.side:.0f} px, the model's has {self.size}")


def _or_unknown(values: np.ndarray | None, *shape: int) -> np.ndarray:
    return np.full(shape, np.nan, np.float32) if values is None else values.astype(np.float32)
