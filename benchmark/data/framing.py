"""Place of the face in a picture, and the square to cut out of another picture so that its face lies there.

Landmarks are in pixels with centres at integers; positions and squares are measured from the picture's corner, so a
picture of 64 pixels reaches from 0 to 64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

How = Literal["whole", "landmarks", "centre"]
"""How a picture was framed: taken whole, by its landmarks, or as its centred square."""

SLACK, LEAST_SLACK = 0.25, 0.01
"""By how much of its width (and of the picture, at least) a range of training pictures is widened before a picture is
framed anew: people whom the model has not seen are not all within what the others were."""

FARTHEST, SMALLEST = 10, 0.01
"""Bounds of a face's position and side in a framing that is read from a file, in sides of the picture."""
LARGEST = 1.5
"""Largest side of a face, in larger sides of its picture, beyond which a face may reach: landmarks with a larger one
are of another picture, or of another size."""


@dataclass(frozen=True)
class FacePosition:
    """The square round a face's landmarks (its centre and side), as fractions of the side of the picture."""

    x: float
    y: float
    side: float

    def is_usable(self) -> bool:
        """Return whether the position is plausible: finite, and within the bounds on a face's position and side."""
        values = (self.x, self.y, self.side)
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        return numbers and all(abs(value) < FARTHEST for value in values) and self.side >= SMALLEST


@dataclass(frozen=True)
class Framing:
    """Place of the face in a model's training pictures: mean and range."""

    mean: FacePosition
    lowest: FacePosition | None = None
    highest: FacePosition | None = None

    @classmethod
    def measured(cls, landmarks: np.ndarray, size: int) -> Framing | None:
        """Return the framing of pictures of `size` px from their landmarks (N x 68 x 2).

        Pictures without landmarks (NaN) are left out; None where no picture has any.
        """
        known = landmarks[np.isfinite(landmarks).all(axis=(1, 2))]
        if not len(known):
            return None
        positions = np.array([face_square(points) for points in known]) / size
        mean, lowest, highest = (
            FacePosition(*np.round(values, 6).tolist())
            for values in (positions.mean(0), positions.min(0), positions.max(0))
        )
        return cls(mean, lowest, highest)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any] | None) -> Framing | None:
        """Build a framing from JSON, the inverse of `as_json`; None for None.

        Raises ValueError for fields that are no framing of a picture.
        """
        if fields is None:
            return None
        try:
            mean = FacePosition(**fields["mean"])
            lowest, highest = (
                FacePosition(**fields[end]) if fields.get(end) else None for end in ("lowest", "highest")
            )
            positions = [each for each in (mean, lowest, highest) if each is not None]
            usable = all(each.is_usable() for each in positions)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"it is no framing ({error})") from error
        if not usable:
            raise ValueError(f"it is no framing ({', '.join(map(str, positions))})"[:200])
        return cls(mean, lowest, highest)

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return asdict(self)

    def covers(self, position: FacePosition) -> bool:
        """Return whether a face is within the range of the training pictures."""
        if self.lowest is None or self.highest is None:
            return False
        low, high, value = (np.array([p.x, p.y, p.side]) for p in (self.lowest, self.highest, position))
        slack = np.maximum(SLACK * (high - low), LEAST_SLACK)
        return bool(((low - slack <= value) & (value <= high + slack)).all())


RAFD = Framing(FacePosition(0.5, 0.53, 0.5), FacePosition(0.4, 0.43, 0.4), FacePosition(0.6, 0.63, 0.6))
"""For checkpoints that do not say (imported ones, data without landmarks): RaFD's centred square, on which the
published pipelines train. Half of its width is face, from brows to chin, a little below the middle. An estimate by eye,
good to about 0.1, for RaFD comes without landmarks; so a square picture whose face is about there is not cut anew."""


@dataclass(frozen=True)
class Square:
    """A square of a picture, in its pixels from the corner; it may reach outside."""

    left: float
    top: float
    side: float

    @classmethod
    def centred(cls, width: int, height: int) -> Square:
        """Return the largest centred square of a picture, on whole pixels."""
        side = min(width, height)
        return cls((width - side) // 2, (height - side) // 2, side)

    def box(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom, to a thousandth of a pixel."""
        return (
            round(self.left, 3),
            round(self.top, 3),
            round(self.left + self.side, 3),
            round(self.top + self.side, 3),
        )

    def outside(self, width: int, height: int) -> float:
        """Return the largest number of pixels by which it reaches outside a picture."""
        return max(0.0, -self.left, -self.top, self.left + self.side - width, self.top + self.side - height)

    def moved(self, landmarks: np.ndarray, size: int) -> np.ndarray:
        """Return landmarks of the picture in pixels of the square, resized to `size`."""
        corner = np.array([self.left, self.top])
        return np.asarray((landmarks.astype(np.float64) + 0.5 - corner) * (size / self.side) - 0.5)


@dataclass(frozen=True)
class Framed:
    """A square, and how it was chosen."""

    square: Square
    how: How


def face_square(landmarks: np.ndarray) -> tuple[float, float, float]:
    """Return centre x, y and side of the square round landmarks (68 x 2), from their bounding box."""
    points = landmarks.astype(np.float64) + 0.5
    low, high = points.min(0), points.max(0)
    x, y = ((low + high) / 2).tolist()
    return x, y, float((high - low).max())


def square_for(landmarks: np.ndarray, framing: Framing) -> Square:
    """Return the square in which the face has the mean position of the training pictures. landmarks: 68 x 2."""
    x, y, extent = face_square(landmarks)
    side = extent / framing.mean.side
    return Square(x - framing.mean.x * side, y - framing.mean.y * side, side)


def frame(landmarks: np.ndarray | None, width: int, height: int, framing: Framing) -> Framed:
    """Return the square to cut out of a picture.

    It is the centred one without landmarks, the whole of a square picture whose face is in the range of the training
    pictures, else that of `square_for`.

    Raises ValueError for landmarks that cannot be of this picture.
    """
    if landmarks is None:
        return Framed(Square.centred(width, height), "centre")
    x, y, side = face_square(landmarks)
    if side <= 0:
        raise ValueError("all its landmarks are one point")
    if not (0 <= x <= width and 0 <= y <= height) or side > LARGEST * max(width, height):
        raise ValueError(
            f"its landmarks do not lie in it (their middle is {x:.0f}, {y:.0f}, the picture has {width} x {height} px):"
            " were they found in another size of it?"
        )
    if width == height and framing.covers(FacePosition(x / width, y / width, side / width)):
        return Framed(Square(0, 0, width), "whole")
    return Framed(square_for(landmarks, framing), "landmarks")
