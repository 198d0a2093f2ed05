"""The harness's `FaceSource`: training pictures in memory as uint8, drawn and augmented in batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmark.data.augment import augment
from benchmark.interface import Augmentation, Faces


class TrainingFaces:
    """Pictures to train on, held on the device as uint8. All draws come from one seeded generator.

    images: N x S x S x 3 uint8. labels: N int64. units: N x 17.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        units: np.ndarray,
        augmentation: Augmentation,
        seed: int,
        device: torch.device,
    ) -> None:
        self._images = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).contiguous().to(device)
        self._labels = torch.from_numpy(labels).to(device)
        self._units = torch.from_numpy(units).to(device)
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

    def _take(self, chosen: Tensor) -> Faces:
        chosen = chosen.to(self._images.device)
        images = augment(self._images[chosen].float() / 255, self._augmentation, self.generator)
        return Faces(images * 2 - 1, self._labels[chosen], self._units[chosen])

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps, so that the next draw is the same as without the cut."""
        return {"generator": self.generator.get_state(), "order": self._order.clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state`."""
        self.generator.set_state(state["generator"])
        self._order = state["order"].clone()
