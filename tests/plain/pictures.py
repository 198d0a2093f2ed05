"""The plain loader: picture files, opened, augmented and made tensors by worker processes, a batch at a time.

As the published codes do it: PIL and torchvision's transforms picture by picture, in torch's DataLoader. What it draws
differs from `TrainingFaces`'s draws of the same seed; its distribution does not.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import transforms as T
from torchvision.transforms import functional as F

from benchmark.interface import Augmentation, Faces
from benchmark.protocol import ACTION_UNITS, LANDMARK_MIRROR, LANDMARKS
from benchmark.training.sampling import TrainingSet

WORKERS = 2
SERVER = multiprocessing.get_context("forkserver")
"""Workers are forked from a small process: from this one they would keep a copy of all that it has ever held."""
SERVER.set_forkserver_preload(["torch", "torchvision.transforms"])
Item = tuple[Tensor, Tensor, Tensor, Tensor]


class PictureFaces:
    """A `FaceSource` of PNG files, which it writes into `folder`. Its workers end with it, or with `close`."""

    def __init__(self, folder: Path, data: TrainingSet, augmentation: Augmentation, seed: int) -> None:
        folder.mkdir(parents=True)
        for number, picture in enumerate(data.take(np.arange(len(data))).numpy()):
            Image.fromarray(picture).save(folder / f"{number}.png")
        self.generator = torch.Generator().manual_seed(seed)
        self.classes = tuple(int(label) for label in np.unique(data.labels))
        self.files = PictureFiles(folder, data, augmentation)
        self._seed = seed
        self._streams: dict[Hashable, Iterator[Item]] = {}

    def draw(self, count: int) -> Faces:
        """Of a loader with two workers, which are ahead by two batches each."""
        return Faces(*self._next(("all", count), np.arange(len(self.files)), count, WORKERS))

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        """Of one loader for every expression, as HiSD's code has one for every attribute."""
        drawn = []
        for label in labels.tolist() if isinstance(labels, Tensor) else labels:
            rows = np.flatnonzero(self.files.labels.numpy() == label)
            if not len(rows):
                raise KeyError(label)
            drawn.append(self._next(("label", label), rows, 1, 1))
        return Faces(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))

    def draw_units(self, count: int) -> Tensor:
        units = self.files.units
        return units[torch.randint(len(units), (count,), generator=self.generator)]

    def close(self) -> None:
        self._streams.clear()

    def _next(self, name: Hashable, rows: np.ndarray, count: int, workers: int) -> Item:
        if name not in self._streams:
            generator = torch.Generator().manual_seed(self._seed + len(self._streams))
            loader: DataLoader[Item] = DataLoader(
                self.files, count, sampler=Shuffled(rows, generator), num_workers=workers, generator=generator,
                multiprocessing_context=SERVER,
            )  # fmt: skip
            self._streams[name] = iter(loader)
        images, labels, units, landmarks = next(self._streams[name])
        return images, labels, units, landmarks


class PictureFiles(Dataset[Item]):
    """Picture, label, units and landmarks of every file."""

    def __init__(self, folder: Path, data: TrainingSet, augmentation: Augmentation) -> None:
        self._folder, self._flip, self._size = folder, augmentation.flip, data.images.shape[1]
        self.labels = torch.from_numpy(data.labels)
        count = len(data)
        self.units = torch.full((count, len(ACTION_UNITS)), torch.nan)
        self.landmarks = torch.full((count, LANDMARKS, 2), torch.nan)
        if data.units is not None:
            self.units = torch.from_numpy(data.units)
        if data.landmarks is not None:
            self.landmarks = torch.from_numpy(data.landmarks)
        colours = (augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue)
        jitter = [T.ColorJitter(*colours)] if any(colours) else []
        self._transform = T.Compose([T.Resize(self._size), *jitter, T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> Item:
        landmarks = self.landmarks[number]
        with Image.open(self._folder / f"{number}.png") as opened:
            picture = opened.convert("RGB")
        if self._flip and torch.rand(()) < 0.5:
            picture = F.hflip(picture)
            landmarks = landmarks[list(LANDMARK_MIRROR)] * torch.tensor([-1.0, 1.0])
            landmarks = landmarks + torch.tensor([self._size - 1.0, 0.0])
        return self._transform(picture), self.labels[number], self.units[number], landmarks


class Shuffled(Sampler[int]):
    """The rows without end, in a new order each time round."""

    def __init__(self, rows: np.ndarray, generator: torch.Generator) -> None:
        self._rows, self._generator = rows, generator

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from self._rows[torch.randperm(len(self._rows), generator=self._generator).numpy()].tolist()
