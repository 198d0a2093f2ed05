"""What is painted and raised on the average face: skin, lips, brows, hair, beard, shirt, and the folds that
expressions make.

All of it is a function of template positions (metres relative to the midpoint between the eyes), so it needs no
texture coordinates and has no seams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from benchmark.rendering.anatomy import Anatomy, Array
from benchmark.rendering.identity import Colour, Identity

EYE_X = 0.0295
"""Distance of each eye from the middle of the average face."""
COLLAR = -0.155
"""Height of the collar at the front of the neck."""
SHIRT: Colour = (0.055, 0.055, 0.06)
SIDE_LINE = (
    (-0.03, -0.012, 0.008, 0.022, 0.036, 0.050, 0.062, 0.075),
    (0.064, 0.052, 0.050, 0.049, 0.040, 0.020, 0.008, -0.004),
)
"""Hair line at the side of the head: at these heights above the eyes it is so far behind them (template metres)."""
NECK_LINE = (
    (0.03, 0.050, 0.058, 0.066, 0.074, 0.104, 0.114, 0.13, 0.2),
    (-0.02, -0.022, -0.020, 0.006, 0.020, 0.018, -0.03, -0.066, -0.07),
)
"""Lower end of the hair: so far behind the eyes (sideburn, above the ear, nape) it is at these heights."""
HAIR_LIFT = {"cropped": 0.004, "short": 0.009, "swept": 0.012, "parted": 0.011, "bun": 0.007}

# Curves on the right half (x > 0; mirrored): points (x, z) in mm relative to the eyes; width in mm, depth in mm at
# intensity 5.
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Fold:
    """A crease pressed into the skin by action units: its depth is the sum of unit intensities / 5 times their
    shares.
    """

    curve: Curve
    width: float
    depth: float
    units: tuple[tuple[str, float], ...]


FOLDS: tuple[Fold, ...] = (
    Fold(
        ((13, -34), (24, -43), (31, -56), (33, -68)),
        2.6,
        1.5,
        (("AU12_r", 0.9), ("AU10_r", 0.9), ("AU09_r", 0.7), ("AU14_r", 0.35)),
    ),
    Fold(((5, 10), (6, 18), (7, 26)), 1.6, 1.3, (("AU04_r", 1.0), ("AU09_r", 0.4))),
    Fold(((0, 38), (20, 39), (42, 34)), 2.0, 0.9, (("AU01_r", 0.6), ("AU02_r", 0.6))),
    Fold(((0, 48), (20, 49), (40, 44)), 2.0, 0.8, (("AU01_r", 0.6), ("AU02_r", 0.6))),
    Fold(((0, -3), (5, -5), (9, -10)), 2.0, 0.7, (("AU09_r", 1.0),)),
    Fold(((0, 4), (4, 3), (7, 1)), 2.0, 0.6, (("AU09_r", 1.0),)),
    Fold(((50, -3), (56, -1), (60, 2)), 1.4, 0.7, (("AU06_r", 1.0), ("AU07_r", 0.4))),
    Fold(((50, -7), (56, -9), (60, -11)), 1.4, 0.7, (("AU06_r", 1.0), ("AU07_r", 0.3))),
    Fold(((14, -13), (24, -17), (36, -16)), 2.0, 0.8, (("AU06_r", 0.8), ("AU09_r", 0.6))),
    Fold(((26, -71), (29, -78), (29, -86)), 2.2, 1.2, (("AU15_r", 1.4), ("AU17_r", 0.2))),
    Fold(((0, -86), (8, -87), (15, -91)), 2.2, 1.3, (("AU17_r", 1.0),)),
    Fold(((28, -63), (30, -68), (28, -73)), 1.8, 0.6, (("AU14_r", 1.0),)),
)


def linear(colour: Array) -> Array:
    """sRGB in [0, 1] to linear light."""
    return np.asarray(np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4))


def step(values: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between (and the reverse where high < low)."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def noise(
    points: Array, seed: int, frequency: float, waves: int = 10, stretch: tuple[float, float, float] = (1, 1, 1)
) -> Array:
    """Smooth random field of zero mean and about unit deviation: a sum of plane waves of random direction."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(waves, 3)) * frequency * np.array(stretch)
    phases = rng.uniform(0, 2 * np.pi, waves)
    total = np.zeros(points.shape[:-1], points.dtype)
    for direction, phase in zip(directions, phases, strict=True):
        total += np.sin(points @ direction.astype(points.dtype) + points.dtype.type(phase))
    return np.asarray(total * np.sqrt(2 / waves))


def brow_curve(who: Identity, t: Array) -> tuple[Array, Array]:
    """x (for the left brow) and z of the brow's middle line at t = 0 (inner end) to 1 (outer end), template metres."""
    x = EYE_X - 0.0165 + 0.041 * t
    z = (
        0.0205 * who.brow_height
        + 0.0060 * who.brow_arch * np.sin(np.clip(t, 0, 1.1) * np.pi * 0.72)
        - 0.003 * np.clip(t - 0.6, 0, 1)
    )
    return x, z


def brows(p: Array, who: Identity) -> Array:
    """How much of each point is brow, 0 to 1."""
    x, z, y = np.abs(p[..., 0]), p[..., 2], p[..., 1]
    t = (x - EYE_X + 0.0165) / 0.041
    _, middle = brow_curve(who, t)
    half = 0.0036 * who.brow_thickness * (1 - 0.6 * np.clip(t, 0, 1) ** 1.5)
    jag = 0.00030 * noise(p, who.texture_seed + 5, 4200, 16, (1, 0.3, 0.5))
    across = step(half - np.abs(z - middle) + jag, -0.0010, 0.0011)
    return across * step(t, -0.06, 0.06) * step(t, 1.08, 0.95) * (y < 0.02)


def hair_field(p: Array, line: float) -> Array:
    """Signed distance (metres, about) to the hair line: positive where hair grows. The ear and the skin before it
    stay free.
    """
    x, y, z = np.abs(p[..., 0]), p[..., 1], p[..., 2]
    # Seen from the side: over the forehead the line is nearly upright, then a bay at the temple, then the sideburn
    # before the ear.
    side = y - np.interp(z, SIDE_LINE[0], SIDE_LINE[1]) - 0.35 * (line - 0.07)
    front = z - (line + 0.003 * np.cos(x * 70) - 0.9 * np.clip(x - 0.045, 0, 1))
    grown = np.where(x > 0.02, np.maximum(front - 0.02 * step(x, 0.03, 0.06), side), front)
    lower = np.interp(y, NECK_LINE[0], NECK_LINE[1])
    return np.asarray(np.minimum(grown, z - lower))


def collar_height(p: Array) -> Array:
    """Height of the shirt's collar (template metres) around the neck: low in front, higher at the nape."""
    x, y = np.abs(p[..., 0]), p[..., 1]
    return np.asarray(COLLAR + 0.5 * np.clip(y + 0.02, 0, 0.12) + 0.25 * np.clip(x - 0.02, 0, 0.06))


def over(base: Array, colour: Array | Colour, amount: Array) -> Array:
    """`colour` laid over `base` (... x 3) by `amount` (...)."""
    return np.asarray(base * (1 - amount[..., None]) + np.asarray(colour) * amount[..., None])


class Painter:
    """Paints identities. Built once per anatomy; everything it holds is the same for all faces."""

    def __init__(self, body: Anatomy) -> None:
        self.body = body
        points, normals = body.template, body.template_normals
        self.ears = body.mask("ears")
        tree = cKDTree(points)
        masks = np.stack([body.mask("lips"), body.mask("eyelids"), self.ears], 1)
        _, near = tree.query(points, k=7, workers=1)
        masks = masks[near].mean(1)
        self.ears = masks[:, 2]
        self.masks_of_sheet = []
        for sheet in body.sheets:
            distance, nearest = tree.query(sheet.texels.reshape(-1, 3), k=4, workers=1)
            weight = 1 / (distance + 1e-5)
            weight /= weight.sum(1, keepdims=True)
            self.masks_of_sheet.append((masks[nearest] * weight[..., None]).sum(1).reshape(*sheet.texels.shape[:2], 3))
        self.front = normals[:, 1] < 0.3
        self.folds = {side: [self._press(fold, side) for fold in FOLDS] for side in (-1, 1)}

    def _press(self, fold: Fold, side: int) -> Array:
        """Depth (metres, at full strength) of a fold at every vertex of one half of the face."""
        points = self.body.template
        curve = np.array(fold.curve) / 1000
        dense = np.concatenate([a + (b - a) * np.linspace(0, 1, 24)[:, None] for a, b in pairwise(curve)])
        flat = np.stack([points[:, 0] * side, points[:, 2]], 1)
        distance, at = cKDTree(dense).query(flat, workers=1)
        along = np.sin(np.pi * np.clip((at + 1) / (len(dense) + 1), 0.12, 0.88)) ** 0.5
        if fold.curve[0][0] == 0:  # crosses the middle: full depth there
            along = np.cos(np.pi / 2 * np.clip(at / len(dense), 0, 1)) ** 0.5
        width = fold.width / 1000
        # A crease between two swellings: the skin it displaces has to go somewhere.
        profile = np.exp(-((distance / width) ** 2)) - 0.45 * np.exp(-(((distance - 2.2 * width) / (1.2 * width)) ** 2))
        outer = self.front & (points[:, 1] < 0.045) & (flat[:, 0] > (-0.001 if fold.curve[0][0] > 0 else -0.0002))
        return np.asarray(profile * along * outer * fold.depth / 1000)

    def crease(self, units: Mapping[str, float], one_sided: Mapping[str, str]) -> Array:
        """How far (metres) the skin is pressed in along its normal, at every vertex of the subdivided body."""
        total = np.zeros(len(self.body.template))
        for side, name in ((-1, "right"), (1, "left")):
            for fold, shape in zip(FOLDS, self.folds[side], strict=True):
                strength = sum(
                    share * units.get(unit, 0.0) / 5 for unit, share in fold.units if one_sided.get(unit, name) == name
                )
                if strength:
                    total += min(strength, 1.4) * shape
        return total

    def hair_lift(self, who: Identity) -> Array:
        """How far (metres) hair stands off the skin, at every vertex."""
        p = self.body.template
        field = hair_field(p, who.hairline)
        lift = HAIR_LIFT[who.style] * step(field, -0.001, 0.016) * (1 - np.clip(self.ears * 3, 0, 1))
        top = step(p[:, 2], 0.03, 0.10)
        if who.style == "swept":
            lift *= (
                1
                + 1.1 * top * step(p[:, 1], 0.12, 0.02)
                + 0.05 * noise(p, who.texture_seed + 7, 60, stretch=(1, 0.3, 0.5))
            )
        if who.style == "parted":
            groove = np.exp(-(((p[:, 0] - 0.028) / 0.005) ** 2)) * step(p[:, 1], 0.10, 0.06)
            lift *= (1 + 0.6 * top) * (1 - 0.75 * groove)
        if who.style == "short":
            lift *= 1 + 0.3 * top + 0.05 * noise(p, who.texture_seed + 7, 120)
        return np.asarray(lift)

    def comb(self, who: Identity) -> Array:
        """What combed strands add to the hair's normals (N x 3): they break the highlight that a smooth cap would
        have.
        """
        p, stretch = (
            self.body.template,
            (1.0, 0.12, 0.25) if who.style in ("bun", "swept", "parted") else (0.8, 0.5, 0.5),
        )
        field = [noise(p, who.texture_seed + 20 + axis, 900, 16, stretch) for axis in range(3)]
        grown = step(hair_field(p, who.hairline), 0.0, 0.006) * (1 - np.clip(self.ears * 3, 0, 1))
        return np.stack(field, 1) * (0.22 * grown)[:, None]

    def roughness(self, who: Identity) -> Array:
        """Roughness of the face's sheet (H x W x 1): skin has a soft sheen, hair hardly any."""
        hair = step(hair_field(self.body.sheets[0].texels, who.hairline), 0.0, 0.003)
        return np.asarray(0.47 + 0.25 * hair)[..., None]

    def paint(self, who: Identity) -> list[Array]:
        """Linear base colours of the body's textured sheets (H x W x 3 each): face and hair, torso, inside of the
        mouth.
        """
        face, torso, inside = (sheet.texels for sheet in self.body.sheets)
        skin = self._skin(face, self.masks_of_sheet[0], who)
        skin = self._shirt(self._hair(skin, face, self.masks_of_sheet[0][..., 2], who), face)
        trunk = self._shirt(self._skin(torso, self.masks_of_sheet[1], who), torso)
        mouth = np.broadcast_to(np.array([0.36, 0.11, 0.11]), inside.shape)
        socket = step(inside[..., 2], -0.035, -0.025)
        mouth = over(mouth, np.array(who.skin) * [0.8, 0.6, 0.58], socket)
        return [linear(np.clip(part, 0, 1)) for part in (skin, trunk, mouth)]

    def _skin(self, p: Array, masks: Array, who: Identity) -> Array:
        x, y, z = np.abs(p[..., 0]), p[..., 1], p[..., 2]
        lips, lids, _ = masks[..., 0], masks[..., 1], masks[..., 2]
        mottle = 0.010 * noise(p, who.texture_seed, 90) + 0.006 * noise(p, who.texture_seed + 1, 900, 24)
        colour = np.asarray(who.skin) * (1 + mottle)[..., None]
        front = step(y, 0.05, 0.02)
        rosy = np.exp(-(((x - 0.042) / 0.02) ** 2 + ((z + 0.04) / 0.018) ** 2)) + 0.8 * np.exp(
            -((x / 0.014) ** 2 + ((z + 0.035) / 0.012) ** 2)
        )
        colour = colour * (1 - (rosy * front)[..., None] * [0.01, 0.075, 0.07])
        hollow = np.exp(-(((x - EYE_X) / 0.018) ** 2 + ((z + 0.002) / 0.013) ** 2)) * front
        colour = colour * (1 - hollow[..., None] * [0.10, 0.13, 0.12])
        if who.freckles:
            spots = step(noise(p, who.texture_seed + 9, 1500), 1.7, 2.3) * np.exp(-(((z + 0.028) / 0.02) ** 2)) * front
            colour = over(colour, np.array(who.skin) * [0.78, 0.62, 0.52], 0.5 * who.freckles * spots)
        colour = over(colour, who.lips, np.clip(lips * 1.15, 0, 1) * 0.92)
        colour = colour * (1 - lids[..., None] * [0.08, 0.11, 0.10])
        if who.beard:
            colour = self._beard(colour, p, lips, who)
        return over(colour, who.brow_colour, brows(p, who) * 0.95)

    def _beard(self, colour: Array, p: Array, lips: Array, who: Identity) -> Array:
        x, y, z = np.abs(p[..., 0]), p[..., 1], p[..., 2]
        cheek = np.interp(y, [-0.03, 0.0, 0.03, 0.06], [-0.062, -0.06, -0.048, -0.02])
        jaw = step(cheek - z, -0.010, 0.016) * step(y, 0.075, 0.045) * step(z, -0.135, -0.115) * (p[..., 1] > -0.1)
        moustache = (
            np.exp(-((np.clip(np.abs(z + 0.051) - 0.003, 0, 1) / 0.003) ** 2)) * step(x, 0.028, 0.020) * (y < 0.0)
        )
        amount = np.clip(np.maximum(jaw, moustache), 0, 1) * (1 - np.clip(lips * 2.2, 0, 1))
        strands = 1 + 0.10 * noise(p, who.texture_seed + 3, 2200)
        return over(colour, np.asarray(who.hair) * 0.9, amount * np.clip(who.beard * strands, 0, 0.9))

    def _hair(self, colour: Array, p: Array, ears: Array, who: Identity) -> Array:
        jag = 0.0005 * noise(p, who.texture_seed + 2, 2600) + 0.0006 * noise(p, who.texture_seed + 4, 300)
        amount = step(hair_field(p, who.hairline) + jag, -0.0012, 0.0026) * (1 - np.clip(ears * 3, 0, 1))
        stretch = (1.0, 0.16, 0.3) if who.style in ("bun", "swept", "parted") else (0.6, 0.6, 0.6)
        fine = noise(p, who.texture_seed + 6, 2400, 20, stretch)
        strands = 0.14 * fine + 0.07 * noise(p, who.texture_seed + 8, 600, 16, stretch)
        return over(colour, np.asarray(who.hair)[None, None] * np.clip(1 + strands, 0.5, 1.6)[..., None], amount)

    @staticmethod
    def _shirt(colour: Array, p: Array) -> Array:
        return over(colour, SHIRT, step(collar_height(p) - p[..., 2], -0.0006, 0.0006))
