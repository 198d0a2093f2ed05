"""Placements of a face in its picture: aligned, off the middle, tilted, or far away.

A placement is another camera, so landmarks and visibility are exact. Its amount and direction are drawn per identity,
camera and gaze; all eight expressions share them, so that every edit has a true target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from benchmark.protocol import GAZES

Placement = Literal["aligned", "off", "tilted", "far"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
ALIGNED: tuple[Placement, ...] = ("aligned",)

PURPOSE = 3
"""Key of the placement's random numbers; the shot's own have keys 2, and 1000 and more."""
OFF_SHIFT = (0.17, 0.23)
"""Distance of the face from the picture's middle, in picture sides."""
OFF_FIELD = 1.6
"""Factor of the field's width for `off`: in the aligned field, part of the face would be outside."""
TILT = (20.0, 30.0)
"""Degrees of the camera's roll, to either side."""
FAR_FIELD = (1.85, 2.15)
"""Factor of the field's width for `far`: the face is about half as large."""
FAR_SHIFT = (0.0, 0.06)
"""Distance of a far face from the picture's middle, in picture sides."""


@dataclass(frozen=True)
class Framing:
    """Camera relative to the aligned one.

    roll: degrees; positive turns the face clockwise in the picture. right, down: position of the aligned picture's
    middle, in picture sides from the middle. field: width of the field, as a factor.
    """

    roll: float = 0.0
    right: float = 0.0
    down: float = 0.0
    field: float = 1.0


def draw_framing(placement: Placement, seed: int, identity: int, camera: int, gaze: str) -> Framing:
    """Draw the framing that all expressions of an identity share, for a camera and gaze."""
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
