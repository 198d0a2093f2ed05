"""Align faces with the training pictures of the judge: rotate, shift and scale by landmarks, repeating the edge.

A judge trained on aligned faces fails on faces that are tilted or half as large.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import grid_sample

from benchmark.data.faceset import FaceSet
from benchmark.protocol import Subset

BATCH = 64


def mean_landmarks(faces: FaceSet, subset: Subset) -> dict[int, np.ndarray]:
    """Return the mean landmarks (68 x 2, pixels) of the training pictures of a subset by camera.

    Cameras without known landmarks are left out.
    """
    rows = faces.rows(subset, "train")
    cameras, landmarks = faces.table["camera"].to_numpy()[rows], faces.landmarks[rows]
    known = np.isfinite(landmarks).all((1, 2))
    return {
        int(camera): landmarks[known & (cameras == camera)].astype(np.float64).mean(0)
        for camera in np.unique(cameras[known])
    }


def similarity(points: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least-squares similarity from N x 2 points to others (Umeyama, 1991).

    It is a rotation with scale (2 x 2) and a shift (2), without mirroring.
    """
    start, end = points.mean(0), goal.mean(0)
    u, lengths, v = np.linalg.svd((goal - end).T @ (points - start))
    signs = np.array([1.0, np.sign(np.linalg.det(u @ v))])
    scale = (lengths * signs).sum() / np.square(points - start).sum()
    turn = scale * (u * signs) @ v
    return turn, end - turn @ start


def align_faces(
    images: np.ndarray, landmarks: np.ndarray, cameras: np.ndarray, means: dict[int, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Align N x S x S x 3 uint8 pictures with the mean landmarks of their camera, bicubic, edges repeated.

    landmarks: N x 68 x 2 in pixels (centres at integers), NaN where unknown. means: by camera, 68 x 2. Returns the
    pictures, and which were aligned (N bool): those without landmarks, or of a camera without a mean, stay as they are.
    """
    known = np.isfinite(landmarks).all((1, 2)) & np.isin(cameras, list(means))
    out, size = np.array(images), images.shape[1]
    ys, xs = np.mgrid[:size, :size].reshape(2, -1)
    rows = np.flatnonzero(known)
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        grids = np.empty((len(batch), size, size, 2))
        for number, row in enumerate(batch):
            # From a pixel of the result to the point that it is sampled at.
            turn, shift = similarity(means[int(cameras[row])], landmarks[row].astype(np.float64))
            grids[number] = (np.stack([xs, ys], 1) @ turn.T + shift).reshape(size, size, 2)
        grid = torch.from_numpy(grids * (2 / (size - 1)) - 1).float()
        pictures = torch.from_numpy(np.ascontiguousarray(images[batch])).permute(0, 3, 1, 2).float()
        taken = grid_sample(pictures, grid, mode="bicubic", padding_mode="border", align_corners=True)
        out[batch] = taken.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return out, known
