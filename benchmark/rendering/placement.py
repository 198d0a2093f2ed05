"""Where in its picture a face stands: in the middle as in an aligned set, or off it, tilted, or far away.

A placement is a camera, so landmarks and visibility are as exact as before the aligned one. Its amount and direction
vary a little, drawn for a person, camera and gaze: all eight expressions share them, so every edit has a true picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from benchmark.protocol import GAZES

Placement = Literal["aligned", "off", "tilted", "far"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
ALIGNED: tuple[Placement, ...] = ("aligned",)

PURPOSE = 3
"""Of the draw, beside the shot's own draws (2, 1000 and more)."""
OFF_SHIFT = (0.17, 0.23)
"""By how much of the picture's side the face is off its middle."""
OFF_FIELD = 1.4
"""How much wider the field is then: at the aligned one, half of the face would be outside."""
TILT = (20.0, 30.0)
"""Degrees by which the camera is rolled, to either side."""
FAR_FIELD = (1.85, 2.15)
"""How much wider the field is, so the face is about half as large."""
FAR_SHIFT = (0.0, 0.06)
"""Nor is a far face quite in the middle."""


@dataclass(frozen=True)
class Framing:
    """A camera's departure from the aligned one.

    roll: degrees; positive turns the face clockwise in the picture. right, down: where the aligned picture's middle
    comes to lie, in sides of the picture from the middle. field: width of the field in aligned ones.
    """

    roll: float = 0.0
    right: float = 0.0
    down: float = 0.0
    field: float = 1.0


def draw_framing(placement: Placement, seed: int, identity: int, camera: int, gaze: str) -> Framing:
    """The framing of all expressions of a person before a camera."""
    import numpy as np

    if placement == "aligned":
        return Framing()
    rng = np.random.default_rng([seed, PURPOSE, identity, camera, GAZES.index(gaze), PLACEMENTS.index(placement)])
    if placement == "tilted":
        return Framing(roll=float(rng.choice((-1, 1)) * rng.uniform(*TILT)))
    far = placement == "far"
    angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(*(FAR_SHIFT if far else OFF_SHIFT))
    field = float(rng.uniform(*FAR_FIELD)) if far else OFF_FIELD
    return Framing(0.0, float(shift * np.cos(angle)), float(shift * np.sin(angle)), field)
