"""Inspect one picture: what is wrong with it, where its face is, and its pixels at the size asked for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from benchmark.core.errors import UserError, one_line
from benchmark.core.files import read_regular
from benchmark.data.framing import RAFD, Square, frame
from benchmark.data.openface import OpenFace
from benchmark.data.photo import MOST_BYTES, cut_square, read_photograph, read_upright
from benchmark.data.photos.face_detection import SURE, FaceDetector
from benchmark.data.photos.index import Photo, Reason
from benchmark.protocol import SUBSET_CAMERAS

How = Literal["centre", "face", "uncropped"]
"""Which square of a picture is cut: the centred one; the one in which the face lies where RaFD's centred square has it;
the smallest square round the whole picture."""

By = Literal["the table", "OpenFace", "dlib"]
"""The source of landmarks."""

GREY = 6
"""Levels by which the channels of a grey picture differ at most; JPEG's rounding makes some difference."""
ENLARGED = 2
"""Factor by which the square round a face may be enlarged; more makes the picture `tiny`."""
TURNS = (90, 270, 180)
"""Degrees, counterclockwise, by which a picture without a sure face is turned before another detection."""


@dataclass(frozen=True)
class PrepareOptions:
    """How pictures are prepared. find: detect faces where no landmarks are given; fixed: all cameras see faces of one
    size, large ones.
    """

    size: int
    how: How
    find: bool
    fixed: bool


@dataclass(frozen=True)
class FaceLocation:
    """Landmarks of a face and their source; None where no face was found.

    landmarks: 68 x 2 in pixels of the picture after it was turned by `turned` degrees counterclockwise. others: number
    of other faces of comparable confidence.
    """

    landmarks: np.ndarray | None = None
    by: By | None = None
    turned: int = 0
    others: int = 0


@dataclass(frozen=True)
class Inspection:
    """The result of inspecting one picture.

    problem: why it cannot be used, or None. width, height, landmarks (68 x 2 or None) and square: of the picture turned
    upright, by its EXIF orientation and by `turned` degrees counterclockwise. square: None where it depends on a face
    that was not found. useless: why OpenFace's file is of no use, "" where it is of use or absent. other_faces: faces
    beside the one used. still: whether the file holds one picture.
    """

    sha256: str
    problem: Reason | None = None
    detail: str = ""
    width: int = 0
    height: int = 0
    turned: int = 0
    grey: bool = False
    landmarks: np.ndarray | None = None
    by: By | None = None
    units: np.ndarray | None = None
    square: Square | None = None
    useless: str = ""
    other_faces: int = 0
    still: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them, exact to the last bit."""
        fields = dict(vars(self))
        for name in ("landmarks", "units"):
            fields[name] = None if fields[name] is None else fields[name].tolist()
        fields["square"] = None if self.square is None else list(vars(self.square).values())
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Inspection:
        """Return the inverse of `as_json`."""
        arrays = {name: None if fields[name] is None else np.array(fields[name]) for name in ("landmarks", "units")}
        square = None if fields["square"] is None else Square(*fields["square"])
        return cls(**{**fields, **arrays, "square": square})


def inspect_photo(
    photo: Photo, options: PrepareOptions, detector: FaceDetector | None
) -> tuple[Inspection, np.ndarray | None]:
    """Inspect a picture. Returns its pixels (size x size x 3 uint8), too, where its square is known already."""
    try:
        content = read_regular(photo.path, MOST_BYTES)
    except OSError as error:
        return Inspection("", "broken", f"cannot be read ({error.strerror})"), None
    digest = hashlib.sha256(content).hexdigest()
    if not content:
        return Inspection(digest, "truncated", "the file is empty"), None
    try:
        photograph = read_photograph(content)
    except (OSError, ValueError) as error:
        reason: Reason = "truncated" if "truncated" in str(error).lower() else "broken"
        return Inspection(digest, reason, _decoder_message(error)), None
    picture = photograph.image
    if min(picture.size) < options.size:
        detail = f"{picture.width} x {picture.height} px, and {options.size} px are asked for"
        return Inspection(digest, "tiny", detail, *picture.size), None
    openface, useless = _read_openface(photo)
    units = photo.units if photo.units is not None else openface.units if openface else None
    face = _locate_face(photo, picture, openface, options, detector)
    if face.turned:
        picture = picture.rotate(face.turned, expand=True)
    try:
        square = choose_square(face.landmarks, *picture.size, options.how)
    except ValueError as error:
        return Inspection(digest, "landmarks", _decoder_message(error), *picture.size), None
    if square is None and not options.find:
        square = Square.centred(*picture.size)  # no face will be found
    if options.how == "face" and square is not None and square.side * ENLARGED < options.size:
        detail = f"the square round its face has {square.side:.0f} px, and {options.size} px are asked for"
        return Inspection(digest, "tiny", detail, *picture.size), None
    inspection = Inspection(
        digest, None, "", *picture.size, face.turned, is_grey(picture), face.landmarks, face.by, units, square, useless,
        face.others, photograph.still,
    )  # fmt: skip
    return inspection, None if square is None else cut_square(picture, square, options.size)


def cut_again(path: Path, turned: int, square: Square, size: int) -> np.ndarray:
    """Crop again once the crop box is known: size x size x 3 uint8."""
    picture = read_upright(path)
    return cut_square(picture.rotate(turned, expand=True) if turned else picture, square, size)


def choose_square(landmarks: np.ndarray | None, width: int, height: int, how: How) -> Square | None:
    """Return the square to cut; None where it depends on landmarks that are not known yet.

    Raises ValueError for landmarks that are not of this picture.
    """
    framed = frame(landmarks, width, height, RAFD)
    if how == "centre":
        return Square.centred(width, height)
    if how == "uncropped":
        side = max(width, height)
        return Square((width - side) / 2, (height - side) / 2, side)
    return None if landmarks is None else framed.square


def is_grey(picture: Image.Image) -> bool:
    """Return whether an RGB picture has next to no colour."""
    small = np.asarray(picture.resize((32, 32), Image.Resampling.BOX), np.int16)
    return bool((small.max(2) - small.min(2)).max() <= GREY)


def has_landmarks(photo: Photo) -> bool:
    """Return whether landmarks are given, so that no face has to be detected."""
    if photo.landmarks is not None:
        return True
    openface, _ = _read_openface(photo)
    return openface is not None and openface.landmarks is not None


def _read_openface(photo: Photo) -> tuple[OpenFace | None, str]:
    """Return OpenFace's face of a picture, and why its file cannot be used."""
    if photo.openface is None:
        return None, ""
    try:
        return photo.openface.read(), ""
    except UserError as error:
        return None, str(error)


def _locate_face(
    photo: Photo,
    picture: Image.Image,
    openface: OpenFace | None,
    options: PrepareOptions,
    detector: FaceDetector | None,
) -> FaceLocation:
    if photo.landmarks is not None:
        return FaceLocation(photo.landmarks, "the table", 0, openface.others if openface else 0)
    if openface is not None and openface.landmarks is not None:
        return FaceLocation(openface.landmarks, "OpenFace", 0, openface.others)
    if detector is None or not options.find:
        return FaceLocation()
    detections = [(0, detector.detect(picture, fine=not options.fixed))]
    # Frontal faces are rarely missed, so the picture may lie on its side; at other cameras only a wide one may.
    may_lie = photo.camera == 90 or (picture.width > picture.height and photo.camera in SUBSET_CAMERAS["F&P"])
    if may_lie and (detections[0][1] is None or detections[0][1].score < SURE):
        detections += [(turn, detector.detect(picture.rotate(turn, expand=True))) for turn in TURNS]
    turned, best = max(detections, key=lambda item: item[1].score if item[1] else -1.0)
    return FaceLocation() if best is None else FaceLocation(best.landmarks, "dlib", turned, best.others)


def _decoder_message(error: Exception) -> str:
    """Return a decoder's message in one line, without addresses of objects."""
    return re.sub(r"<[^>]* at 0x[0-9a-f]+>", "the file", one_line(error))[:160]
