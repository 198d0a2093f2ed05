"""What stands in for a face that was not found, where all cameras stay where they are.

In this order: the mirrored pose (the cameras fire at once, and the one on the other side sees the same face mirrored),
the same person at that camera with another gaze, the mean of all faces found at that camera. Only faces that were found
stand in, never one that stands in itself.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.data.photos.index import Photo
from benchmark.protocol import GAZES, LANDMARK_MIRROR

ORDER = ("the table", "OpenFace", "dlib", "mirrored pose", "another gaze", "the camera's mean", "nobody")
"""Who may say where a face's landmarks are; the first that can does."""
LEAST = 0.1
"""Share of a camera's faces that must have been found for their mean to stand in for the others: a handful that a
detector of frontal faces finds at a profile camera are not like the rest."""
SHAPE = 1.25
"""By which factor a picture that is wide, where its camera's usually are high, may differ from them (or the other way
round): one that lies on its side has its face elsewhere."""
MIRRORED_GAZE = {"frontal": "frontal", "left": "right", "right": "left"}
Place = tuple[str, str, int, str]
"""Person, expression, camera, gaze."""


@dataclass(frozen=True)
class LocatedFace:
    """A face that was found: 68 x 2 landmarks in pixels, centres at integers, of a picture of this size."""

    landmarks: np.ndarray
    width: int
    height: int

    @property
    def shares(self) -> np.ndarray:
        """The landmarks as fractions of the picture's centred square, from its corner: a copy that was cut to it has
        its face where the whole picture has it.
        """
        corner, side = _centred(self.width, self.height)
        return np.asarray((self.landmarks + 0.5 - corner) / side)


def find_stand_ins(
    photos: Sequence[Photo], seen: Mapping[int, LocatedFace], sizes: Mapping[int, tuple[int, int]]
) -> dict[int, StandIn]:
    """What stands in for the faces of `sizes` (number of the photo to width and height) that are not `seen`; those for
    which nothing does are not in it, nor pictures that lie on their side where that camera's others stand.
    """
    at = {place_of(photos[number]): face.shares for number, face in seen.items()}
    by_camera: dict[int, list[np.ndarray]] = {}
    for number, face in seen.items():
        by_camera.setdefault(photos[number].camera, []).append(face.shares)
    every = Counter(photos[number].camera for number in sizes)
    mean = {camera: np.mean(shares, 0) for camera, shares in by_camera.items() if len(shares) >= LEAST * every[camera]}
    shapes: dict[int, list[float]] = {}
    for number, (width, height) in sizes.items():
        shapes.setdefault(photos[number].camera, []).append(width / height)
    usual = {camera: statistics.median_low(found) for camera, found in shapes.items()}
    stand_ins = {}
    for number, size in sizes.items():
        if number in seen or _lies(size[0] / size[1], usual[photos[number].camera]):
            continue
        found = _stand_in(place_of(photos[number]), at, mean)
        if found is not None:
            corner, side = _centred(*size)
            stand_ins[number] = StandIn(found[0] * side + corner - 0.5, found[1])
    return stand_ins


def _centred(width: int, height: int) -> tuple[np.ndarray, int]:
    """Corner and side of the centred square, to half a pixel."""
    side = min(width, height)
    return np.array([(width - side) / 2, (height - side) / 2]), side


def _lies(shape: float, usual: float) -> bool:
    """Whether a picture (width to height) lies on its side."""
    return (shape - 1) * (usual - 1) < 0 and abs(math.log(shape / usual)) > math.log(SHAPE)


@dataclass(frozen=True)
class StandIn:
    """Landmarks in pixels, and one of `ORDER`."""

    landmarks: np.ndarray
    by: str


def place_of(photo: Photo) -> Place:
    """What two pictures have in common that show the same."""
    return photo.identity, photo.expression, photo.camera, photo.gaze


def mirrored_place(place: Place) -> Place:
    """What the camera on the other side sees at the same moment, in the mirror."""
    person, expression, camera, gaze = place
    return person, expression, 180 - camera, MIRRORED_GAZE[gaze]


def _stand_in(
    place: Place, at: Mapping[Place, np.ndarray], mean: Mapping[int, np.ndarray]
) -> tuple[np.ndarray, str] | None:
    person, expression, camera, gaze = place
    other_side = at.get(mirrored_place(place)) if camera != 90 else None
    if other_side is not None:
        points = other_side[list(LANDMARK_MIRROR)]
        return np.stack([1 - points[:, 0], points[:, 1]], 1), "mirrored pose"
    for other in GAZES:
        found = at.get((person, expression, camera, other)) if other != gaze else None
        if found is not None:
            return found, "another gaze"
    return (mean[camera], "the camera's mean") if camera in mean else None
