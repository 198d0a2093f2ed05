"""Stand-ins for faces that were not found, in sets whose cameras stay where they are.

In this order: the mirrored pose (the cameras fire at once, and the one on the other side sees the same face mirrored),
the same person at that camera with another gaze, the mean of all faces found at that camera. Only faces that were found
stand in, never a stand-in itself.
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
"""Sources of landmarks; the first that has them is used."""
LEAST = 0.1
"""Share of a camera's faces that must have been found for their mean to stand in for the others: a handful that a
detector of frontal faces finds at a profile camera are not like the rest."""
SHAPE = 1.25
"""Factor by which the shape of a picture that is wide, where its camera's usually are high, may differ from theirs (or
the other way round): one that lies on its side has its face elsewhere."""
MIRRORED_GAZE = {"frontal": "frontal", "left": "right", "right": "left"}
Pose = tuple[str, str, int, str]
"""Person, expression, camera, gaze."""


@dataclass(frozen=True)
class LocatedFace:
    """A face that was found: 68 x 2 landmarks in pixels, centres at integers, of a picture of this size."""

    landmarks: np.ndarray
    width: int
    height: int

    @property
    def shares(self) -> np.ndarray:
        """Return the landmarks as fractions of the picture's centred square, from its corner.

        So a copy that was cut to the square has the same values.
        """
        corner, side = _centred(self.width, self.height)
        return np.asarray((self.landmarks + 0.5 - corner) / side)


@dataclass(frozen=True)
class StandIn:
    """Landmarks in pixels, and their source, one of `ORDER`."""

    landmarks: np.ndarray
    by: str


def find_stand_ins(
    photos: Sequence[Photo], located: Mapping[int, LocatedFace], sizes: Mapping[int, tuple[int, int]]
) -> dict[int, StandIn]:
    """Find stand-ins for the faces of `sizes` (number of the photo to width and height) that are not `located`. Faces
    without any are left out, as are pictures that lie on their side where that camera's others stand.
    """
    by_pose = {pose_of(photos[number]): face.shares for number, face in located.items()}
    by_camera: dict[int, list[np.ndarray]] = {}
    for number, face in located.items():
        by_camera.setdefault(photos[number].camera, []).append(face.shares)
    total = Counter(photos[number].camera for number in sizes)
    mean = {camera: np.mean(shares, 0) for camera, shares in by_camera.items() if len(shares) >= LEAST * total[camera]}
    shapes: dict[int, list[float]] = {}
    for number, (width, height) in sizes.items():
        shapes.setdefault(photos[number].camera, []).append(width / height)
    usual = {camera: statistics.median_low(values) for camera, values in shapes.items()}
    stand_ins = {}
    for number, size in sizes.items():
        if number in located or _lies(size[0] / size[1], usual[photos[number].camera]):
            continue
        shares, by = _stand_in(pose_of(photos[number]), by_pose, mean)
        if shares is not None:
            corner, side = _centred(*size)
            stand_ins[number] = StandIn(shares * side + corner - 0.5, by)
    return stand_ins


def pose_of(photo: Photo) -> Pose:
    """Return what identifies the pose: person, expression, camera and gaze."""
    return photo.identity, photo.expression, photo.camera, photo.gaze


def mirrored_pose(pose: Pose) -> Pose:
    """Return the pose that the camera on the other side sees at the same moment, mirrored."""
    person, expression, camera, gaze = pose
    return person, expression, 180 - camera, MIRRORED_GAZE[gaze]


def _centred(width: int, height: int) -> tuple[np.ndarray, int]:
    """Return corner and side of the centred square, to half a pixel."""
    side = min(width, height)
    return np.array([(width - side) / 2, (height - side) / 2]), side


def _lies(shape: float, usual: float) -> bool:
    """Return whether a picture (width to height) lies on its side."""
    return (shape - 1) * (usual - 1) < 0 and abs(math.log(shape / usual)) > math.log(SHAPE)


def _stand_in(
    pose: Pose, by_pose: Mapping[Pose, np.ndarray], mean: Mapping[int, np.ndarray]
) -> tuple[np.ndarray | None, str]:
    """Return landmarks as `LocatedFace.shares`, or None, and their source."""
    person, expression, camera, gaze = pose
    other_side = by_pose.get(mirrored_pose(pose)) if camera != 90 else None
    if other_side is not None:
        points = other_side[list(LANDMARK_MIRROR)]
        return np.stack([1 - points[:, 0], points[:, 1]], 1), "mirrored pose"
    for other in GAZES:
        shares = by_pose.get((person, expression, camera, other)) if other != gaze else None
        if shares is not None:
            return shares, "another gaze"
    return mean.get(camera), "the camera's mean"
