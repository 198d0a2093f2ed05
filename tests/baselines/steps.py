"""What a method is trained with in the tests: faces of random blobs, and an `Update` that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from benchmark.interface import Augmentation, Method, Progress
from benchmark.training.sampling import TrainingFaces, TrainingSet


def faces(size: int = 32, count: int = 64, classes: int = 8, seed: int = 0) -> TrainingFaces:
    """Smooth pictures whose colours depend on their label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    coarse = rng.uniform(0, 255, (count, 4, 4, 3))
    coarse[:, 0, :, 0] = labels[:, None] * 255 / classes
    images = coarse.repeat(size // 4, 1).repeat(size // 4, 2).astype(np.uint8)
    units = rng.uniform(0, 5, (count, 17)).astype(np.float32)
    landmarks = rng.uniform(0, size - 1, (count, 68, 2)).astype(np.float32)
    return TrainingFaces(TrainingSet(images, labels, units, landmarks), Augmentation(), seed, torch.device("cpu"))


@dataclass
class Steps:
    """Runs a method's training steps and keeps the gradients of each network's latest update."""

    method: Method
    source: TrainingFaces
    iterations: int = 0
    updates: dict[str, int] = field(default_factory=dict)
    gradients: dict[str, dict[str, Tensor | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.optimizers = self.method.optimizers()

    def update(self, name: str, loss: Tensor) -> None:
        for parameter in self.method.parameters():
            parameter.grad = None
        loss.backward()
        self.gradients[name] = {
            key: None if parameter.grad is None else parameter.grad.clone()
            for key, parameter in self.method.named_parameters()
        }
        self.updates[name] = self.updates.get(name, 0) + 1
        if self.method.clip_norm is not None:
            groups = self.optimizers[name].param_groups
            clip_grad_norm_([parameter for group in groups for parameter in group["params"]], self.method.clip_norm)
        self.optimizers[name].step()

    def step(self) -> dict[str, float]:
        losses = self.method.training_step(self.source, self.update, Progress(self.iterations, 1000))
        self.iterations += 1
        return {name: float(value) for name, value in losses.items()}
