"""Hair and beards: where they grow, their height over the skin, their colour, and hair that hangs beside the face.

Everything is a function of template positions (metres relative to the midpoint between the eyes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from benchmark.rendering.anatomy import Anatomy, Array, Indices, split_quads
from benchmark.rendering.fields import noise, over, step
from benchmark.rendering.identity import Identity

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


@dataclass(frozen=True)
class Style:
    """Hair style. Lengths in metres on the template."""

    lift: float
    """Height of the hair over the skin."""
    top: float = 0.0
    """Share by which it is higher on top of the head."""
    line: float = 0.0
    """Height of the hair line over the identity's own; negative for a fringe."""
    slant: float = 0.0
    """Metres by which the line falls per metre away from the parting."""
    recede: float = 0.0
    """How much higher the line is beside the middle than in it."""
    forward: float = 0.0
    """How much farther in front than SIDE_LINE hair grows at the temples."""
    edge: float = 0.016
    """Distance from the hair line over which the hair rises to its full lift."""
    lumps: float = 0.05
    """Share by which the lift varies."""
    frequency: float = 120.0
    """Waves per metre (times 2 pi) of that variation."""
    strands: tuple[float, float, float] = (0.8, 0.5, 0.5)
    """Frequency of the strands' pattern along x, y and z, relative to across the strands."""
    cover: float = 1.0
    """Opacity of the hair in [0, 1]."""
    parting: bool = False
    """Whether a groove runs back from the hair line."""
    ends: float | None = None
    """Height at which hair hanging beside the face ends; None for hair that does not hang."""
    wave: float = 0.0
    """Amplitude of the hanging hair's waves."""


COMBED = (1.0, 0.14, 0.25)
STYLES: dict[str, Style] = {
    "bald": Style(0.0, cover=0.0),
    "shaved": Style(0.0005, recede=0.008, cover=0.62, edge=0.01),
    "receding": Style(0.006, line=0.006, recede=0.026, edge=0.02),
    "cropped": Style(0.005),
    "short": Style(0.009, top=0.4, line=-0.004),
    "swept": Style(0.012, top=1.1, strands=COMBED, frequency=60),
    "parted": Style(0.011, top=0.6, line=0.002, slant=0.45, strands=COMBED, parting=True, edge=0.010),
    "fringe": Style(0.010, top=0.3, line=-0.026, forward=0.010, edge=0.007, strands=(1.0, 0.6, 0.14)),
    "curls": Style(0.020, top=0.4, line=-0.004, lumps=0.14, frequency=260, edge=0.018),
    "bun": Style(0.007, strands=COMBED),
    "bob": Style(0.010, top=0.2, slant=0.5, parting=True, strands=COMBED, ends=-0.105),
    "bangs": Style(0.010, top=0.2, line=-0.027, forward=0.008, edge=0.007, strands=(1.0, 0.6, 0.14), ends=-0.115),
    "long": Style(0.010, top=0.2, slant=0.25, parting=True, strands=COMBED, ends=-0.19, wave=0.3),
    "wavy": Style(0.013, top=0.3, lumps=0.10, frequency=200, strands=(0.8, 0.5, 0.5), ends=-0.17, wave=1.0),
}
"""The styles by name; benchmark.rendering.identity says who has which."""
PARTING = 0.024
"""Distance of a parting from the middle."""


def hair_field(p: Array, who: Identity) -> Array:
    """Compute the approximate signed distance (metres) of points `p` (... x 3) to the hair line: positive in the hair.

    The ear and the skin in front of it are outside.
    """
    style = STYLES[who.style]
    x, y, z = np.abs(p[..., 0]), p[..., 1], p[..., 2]
    line = who.hairline + style.line
    height = line + 0.003 * np.cos(x * 70) - 0.9 * np.clip(x - 0.045, 0, 1) + style.recede * step(x, 0.006, 0.034)
    if style.slant:
        height = height - style.slant * (np.hypot(p[..., 0] - who.parting * PARTING, 0.012) - 0.012)
    if style.line < -0.01:  # the ends of a fringe are not one line
        height = height + 0.0016 * np.sin(p[..., 0] * 420 + who.texture_seed % 7) + 0.0012 * np.sin(p[..., 0] * 1130)
    front = z - height
    # Seen from the side: over the forehead the line is nearly upright, then a bay at the temple, then the sideburn
    # before the ear.
    temple = step(z, 0.0, 0.02)
    side = y - np.interp(z, SIDE_LINE[0], SIDE_LINE[1]) - 0.35 * (who.hairline - 0.07) + style.forward * temple
    side = side - 0.5 * style.recede * step(z, 0.03, 0.06)
    grown = np.where(x > 0.02, np.maximum(front - 0.02 * step(x, 0.03, 0.06), side), front)
    lower = np.interp(y, NECK_LINE[0], NECK_LINE[1])
    return np.asarray(np.minimum(grown, z - lower))


def hair_lift(p: Array, ears: Array, who: Identity) -> Array:
    """Compute the height (metres) of hair over the skin at N x 3 points; `ears` is the ears' mask, N in [0, 1]."""
    style = STYLES[who.style]
    lift = style.lift * step(hair_field(p, who), -0.001, style.edge) * (1 - np.clip(ears * 3, 0, 1))
    top = step(p[:, 2], 0.03, 0.10)
    if style.top:
        lift = lift * (1 + style.top * top * (step(p[:, 1], 0.12, 0.02) if who.style == "swept" else 1.0))
    if style.parting:
        groove = np.exp(-(((p[:, 0] - who.parting * PARTING) / 0.004) ** 2)) * step(p[:, 1], 0.10, 0.06)
        lift = lift * (1 - 0.7 * groove)
    waves = noise(p, who.texture_seed + 7, style.frequency, 16, (1, 0.3, 0.5) if style.strands == COMBED else (1, 1, 1))
    return np.asarray(lift * (1 + style.lumps * np.clip(waves, -2, 2)))


def comb(p: Array, ears: Array, who: Identity) -> Array:
    """Compute what strands add to the hair's normals, N x 3: they break up the highlight of a smooth surface."""
    style = STYLES[who.style]
    field = [noise(p, who.texture_seed + 20 + axis, 900, 16, style.strands) for axis in range(3)]
    grown = step(hair_field(p, who), 0.0, 0.006) * (1 - np.clip(ears * 3, 0, 1)) * (style.lift > 0.001)
    return np.stack(field, 1) * (0.17 * grown)[:, None]


def paint_hair(colour: Array, p: Array, ears: Array, who: Identity) -> Array:
    """Paint hair over `colour` (... x 3, sRGB) at points `p`."""
    style = STYLES[who.style]
    if not style.cover:
        return colour
    jag = 0.0005 * noise(p, who.texture_seed + 2, 2600) + 0.0006 * noise(p, who.texture_seed + 4, 300)
    soft = 0.006 if style.cover < 1 else 0.0026
    amount = step(hair_field(p, who) + jag, -0.0012, soft) * (1 - np.clip(ears * 3, 0, 1)) * style.cover
    fine = noise(p, who.texture_seed + 6, 2400, 24, style.strands)
    strands = 0.12 * fine + 0.08 * noise(p, who.texture_seed + 8, 600, 16, style.strands)
    return over(colour, np.asarray(who.hair) * np.clip(1 + strands, 0.5, 1.6)[..., None], amount)


MOUSTACHE, GOATEE, CHEEKS = "moustache", "goatee", "cheeks"
BEARDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "stubble": (MOUSTACHE, GOATEE, CHEEKS),
    "moustache": (MOUSTACHE,),
    "goatee": (MOUSTACHE, GOATEE),
    "short": (MOUSTACHE, GOATEE, CHEEKS),
    "full": (MOUSTACHE, GOATEE, CHEEKS),
}
"""Parts of the face that a kind of beard covers."""
BEARD_LIFT = {"moustache": 0.0015, "goatee": 0.002, "short": 0.0015, "full": 0.005}


def beard_field(p: Array, parts: tuple[str, ...]) -> Array:
    """Compute the approximate signed distance (metres) to a beard's outline: positive inside; lips are not excluded."""
    x, y, z = np.abs(p[..., 0]), p[..., 1], p[..., 2]
    field = np.full(x.shape, -1.0, p.dtype)
    if MOUSTACHE in parts:
        middle = -0.0522 - 9.0 * x**2
        field = np.maximum(field, np.minimum(0.0070 - 0.06 * x - np.abs(z - middle), 0.031 - x))
    if GOATEE in parts:
        beside = np.minimum(0.0036 - np.abs(x - 0.0285 - 0.25 * (z + 0.085)), np.minimum(z + 0.094, -0.058 - z))
        chin = np.minimum(0.025 - np.hypot(x, 1.25 * (z + 0.0965)), -0.0815 - 0.25 * np.clip(0.012 - x, 0, 1) - z)
        chin = np.minimum(chin, 0.014 - y)
        field = np.maximum(field, np.maximum(beside, chin))
    if CHEEKS in parts:
        cheek = np.interp(y, (-0.03, -0.01, 0.01, 0.03, 0.05, 0.062), (-0.070, -0.067, -0.057, -0.042, -0.018, 0.004))
        neck = np.interp(y, (0.0, 0.03, 0.06, 0.08), (-0.124, -0.108, -0.075, -0.05))
        below = 0.0285 + 0.6 * np.clip(-0.086 - z, 0, 1) - x  # the chin's own part ends there
        jaw = np.minimum(np.minimum(cheek - z, z - neck), 0.064 - y)
        field = np.maximum(field, np.where(below > 0, np.minimum(jaw, -0.083 - z), jaw))
    return np.where(y > 0.075, -1.0, field)


def beard_lift(p: Array, lips: Array, who: Identity) -> Array:
    """Compute the height (metres) of the beard over the skin at N x 3 points."""
    height = BEARD_LIFT.get(who.beard, 0.0)
    if not height:
        return np.zeros(len(p))
    lift = height * step(beard_field(p, BEARDS[who.beard]), -0.001, 0.010) * (1 - np.clip(lips * 2.2, 0, 1))
    return np.asarray(lift * (1 + 0.15 * noise(p, who.texture_seed + 17, 500, 16)))


def paint_beard(colour: Array, p: Array, lips: Array, who: Identity) -> Array:
    """Paint the beard over `colour` (... x 3, sRGB) at points `p`."""
    parts = BEARDS[who.beard]
    if not parts:
        return colour
    field = beard_field(p, parts) + 0.0007 * noise(p, who.texture_seed + 3, 1500, 24)
    free = 1 - np.clip(lips * 2.2, 0, 1)
    fine = noise(p, who.texture_seed + 11, 2600, 32, (1, 0.7, 0.3))
    if who.beard == "stubble":
        amount = 0.45 * step(field, -0.004, 0.008) * np.clip(1 + 0.25 * fine, 0, 2)
        return over(colour, np.asarray(who.skin) * 0.45, amount * free)
    amount = 0.94 * step(field, -0.0012, 0.0030) * free
    return over(colour, np.asarray(who.hair) * np.clip(0.9 + 0.16 * fine, 0.5, 1.4)[..., None], amount)


# Hanging hair is one surface round a vertical axis behind the eyes: columns by the angle from the back, rows by height.
AXIS = 0.07
"""Distance of the axis behind the eyes."""
FRONT_EDGE = 118.0
"""Degrees from the back of the head to the surface's edges, in front of the ears."""
COLUMNS, ROWS = 96, 32
TOP = 0.066
WIDTHS = ((-0.20, -0.12, -0.08, -0.04, 0.0, 0.03, 0.05, TOP), (0.098, 0.090, 0.090, 0.092, 0.090, 0.085, 0.080, 0.071))
BACKS = ((-0.20, -0.12, -0.06, 0.0, 0.03, TOP), (0.095, 0.092, 0.098, 0.106, 0.106, 0.094))
"""Heights, and half the width and the depth behind the axis at them: the head's with its hair, then falling hair's."""
HANGING_TEXELS = (96, 256)
ROLL = 0.10
"""Share of the columns at each edge that turn inwards, which gives the edge thickness."""


class HangingHair:
    """Surface of hanging hair. Its topology is fixed; styles without it shrink to a point inside the head."""

    def __init__(self, body: Anatomy) -> None:
        self.body = body
        self.tree = cKDTree(body.template)
        rows, columns = np.meshgrid(np.arange(ROWS - 1), np.arange(COLUMNS - 1), indexing="ij")
        first = rows * COLUMNS + columns
        self.triangles: Indices = split_quads(
            np.stack([first, first + COLUMNS, first + COLUMNS + 1, first + 1], -1).reshape(-1, 4)
        )
        u, v = np.meshgrid(np.linspace(0, 1, COLUMNS), np.linspace(1, 0, ROWS))
        self.texcoords = np.stack([u, v], -1).reshape(-1, 2)

    def points(self, who: Identity, skin: Array) -> Array:
        """Compute its points (metres) for a head whose neutral vertices are `skin`."""
        style = STYLES[who.style]
        if style.ends is None:
            speck = np.pad(self.texcoords * 1e-4, ((0, 0), (0, 1)))
            return np.asarray(speck + np.array([0, AXIS, 0.03]))
        across = np.linspace(-1, 1, COLUMNS)
        down = np.linspace(0, 1, ROWS)[:, None]
        edge = np.clip((np.abs(across) - 1 + ROLL) / ROLL, 0, 1)
        rng = np.random.default_rng(who.texture_seed)
        phase = rng.uniform(0, 6.28, 4)
        uneven = 0.004 * np.sin(across * 37 + phase[0]) + 0.003 * np.sin(across * 83 + phase[1])
        z = TOP + (style.ends + uneven - TOP) * down
        fall = step(z, 0.0, -0.05)
        angle = np.radians(FRONT_EDGE + 5 * fall) * across
        wide = np.interp(z, *WIDTHS) + 0.006 * (who.style == "wavy") * step(z, 0.03, -0.03)
        long = np.where(np.abs(angle) < np.pi / 2, np.interp(z, *BACKS), 0.088)
        radius = 1 / np.sqrt((np.sin(angle) / wide) ** 2 + (np.cos(angle) / long) ** 2)
        locks = np.sin(across * 61 + phase[2]) + 0.6 * np.sin(across * 143 + phase[3])
        radius = radius * (1 + 0.008 * locks * step(z, 0.05, 0.0))
        radius = radius + 0.0035 * style.wave * np.sin(z * 95 + 1.3 * np.sin(across * 9 + phase[0])) * step(
            z, 0.04, -0.02
        )
        radius = radius - 0.016 * edge**2
        if who.style in ("bob", "bangs"):  # the ends turn in
            radius = radius - 0.014 * np.clip(down - 0.7, 0, 1) ** 2 / 0.09
        points = np.stack([np.sin(angle) * radius, AXIS + np.cos(angle) * radius, z + 0 * angle], -1).reshape(-1, 3)
        distance, near = self.tree.query(points, k=48, workers=1)
        weight = 1 / (distance + 0.01)
        weight /= weight.sum(1, keepdims=True)
        moved = (skin - self.body.template)[near]
        return np.asarray(points + (moved * weight[..., None]).sum(1))

    def texture(self, who: Identity) -> Array:
        """Compute its sRGB texture, H x W x 3: strands run from the top to the ends."""
        height, width = HANGING_TEXELS
        u, v = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
        at = np.stack([u, 0.035 * v, 0 * u], -1)
        strands = 0.16 * noise(at, who.texture_seed + 30, 160, 24) + 0.12 * noise(at, who.texture_seed + 31, 45, 12)
        edge = np.exp(-((np.minimum(u, 1 - u) / 0.03) ** 2))
        shade = np.clip(1 + strands, 0.5, 1.6) * (1 - 0.25 * edge)
        return np.asarray(np.clip(np.asarray(who.hair) * shade[..., None], 0, 1))
