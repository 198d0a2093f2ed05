"""What a method is to the harness. A method is one class in one file; the harness knows nothing else of it.

    class MyMethod(Method):
        Settings = MySettings                       # frozen dataclass: published values, choices with reasons
        guides = frozenset({"T", "R"})
        def optimizers(self): ...                   # {"generator": Adam, "discriminator": Adam}
        def training_step(self, faces, update, progress): ...   # losses, one `update` per optimiser step
        def edit(self, sources, target): ...        # Faces to images in [-1, 1]

Everything around it (data, augmentation on the batch, seeds, checkpoints, exact resume, averaging, logging,
synthesis, scores) is the harness's.
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

    images: N x 3 x S x S in [-1, 1]. labels: N, int64, index into `protocol.EXPRESSIONS`; -1 where unknown, which only
    a source can be. units: N x 17 in [0, 5], order of `protocol.ACTION_UNITS`; NaN where unknown.
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
        """Faces of which only the pictures and what else is given are known."""
        count = len(images)
        return cls(
            images,
            torch.full((count,), -1, device=images.device) if labels is None else labels,
            images.new_full((count, len(ACTION_UNITS)), torch.nan) if units is None else units,
            images.new_full((count, LANDMARKS, 2), torch.nan) if landmarks is None else landmarks,
        )


class FaceSource(Protocol):
    """Where a training step draws its faces from. All draws are seeded, augmented as the method asks, and on its
    device.
    """

    generator: torch.Generator
    """For a method's own choices of classes (`torch.randint(..., generator=faces.generator)`); on the CPU, kept in
    checkpoints.
    """
    classes: tuple[int, ...]
    """Labels that occur in the training pictures."""

    def draw(self, count: int) -> Faces:
        """`count` pictures, without replacement within an epoch."""

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        """One random picture for each of the given labels."""

    def draw_units(self, count: int) -> Tensor:
        """count x 17 in [0, 5]: the action units of random training pictures, without the pictures."""


class Update(Protocol):
    """The one way a method changes its weights."""

    def __call__(self, optimizer: str, loss: Tensor) -> None:
        """Clear the gradients of `optimizer`, back-propagate `loss`, clip at `Method.clip_norm`, step."""


@dataclass(frozen=True)
class Progress:
    """Where training stands: `iteration` counts from 0 to `iterations - 1`."""

    iteration: int
    iterations: int


@dataclass(frozen=True)
class Target:
    """What N sources are to be edited to. Label-guided: `labels` and `seeds`; reference-guided: the reference's too.

    labels: N, int64; -1 where unknown, which only that of a reference can be (a photograph). seeds: one per pair; a
    method with a latent draws it from `latents(seeds, dim)` and nowhere else. references: N x 3 x S x S in [-1, 1], or
    None. units: N x 17 in [0, 5], the reference's (or None). A method whose `reference` is "units" gets its target from
    the units alone, and may be given no picture.
    """

    guide: Guide
    labels: Tensor
    seeds: Sequence[int]
    references: Tensor | None = None
    units: Tensor | None = None


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training batch. Strengths are those of torchvision's ColorJitter."""

    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


@dataclass(frozen=True)
class Shape:
    """The task a network is built for: images of `size` x `size`, `classes` expressions, `units` action units."""

    size: int
    classes: int = 8
    units: int = 17


class Method(nn.Module, ABC):
    """A facial expression synthesis method: its networks, its losses, its optimisation, its editing."""

    Settings: ClassVar[type]
    guides: ClassVar[frozenset[Guide]]
    version: ClassVar[int] = 1
    """Raise it when the same settings and seed would give other weights or other edits."""
    reference: ClassVar[Literal["image", "units"]] = "image"
    """What a reference-guided edit reads of the reference: the picture, or its action units alone."""
    needs: ClassVar[frozenset[Knowledge]] = frozenset()
    """What must be known of every face that is trained on."""
    source_needs: ClassVar[frozenset[Knowledge]] = frozenset()
    """What `edit` reads of its sources beside the picture."""
    subsets: ClassVar[frozenset[Subset]] = frozenset(SUBSETS)
    """The subsets it can be trained on."""
    augmentation: ClassVar[Augmentation] = Augmentation()
    footnote: ClassVar[str] = ""
    """Printed under every table that has a row of this method (a reconstruction, a known deviation)."""

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__()
        self.settings = settings
        self.shape = shape

    @abstractmethod
    def optimizers(self) -> Mapping[str, Optimizer]:
        """The optimisers by name, in a fixed order. Called once, after the modules are on their device."""

    @abstractmethod
    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        """One iteration: draw, compute the losses, `update`. Returns detached scalars by name; no `.item()` in here."""

    @abstractmethod
    def edit(self, sources: Faces, target: Target) -> Tensor:
        """The pictures of `sources` edited to `target`, N x 3 x S x S in [-1, 1]; the caller has set eval mode and
        no_grad. Clipping is the caller's.
        """

    def averaged(self) -> Mapping[str, nn.Module]:
        """The networks whose exponential moving average edits are made with (empty: none)."""
        return {}

    @property
    def average_decay(self) -> float:
        """Decay of that average per iteration."""
        return 0.0

    @property
    def clip_norm(self) -> float | None:
        """Norm at which `Update` clips an optimiser's gradients, or None."""
        return None

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        """The schedule: what the initial learning rates of `optimizer` are multiplied with at `progress`."""
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
        """What a checkpoint of the published code looks like, for `benchmark.import_checkpoint`; None where there is
        none.
        """
        return None


def latents(seeds: Sequence[int], dim: int, like: Tensor) -> Tensor:
    """len(seeds) x dim of N(0, 1), each row from its own seed alone, so that an edit never depends on its batch."""
    rows = [torch.randn(dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows).to(like)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Parameters of `modules` get no gradient inside: the generator's loss passes through D without paying for D's
    weights.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for p in parameters:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(True)
