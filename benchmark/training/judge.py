"""The judge: the classifier of expressions behind CA, trained on real pictures.

It is a ResNet18 (He et al., 2016) trained from scratch, as in EF-GAN and MTSS. Reports print its accuracy on real test
pictures beside CA, which can be lower or higher.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.core.errors import RunFailed, UserError
from benchmark.interface import Augmentation
from benchmark.protocol import EXPRESSIONS
from benchmark.settings import chosen, published
from benchmark.training.augmentation import augment
from benchmark.training.checkpoint import below, optimizer_tensors, prefixed, restore_optimizer, save_tensors
from benchmark.training.sampling import TrainingSet
from benchmark.training.supervised import (
    adamw,
    load_network,
    load_own_state,
    one_cycle,
    save_network,
    set_rate,
    training_identity,
)

NAME = "judge"
WEIGHTS, ABOUT = f"{NAME}.safetensors", f"{NAME}.json"
PREDICT_BATCH = 32
FEW = 4
"""Pixels of the largest output map whose convolution a CPU computes as a product of matrices."""
SAVE_SECONDS = 10.0
"""Least time between two saved states: a state has 90 MB, and an epoch of a small set takes two seconds."""


@dataclass(frozen=True)
class JudgeSettings:
    """Settings of the judge's training."""

    epochs: int = chosen(16, "between the 10 and the 40 epochs measured in docs/metrics.md; a profile names its own")
    batch: int = chosen(32, "small, so that a few hundred pictures give enough steps")
    learning_rate: float = chosen(1e-3, "peak; 5e-4 learns more slowly (docs)")
    warm_up: float = chosen(0.1, "share of the steps in which the rate rises; then it falls along a cosine to 0")
    weight_decay: float = chosen(0.05, "AdamW's, on matrices and kernels only")
    label_smoothing: float = chosen(0.1, "Szegedy et al., 2016; the set is small and its labels are sure")
    shift: float = chosen(0.03, "largest shift to each side, as a share of the side; 0.08 learns more slowly (docs)")
    flip: bool = chosen(True, "all expressions but contempt are symmetric, and contempt keeps its name mirrored")
    brightness: float = chosen(0.1, "torchvision's ColorJitter; 0.2 learns more slowly (docs)")
    contrast: float = chosen(0.1, "as brightness")
    zero_init_last: bool = chosen(False, "timm's default (True) stays at chance for six epochs more (docs)")
    architecture: str = published("resnet18", "EF-GAN, MTSS (Sec. 4.1): ResNet-18; timm's, without pre-training")


class Judge:
    """A trained classifier for pictures of one size."""

    def __init__(self, network: nn.Module, size: int, settings: JudgeSettings, device: str = "cpu") -> None:
        self.network, self.size, self.settings, self.device = network.eval(), size, settings, device

    def predict(self, images: NDArray[np.uint8], progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return N x 8 probabilities of `protocol.EXPRESSIONS` for `images` (N x S x S x 3, uint8).

        Raises UserError for pictures of another size than those of its training.
        """
        if images.shape[1:] != (self.size, self.size, 3) or images.dtype != np.uint8:
            raise UserError(
                f"the judge reads {self.size} x {self.size} RGB pictures, not {images.shape[1:]} {images.dtype}"
            )
        probabilities = np.empty((len(images), len(EXPRESSIONS)), dtype=np.float32)
        with torch.inference_mode(), _exact(self.device):
            for start in range(0, len(images), PREDICT_BATCH):
                batch = _unit(images[start : start + PREDICT_BATCH], self.device)
                predicted = self.network(_centred(batch)).softmax(1)
                probabilities[start : start + len(batch)] = predicted.cpu().numpy()
                if progress is not None:
                    progress(start + len(batch))
        return probabilities

    def save(self, folder: Path) -> None:
        """Write `judge.safetensors` and `judge.json` into an existing folder, each whole or not at all."""
        settings = dataclasses.asdict(self.settings)
        description = {"size": self.size, "expressions": EXPRESSIONS, "settings": settings}
        save_network(folder, NAME, self.network, description)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Judge:
        """Read the files of `save`. Raises UserError for a damaged folder."""

        def build(description: Any, weights: dict[str, Tensor]) -> Judge:
            settings = JudgeSettings(**description["settings"])
            network = _network(settings, 0)
            network.load_state_dict(weights)
            return cls(network.to(device), int(description["size"]), settings, device)

        return load_network(folder, NAME, build)


def train_judge(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    settings: JudgeSettings,
    seed: int,
    state: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    device: str = "cpu",
    rows: NDArray[np.integer] | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Judge:
    """Train on `images` (N x S x S x 3, uint8; with `rows`, N numbers, on these of them) and `labels` (N, index into
    `protocol.EXPRESSIONS`).

    All randomness is from `seed`. With `state`, a file, training is saved after an epoch now and then and goes on from
    there; the weights are then the same, bit for bit on a CPU with as many threads, as without a break. `progress` is
    given the epochs done and their number. Raises UserError where `state` is of another training, RunFailed where the
    loss is no number.
    """
    count = len(images if rows is None else rows)
    if count != len(labels) or count == 0:
        raise ValueError(f"{count} images and {len(labels)} labels are nothing to learn from")
    training = _Training(TrainingSet(images, labels.astype(np.int64), rows=rows), settings, seed, device)
    if state is not None:
        training.restore(state, warn)
    saved = time.monotonic()
    with _exact(device):
        while training.epoch < settings.epochs:
            training.run_epoch()
            if progress is not None:
                progress(training.epoch, settings.epochs)
            if state is not None and time.monotonic() - saved > SAVE_SECONDS:
                training.save(state)
                saved = time.monotonic()
    return Judge(training.network, images.shape[1], settings, device)


class _Training:
    """A training between two epochs."""

    def __init__(self, data: TrainingSet, settings: JudgeSettings, seed: int, device: str) -> None:
        self.data, self.settings, self.device = data, settings, device
        self.labels = torch.from_numpy(data.labels).to(device)
        self.identity = training_identity(data, data.labels, settings, seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.network = _network(settings, seed).to(device)
        self.optimizer = adamw(self.network, settings.learning_rate, settings.weight_decay)
        self.epoch = 0
        # Batches of about equal size: batch normalisation has poor statistics in a small last batch.
        self.batches = max(1, round(len(data) / settings.batch))

    def run_epoch(self) -> None:
        """Train on every picture once, in a new order. Raises RunFailed if a loss is not finite."""
        self.network.train()
        order = torch.randperm(len(self.data), generator=self.generator)
        total = torch.zeros((), device=self.device)
        for number, indices in enumerate(order.tensor_split(self.batches)):
            set_rate(self.optimizer, self._rate(self.epoch * self.batches + number))
            pictures = self.data.take(indices.numpy()).permute(0, 3, 1, 2)
            batch = self._augmented(pictures.to(self.device, non_blocking=True))
            loss = F.cross_entropy(
                self.network(batch),
                self.labels[indices.to(self.device, non_blocking=True)],
                label_smoothing=self.settings.label_smoothing,
            )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.detach()
        if not math.isfinite(total.item()):
            raise RunFailed(f"the judge's loss is no number in epoch {self.epoch + 1}: lower its learning rate")
        self.epoch += 1

    def _rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        progress = (step + 1) / (self.settings.epochs * self.batches)
        return self.settings.learning_rate * one_cycle(progress, self.settings.warm_up)

    def _augmented(self, batch: Tensor) -> Tensor:
        """Shift (repeating the edge), flip and jitter N x 3 x S x S to [-1, 1], with draws in a fixed order."""
        settings = self.settings
        largest = round(settings.shift * batch.shape[2])
        count, side = len(batch), batch.shape[2]
        moves = torch.randint(-largest, largest + 1, (2, count, 1), generator=self.generator)
        rows, columns = (torch.arange(side) + moves).clamp(0, side - 1).to(batch.device, non_blocking=True)
        first = torch.arange(count, device=batch.device)[:, None, None]
        shifted = batch.permute(0, 2, 3, 1)[first, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        augmentation = Augmentation(settings.flip, settings.brightness, settings.contrast)
        return augment(shifted, augmentation, self.generator)[0]

    def save(self, path: Path) -> None:
        """Write the state that the next epoch depends on."""
        tensors = prefixed("network", self.network.state_dict())
        tensors |= prefixed("optimizer", optimizer_tensors(self.optimizer))
        tensors["generator"] = self.generator.get_state()
        save_tensors(path, tensors, {"identity": self.identity, "epoch": self.epoch}, sealed=True)

    def restore(self, path: Path, warn: Callable[[str], None]) -> None:
        """Load the file of `save`, if there is one. Raises UserError where it is of another training."""
        state = load_own_state(path, NAME, self.identity, warn)
        if state is None:
            return
        tensors, text = state
        self.network.load_state_dict(below("network", tensors))
        restore_optimizer(self.optimizer, below("optimizer", tensors))
        self.generator.set_state(tensors["generator"])
        self.epoch = int(text["epoch"])


class _Conv2d(nn.Conv2d):
    """`nn.Conv2d` that a CPU computes as one product of matrices where the output has few pixels.

    Libraries tile convolutions by pixels. For 512 channels at 2 x 2 pixels, forward and backward take 15 ms instead of
    31 (batch 32, one core with AVX-512).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map N x inputs x H x W to N x outputs x H' x W'."""
        (size, _), (stride, _) = self.kernel_size, self.stride
        pad = int(self.padding[0])
        height, width = ((length + 2 * pad - size) // stride + 1 for length in x.shape[2:])
        if x.is_cuda or size == 1 or height * width > FEW or self.groups > 1:
            return super().forward(x)
        patches = F.pad(x, (pad, pad, pad, pad)).unfold(2, size, stride).unfold(3, size, stride)
        rows = patches.permute(0, 2, 3, 4, 5, 1).reshape(len(x) * height * width, -1)
        product = F.linear(rows, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias)
        return product.view(len(x), height, width, -1).permute(0, 3, 1, 2)


def _network(settings: JudgeSettings, seed: int) -> nn.Module:
    """Make the network with weights drawn from `seed`, without a change to the global generator."""
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = timm.create_model(
            settings.architecture,
            pretrained=False,
            num_classes=len(EXPRESSIONS),
            zero_init_last=settings.zero_init_last,
        )
    assert isinstance(network, nn.Module)
    for layer in network.modules():
        if type(layer) is nn.Conv2d:
            layer.__class__ = _Conv2d  # with the same parameters; timm has no option for it
    return network.to(memory_format=torch.channels_last)


def _unit(images: NDArray[np.uint8], device: str) -> Tensor:
    """Convert N x S x S x 3 uint8 to N x 3 x S x S in [0, 1]."""
    return torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float() / 255.0


def _centred(batch: Tensor) -> Tensor:
    """Map [0, 1] to [-1, 1]."""
    return batch * 2.0 - 1.0


def _exact(device: str) -> AbstractContextManager[Any]:
    """Context of deterministic kernels without TF32 on a GPU."""
    if torch.device(device).type == "cpu":
        return nullcontext()
    flags: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    return flags
