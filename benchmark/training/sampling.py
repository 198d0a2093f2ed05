"""The harness's `FaceSource`: training pictures as uint8, in the face set's memory map or on the GPU, drawn and
augmented in batches.

While a step computes, a thread makes the next step's batch. It draws from a generator of its own, so that what a method
draws for itself does not depend on how far ahead the thread is; a checkpoint keeps the state from before that batch,
and a cut run makes it again.
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
"""Of a GPU's free memory that pictures may take; where they would take more they stay in the map."""
UPLOAD = 256
"""Pictures in memory at once on the way to a GPU."""


@dataclass(frozen=True)
class TrainingSet:
    """What a method learns from. images: M x S x S x 3 uint8, as a rule the whole face set's memory map; rows: N int64,
    the pictures among them that belong to the set (None: all); labels: N int64; units: N x 17 float32 and landmarks:
    N x 68 x 2 float32 in pixels, each None where nothing is known of them.
    """

    images: np.ndarray
    labels: np.ndarray
    units: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: np.ndarray) -> Tensor:
        """n x S x S x 3 uint8, a copy of the pictures with these numbers (0 to N - 1)."""
        return torch.from_numpy(self.images[chosen if self.rows is None else self.rows[chosen]])


@dataclass(frozen=True)
class _Ahead:
    """A batch in the making, and what it was drawn from: the generator's state and the order of the pictures."""

    count: int
    faces: Future[Faces]
    drawn_from: tuple[Tensor, Tensor]


class TrainingFaces:
    """Pictures to train on. All draws are seeded, and are the same on every device."""

    def __init__(self, data: TrainingSet, augmentation: Augmentation, seed: int, device: torch.device) -> None:
        self._data, self._device, self._augmentation = data, device, augmentation
        self._pictures = _on_gpu(data, device)
        self._labels = torch.from_numpy(data.labels).to(device)
        self._units = _known(data.units, len(data), len(ACTION_UNITS)).to(device)
        landmarks = _known(data.landmarks, len(data), LANDMARKS, 2)
        # Of the pictures as they are, then of the same mirrored.
        self._landmarks = torch.cat([landmarks, mirrored(landmarks, data.images.shape[2])]).to(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.classes = tuple(int(label) for label in np.unique(data.labels))
        self._groups = _Groups.of(data.labels, device if self._pictures is not None else torch.device("cpu"))
        self._own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=self.generator)))
        self._order = torch.empty(0, dtype=torch.int64)
        self._ahead: _Ahead | None = None
        self._thread = _one_thread()

    def draw(self, count: int) -> Faces:
        """`count` pictures; each picture comes once before any comes again."""
        ahead = self._ahead
        if ahead is None or ahead.count != count:
            self._forget()
            faces = self._make(count)
        else:
            faces = ahead.faces.result()
        drawn_from = self._own.get_state(), self._order
        self._ahead = _Ahead(count, self._thread.submit(self._make, count), drawn_from)
        return faces

    def _make(self, count: int) -> Faces:
        while len(self._order) < count:
            self._order = torch.cat([self._order, torch.randperm(len(self._data), generator=self._own)])
        chosen, self._order = self._order[:count], self._order[count:]
        return self._take(chosen, self._own)

    def _forget(self) -> None:
        """Go back to before the batch in the making."""
        if self._ahead is not None:
            self._ahead.faces.exception()  # waits
            state, self._order = self._ahead.drawn_from
            self._own.set_state(state)
            self._ahead = None

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        """One random picture for each label (KeyError for a label that no picture has)."""
        wanted = labels if isinstance(labels, Tensor) else torch.tensor(labels, dtype=torch.int64)
        return self._take(self._groups.draw(wanted, self.generator), self.generator)

    def draw_units(self, count: int) -> Tensor:
        """count x 17: the action units of random pictures, with replacement."""
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
        """What a checkpoint keeps, so that the next draw is the same as without the cut."""
        own, order = self._ahead.drawn_from if self._ahead else (self._own.get_state(), self._order)
        return {"generator": self.generator.get_state(), "own": own.clone(), "order": order.clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state`."""
        self._forget()
        self.generator.set_state(state["generator"])
        self._own.set_state(state["own"])
        self._order = state["order"].clone()


def _one_thread() -> ThreadPoolExecutor:
    """A thread whose arithmetic does not spread over others: all but one core are the step's."""
    count = torch.get_num_threads()
    made = ThreadPoolExecutor(1, "faces")
    made.submit(torch.set_num_threads, 1).result()
    torch.set_num_threads(count)  # what threads to come begin with; this one's own count was not touched
    return made


@dataclass(frozen=True)
class _Groups:
    """The pictures of every label. numbers: N, sorted by label; starts and counts: where in it a label's are."""

    numbers: Tensor
    starts: Tensor
    counts: Tensor

    @classmethod
    def of(cls, labels: np.ndarray, device: torch.device) -> _Groups:
        counts = np.bincount(labels)
        # On a GPU nobody looks at the labels asked for; one that no picture has leads outside, where torch stops.
        starts = np.where(counts > 0, counts.cumsum() - counts, len(labels))
        order = labels.argsort(kind="stable")
        return cls(*(torch.from_numpy(values).to(device) for values in (order, starts, counts)))

    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The number of a random picture for each label."""
        drawn = torch.randint(
            2**62, (len(labels),), generator=generator
        )  # so many that the remainder is as good as even
        device = self.numbers.device
        labels, drawn = labels.to(device, non_blocking=device.type != "cpu"), drawn.to(device, non_blocking=True)
        if device.type == "cpu":
            for label in labels.tolist():
                if not (0 <= label < len(self.counts) and self.counts[label]):
                    raise KeyError(label)
        return self.numbers[self.starts[labels] + drawn % self.counts[labels].clamp(min=1)]


def _on_gpu(data: TrainingSet, device: torch.device) -> Tensor | None:
    """N x S x S x 3, all pictures, if there is a GPU and they leave it enough memory."""
    if device.type != "cuda":
        return None
    shape = (len(data), *data.images.shape[1:])
    if np.prod(shape) > SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    pictures = torch.empty(shape, dtype=torch.uint8, device=device)
    for numbers in np.split(np.arange(len(data)), range(UPLOAD, len(data), UPLOAD)):
        pictures[numbers[0] : numbers[-1] + 1] = data.take(numbers).to(device)
    return pictures


def _known(values: np.ndarray | None, *shape: int) -> Tensor:
    """`values` as float32, or NaN in their shape where there are none."""
    return torch.full(shape, torch.nan) if values is None else torch.from_numpy(values).float()
