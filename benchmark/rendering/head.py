"""Geometry of a head: skin with an expression, eyes with a gaze, lashes, teeth, hair, and the 68 landmarks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from benchmark.rendering import landmarks
from benchmark.rendering.anatomy import (
    EYE_GROUPS,
    LASH_GROUPS,
    MOUTH_GROUPS,
    Anatomy,
    Array,
    Indices,
    Normals,
    refine,
    split_quads,
)
from benchmark.rendering.appearance import COLLAR, Painter, collar_height
from benchmark.rendering.facs import Side, facial_actions
from benchmark.rendering.fields import linear, step
from benchmark.rendering.hair import HANGING_TEXELS, HangingHair
from benchmark.rendering.identity import Identity

IRIS_RADIUS = 0.43
"""Angle (radians, at the eyeball's centre) between the eye's axis and the iris's edge."""
PUPIL_RADIUS = 0.17
GAZE_ANGLE = {"frontal": 0.0, "left": 28.0, "right": -28.0}
"""Degrees by which the irises turn to the subject's left."""
LASHES_PER_LID = 44
RINGS, SEGMENTS = 56, 48
EYE_TEXELS = 256
MOUTH_COLOURS = {
    "helper-upper-teeth": (0.93, 0.91, 0.86),
    "helper-lower-teeth": (0.88, 0.86, 0.80),
    "helper-tongue": (0.60, 0.27, 0.27),
}
BUN = ((0.0, 0.186, 0.052), 0.034)
"""Centre of a bun on the template, and its radius."""
FACE_SHARE, CHIN_AT = 0.68, 0.88
"""Distance from the brows' top to the chin of a neutral face, and of the chin from the picture's upper edge, in picture
heights: raised brows and a dropped jaw stay inside."""
PARTS = ("face", "torso", "inside", "mouth", "right_eye", "left_eye", "lashes", "bun", "hanging")
TEXTURED = ("face", "torso", "inside", "right_eye", "left_eye", "bun", "hanging")


@dataclass(frozen=True)
class Part:
    """Vertices of one mesh of the scene: N x 3 points (metres) and unit normals."""

    points: Array
    normals: Array


@dataclass(frozen=True)
class Pose:
    """Geometry of one shot: the parts by name, the landmarks (68 x 3, metres) and their outward normals."""

    parts: dict[str, Part]
    landmarks: Array
    landmark_normals: Array


def ball() -> tuple[Array, Indices, Array]:
    """Make a unit sphere, dense in front (-y): points, triangles, texture coordinates for `eye_texture`."""
    angle = np.concatenate([np.linspace(0, 0.6, 36), np.linspace(0.6, np.pi, RINGS - 36 + 1)[1:]])
    turn = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    a, t = np.meshgrid(angle, turn, indexing="ij")
    points = np.stack([np.sin(a) * np.cos(t), -np.cos(a), np.sin(a) * np.sin(t)], -1).reshape(-1, 3)
    rows, columns = np.meshgrid(np.arange(RINGS - 1), np.arange(SEGMENTS), indexing="ij")
    nxt = (columns + 1) % SEGMENTS
    here, below = rows * SEGMENTS, (rows + 1) * SEGMENTS
    quads = np.stack([here + columns, below + columns, below + nxt, here + nxt], -1)
    disc = np.stack([a * np.cos(t), a * np.sin(t)], -1).reshape(-1, 2) / (2 * np.pi) + 0.5
    return points, split_quads(quads.reshape(-1, 4)), disc


def eye_texture(who: Identity) -> Array:
    """Compute the eyeball's linear colours, EYE_TEXELS x EYE_TEXELS x 3.

    A texel's distance from the centre is proportional to the angle from the eye's axis.
    """
    rng = np.random.default_rng(who.texture_seed)
    axis = (np.arange(EYE_TEXELS) + 0.5) / EYE_TEXELS * 2 - 1
    across, up = np.meshgrid(axis, axis)
    angle, turn = np.pi * np.hypot(across, up), np.arctan2(up, across)
    streaks = 1 + 0.10 * sum(np.sin(turn * n + rng.uniform(0, 6.3)) for n in (7, 11, 17, 23))
    sclera = np.array([0.94, 0.92, 0.90]) - step(angle, 0.6, 1.2)[..., None] * [0.06, 0.16, 0.15]
    iris = np.array(who.iris) * (0.75 + 0.6 * angle / IRIS_RADIUS * streaks)[..., None]
    inside, pupil = (
        step(angle, IRIS_RADIUS + 0.02, IRIS_RADIUS - 0.02),
        step(angle, PUPIL_RADIUS + 0.02, PUPIL_RADIUS - 0.02),
    )
    rim = np.exp(-(((angle - IRIS_RADIUS) / 0.04) ** 2))
    colours = (sclera * (1 - inside[..., None]) + iris * inside[..., None]) * (1 - 0.6 * rim)[..., None]
    return linear(np.clip(colours * (1 - pupil)[..., None] + 0.02 * pupil[..., None], 0, 1))


def fit_sphere(points: Array) -> tuple[Array, float]:
    """Fit a sphere to N x 3 points by least squares: its centre and radius."""
    solution, *_ = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(1), rcond=None)
    return solution[:3], float(np.sqrt(solution[3] + solution[:3] @ solution[:3]))


def lash_strip(body: Anatomy, group: str) -> tuple[Indices, Indices]:
    """Return root and tip vertices of one of MakeHuman's lash strips, from one corner of the eye to the other."""
    quads = body.mesh.quads[group]
    ends = np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2)
    edges, uses = np.unique(np.sort(ends, 1), axis=0, return_counts=True)
    after: dict[int, list[int]] = {}
    for a, b in edges[uses == 1].tolist():
        after.setdefault(a, []).append(b)
        after.setdefault(b, []).append(a)
    numbers, valence = np.unique(quads, return_counts=True)
    corners = set(numbers[valence == 1].tolist())
    start = min(corners)
    loop, previous = [start], -1
    while len(loop) < len(after):
        following = next(v for v in after[loop[-1]] if v not in (previous, *loop[-1:]) and (v not in loop))
        previous = loop[-1]
        loop.append(following)
    cuts = [i for i, v in enumerate(loop) if v in corners] + [len(loop)]
    sides = [np.array([*loop[a:b], loop[b % len(loop)]]) for a, b in itertools.pairwise(cuts)]
    long = sorted(sides, key=len)[2:]
    centre = body.average[np.unique(body.mesh.quads[EYE_GROUPS[0] if "-r-" in group else EYE_GROUPS[1]])].mean(0)
    root, tip = sorted(long, key=lambda side: float(np.linalg.norm(body.average[side] - centre, axis=1).mean()))
    return root, tip[::-1]


def lashes(body: Anatomy) -> tuple[sp.csr_matrix, Indices]:
    """Make the lashes: their points as a matrix over the base mesh's vertices, and their triangles.

    Each lid has a dark line and tapering hairs.
    """
    rows: list[dict[int, float]] = []
    triangles: list[tuple[int, int, int]] = []
    for group in LASH_GROUPS:
        root, tip = lash_strip(body, group)
        upper = group.endswith("2")

        def point(s: float, out: float, root: Indices = root, tip: Indices = tip) -> int:
            position = float(np.clip(s, 0, 1)) * (len(root) - 1)
            low = min(int(position), len(root) - 2)
            part = position - low
            weights: dict[int, float] = {}
            for index, share in ((low, 1 - part), (low + 1, part)):
                weights[int(root[index])] = weights.get(int(root[index]), 0.0) + share * (1 - out)
                weights[int(tip[index])] = weights.get(int(tip[index]), 0.0) + share * out
            rows.append(weights)
            return len(rows) - 1

        line = [(point(s, 0.0), point(s, 0.11 if upper else 0.05)) for s in np.linspace(0, 1, 20)]
        for (a, b), (c, d) in itertools.pairwise(line):
            triangles += [(a, b, d), (a, d, c)]
        for s in np.linspace(0.04, 0.96, LASHES_PER_LID):
            width, length = 0.006, (0.7 if upper else 0.4) * (0.75 + 0.25 * np.sin(np.pi * s))
            lean = 0.05 * (s - 0.5)
            triangles.append((point(s - width, 0.05), point(s + width, 0.05), point(s + lean, length)))
    data = [(i, j, w) for i, row in enumerate(rows) for j, w in row.items()]
    i, j, w = (np.array(column) for column in zip(*data, strict=True))
    return sp.csr_matrix((w, (i, j)), (len(rows), len(body.average))), np.array(triangles, np.int64)


class HeadBuilder:
    """Builds heads. All heads have the same topology, so a scene is updated in place."""

    def __init__(self, body: Anatomy) -> None:
        self.body = body
        self.painter = Painter(body)
        self.sphere, self.sphere_triangles, self.sphere_texcoords = ball()
        self.hanging = HangingHair(body)
        self.hanging_normals = Normals(self.hanging.triangles, len(self.hanging.texcoords))
        self.lash_matrix, self.lash_triangles = lashes(body)
        self.lash_normals = Normals(self.lash_triangles, self.lash_matrix.shape[0])
        self._mouth()
        self.collar = step(collar_height(body.template) - body.template[:, 2], -0.001, 0.001)
        self.bun_anchor = int(np.argmin(np.linalg.norm(body.template - BUN[0], axis=1)))
        self.landmark_picker = landmarks.Picker(body)
        self.colours = {"mouth": self.mouth_colours, "lashes": np.full((self.lash_matrix.shape[0], 3), 0.012)}
        ball_coordinates = dict.fromkeys(TEXTURED[3:6], self.sphere_texcoords)
        self.texcoords = {name: sheet.texcoords for name, sheet in zip(PARTS, body.sheets, strict=False)} | {
            **ball_coordinates,
            "hanging": self.hanging.texcoords,
        }
        ball_shapes = ((EYE_TEXELS, EYE_TEXELS, 3), (EYE_TEXELS, EYE_TEXELS, 3), (4, 4, 3), (*HANGING_TEXELS, 3))
        self.texture_shapes = dict(
            zip(TEXTURED, (*(sheet.texels.shape for sheet in body.sheets), *ball_shapes), strict=True)
        )
        self.triangles: dict[str, Indices] = {
            **{name: sheet.triangles for name, sheet in zip(PARTS, body.sheets, strict=False)},
            "mouth": self.mouth_triangles,
            "right_eye": self.sphere_triangles,
            "left_eye": self.sphere_triangles,
            "lashes": self.lash_triangles,
            "bun": self.sphere_triangles,
            "hanging": self.hanging.triangles,
        }

    def _mouth(self) -> None:
        steps, triangles, colours, offset = [], [], [], 0
        for group in MOUTH_GROUPS:
            quads = self.body.mesh.quads[group]
            used = np.unique(quads)
            matrix, fine = refine(np.searchsorted(used, quads), len(used))
            select = sp.csr_matrix(
                (np.ones(len(used)), (np.arange(len(used)), used)), (len(used), len(self.body.average))
            )
            steps.append(matrix @ select)
            triangles.append(split_quads(fine) + offset)
            colours.append(np.tile(linear(np.array(MOUTH_COLOURS[group])), (matrix.shape[0], 1)))
            offset += matrix.shape[0]
        self.mouth_matrix = sp.vstack(steps).tocsr()
        self.mouth_triangles = np.concatenate(triangles)
        self.mouth_colours = np.concatenate(colours)
        self.mouth_normals = Normals(self.mouth_triangles, offset)

    def build(self, who: Identity) -> Head:
        """Build an identity's head: its neutral shape, hair, textures and framing."""
        return Head(self, who)


class Head:
    """Head of one identity: what its poses share."""

    def __init__(self, builder: HeadBuilder, who: Identity) -> None:
        self.builder, self.who = builder, who
        body = builder.body
        self.base = body.shape(dict(who.phenotype), dict(who.local_changes))
        self.eyes = [fit_sphere(self.base[np.unique(body.mesh.quads[group])]) for group in EYE_GROUPS]
        middle = (self.eyes[0][0] + self.eyes[1][0]) / 2
        self.base = self.base - middle
        self.eyes = [(centre - middle, radius) for centre, radius in self.eyes]
        self.lift = builder.painter.lift(who) + 0.003 * builder.collar
        eye, hair = eye_texture(who), np.tile(linear(np.array(who.hair) * 0.95), (4, 4, 1))
        painted = (*builder.painter.paint(who), eye, eye, hair, linear(builder.hanging.texture(who)))
        self.roughness = builder.painter.roughness(who)
        self.comb = builder.painter.comb(who)
        self.textures: dict[str, Array] = dict(zip(TEXTURED, painted, strict=True))
        self.landmark_vertices = builder.landmark_picker.pick(who)
        skin = self._skin(self.base)
        hanging = builder.hanging.points(who, skin)
        self.hanging = Part(hanging, builder.hanging_normals(hanging))
        heights = skin[self.landmark_vertices, 2]
        chin, brows = float(heights[8]), float(heights[17:27].max())
        self.frame = (brows - chin) / FACE_SHARE
        """Height of the picture in metres at the eyes."""
        self.middle = chin + (CHIN_AT - 0.5) * self.frame
        """Height of the picture's middle in metres above the eyes."""

    def _skin(self, vertices: Array) -> Array:
        return np.asarray(self.builder.body.subdivide @ vertices[self.builder.body.used])

    def pose(self, units: Mapping[str, float], one_sided: Mapping[str, Side], gaze: str) -> Pose:
        """Compute the geometry for action units in [0, 5] and a gaze; units in `one_sided` move one side only."""
        builder, body = self.builder, self.builder.body
        weights = facial_actions(units, one_sided)
        turn = GAZE_ANGLE[gaze]
        if turn:  # the lids follow the irises
            out, inward = ("Left", "Right") if turn > 0 else ("Right", "Left")
            weights |= {f"eyeLookOut{out}": 0.5, f"eyeLookIn{inward}": 0.5}
        vertices = body.displaced(self.base, weights)
        skin = self._skin(vertices)
        normals = body.body_normals(skin)
        skin = skin - normals * builder.painter.crease(units, one_sided)[:, None]
        surface = skin + normals * self.lift[:, None]
        normals = body.body_normals(surface) + self.comb
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        parts = {
            name: Part(surface[sheet.source], normals[sheet.source])
            for name, sheet in zip(PARTS, body.sheets, strict=False)
        }
        mouth = np.asarray(builder.mouth_matrix @ vertices)
        parts["mouth"] = Part(mouth, builder.mouth_normals(mouth))
        angle = np.radians(turn)
        rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        looking = builder.sphere @ rotation.T
        for name, (centre, radius) in zip(("right_eye", "left_eye"), self.eyes, strict=True):
            parts[name] = Part(centre + looking * radius * 0.985, looking)
        lash = np.asarray(builder.lash_matrix @ vertices)
        parts["lashes"] = Part(lash, builder.lash_normals(lash))
        size = BUN[1] if self.who.style == "bun" else 1e-4
        bun = surface[builder.bun_anchor] + builder.sphere * [1.15 * size, 0.85 * size, size]
        parts["bun"] = Part(bun, builder.sphere)
        parts["hanging"] = self.hanging
        return Pose(parts, skin[self.landmark_vertices], normals[self.landmark_vertices])


__all__ = ["COLLAR", "GAZE_ANGLE", "PARTS", "Part", "Pose", "Head", "HeadBuilder"]
