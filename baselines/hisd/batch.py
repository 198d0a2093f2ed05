"""The faces, classes and latents of one training step of HiSD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.hisd.settings import ClassDraw
from benchmark.core.errors import UserError
from benchmark.interface import FaceSource


@dataclass(frozen=True)
class Sources:
    """Real images (N x 3 x S x S) and their classes (N)."""

    images: Tensor
    labels: Tensor


def draw_sources(faces: FaceSource, count: int, classes: ClassDraw) -> Sources:
    """Draw `count` faces: all of one random class, or of any class."""
    if classes == "per-sample":
        batch = faces.draw(count)
    else:
        index = int(torch.randint(len(faces.classes), (), generator=faces.generator))
        batch = faces.draw_labelled([faces.classes[index]] * count)
    return Sources(batch.images, batch.labels)


def draw_labelled(faces: FaceSource, count: int) -> Sources:
    """Draw `count` faces, the class of each uniformly."""
    drawn = torch.randint(len(faces.classes), (count,), generator=faces.generator)
    batch = faces.draw_labelled([faces.classes[index] for index in drawn.tolist()])
    return Sources(batch.images, batch.labels)


def draw_targets(labels: Tensor, known: Sequence[int], classes: ClassDraw, generator: torch.Generator) -> Tensor:
    """Draw another class for each of `labels` (N), uniform over the rest of `known`; one for all if they share a class.

    Raises UserError if there is no other class.
    """
    if len(known) < 2:
        raise UserError(f"the training pictures show {len(known)} expression; to edit one into another takes two")
    count = len(labels) if classes == "per-sample" else 1
    steps = torch.randint(1, len(known), (count,), generator=generator).to(labels.device)
    table = torch.tensor(known, device=labels.device)
    indices = (labels[:, None] == table).int().argmax(1)
    return table[(indices + steps) % len(known)]


def draw_latents(count: int, dim: int, faces: FaceSource, like: Tensor) -> Tensor:
    """Draw count x dim numbers from N(0, 1), with the device and type of `like`."""
    return torch.randn(count, dim, generator=faces.generator).to(like)
