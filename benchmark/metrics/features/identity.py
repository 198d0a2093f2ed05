"""Faces as points of an identity space: cut out by their landmarks, described by dlib's network.

The cut is dlib's: the similarity that brings the corners of the eyes and the base of the nose to fixed points of a
picture of 150 x 150. Expressions hardly move these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from benchmark.data.alignment import similarity
from benchmark.metrics.features.dlib_network import DIMENSIONS, SIDE, DlibNetwork, IdentityWeights, load_network

POINTS = [36, 39, 42, 45, 33]
"""Outer and inner corners of the eyes, from the picture's left to its right, and the base of the nose."""
GOAL = np.array(
    [[0.1206, 0.2137], [0.3341, 0.2291], [0.6461, 0.2290], [0.8596, 0.2135], [0.4901, 0.6278]]
)  # fmt: skip
"""Where dlib's training pictures have them, as shares of a square (its model of five landmarks)."""
PADDING = 0.25
"""Added to the square on each side, as a share of it."""
BATCH = 16
LARGEST = 256
"""Larger pictures are first resized to this side: a face fills most of a picture and is cut to 150 pixels."""


class IdentityNetwork(Protocol):
    """Describes faces by their identity."""

    @property
    def key(self) -> str:
        """What decides its numbers."""

    @property
    def dimensions(self) -> int:
        """D."""

    def describe(self, images: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
        """N x S x S x 3 uint8 and N x 68 x 2 in pixels to N x D; NaN where landmarks are unknown."""


@dataclass(frozen=True)
class DlibIdentity:
    """dlib's network."""

    network: DlibNetwork
    key: str
    device: str = "cpu"
    dimensions: int = DIMENSIONS

    @torch.inference_mode()
    def describe(self, images: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
        """Cut the faces out and describe them."""
        described = np.full((len(images), self.dimensions), np.nan, np.float32)
        known = np.flatnonzero(np.isfinite(landmarks).all((1, 2)))
        for start in range(0, len(known), BATCH):
            rows = known[start : start + BATCH]
            chips = cut_faces(images[rows], landmarks[rows]).to(self.device, memory_format=torch.channels_last)
            described[rows] = self.network(chips).cpu().numpy()
        return described


def open_dlib_identity(weights: IdentityWeights, device: str) -> DlibIdentity:
    """Load the network. Raises UserError for a damaged file."""
    network = load_network(weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return DlibIdentity(network, weights.sha256, device)


def cut_faces(images: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> torch.Tensor:
    """Cut N x S x S x 3 uint8 to N x 3 x 150 x 150 in levels; bilinear, the edge of the picture repeated."""
    pictures = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    points, size = landmarks[:, POINTS].astype(np.float64) + 0.5, pictures.shape[2]
    if size > LARGEST:
        pictures = F.interpolate(pictures, size=(LARGEST, LARGEST), mode="bilinear", antialias=True)
        points, size = points * (LARGEST / size), LARGEST
    goal = (GOAL + PADDING) / (1 + 2 * PADDING) * SIDE
    pixels = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).reshape(-1, 2) + 0.5
    grids = np.empty((len(images), SIDE, SIDE, 2), np.float32)
    for grid, face in zip(grids, points, strict=True):
        turn, shift = similarity(goal, face)  # from a pixel of the cut to the point that it is sampled at
        grid[:] = ((pixels @ turn.T + shift) * (2 / size) - 1).reshape(SIDE, SIDE, 2)
    return F.grid_sample(pictures, torch.from_numpy(grids), "bilinear", "border", align_corners=False)
