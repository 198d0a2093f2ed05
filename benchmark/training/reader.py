"""The reader: a network that reads action units and landmarks from pictures, trained on real ones.

A small convolutional network on pictures of 64 x 64 pixels, trained from scratch on the train identities, as the judge
is. It reads the edits, and the real pictures that they are compared with. Where a data set has action units alone or
landmarks alone, it learns these.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.core.errors import RunFailed
from benchmark.interface import Augmentation, Faces
from benchmark.protocol import ACTION_UNITS, LANDMARKS
from benchmark.settings import chosen
from benchmark.training.augmentation import mirrored
from benchmark.training.checkpoint import below, optimizer_tensors, prefixed, restore_optimizer, save_tensors
from benchmark.training.sampling import TrainingFaces, TrainingSet
from benchmark.training.supervised import (
    adamw,
    in_order,
    load_network,
    load_own_state,
    one_cycle,
    save_network,
    set_rate,
    training_identity,
)

NAME = "reader"
WEIGHTS, ABOUT = f"{NAME}.safetensors", f"{NAME}.json"
READ_BATCH = 32
SAVE_SECONDS = 10.0
"""Least time between two saved states."""
UNITS = len(ACTION_UNITS)
OUTPUTS, HIDDEN = UNITS + 2 * LANDMARKS, 256
FURTHEST = 1.5
"""How far a blend goes at most: 1 is the second picture."""
LEAST_UNIT, LEAST_SHARE = 0.25, 0.005
"""Least spread that an action unit (of 5) and a landmark (of the side) are divided by: some action units never move."""


@dataclass(frozen=True)
class ReaderSettings:
    """Settings of the reader's training."""

    pictures: int = chosen(48_000, "drawn in all; a profile names its own")
    side: int = chosen(64, "pictures are resized to it, so that a large one costs no more")
    channels: int = chosen(24, "of the first layer; then two, four and six times as many")
    batch: int = chosen(32, "as the judge's")
    learning_rate: float = chosen(2e-3, "peak of one cycle")
    warm_up: float = chosen(0.1, "share of the steps in which the rate rises; then it falls along a cosine to 0")
    weight_decay: float = chosen(0.05, "AdamW's, on matrices and kernels only")
    landmark_weight: float = chosen(0.4, "of their loss; at 2.5, 14,400 pictures taught landmarks alone")
    flip: bool = chosen(True, "landmarks are mirrored with the picture; action units have no side")
    brightness: float = chosen(0.1, "as the judge's")
    contrast: float = chosen(0.1, "as the judge's")


@dataclass(frozen=True)
class Readings:
    """What the reader reads from N pictures.

    units: N x 17 float32, on the scale from 0 to 5, not clipped. landmarks: N x 68 x 2 float32 in pixels of the
    pictures, centres at integers. NaN in what it has not learned.
    """

    units: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def of(self, rows: NDArray[np.integer]) -> Readings:
        """Select the readings of some pictures, by their indices."""
        return Readings(self.units[rows], self.landmarks[rows])


class ReaderNetwork(nn.Module):
    """Convolutions down to a sixteenth of the side, then two linear layers; N x 3 x S x S in [-1, 1] to N x (17 + 136).

    Outputs are standardised: action units, then landmarks as shares of the side from the picture's corner, each less
    `mean` over `scale`, those of the training pictures.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, side: int, channels: int) -> None:
        super().__init__()
        widths = [channels, 2 * channels, 4 * channels, 6 * channels]
        layers = _convolution(3, widths[0], 2)
        for inputs, outputs in itertools.pairwise(widths):
            layers += [*_convolution(inputs, outputs, 2), *_convolution(outputs, outputs, 1)]
        self.trunk = nn.Sequential(*layers)
        self.hidden = nn.Linear(widths[-1] * (side // 16) ** 2, HIDDEN)
        self.out = nn.Linear(HIDDEN, OUTPUTS)
        self.register_buffer("mean", torch.zeros(OUTPUTS))
        self.register_buffer("scale", torch.ones(OUTPUTS))

    def forward(self, x: Tensor) -> Tensor:
        """Read N x 3 x S x S in [-1, 1]: standardised outputs, N x (17 + 136)."""
        read: Tensor = self.out(F.relu(self.hidden(self.trunk(x).flatten(1))))
        return read


def _convolution(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class Reader:
    """A trained reader for pictures of one size. units, landmarks: whether it has learned them."""

    def __init__(
        self, network: ReaderNetwork, size: int, settings: ReaderSettings, units: bool, landmarks: bool
    ) -> None:
        self.network, self.size, self.settings = network.eval(), size, settings
        self.units, self.landmarks = units, landmarks

    @torch.inference_mode()
    def read(self, images: NDArray[np.uint8]) -> Readings:
        """Read N x S x S x 3 uint8. Raises ValueError for pictures of another size than those of its training."""
        if images.shape[1:] != (self.size, self.size, 3) or images.dtype != np.uint8:
            raise ValueError(
                f"the reader reads {self.size} x {self.size} pictures, not {images.shape[1:]} {images.dtype}"
            )
        device = self.network.mean.device
        read = np.empty((len(images), OUTPUTS), np.float32)
        for start in range(0, len(images), READ_BATCH):
            batch = torch.from_numpy(np.array(images[start : start + READ_BATCH])).to(device).permute(0, 3, 1, 2)
            outputs = self.network(resized(batch.float() / 127.5 - 1.0, self.settings.side))
            read[start : start + len(batch)] = (outputs * self.network.scale + self.network.mean).cpu().numpy()
        units, landmarks = read[:, :UNITS], read[:, UNITS:].reshape(-1, LANDMARKS, 2) * self.size - 0.5
        return Readings(
            units if self.units else np.full_like(units, np.nan),
            landmarks if self.landmarks else np.full_like(landmarks, np.nan),
        )

    def save(self, folder: Path) -> None:
        """Write `reader.safetensors` and `reader.json` into an existing folder, each whole or not at all."""
        description = {
            "size": self.size, "units": self.units, "landmarks": self.landmarks,
            "settings": dataclasses.asdict(self.settings),
        }  # fmt: skip
        save_network(folder, NAME, self.network, description)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Reader:
        """Read the files of `save`. Raises UserError for a damaged folder."""

        def build(description: Any, weights: dict[str, Tensor]) -> Reader:
            settings = ReaderSettings(**description["settings"])
            network = ReaderNetwork(settings.side, settings.channels)
            network.load_state_dict(weights)
            learned = bool(description["units"]), bool(description["landmarks"])
            return cls(network.to(device), int(description["size"]), settings, *learned)

        return load_network(folder, NAME, build)


def reader_pictures(data: TrainingSet, groups: NDArray[np.integer], side: int, seed: int) -> TrainingSet:
    """Return the pictures that a reader is trained on: those of `data`, resized to `side`, and as many blends.

    Faces are posed as expressions at full strength or not at all, and a reader of these alone is a switch: it sees
    neither a weak change nor one that goes too far. A blend is X + a (Y - X) of two pictures of a group (N numbers: one
    person at one camera), with a between 0 and `FURTHEST`, and so are its action units and landmarks. Pictures that are
    alone in their group have none.
    """
    small = np.empty((len(data), side, side, 3), np.uint8)
    for indices, pictures in in_order(data):
        batch = pictures.permute(0, 3, 1, 2).float()
        small[indices] = resized(batch, side).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    scale = side / data.images.shape[1]
    landmarks = None if data.landmarks is None else ((data.landmarks + 0.5) * scale - 0.5).astype(np.float32)
    rng = np.random.default_rng(seed)
    first, second = [], []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) > 1:
            second += members.tolist()
            first += [int(rng.choice(members[members != member])) for member in members]
    share = rng.uniform(0, FURTHEST, len(first))

    def blended(values: NDArray[Any]) -> NDArray[np.float64]:
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(values[first] + weight * (values[second].astype(np.float64) - values[first]), np.float64)

    blends = np.clip(np.rint(blended(small)), 0, 255).astype(np.uint8)
    known = {"units": data.units, "landmarks": landmarks}
    joined = {
        name: None if values is None else np.concatenate([values, blended(values).astype(np.float32)])
        for name, values in known.items()
    }
    labels = np.concatenate([data.labels, data.labels[second]]) if second else data.labels
    return TrainingSet(np.concatenate([small, blends]), labels, joined["units"], joined["landmarks"])


def train_reader(
    data: TrainingSet,
    settings: ReaderSettings,
    seed: int,
    state: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
    device: str = "cpu",
    warn: Callable[[str], None] = lambda _: None,
    size: int | None = None,
) -> Reader:
    """Train on pictures, such as `reader_pictures`; action units and landmarks that are unknown (NaN) are passed over.

    size: side of the pictures that it is to read, that of the training pictures if not given.

    All randomness is from `seed`. With `state`, a file, training is saved now and then and resumes from there; the
    weights are then the same, bit for bit on a CPU with as many threads, as without a break. `progress` is given the
    pictures of each step. Raises UserError where `state` is of another training, RunFailed where the loss is not
    finite, ValueError where nothing is known of any picture.
    """
    training = _Training(data, settings, seed, device, size)
    if state is not None:
        training.restore(state, warn)
        progress(training.step * settings.batch)
    saved = time.monotonic()
    while training.step < training.steps:
        training.run_step()
        progress(settings.batch)
        if state is not None and time.monotonic() - saved > SAVE_SECONDS:
            training.save(state)
            saved = time.monotonic()
    return training.finish()


class _Training:
    """A training between two steps."""

    def __init__(self, data: TrainingSet, settings: ReaderSettings, seed: int, device: str, size: int | None) -> None:
        self.settings, self.side, self.device = settings, data.images.shape[2], device
        self.size = size or self.side
        self.identity = training_identity(data, targets_of(data, self.side).numpy(), settings, seed)
        self.faces = TrainingFaces(
            data, Augmentation(settings.flip, settings.brightness, settings.contrast), seed, torch.device(device)
        )
        targets = targets_of(data, self.side)
        if settings.flip and data.landmarks is not None:
            flipped = mirrored(torch.from_numpy(data.landmarks), self.side).numpy()
            targets = torch.cat([targets, targets_of(dataclasses.replace(data, landmarks=flipped), self.side)])
        known = torch.isfinite(targets)
        if not known.any():
            raise ValueError("no picture has action units or landmarks to learn")
        self.known = known.any(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = ReaderNetwork(settings.side, settings.channels)
        count = known.sum(0).clamp(min=1)
        mean = torch.where(known, targets, 0.0).sum(0) / count
        variance = torch.where(known, (targets - mean) ** 2, 0.0).sum(0) / count
        least = torch.tensor([LEAST_UNIT] * UNITS + [LEAST_SHARE] * (2 * LANDMARKS))
        self.network.mean.copy_(mean)
        self.network.scale.copy_(variance.sqrt().maximum(least))
        self.network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.optimizer = adamw(self.network, settings.learning_rate, settings.weight_decay)
        self.step, self.steps = 0, max(1, settings.pictures // settings.batch)

    def run_step(self) -> None:
        """Update once. Raises RunFailed if the loss is not finite."""
        set_rate(self.optimizer, self._rate())
        faces = self.faces.draw(self.settings.batch)
        wanted = (_flat(faces, self.side) - self.network.mean) / self.network.scale
        known = torch.isfinite(wanted)
        read = self.network(resized(faces.images, self.settings.side))
        squares = torch.where(known, read - wanted, 0.0) ** 2
        parts = (slice(UNITS), 1.0), (slice(UNITS, OUTPUTS), self.settings.landmark_weight)
        losses = [weight * squares[:, part].sum() / known[:, part].sum().clamp(min=1) for part, weight in parts]
        loss = torch.stack(losses).sum()
        if not math.isfinite(loss.item()):
            raise RunFailed(f"the reader's loss is not finite at step {self.step + 1}: lower its learning rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1

    def _rate(self) -> float:
        """Learning rate of the next step."""
        progress = (self.step + 1) / self.steps
        return self.settings.learning_rate * one_cycle(progress, self.settings.warm_up)

    def finish(self) -> Reader:
        """Return the trained reader."""
        units, landmarks = bool(self.known[:UNITS].all()), bool(self.known[UNITS:].all())
        return Reader(self.network, self.size, self.settings, units, landmarks)

    def save(self, path: Path) -> None:
        """Write the state that the next step depends on."""
        tensors = prefixed("network", self.network.state_dict())
        tensors |= prefixed("optimizer", optimizer_tensors(self.optimizer)) | prefixed("faces", self.faces.state())
        save_tensors(path, tensors, {"identity": self.identity, "step": self.step}, sealed=True)

    def restore(self, path: Path, warn: Callable[[str], None]) -> None:
        """Load the file of `save`, if there is one. Raises UserError where it is of another training."""
        state = load_own_state(path, NAME, self.identity, warn)
        if state is None:
            return
        tensors, text = state
        self.network.load_state_dict(below("network", tensors))
        restore_optimizer(self.optimizer, below("optimizer", tensors))
        self.faces.restore(below("faces", tensors))
        self.step = int(text["step"])


def targets_of(data: TrainingSet, size: int) -> Tensor:
    """Return action units and landmarks of all pictures, N x (17 + 136); NaN where unknown."""
    count = len(data)
    units = np.full((count, UNITS), np.nan) if data.units is None else data.units
    landmarks = np.full((count, LANDMARKS, 2), np.nan) if data.landmarks is None else data.landmarks
    return torch.cat([torch.from_numpy(units).float(), _shares(torch.from_numpy(landmarks).float(), size)], 1)


def _flat(faces: Faces, size: int) -> Tensor:
    return torch.cat([faces.units, _shares(faces.landmarks, size)], 1)


def _shares(landmarks: Tensor, size: int) -> Tensor:
    """Convert landmarks in pixels to shares of the side, N x 136."""
    return ((landmarks + 0.5) / size).flatten(1)


def resized(images: Tensor, side: int) -> Tensor:
    """Resize N x 3 x S x S to N x 3 x side x side."""
    if images.shape[2] == side:
        return images
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
