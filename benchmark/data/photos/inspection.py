"""One picture of a folder: what is wrong with it, where its face is, and its pixels at the size asked for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.core.files import read_regular
from benchmark.data.framing import RAFD, Square, frame
from benchmark.data.openface import OpenFace
from benchmark.data.photo import MOST_BYTES, cut_square, read_photograph, read_upright
from benchmark.data.photos.face_detection import SURE, FaceDetector
from benchmark.data.photos.index import Photo, Reason
from benchmark.protocol import SUBSET_CAMERAS

How = Literal["centre", "face", "uncropped"]
"""Which square of a picture is taken: the centred one; the one in which the face lies where RaFD's centred square has
it; all of it, in the smallest square round it."""

By = Literal["the table", "OpenFace", "dlib"]
"""Who says where the landmarks are."""

GREY = 6
"""Levels by which the channels of a grey picture differ at most, for JPEG's sake."""
ENLARGED = 2
"""By how much the square round a face may be enlarged; what has to be more is `tiny`."""
TURNS = (90, 270, 180)
"""Degrees, counterclockwise, by which a picture without a sure face is turned to look again."""


@dataclass(frozen=True)
class PrepareOptions:
    """How pictures are prepared. find: look for faces where nobody says where they are; fixed: all cameras see faces of
    one size, large ones.
    """

    size: int
    how: How
    find: bool
    fixed: bool


@dataclass(frozen=True)
class Inspection:
    """What was seen. problem: why it can't be used, or None. turned: degrees counterclockwise by which it was turned
    upright, beside its EXIF orientation. useless: why OpenFace's file is of no use, "" where it is or there is none.
    landmarks: 68 x 2 in pixels of the upright picture, or None. square: what was
    cut out, None where that waits for a face from elsewhere.
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

    def fact(self) -> dict[str, Any]:
        """As JSON has it, to the last bit."""
        said = dict(vars(self))
        for name in ("landmarks", "units"):
            said[name] = None if said[name] is None else said[name].tolist()
        said["square"] = None if self.square is None else list(vars(self.square).values())
        return said

    @classmethod
    def of(cls, fact: dict[str, Any]) -> Inspection:
        """What `fact` has said."""
        arrays = {name: None if fact[name] is None else np.array(fact[name]) for name in ("landmarks", "units")}
        square = None if fact["square"] is None else Square(*fact["square"])
        return cls(**{**fact, **arrays, "square": square})


def inspect_photo(
    photo: Photo, options: PrepareOptions, detector: FaceDetector | None
) -> tuple[Inspection, np.ndarray | None]:
    """A picture, and its pixels (size x size x 3 uint8) where its square is known already."""
    try:
        raw = read_regular(photo.path, MOST_BYTES)
    except OSError as error:
        return Inspection("", "broken", f"cannot be read ({error.strerror})"), None
    digest = hashlib.sha256(raw).hexdigest()
    if not raw:
        return Inspection(digest, "truncated", "the file is empty"), None
    try:
        photograph = read_photograph(raw)
    except (OSError, ValueError) as error:
        return Inspection(digest, _reason(error), _one_line(error)), None
    picture = photograph.image
    if min(picture.size) < options.size:
        detail = f"{picture.width} x {picture.height} px, and {options.size} px are asked for"
        return Inspection(digest, "tiny", detail, *picture.size), None
    openface, useless = _read_openface(photo)
    units = photo.units if photo.units is not None else openface.units if openface else None
    landmarks, by, turned, others = _face(photo, picture, openface, options, detector)
    if turned:
        picture = picture.rotate(turned, expand=True)
    try:
        square = _square(landmarks, *picture.size, options)
    except ValueError as error:
        return Inspection(digest, "landmarks", _one_line(error), *picture.size), None
    if options.how == "face" and square is not None and square.side * ENLARGED < options.size:
        detail = f"the square round its face has {square.side:.0f} px, and {options.size} px are asked for"
        return Inspection(digest, "tiny", detail, *picture.size), None
    seen = Inspection(
        digest, None, "", *picture.size, turned, is_grey(picture), landmarks, by, units, square, useless,
        others, photograph.still,
    )  # fmt: skip
    return seen, None if square is None else cut_square(picture, square, options.size)


def cut_again(path: Path, turned: int, square: Square, size: int) -> np.ndarray:
    """The pixels of a picture whose square came later."""
    picture = read_upright(path)
    return cut_square(picture.rotate(turned, expand=True) if turned else picture, square, size)


def choose_square(landmarks: np.ndarray | None, width: int, height: int, how: How) -> Square | None:
    """The square to cut; None where it needs the landmarks, and nobody has them yet. Raises ValueError for landmarks
    that are not of this picture.
    """
    found = frame(landmarks, width, height, RAFD)
    if how == "centre":
        return Square.centred(width, height)
    if how == "uncropped":
        side = max(width, height)
        return Square((width - side) / 2, (height - side) / 2, side)
    return None if landmarks is None else found.square


def _square(landmarks: np.ndarray | None, width: int, height: int, options: PrepareOptions) -> Square | None:
    """The square; the centred one where nobody will ever say where the face is."""
    found = choose_square(landmarks, width, height, options.how)
    return Square.centred(width, height) if found is None and not options.find else found


def is_grey(picture: Image.Image) -> bool:
    """Whether an RGB picture has no colour to speak of."""
    small = np.asarray(picture.resize((32, 32), Image.Resampling.BOX), np.int16)
    return bool((small.max(2) - small.min(2)).max() <= GREY)


def has_landmarks(photo: Photo) -> bool:
    """Whether somebody says where the face is, so that nobody has to look."""
    if photo.landmarks is not None:
        return True
    openface, _ = _read_openface(photo)
    return openface is not None and openface.landmarks is not None


def _read_openface(photo: Photo) -> tuple[OpenFace | None, str]:
    """What OpenFace says of a picture, and why its file is of no use."""
    if photo.openface is None:
        return None, ""
    try:
        return photo.openface.read(), ""
    except UserError as error:
        return None, str(error)


def _face(
    photo: Photo,
    picture: Image.Image,
    openface: OpenFace | None,
    options: PrepareOptions,
    detector: FaceDetector | None,
) -> tuple[np.ndarray | None, By | None, int, int]:
    """Landmarks, their source, degrees by which the picture has to be turned, and how many other faces are in it."""
    if photo.landmarks is not None:
        return photo.landmarks, "the table", 0, openface.others if openface else 0
    if openface is not None and openface.landmarks is not None:
        return openface.landmarks, "OpenFace", 0, openface.others
    if detector is None or not options.find:
        return None, None, 0, 0
    found = [(0, detector.detect(picture, fine=not options.fixed))]
    # LocatedFace from before, hardly a face is missed: the picture may lie. LocatedFace from elsewhere, a wide one may.
    may_lie = photo.camera == 90 or (picture.width > picture.height and photo.camera in SUBSET_CAMERAS["F&P"])
    if may_lie and (found[0][1] is None or found[0][1].score < SURE):
        found += [(turned, detector.detect(picture.rotate(turned, expand=True))) for turned in TURNS]
    best = max(found, key=lambda item: item[1].score if item[1] else -1.0)
    return (best[1].landmarks, "dlib", best[0], best[1].others) if best[1] else (None, None, 0, 0)


def _reason(error: Exception) -> Reason:
    return "truncated" if "truncated" in str(error).lower() else "broken"


def _one_line(error: Exception) -> str:
    """What a decoder says, without the addresses of what it read from."""
    return re.sub(r"<[^>]* at 0x[0-9a-f]+>", "the file", " ".join(str(error).split()))[:160]
