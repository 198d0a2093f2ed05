"""Batches of training faces, drawn and augmented: the trainer's `FaceSource`.

Pictures are uint8, in the memory map of the face set or on the GPU. A thread makes the next batch while a step
computes. It has a generator of its own, so a method's draws do not depend on how far ahead it is. A checkpoint has the
state before the batch that is being made; a resumed training makes that batch again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.interface import Augmentation, Faces
from benchmark.protocol import ACTION_UNITS, LANDMARKS
from benchmark.training.augmentation import augment, mirrored

SHARE = 0.25
"""Largest share of a GPU's free memory for pictures; larger sets stay in the memory map."""
UPLOAD = 256
"""Pictures copied to a GPU at once."""


@dataclass(frozen=True)
class TrainingSet:
    """The faces of a training.

    images: M x S x S x 3 uint8, usually the memory map of a face set. rows: N int64, indices of the training pictures
    in `images`; None for all. labels: N int64. units: action units, N x 17 float32. landmarks: N x 68 x 2 float32 in
    pixels. units and landmarks are None where unknown.
    """

    images: np.ndarray
    labels: np.ndarray
    units: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Tensor:
        """Copy the pictures with these indices (0 to N - 1), n x S x S x 3 uint8."""
        return torch.from_numpy(self.images[indices if self.rows is None else self.rows[indices]])


@dataclass(frozen=True)
class _NextBatch:
    """A batch that a thread makes, with the state that it is drawn from: the generator's, and the order of pictures."""

    count: int
    faces: Future[Faces]
    state: tuple[Tensor, Tensor]


class TrainingFaces:
    """Draws of training faces: a `FaceSource` whose draws are the same on every device."""

    def __init__(self, data: TrainingSet, augmentation: Augmentation, seed: int, device: torch.device) -> None:
        self._data, self._device, self._augmentation = data, device, augmentation
        self._pictures = _on_gpu(data, device)
        self._labels = torch.from_numpy(data.labels).to(device)
        self._units = _known(data.units, len(data), len(ACTION_UNITS)).to(device)
        landmarks = _known(data.landmarks, len(data), LANDMARKS, 2)
        # First those of the pictures, then those of the mirrored pictures.
        self._landmarks = torch.cat([landmarks, mirrored(landmarks, data.images.shape[2])]).to(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.classes = tuple(int(label) for label in np.unique(data.labels))
        self._groups = _Groups.of(data.labels, device if self._pictures is not None else torch.device("cpu"))
        self._own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=self.generator)))
        self._order = torch.empty(0, dtype=torch.int64)
        self._next: _NextBatch | None = None
        self._thread = _one_thread()

    def draw(self, count: int) -> Faces:
        """Draw `count` faces; every picture comes once before any comes again."""
        batch = self._next
        if batch is None or batch.count != count:
            self._undo_next()
            faces = self._make(count)
        else:
            faces = batch.faces.result()
        state = self._own.get_state(), self._order
        self._next = _NextBatch(count, self._thread.submit(self._make, count), state)
        return faces

    def _make(self, count: int) -> Faces:
        while len(self._order) < count:
            self._order = torch.cat([self._order, torch.randperm(len(self._data), generator=self._own)])
        chosen, self._order = self._order[:count], self._order[count:]
        return self._take(chosen, self._own)

    def _undo_next(self) -> None:
        """Go back to the state before the next batch."""
        if self._next is not None:
            self._next.faces.exception()  # waits
            state, self._order = self._next.state
            self._own.set_state(state)
            self._next = None

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        """Draw one random face for each label. Raises KeyError for a label that no picture has."""
        wanted = labels if isinstance(labels, Tensor) else torch.tensor(labels, dtype=torch.int64)
        return self._take(self._groups.draw(wanted, self.generator), self.generator)

    def draw_units(self, count: int) -> Tensor:
        """Draw the action units of random pictures, count x 17, with replacement."""
        chosen = torch.randint(len(self._units), (count,), generator=self.generator)
        return self._units[chosen.to(self._device, non_blocking=True)]

    def _take(self, chosen: Tensor, generator: torch.Generator) -> Faces:
        if self._pictures is None:
            pictures = self._data.take(chosen.numpy())
            if self._device.type != "cpu":
                pictures = pictures.pin_memory().to(self._device, non_blocking=True)
        else:
            pictures = self._pictures[chosen.to(self._device, non_blocking=True)]
        images, flipped = augment(pictures.permute(0, 3, 1, 2), self._augmentation, generator)
        chosen, flipped = (numbers.to(self._device, non_blocking=True) for numbers in (chosen, flipped))
        landmarks = self._landmarks[chosen + len(self._data) * flipped]
        return Faces(images, self._labels[chosen], self._units[chosen], landmarks)

    def state(self) -> dict[str, Tensor]:
        """State from which `restore` goes on with the same draws."""
        own, order = self._next.state if self._next else (self._own.get_state(), self._order)
        return {"generator": self.generator.get_state(), "own": own.clone(), "order": order.clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state`."""
        self._undo_next()
        self.generator.set_state(state["generator"])
        self._own.set_state(state["own"])
        self._order = state["order"].clone()


def _one_thread() -> ThreadPoolExecutor:
    """Executor of one thread that computes on one core, so that the step has the others."""
    count = torch.get_num_threads()
    executor = ThreadPoolExecutor(1, "faces")
    executor.submit(torch.set_num_threads, 1).result()
    torch.set_num_threads(count)  # for threads that start later; the count of this one has not changed
    return executor


@dataclass(frozen=True)
class _Groups:
    """Pictures by label. indices: N, sorted by label. starts, counts: where in `indices` those of each label are."""

    indices: Tensor
    starts: Tensor
    counts: Tensor

    @classmethod
    def of(cls, labels: np.ndarray, device: torch.device) -> _Groups:
        counts = np.bincount(labels)
        # On a GPU labels are not checked, since that would wait for it: a label without pictures gives an index out of
        # range, which torch refuses.
        starts = np.where(counts > 0, counts.cumsum() - counts, len(labels))
        order = labels.argsort(kind="stable")
        return cls(*(torch.from_numpy(values).to(device) for values in (order, starts, counts)))

    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the index of a random picture for each label."""
        drawn = torch.randint(
            2**62, (len(labels),), generator=generator
        )  # large, so that the remainder is nearly uniform
        device = self.indices.device
        labels, drawn = labels.to(device, non_blocking=device.type != "cpu"), drawn.to(device, non_blocking=True)
        if device.type == "cpu":
            for label in labels.tolist():
                if not (0 <= label < len(self.counts) and self.counts[label]):
                    raise KeyError(label)
        return self.indices[self.starts[labels] + drawn % self.counts[labels].clamp(min=1)]


def _on_gpu(data: TrainingSet, device: torch.device) -> Tensor | None:
    """Copy all pictures to the GPU, N x S x S x 3; None without a GPU or where they would take too much memory."""
    if device.type != "cuda":
        return None
    shape = (len(data), *data.images.shape[1:])
    if np.prod(shape) > SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    pictures = torch.empty(shape, dtype=torch.uint8, device=device)
    for indices in np.split(np.arange(len(data)), range(UPLOAD, len(data), UPLOAD)):
        pictures[indices[0] : indices[-1] + 1] = data.take(indices).to(device)
    return pictures


def _known(values: np.ndarray | None, *shape: int) -> Tensor:
    """Return `values` as float32, or NaN of that shape for None."""
    return torch.full(shape, torch.nan) if values is None else torch.from_numpy(values).float()
