"""The discriminator of StarGAN, GANimation and EF-GAN."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn

from baselines.layers.convolutions import Conv2d
from baselines.scaling import scaled

SLOPE = 0.01
"""Of LeakyReLU below 0."""


class Discriminator(nn.Module):
    """PatchGAN with a second head: N x 3 x S x S to scores N x 1 x P x P and `outputs` numbers per image.

    The numbers are StarGAN's logits of the classes, or GANimation's estimates of the action units.
    """

    def __init__(self, width: float, layers: int, size: int, outputs: int) -> None:
        super().__init__()
        depth = min(layers, int(math.log2(size)) - 1)
        channels = [3, *(scaled(64 * 2**i, width) for i in range(depth))]
        body: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            body += [Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*body)
        self.score_head = nn.Conv2d(channels[-1], 1, 3, 1, 1, bias=False)
        self.condition_head = nn.Conv2d(channels[-1], outputs, size // 2**depth, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores N x 1 x P x P and numbers N x outputs."""
        features = self.body(images)
        return self.score_head(features), self.condition_head(features).flatten(1)
