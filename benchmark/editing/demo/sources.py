"""Pictures that the demo edits: uploaded ones, held in memory alone, and rendered faces of test people."""

from __future__ import annotations

import io
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmark.core.errors import UserError, one_line
from benchmark.data.framing import Framing, frame
from benchmark.data.photo import FORMATS, cut_square, read_photograph
from benchmark.data.photos.face_detection import FaceDetector
from benchmark.data.rendered_set import Rendered
from benchmark.editing.portraits import Portrait
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, LANDMARKS

LARGEST_UPLOAD, LARGEST_PICTURE = 20 << 20, 50_000_000
"""Bytes and pixels of an uploaded picture."""
TOO_MANY_PIXELS = f"This picture is too large: at most {LARGEST_PICTURE // 1_000_000} million pixels."
KEPT = 16
"""Most uploads in memory; the oldest is dropped first."""
PEOPLE = 6
"""Rendered people to choose from."""
SIZE = 64


class NoPicture(UserError):  # noqa: N818 - the name says what is wrong
    """An upload cannot be edited; the message is a sentence for the person who uploaded it."""


@dataclass(frozen=True)
class Face:
    """A picture with the annotations of its face. landmarks: 68 x 2 in its pixels; units: 17 in [0, 5]; None where
    unknown. expression: a name of `EXPRESSIONS`, or "".
    """

    picture: Image.Image
    landmarks: np.ndarray | None
    units: np.ndarray | None = None
    expression: str = ""
    identity: str = ""

    def portrait(self, size: int, framing: Framing) -> Portrait:
        """Frame the face for a model."""
        framed = frame(self.landmarks, *self.picture.size, framing)
        points = np.full((LANDMARKS, 2), np.nan, np.float32)
        if self.landmarks is not None:
            points = framed.square.moved(self.landmarks, size).astype(np.float32)
        units = np.full(len(ACTION_UNITS), np.nan) if self.units is None else self.units
        label = EXPRESSIONS.index(self.expression) if self.expression else -1
        image = cut_square(self.picture, framed.square, size)
        return Portrait(image, units.astype(np.float32), points, label, framed)


class Uploads:
    """Uploaded faces by random name, in memory alone."""

    def __init__(self) -> None:
        try:
            self._detector: FaceDetector | None = FaceDetector()
        except UserError:  # the extra `photos` is not installed
            self._detector = None
        self._faces: OrderedDict[str, Face] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def finds_faces(self) -> bool:
        """Return whether faces are detected; else pictures are cropped to their centred square."""
        return self._detector is not None

    def add(self, content: bytes) -> str:
        """Store an upload in memory and return its name. Raises NoPicture for a file that cannot be edited."""
        picture = _decoded(content)
        landmarks = None
        if self._detector is not None:
            detection = self._detector.detect(picture, fine=True)
            if detection is None:
                raise NoPicture(
                    "No face was found in this picture. It should be seen from the front, and not be small."
                )
            landmarks = detection.landmarks
        with self._lock:
            name = secrets.token_urlsafe(12)
            self._faces[name] = Face(picture, landmarks)
            while len(self._faces) > KEPT:
                self._faces.popitem(last=False)
        return name

    def get(self, name: str) -> Face | None:
        """Return an uploaded face, or None."""
        with self._lock:
            return self._faces.get(name)


def _decoded(content: bytes) -> Image.Image:
    """Decode an upload, its size checked before. Raises NoPicture."""
    if len(content) > LARGEST_UPLOAD:
        raise NoPicture(f"This file is too large: at most {LARGEST_UPLOAD >> 20} MB.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            width, height = opened.size
    except Image.DecompressionBombError as error:
        raise NoPicture(TOO_MANY_PIXELS) from error
    except Exception as error:  # decoders raise nearly anything
        raise NoPicture("This file is no picture that can be read.") from error
    if width * height > LARGEST_PICTURE:
        raise NoPicture(TOO_MANY_PIXELS)
    if min(width, height) < SIZE // 2:
        raise NoPicture(f"This picture is too small: at least {SIZE // 2} pixels each way.")
    try:
        return read_photograph(content).image
    except (OSError, ValueError) as error:
        raise NoPicture(f"This picture cannot be read: {one_line(error)[:200]}.") from error


def rendered_faces() -> dict[str, Face]:
    """Load test people of the committed set, frontal, in every expression, by name of the face."""
    from benchmark.data.rendered_set import COMMITTED

    faces = Rendered(None, COMMITTED.parent).load(SIZE, lambda _: None)
    table, landmarks, units = faces.table, faces.landmarks, faces.units
    frontal = (table["split"] == "test") & (table["camera"] == 90) & (table["gaze"] == "frontal")
    people = sorted(table.loc[frontal, "identity"].unique())[:PEOPLE]
    return {
        str(table["face_id"].iloc[row]): Face(
            Image.fromarray(faces.images[row]),
            landmarks[row],
            units[row],
            str(table["expression"].iloc[row]),
            str(table["identity"].iloc[row]),
        )
        for row in np.flatnonzero((frontal & table["identity"].isin(people)).to_numpy())
    }
