"""Tight face boxes for FID(Cp): a square round the landmarks, cut out of real and edited pictures by one function.

Coordinates are those of the face table: pixel centres at integers, so a picture of side S covers [-0.5, S - 0.5].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.protocol import LANDMARKS

MARGIN = 0.1
"""Added on each side, as a part of the landmarks' larger extent. The 68 points run from the brows to the chin and from
jaw to jaw; dlib's face detector, whose box GANimation's tight crop is, reaches from the middle of the forehead to just
below the chin. A tenth on each side takes the square to about there, and keeps a raised brow or a dropped jaw in the
picture."""

CHUNK = 512
"""Pictures resampled at once."""


def tight_box(landmarks: NDArray[np.floating], size: int, margin: float = MARGIN) -> NDArray[np.float64]:
    """The square box of each face: N x 4 (left, top, right, bottom), from `landmarks` (N x 68 x 2: x, y) in pictures of
    side `size`.

    Its side is the landmarks' larger extent times 1 + 2 `margin`, at most `size`. A box that would reach outside is
    moved inside, so that it shows no invented pixels. A face with an unknown landmark (NaN) has a box of NaN.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (LANDMARKS, 2):
        raise ValueError(f"landmarks must be N x {LANDMARKS} x 2, not {landmarks.shape}")
    points = landmarks.astype(np.float64)
    low, high = points.min(axis=1), points.max(axis=1)
    side = np.minimum((high - low).max(axis=1) * (1.0 + 2.0 * margin), float(size))
    half = side[:, None] / 2.0
    centre = np.clip((low + high) / 2.0, half - 0.5, size - 0.5 - half)
    return np.asarray(np.concatenate([centre - half, centre + half], axis=1))


def crop(images: NDArray[np.uint8], boxes: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    """Each picture's box, resampled to `size` x `size`: N x size x size x 3 from `images` (N x H x W x 3) and `boxes`
    (N x 4).

    Bilinear with antialiasing (a triangle as wide as the box's pixels, as in Pillow), at the box's sub-pixel position;
    outside the picture its edge is repeated. Raises ValueError for a box that is not finite or is empty.
    """
    if images.ndim != 4 or boxes.shape != (len(images), 4):
        raise ValueError(f"N x H x W x 3 images and N x 4 boxes are needed, not {images.shape} and {boxes.shape}")
    if not np.isfinite(boxes).all() or (boxes[:, 2:] <= boxes[:, :2]).any():
        raise ValueError("boxes must be finite and not empty: leave faces without landmarks out")
    _, height, width, channels = images.shape
    cut = np.empty((len(images), size, size, channels), dtype=np.uint8)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        down = resampling_weights(boxes[part, 1], boxes[part, 3], height, size)
        across = resampling_weights(boxes[part, 0], boxes[part, 2], width, size)
        planes = images[part].transpose(0, 3, 1, 2).astype(np.float64)
        levels = down[:, None] @ planes @ across[:, None].transpose(0, 1, 3, 2)
        # The weights are positive and sum to 1, so levels stay within [0, 255] up to rounding.
        cut[part] = np.clip(np.rint(levels), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return cut


def resampling_weights(
    low: NDArray[np.floating], high: NDArray[np.floating], length: int, size: int
) -> NDArray[np.float64]:
    """N x size x length: row i holds what each of `length` pixels gives to pixel i of `size` between the edges `low`
    and `high`."""
    scale = (high - low)[:, None, None].astype(np.float64) / size
    support = np.maximum(scale, 1.0)
    centres = low[:, None, None] + (np.arange(size)[None, :, None] + 0.5) * scale
    # Pixels that any box can draw on, also outside the picture; those are then counted towards the edge.
    first = int(np.floor(min(float((centres - support).min()), 0.0)))
    last = int(np.ceil(max(float((centres + support).max()), length - 1.0)))
    positions = np.arange(first, last + 1, dtype=np.float64)
    weights = np.clip(1.0 - np.abs(positions - centres) / support, 0.0, None)
    inside = weights[:, :, -first : length - first].copy()
    inside[:, :, 0] += weights[:, :, :-first].sum(axis=2) if first < 0 else 0.0
    inside[:, :, -1] += weights[:, :, length - first :].sum(axis=2)
    return np.asarray(inside / inside.sum(axis=2, keepdims=True))
