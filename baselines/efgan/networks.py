"""The cascade: stages of an Expression Transformer, which edits the whole and three crops, and a Refiner.

At width 1, 17 action units and 128 px a branch has 8,471,296 parameters, the refiner 8,424,256, a stage 42,309,440.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.efgan.crops import REGIONS, Window, stitch
from baselines.efgan.settings import EFGANSettings
from baselines.ganimation.networks import Generator
from baselines.layers.convolutions import output_convs
from baselines.scaling import scaled
from baselines.trunk import Trunk

BRANCHES = ("global", *REGIONS)


def blend(images: Tensor, colours: Tensor, attention: Tensor) -> Tensor:
    """I_init = M_A * M_C + (1 - M_A) * I_in: an attention of 0 copies the input (GANimation's A is the opposite)."""
    return torch.lerp(images, colours, attention)


@dataclass(frozen=True)
class Initial:
    """The transformer's output for N images, before the refiner.

    whole: the global branch's edit, N x 3 x S x S. stitched: the local ones, stitched, N x 3 x S x S. attention: every
    branch's, N x 1 x its own size, in the order of BRANCHES.
    """

    whole: Tensor
    stitched: Tensor
    attention: tuple[Tensor, ...]


class ExpressionTransformer(nn.Module):
    """Four generators with the same layers and no shared weights: one for the image, one for each region."""

    def __init__(self, settings: EFGANSettings, units: int) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {name: Generator(settings.width, settings.residual_blocks, units) for name in BRANCHES}
        )

    def forward(self, images: Tensor, units: Tensor, where: Sequence[Window]) -> Initial:
        """Images N x 3 x S x S in [-1, 1], target action units N x 17 in [0, 1], the windows of all regions."""
        inputs = [images, *(window.cut(images) for window in where)]
        edits, attention = [], []
        for branch, crop in zip(self.branches.values(), inputs, strict=True):
            colours, mask = branch(crop, units)
            edits.append(blend(crop, colours, mask))
            attention.append(mask)
        return Initial(edits[0], stitch(images, edits[1:], where), tuple(attention))


class Refiner(nn.Module):
    """Two images, N x 3 x S x S each, fused to one in (-1, 1). It is not told the target."""

    def __init__(self, settings: EFGANSettings) -> None:
        super().__init__()
        self.corrects = settings.refiner == "correction"
        self.trunk = Trunk(2 * 3, settings.width, settings.residual_blocks)
        self.colour = nn.Conv2d(scaled(64, settings.width), 3, 7, 1, 3, bias=False)

    def forward(self, stitched: Tensor, whole: Tensor) -> Tensor:
        """The refined image; as a correction it may leave (-1, 1)."""
        (image,) = output_convs(self.trunk(torch.cat([stitched, whole], 1)), [self.colour])
        colours = torch.tanh(image)
        return (stitched + whole) / 2 + colours if self.corrects else colours


@dataclass(frozen=True)
class Edit:
    """A stage's output for N images: the refined image, N x 3 x S x S, and the refiner's input."""

    image: Tensor
    initial: Initial


class Stage(nn.Module):
    """One EF-GAN: transformer and refiner."""

    def __init__(self, settings: EFGANSettings, units: int) -> None:
        super().__init__()
        self.transformer = ExpressionTransformer(settings, units)
        self.refiner = Refiner(settings)

    def forward(self, images: Tensor, units: Tensor, where: Sequence[Window]) -> Edit:
        """As the transformer."""
        initial = self.transformer(images, units, where)
        return Edit(self.refiner(initial.stitched, initial.whole), initial)


class Cascade(nn.Module):
    """Stages with weights of their own, each fed with the image of the one before it."""

    def __init__(self, settings: EFGANSettings, units: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Stage(settings, units) for _ in range(settings.stages))

    def forward(
        self, images: Tensor, source: Tensor, target: Tensor, where: Sequence[Window], stages: int | None = None
    ) -> list[Edit]:
        """The edits of the first `stages` stages (None: of all), the last of them with the target's action units.

        source, target: N x 17. The windows are those of `images` for every stage.
        """
        used = self.stages[:stages]
        edits: list[Edit] = []
        for stage, units in zip(used, path(source, target, len(used)), strict=True):
            edits.append(stage(edits[-1].image if edits else images, units, where))
        return edits

    def spread(self) -> None:
        """Every stage becomes a copy of the first."""
        for stage in self.stages[1:]:
            stage.load_state_dict(self.stages[0].state_dict())


def path(source: Tensor, target: Tensor, steps: int) -> list[Tensor]:
    """y_k = y_s + (k / steps) (y_t - y_s) for k = 1 ... steps: linear interpolation, so nothing needs clipping."""
    return [torch.lerp(source, target, k / steps) for k in range(1, steps + 1)]
