"""The interface of a method: one class, in one file, and all that the harness knows of it.

    class MyMethod(Method):
        Settings = MySettings                       # frozen dataclass: published values, choices with reasons
        guides = frozenset({"T", "R"})
        def optimizers(self): ...                   # {"generator": Adam, "discriminator": Adam}
        def training_step(self, faces, update, progress): ...   # losses, one `update` per optimiser step
        def edit(self, sources, target): ...        # Faces to images in [-1, 1]

The harness does everything else: data, augmentation, seeds, checkpoints, exact resume, averaging, logging, synthesis,
scores. It checks a method from outside this repository before it trains anything (`benchmark/training/contract.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmark.protocol import ACTION_UNITS, LANDMARKS, SUBSETS, Guide, Knowledge, Subset
from benchmark.published import PublishedCheckpoint


@dataclass(frozen=True)
class Faces:
    """A batch of real faces.

    images: N x 3 x S x S in [-1, 1].
    labels: N, int64, index into `protocol.EXPRESSIONS`; -1 where unknown, which happens for sources of edits alone.
    units: action units, N x 17 in [0, 5], in the order of `protocol.ACTION_UNITS`; NaN where unknown.
    landmarks: N x 68 x 2 (x, y) in pixels of `images`, centres at integers; NaN where unknown.
    """

    images: Tensor
    labels: Tensor
    units: Tensor
    landmarks: Tensor

    @classmethod
    def of(
        cls,
        images: Tensor,
        labels: Tensor | None = None,
        units: Tensor | None = None,
        landmarks: Tensor | None = None,
    ) -> Faces:
        """Faces with -1 or NaN in place of what is not passed."""
        count = len(images)
        return cls(
            images,
            torch.full((count,), -1, device=images.device) if labels is None else labels,
            images.new_full((count, len(ACTION_UNITS)), torch.nan) if units is None else units,
            images.new_full((count, LANDMARKS, 2), torch.nan) if landmarks is None else landmarks,
        )


class FaceSource(Protocol):
    """Draws of training faces: seeded, augmented as the method asks, on its device."""

    generator: torch.Generator
    """For a method's own draws: `torch.randint(..., generator=faces.generator)`. On the CPU; part of checkpoints."""
    classes: tuple[int, ...]
    """Labels that occur in the training pictures."""

    def draw(self, count: int) -> Faces:
        """Draw `count` faces, without replacement within an epoch."""

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        """Draw one random face for each label. Raises KeyError for a label that is not in `classes`."""

    def draw_units(self, count: int) -> Tensor:
        """Draw the action units of `count` random training faces, count x 17 in [0, 5]."""


class Update(Protocol):
    """The one way in which a method changes its weights."""

    def __call__(self, optimizer: str, loss: Tensor) -> None:
        """Clear the gradients of the optimiser, back-propagate `loss`, clip at `Method.clip_norm`, step."""


@dataclass(frozen=True)
class Progress:
    """The current iteration, from 0 to `iterations - 1`."""

    iteration: int
    iterations: int


@dataclass(frozen=True)
class Target:
    """The targets of N edits.

    labels: target expressions, N, int64; -1 where a reference (a photograph) has none that is known.
    seeds: one for each edit; a method with a latent draws it from `latents(seeds, dim)` alone.
    references: under guide R, N x 3 x S x S in [-1, 1]; None where a method whose `reference` is "units" has none.
    units: under guide R, the references' action units, N x 17 in [0, 5].
    """

    guide: Guide
    labels: Tensor
    seeds: Sequence[int]
    references: Tensor | None = None
    units: Tensor | None = None


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of a training batch. Strengths are those of torchvision's ColorJitter."""

    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


@dataclass(frozen=True)
class Shape:
    """The task of a network: pictures of `size` x `size` pixels, `classes` expressions, `units` action units."""

    size: int
    classes: int = 8
    units: int = 17


class Method(nn.Module, ABC):
    """A method of facial expression synthesis: networks, losses, optimisation, editing."""

    Settings: ClassVar[type]
    guides: ClassVar[frozenset[Guide]]
    version: ClassVar[int] = 1
    """Raise it when the same settings and seed give other weights or other edits."""
    reference: ClassVar[Literal["image", "units"]] = "image"
    """What `edit` reads of a reference: the picture, or its action units alone."""
    needs: ClassVar[frozenset[Knowledge]] = frozenset()
    """What `training_step` reads of its faces, beside pictures and labels."""
    source_needs: ClassVar[frozenset[Knowledge]] = frozenset()
    """What `edit` reads of its sources, beside pictures and labels."""
    training_only: ClassVar[frozenset[str]] = frozenset()
    """Networks that no edit needs, by attribute: stored weights for editing leave them out."""
    subsets: ClassVar[frozenset[Subset]] = frozenset(SUBSETS)
    """The subsets that it can be trained on."""
    augmentation: Augmentation = Augmentation()
    """Of every batch; `__init__` may set another one, by the settings."""
    footnote: ClassVar[str] = ""
    """Printed under every table with a row of this method: a reconstruction, a known deviation."""

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__()
        self.settings = settings
        self.shape = shape

    @abstractmethod
    def optimizers(self) -> Mapping[str, Optimizer]:
        """Make the optimisers, by name, in a fixed order. Called once, after the modules are on their device."""

    @abstractmethod
    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        """Run one iteration: draw, compute the losses, call `update`. Returns detached scalar tensors by name.

        An `.item()` in here would wait for the GPU.
        """

    @abstractmethod
    def edit(self, sources: Faces, target: Target) -> Tensor:
        """Edit `sources` to `target`; returns N x 3 x S x S in [-1, 1], float32.

        The caller sets eval mode and no_grad, and clips the result. The arguments must stay as they are.
        """

    def averaged(self) -> Mapping[str, nn.Module]:
        """The networks of whose weights an exponential moving average is kept; edits are made with the averages."""
        return {}

    @property
    def average_decay(self) -> float:
        """Decay of that average per iteration."""
        return 0.0

    @property
    def clip_norm(self) -> float | None:
        """Norm at which `Update` clips the gradients of an optimiser; None for no clipping."""
        return None

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        """Factor of the initial learning rates of `optimizer` at `progress`."""
        return 1.0

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Ways in which the training is failing, by recent means of its losses: a sentence each, with what to do.

        A function of `means` alone; a loss that has not been computed yet is missing. The trainer prints each sentence
        once. A sentence that holds at the end or most of the time marks the training as failed, so it must not change
        from call to call (no numbers in it).
        """
        return []

    @classmethod
    def published_checkpoint(cls) -> PublishedCheckpoint | None:
        """Layout of the published code's checkpoints, for `benchmark.import_checkpoint`; None where there is none."""
        return None


def latents(seeds: Sequence[int], dim: int, like: Tensor) -> Tensor:
    """Draw len(seeds) x dim from N(0, 1), each row from its own seed, so that an edit does not depend on its batch."""
    rows = [torch.randn(dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows).to(like)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Context in which the parameters of `modules` get no gradient.

    A generator's loss passes through the discriminator; gradients of the discriminator's weights would be wasted.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for p in parameters:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(True)
