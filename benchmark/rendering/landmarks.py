"""The 68 landmarks of the iBUG scheme as vertices of the head, and their projection into a picture.

Order: jaw 0-16 from the picture's left ear to its right ear by the chin, brows 17-26, nose 27-35, eyes 36-47, mouth
48-67; left and right are the frontal picture's, so landmark 0 is on the subject's right side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmark.protocol import LANDMARK_MIRROR
from benchmark.rendering.anatomy import Anatomy, Array, Indices
from benchmark.rendering.appearance import brow_curve
from benchmark.rendering.identity import Identity
from benchmark.rendering.placement import Framing

# Template positions of the subject's left half and the middle, in mm relative to the eyes.
JAW: dict[int, float] = {16: -6, 15: -22, 14: -40, 13: -57, 12: -73}
"""Heights; the points are on the outline seen from the front, where the cheek turns away from the camera."""
POSITIONS: dict[int, tuple[float, float, float]] = {
    11: (38, 18, -85),
    10: (25, 4, -96),
    9: (12, -5, -103),
    8: (0, -9, -106.5),
    27: (0, -27, -1),
    28: (0, -30, -12),
    29: (0, -36, -22.5),
    30: (0, -41, -34),
    33: (0, -30, -46),
    34: (5.5, -29.5, -45.5),
    35: (11.5, -25, -43),
    42: (-9.8, -13.5, -2.0),
    43: (-3.5, -16, 3.5),
    44: (4.5, -15.5, 3.8),
    45: (13.4, -9, -0.5),
    46: (5.5, -15, -5.0),
    47: (-3.0, -15.5, -5.0),
    51: (0, -34, -58.3),
    52: (5.5, -33, -57.0),
    53: (14.0, -28, -61.5),
    54: (22.5, -19.5, -68),
    55: (16.0, -25, -74.0),
    56: (8.0, -29.5, -77.0),
    57: (0, -31, -77.5),
}
EYES = range(42, 48)
"""Landmarks given relative to the left eye's centre in x."""
INNER_MOUTH: dict[int, tuple[float, bool]] = {
    62: (0, True),
    63: (9.5, True),
    64: (19.5, True),
    65: (9.5, False),
    66: (0, False),
}
"""Inner lip points: x in mm, and whether they belong to the upper lip (they coincide where the mouth is closed)."""


class Picker:
    """Selects the landmarks' vertices of the subdivided body. Only the brows' depend on the identity."""

    def __init__(self, body: Anatomy) -> None:
        self.points, normals = body.template, body.template_normals
        self.eye_x = float(np.abs(body.average[np.unique(body.mesh.quads["helper-l-eye"])].mean(0)[0]))
        self.outer = np.flatnonzero((self.points[:, 1] < 0.08) & (normals[:, 1] < 0.6))
        self.tree = cKDTree(self.points[self.outer])
        self.whole = cKDTree(self.points)
        self.fixed = np.zeros(68, np.int64)
        for index, position in POSITIONS.items():
            shift = self.eye_x if index in EYES else 0.0
            self._put(index, self.outer[self.tree.query(np.array(position) / 1000 + [shift, 0, 0])[1]])
        skin = (body.mask("ears") < 0.1) & (self.points[:, 0] > 0) & (np.abs(normals[:, 1] + 0.22) < 0.12)
        for index, height in JAW.items():
            self._put(index, self._outermost(skin, height / 1000))
        opening = np.asarray(body.subdivide @ body.actions[body.facial_actions.index("jawOpen")][body.used])[:, 2]
        for index, (x, upper) in INNER_MOUTH.items():
            self._put(index, self._inner_lip(body, x / 1000, upper, opening))

    def _put(self, index: int, vertex: int) -> None:
        self.fixed[index] = vertex
        self.fixed[LANDMARK_MIRROR[index]] = self.whole.query(self.points[vertex] * [-1, 1, 1])[1]

    def _outermost(self, allowed: NDArray[np.bool_], height: float) -> int:
        """Return the outermost of the allowed vertices near a height."""
        chosen = np.flatnonzero(allowed & (np.abs(self.points[:, 2] - height) < 0.003))
        return int(chosen[np.argmax(self.points[chosen, 0])])

    def _inner_lip(self, body: Anatomy, x: float, upper: bool, opening: Array) -> int:
        """Return the front vertex where the lips meet that stays (upper lip) or moves down (lower) as the jaw opens."""
        p = self.points
        near = (np.abs(p[:, 0] - x) < 0.0016) & (np.abs(p[:, 2] + 0.068) < 0.004) & (p[:, 1] < -0.012)
        near &= (opening > -0.008) if upper else (opening < -0.012)
        chosen = np.flatnonzero(near)
        # In front and towards the other lip.
        score = p[chosen, 1] + (1.5 if upper else -1.5) * p[chosen, 2]
        return int(chosen[np.argmin(score)])

    def pick(self, who: Identity) -> Indices:
        """Return the 68 vertices of an identity's landmarks in the subdivided body."""
        chosen = self.fixed.copy()
        x, z = brow_curve(who, np.array([0.02, 0.26, 0.5, 0.75, 1.0]))
        for index, at_x, at_z in zip(range(22, 27), x, z, strict=True):
            for target, side in ((index, 1), (LANDMARK_MIRROR[index], -1)):
                flat = self.points[self.outer][:, [0, 2]] - [side * at_x, at_z]
                front = self.points[self.outer][:, 1] < 0.01
                chosen[target] = self.outer[np.argmin(np.hypot(flat[:, 0], flat[:, 1]) + ~front)]
        return chosen


@dataclass(frozen=True)
class Projection:
    """Pinhole camera: position and target (metres), width of its field at the target (metres), picture size (pixels).

    roll: degrees; positive turns the picture's content clockwise.
    """

    origin: Array
    target: Array
    width: float
    size: int
    roll: float = 0.0

    def __call__(self, points: Array) -> Array:
        """Project N x 3 points to N x 2 pixels: x to the right, y down, pixel centres at integers."""
        forward, right, up = self.axes()
        distance = float(np.linalg.norm(self.target - self.origin))
        offset = points - self.origin
        scale = self.size / self.width * distance / (offset @ forward)
        middle = (self.size - 1) / 2
        return np.stack([middle + offset @ right * scale, middle - offset @ up * scale], 1)

    def axes(self) -> tuple[Array, Array, Array]:
        """Return unit vectors: forward, and the picture's right and up."""
        forward = self.target - self.origin
        forward = forward / float(np.linalg.norm(forward))
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        up = np.cross(right, forward)
        if not self.roll:
            return forward, right, up
        cos, sin = np.cos(np.radians(self.roll)), np.sin(np.radians(self.roll))
        return forward, cos * right + sin * up, cos * up - sin * right

    def inside(self, pixels: Array) -> NDArray[np.bool_]:
        """Return which of N x 2 pixels lie in the picture."""
        return np.asarray(((pixels >= -0.5) & (pixels < self.size - 0.5)).all(1))

    def framed(self, framing: Framing) -> Projection:
        """Return this camera with another aim, roll and width of the field."""
        width = self.width * framing.field
        forward, right, up = self.axes()
        distance = float(np.linalg.norm(self.target - self.origin))
        aim = distance * forward - width * (framing.right * right - framing.down * up)
        target = self.origin + distance * aim / float(np.linalg.norm(aim))
        return Projection(self.origin, target, width, self.size, self.roll + framing.roll)
