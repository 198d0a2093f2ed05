"""Expressions as action units, and action units as facial actions.

Targets are those given to RaFD's models (Langner et al., 2010, Table 1; FACS letters A to E are 1 to 5 on OpenFace's
scale). A unit of intensity a in [0, 5] drives each of its facial actions with weight gain * a / 5; gains above 1
exaggerate an action that is faint in anny's shapes, because the pictures may be only 64 pixels wide
(table in docs/rendered.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.protocol import ACTION_UNIT_MAX, ACTION_UNITS

Side = Literal["left", "right"]
CONTEMPT_SIDE: Side = "right"
"""The subject's side of RaFD's unilateral AU14: always the same, so that the edit has one true target."""

FREE = (4.0, 5.0)
"""D to E: the range of action units without a letter in RaFD's table. Exceptions: AU04 of fear and sadness is A to B,
since a stronger one hides the raised inner brows; AU17 of anger is B to C, since a stronger one looks sad; AU25 of
disgust is B to C, since the upper lip opens the mouth and not the jaw.
"""


@dataclass(frozen=True)
class Unit:
    """Action unit of an expression: name and range of its intensity."""

    name: str
    low: float
    high: float


def _units(**ranges: tuple[float, float]) -> tuple[Unit, ...]:
    return tuple(Unit(f"{name}_r", low, high) for name, (low, high) in ranges.items())


PROTOTYPES: dict[str, tuple[Unit, ...]] = {
    # anger: 4CDE + 5CDE + 7 + 17 + 23/24
    "angry": _units(AU04=(4.2, 5), AU05=(3, 3.5), AU07=FREE, AU17=(2, 3), AU23=FREE),
    # contempt: unilateral 14
    "contemptuous": _units(AU14=(4.5, 5)),
    # disgust: 9 + 10 + 25
    "disgusted": _units(AU09=(4.2, 5), AU10=FREE, AU25=(2, 3)),
    # fear: 1 + 2 + 4 + 5DE + 20 + 25
    "fearful": _units(AU01=FREE, AU02=FREE, AU04=(1, 2), AU05=(4.2, 5), AU20=FREE, AU25=FREE),
    # happiness: 6 + 12CDE + 25
    "happy": _units(AU06=FREE, AU12=(4, 5), AU25=FREE),
    "neutral": (),
    # sadness: 1 + 4 + 15ABC + 17
    "sad": _units(AU01=(4.2, 5), AU04=(1, 2), AU15=(2.5, 3), AU17=FREE),
    # surprise: 1 + 2 + 5AB + 26
    "surprised": _units(AU01=FREE, AU02=FREE, AU05=(1.5, 2), AU26=FREE),
}

ACTIONS: dict[str, dict[str, float]] = {
    "AU01_r": {"browInnerUp": 1.7},
    "AU02_r": {"browOuterUp*": 1.4},
    "AU04_r": {"browDown*": 1.5},
    "AU05_r": {"eyeWide*": 1.5},
    "AU06_r": {"cheekSquint*": 1.1, "eyeSquint*": 0.3},
    "AU07_r": {"eyeSquint*": 1.1},
    "AU09_r": {"noseSneer*": 1.6, "browDown*": 0.6, "eyeSquint*": 0.5, "cheekSquint*": 0.4},
    "AU10_r": {"mouthUpperUp*": 1.5, "noseSneer*": 0.2},
    "AU12_r": {"mouthSmile*": 1.25, "mouthStretch*": 0.45, "mouthDimple*": 0.3, "mouthUpperUp*": 0.45},
    "AU14_r": {"mouthDimple*": 0.8, "mouthSmile*": 0.95, "mouthPress*": 0.4, "cheekSquint*": 0.9, "eyeSquint*": 0.4},
    "AU15_r": {"mouthFrown*": 2.1},
    "AU17_r": {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.25},
    "AU20_r": {"mouthStretch*": 1.6},
    "AU23_r": {
        "mouthPress*": 0.4,
        "mouthRollUpper": 0.8,
        "mouthRollLower": 0.8,
        "mouthPucker": 0.3,
        "mouthFrown*": 0.35,
    },
    "AU25_r": {"mouthLowerDown*": 0.55, "mouthUpperUp*": 0.15, "jawOpen": 0.14},
    "AU26_r": {"jawOpen": 0.85, "mouthFunnel": 0.25},
    "AU45_r": {"eyeBlink*": 1.0},
}
"""Facial actions of each action unit, with gains at intensity 5; a name ending in * stands for both sides."""

DRAG = {"AU14_r": 0.9}
"""Gain with which a one-sided action unit moves the whole mouth to its side (mouthLeft, mouthRight)."""


def draw(expression: str, rng: np.random.Generator) -> dict[str, float]:
    """Draw the 17 action units of a shot of `expression`, each in its range; those not in its prototype are 0."""
    values = dict.fromkeys(ACTION_UNITS, 0.0)
    for unit in PROTOTYPES[expression]:
        values[unit.name] = float(np.float32(np.round(rng.uniform(unit.low, unit.high), 3)))
    return values


def facial_actions(units: Mapping[str, float], one_sided: Mapping[str, Side] | None = None) -> dict[str, float]:
    """Convert action units in [0, 5] to weights of anny's facial actions, which add up.

    one_sided: the side of action units that move one side only. Raises ValueError for an unknown action unit or an
    intensity outside the scale.
    """
    weights: dict[str, float] = {}
    for unit, value in units.items():
        if unit not in ACTIONS:
            raise ValueError(f"no such action unit: {unit}")
        if not 0 <= value <= ACTION_UNIT_MAX:
            raise ValueError(f"{unit} = {value} is outside 0 to {ACTION_UNIT_MAX:g}")
        side = (one_sided or {}).get(unit)
        if side is not None and unit in DRAG:
            weights[f"mouth{side.capitalize()}"] = DRAG[unit] * value / ACTION_UNIT_MAX
        for action, gain in ACTIONS[unit].items():
            sides = ("Left", "Right") if side is None else (side.capitalize(),)
            for name in [action[:-1] + each for each in sides] if action.endswith("*") else [action]:
                weights[name] = weights.get(name, 0.0) + gain * value / ACTION_UNIT_MAX
    return {name: weight for name, weight in weights.items() if weight}
