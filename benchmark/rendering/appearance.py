"""Textures and surface relief of a head: skin, lips, brows, shirt, and creases that action units make.

Everything is a function of template positions (metres relative to the midpoint between the eyes), so it needs no
texture coordinates and has no seams. Hair and beards are in `benchmark.rendering.hair`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from benchmark.rendering.anatomy import Anatomy, Array
from benchmark.rendering.fields import linear, noise, over, step
from benchmark.rendering.hair import beard_lift, comb, hair_field, hair_lift, paint_beard, paint_hair
from benchmark.rendering.identity import Colour, Identity

EYE_X = 0.0295
"""Distance of each eye from the middle of the average face."""
COLLAR = -0.155
"""Height of the collar at the front of the neck."""
SHIRT: Colour = (0.055, 0.055, 0.06)

# Curves on the right half (x > 0; mirrored): points (x, z) in mm relative to the eyes; width in mm, depth in mm at
# intensity 5.
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Fold:
    """Crease that action units press into the skin.

    Its depth is `depth` times the sum of intensity / 5 * share over `units`.
    """

    curve: Curve
    width: float
    depth: float
    units: tuple[tuple[str, float], ...]


FOLDS: tuple[Fold, ...] = (
    Fold(
        ((15, -33), (24, -43), (31, -55), (34, -68)),
        3.8,
        1.9,
        (("AU12_r", 0.9), ("AU10_r", 0.9), ("AU09_r", 0.7), ("AU14_r", 0.35)),
    ),
    Fold(((4.5, 9), (5.5, 18), (6.5, 27)), 2.6, 1.5, (("AU04_r", 1.0), ("AU09_r", 0.4))),
    Fold(((0, 38), (20, 39), (40, 35)), 2.8, 1.0, (("AU01_r", 0.6), ("AU02_r", 0.6))),
    Fold(((0, 48), (20, 49), (38, 45)), 2.8, 0.9, (("AU01_r", 0.6), ("AU02_r", 0.6))),
    Fold(((0, 0), (5, -1), (10, -6)), 3.0, 1.0, (("AU09_r", 1.0),)),
    Fold(((47, -4), (54, -5), (61, -7)), 2.6, 0.8, (("AU06_r", 1.0), ("AU07_r", 0.3))),
    Fold(((14, -13), (24, -17), (36, -16)), 3.0, 0.9, (("AU06_r", 0.8), ("AU09_r", 0.6))),
    Fold(((25, -70), (29, -78), (29, -88)), 3.2, 1.4, (("AU15_r", 1.4), ("AU17_r", 0.2))),
    Fold(((0, -86), (8, -87), (16, -92)), 3.2, 1.5, (("AU17_r", 1.0),)),
    Fold(((28, -61), (31, -68), (28, -75)), 3.0, 1.1, (("AU14_r", 1.0),)),
)


def brow_curve(who: Identity, t: Array) -> tuple[Array, Array]:
    """Return x and z (template metres) of the left brow's centre line at t from 0 (inner end) to 1 (outer end)."""
    x = EYE_X - 0.0165 + 0.041 * t
    z = (
        0.0205 * who.brow_height
        + 0.004 * who.brow_tilt * (t - 0.5)
        + 0.0060 * who.brow_arch * np.sin(np.clip(t, 0, 1.1) * np.pi * 0.72)
        - 0.003 * np.clip(t - 0.6, 0, 1)
    )
    return x, z


def brows(p: Array, who: Identity) -> Array:
    """Compute the brows' coverage at template points `p` (... x 3), in [0, 1]."""
    x, z, y = np.abs(p[..., 0]), p[..., 2], p[..., 1]
    t = (x - EYE_X + 0.0165) / 0.041
    _, middle = brow_curve(who, t)
    half = 0.0036 * who.brow_thickness * (1 - who.brow_taper * np.clip(t, 0, 1) ** 1.5)
    jag = 0.00022 * noise(p, who.texture_seed + 5, 2600, 24, (1, 0.3, 0.5))
    across = step(half - np.abs(z - middle) + jag, -0.0012, 0.0014)
    return across * step(t, -0.06, 0.06) * step(t, 1.08, 0.95) * (y < 0.02)


def collar_height(p: Array) -> Array:
    """Compute the height of the collar's edge (template metres) at points `p`: low in front, higher at the nape."""
    x, y = np.abs(p[..., 0]), p[..., 1]
    return np.asarray(COLLAR + 0.5 * np.clip(y + 0.02, 0, 0.12) + 0.25 * np.clip(x - 0.02, 0, 0.06))


class Painter:
    """Computes an identity's textures and relief. Holds only what is the same for all identities."""

    def __init__(self, body: Anatomy) -> None:
        self.body = body
        points, normals = body.template, body.template_normals
        tree = cKDTree(points)
        masks = np.stack([body.mask("lips"), body.mask("eyelids"), body.mask("ears")], 1)
        _, near = tree.query(points, k=7, workers=1)
        masks = masks[near].mean(1)
        self.lips, self.ears = masks[:, 0], masks[:, 2]
        self.masks_of_sheet = []
        for sheet in body.sheets:
            distance, nearest = tree.query(sheet.texels.reshape(-1, 3), k=4, workers=1)
            weight = 1 / (distance + 1e-5)
            weight /= weight.sum(1, keepdims=True)
            self.masks_of_sheet.append((masks[nearest] * weight[..., None]).sum(1).reshape(*sheet.texels.shape[:2], 3))
        self.front = normals[:, 1] < 0.3
        self.folds = {side: [self._press(fold, side) for fold in FOLDS] for side in (-1, 1)}

    def _press(self, fold: Fold, side: int) -> Array:
        """Compute a fold's depth (metres, at full strength) at every vertex of one half of the face."""
        points = self.body.template
        curve = np.array(fold.curve) / 1000
        dense = np.concatenate([a + (b - a) * np.linspace(0, 1, 24)[:, None] for a, b in pairwise(curve)])
        flat = np.stack([points[:, 0] * side, points[:, 2]], 1)
        distance, at = cKDTree(dense).query(flat, workers=1)
        along = np.sin(np.pi * np.clip((at + 1) / (len(dense) + 1), 0, 1))
        if fold.curve[0][0] == 0:  # crosses the middle: full depth there
            along = np.cos(np.pi / 2 * np.clip(at / len(dense), 0, 1))
        width = fold.width / 1000
        # A crease between two swellings: the skin it displaces has to go somewhere.
        profile = np.exp(-((distance / width) ** 2)) - 0.35 * np.exp(-(((distance - 2.0 * width) / (1.4 * width)) ** 2))
        outer = self.front & (points[:, 1] < 0.045) & (flat[:, 0] > (-0.001 if fold.curve[0][0] > 0 else -0.0002))
        return np.asarray(profile * along * outer * fold.depth / 1000)

    def crease(self, units: Mapping[str, float], one_sided: Mapping[str, str]) -> Array:
        """Compute how far (metres) creases move each vertex of the subdivided body against its normal.

        units: intensities in [0, 5]; one_sided: the side of units that move one side only.
        """
        total = np.zeros(len(self.body.template))
        for side, name in ((-1, "right"), (1, "left")):
            for fold, shape in zip(FOLDS, self.folds[side], strict=True):
                strength = sum(
                    share * units.get(unit, 0.0) / 5 for unit, share in fold.units if one_sided.get(unit, name) == name
                )
                if strength:
                    total += min(strength, 1.4) * shape
        return total

    def lift(self, who: Identity) -> Array:
        """Compute the height (metres) of hair and beard over the skin at every vertex."""
        p = self.body.template
        return hair_lift(p, self.ears, who) + beard_lift(p, self.lips, who)

    def comb(self, who: Identity) -> Array:
        """Compute what strands of hair add to the vertex normals, N x 3."""
        return comb(self.body.template, self.ears, who)

    def roughness(self, who: Identity) -> Array:
        """Compute the roughness of the face's texture, H x W x 1: hair is rougher than skin."""
        hair = step(hair_field(self.body.sheets[0].texels, who), 0.0, 0.003)
        return np.asarray(0.47 + 0.25 * hair)[..., None]

    def paint(self, who: Identity) -> list[Array]:
        """Compute the linear base colours (H x W x 3 each) of the textures of face, torso and mouth cavity."""
        face, torso, inside = (sheet.texels for sheet in self.body.sheets)
        skin = self._skin(face, self.masks_of_sheet[0], who)
        skin = self._shirt(paint_hair(skin, face, self.masks_of_sheet[0][..., 2], who), face)
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
        colour = paint_beard(colour, p, lips, who)
        return over(colour, who.brow_colour, brows(p, who) * who.brow_density)

    @staticmethod
    def _shirt(colour: Array, p: Array) -> Array:
        return over(colour, SHIRT, step(collar_height(p) - p[..., 2], -0.0006, 0.0006))
