"""The harness's `FaceSource`: training pictures in memory as uint8, drawn and augmented in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.data.augment import augment, mirrored
from benchmark.interface import Augmentation, Faces
from benchmark.protocol import ACTION_UNITS, LANDMARKS


@dataclass(frozen=True)
class TrainingSet:
    """What a method learns from. images: N x S x S x 3 uint8; labels: N int64; units: N x 17 float32 and landmarks:
    N x 68 x 2 float32 in pixels, each None where nothing is known of them.
    """

    images: np.ndarray
    labels: np.ndarray
    units: np.ndarray | None = None
    landmarks: np.ndarray | None = None


class TrainingFaces:
    """Pictures to train on, held on the device as uint8. All draws come from one seeded generator."""

    def __init__(self, data: TrainingSet, augmentation: Augmentation, seed: int, device: torch.device) -> None:
        count, labels = len(data.images), data.labels
        self._images = torch.from_numpy(np.ascontiguousarray(data.images)).permute(0, 3, 1, 2).contiguous().to(device)
        self._labels = torch.from_numpy(labels).to(device)
        self._units = _known(data.units, count, len(ACTION_UNITS)).to(device)
        self._landmarks = _known(data.landmarks, count, LANDMARKS, 2).to(device)
        self._augmentation = augmentation
        self.generator = torch.Generator().manual_seed(seed)
        self.classes = tuple(int(label) for label in np.unique(labels))
        self._by_label = {label: torch.from_numpy(np.flatnonzero(labels == label)) for label in self.classes}
        self._order = torch.empty(0, dtype=torch.int64)

    def draw(self, count: int) -> Faces:
        """`count` pictures; each picture comes once before any comes again."""
        while len(self._order) < count:
            self._order = torch.cat([self._order, torch.randperm(len(self._images), generator=self.generator)])
        chosen, self._order = self._order[:count], self._order[count:]
        return self._take(chosen)

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        """One random picture for each label (KeyError for a label that no picture has)."""
        wanted = labels.tolist() if isinstance(labels, Tensor) else labels
        chosen = []
        for label in wanted:
            candidates = self._by_label[int(label)]
            chosen.append(candidates[torch.randint(len(candidates), (), generator=self.generator)])
        return self._take(torch.stack(chosen))

    def draw_units(self, count: int) -> Tensor:
        """count x 17: the action units of random pictures, with replacement."""
        chosen = torch.randint(len(self._units), (count,), generator=self.generator)
        return self._units[chosen.to(self._units.device)]

    def _take(self, chosen: Tensor) -> Faces:
        chosen = chosen.to(self._images.device)
        images, flipped = augment(self._images[chosen].float() / 255, self._augmentation, self.generator)
        landmarks = self._landmarks[chosen]
        landmarks = torch.where(flipped[:, None, None], mirrored(landmarks, images.shape[3]), landmarks)
        return Faces(images * 2 - 1, self._labels[chosen], self._units[chosen], landmarks)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps, so that the next draw is the same as without the cut."""
        return {"generator": self.generator.get_state(), "order": self._order.clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state`."""
        self.generator.set_state(state["generator"])
        self._order = state["order"].clone()


def _known(values: np.ndarray | None, *shape: int) -> Tensor:
    """`values` as float32, or NaN in their shape where there are none."""
    return torch.full(shape, torch.nan) if values is None else torch.from_numpy(values).float()
