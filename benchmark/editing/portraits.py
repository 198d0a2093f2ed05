"""Photographs as a model wants them: framed as its training pictures are, with what is known of the face."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import UnidentifiedImageError

from benchmark.core.errors import UserError
from benchmark.data.framing import Framed, Framing, frame
from benchmark.data.openface import read_face
from benchmark.data.photo import cut_square, read_upright
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, LANDMARKS, Knowledge

TABLE = "faces.parquet"
REACH = 0.5
"""Pixels by which a square may reach outside its picture before that is worth a word."""


@dataclass(frozen=True)
class Known:
    """What is known of the face in a picture. landmarks: 68 x 2 in the picture's pixels; units: 17 in [0, 5]."""

    landmarks: np.ndarray | None = None
    units: np.ndarray | None = None
    expression: str | None = None


@dataclass(frozen=True)
class Portrait:
    """A photograph, framed. image: S x S x 3 uint8; units: 17 float32 in [0, 5]; landmarks: 68 x 2 float32 in pixels
    of `image`; NaN where unknown. label: index into `EXPRESSIONS`, -1 where unknown. box: left, top, right, bottom of
    the square in the upright photograph.
    """

    image: np.ndarray
    units: np.ndarray
    landmarks: np.ndarray
    label: int
    framed: Framed

    @property
    def hash(self) -> str:
        """Of the framed picture and what is known of it: of all that an edit takes from the source."""
        parts = (self.image, self.units, self.landmarks)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]

    def lacks(self, needed: frozenset[Knowledge]) -> list[Knowledge]:
        """What of `needed` is unknown."""
        values = {"units": self.units, "landmarks": self.landmarks}
        return [what for what in sorted(needed) if np.isnan(values[what]).any()]


class PortraitReader:
    """Reads photographs for a model that edits pictures of `size` px. `openface` is a folder with OpenFace's CSV files,
    named as the pictures are; else they lie beside the pictures. `say` is told how a picture was framed, where a person
    should know.
    """

    def __init__(self, size: int, framing: Framing, openface: Path | None, say: Callable[[str], None]) -> None:
        self.size, self.framing, self.openface = size, framing, openface
        self._say = say
        self._tables: dict[Path, pd.DataFrame | None] = {}

    def read(self, path: Path, name: Path | None = None) -> Portrait:
        """One photograph. `name` is its path below the folder that was asked for. Raises UserError with the reason, in
        one line that leaves the picture's name to the caller.
        """
        called = name or Path(path.name)
        known = self.known(path, called)
        try:
            picture = read_upright(path)
            framed = frame(known.landmarks, *picture.size, self.framing)
            image = cut_square(picture, framed.square, self.size)
        except (OSError, ValueError) as error:
            raise UserError(_reason(error, path)) from error
        self._remark(called, framed, picture.size)
        landmarks = None if known.landmarks is None else framed.square.moved(known.landmarks, self.size)
        return Portrait(
            image,
            _or_unknown(known.units, len(ACTION_UNITS)),
            _or_unknown(landmarks, LANDMARKS, 2),
            -1 if known.expression is None else EXPRESSIONS.index(known.expression),
            framed,
        )

    def known(self, path: Path, name: Path) -> Known:
        """From OpenFace's CSV of the picture, or the table of the rendered set that it belongs to."""
        places = [path.with_suffix(".csv")]
        if self.openface is not None:
            places.insert(0, (self.openface / name).with_suffix(".csv"))
        for place in places:
            if place.is_file():
                face = read_face(place)
                return Known(face.landmarks, face.units)
        return self._rendered(path)

    def _rendered(self, path: Path) -> Known:
        """What `faces.parquet` beside a picture says of it; nothing where there is none."""
        table = self._table(path.parent)
        if table is None or path.suffix != ".png" or path.stem not in table.index:
            return Known()
        row = table.loc[path.stem]
        landmarks = np.asarray(row["landmarks"], np.float64).reshape(-1, 2)
        units = row[list(ACTION_UNITS)].to_numpy(np.float64)
        if landmarks.shape != (LANDMARKS, 2) or row["expression"] not in EXPRESSIONS:
            raise UserError(f"{path.parent / TABLE} is damaged at {path.stem}: is it a rendered set?")
        return Known(
            landmarks if np.isfinite(landmarks).all() else None,
            units if np.isfinite(units).all() else None,
            str(row["expression"]),
        )

    def _table(self, folder: Path) -> pd.DataFrame | None:
        """The face table of a rendered set, by face."""
        if folder not in self._tables:
            file = folder / TABLE
            if not file.is_file():
                self._tables[folder] = None
                return None
            try:
                columns = ["face_id", "expression", "landmarks", *ACTION_UNITS]
                table = pd.read_parquet(file, columns=columns).drop_duplicates("face_id")
            except (OSError, ValueError, KeyError) as error:
                raise UserError(
                    f"{file} is no table of a rendered set ({_reason(error, file)}): move it away"
                ) from error
            self._tables[folder] = table.set_index("face_id")
        return self._tables[folder]

    def _remark(self, name: Path, framed: Framed, size: tuple[int, int]) -> None:
        """What a person should know of how a picture was framed."""
        if framed.how == "centre":
            self._say(f"centre square: no landmarks for {name}")
        outside = framed.square.outside(*size)
        if outside > REACH:
            self._say(f"edge repeated: the square of {name} reaches {outside:.0f} px outside the picture")
        if framed.square.side < self.size:
            self._say(f"enlarged: the square of {name} has {framed.square.side:.0f} px, the model's has {self.size}")


def _or_unknown(values: np.ndarray | None, *shape: int) -> np.ndarray:
    return np.full(shape, np.nan, np.float32) if values is None else values.astype(np.float32)


def _reason(error: Exception, path: Path) -> str:
    """An exception in a few words, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnidentifiedImageError):
        return "no picture that can be read: damaged, or of another kind than its name says"
    return " ".join(str(error).split()).replace(str(path), path.name) or type(error).__name__
