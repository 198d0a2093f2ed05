"""The discriminator of StarGAN, GANimation and EF-GAN, and its gradient penalty."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from baselines.scaling import scaled


class Discriminator(nn.Module):
    """PatchGAN critic with a second head: N x 3 x S x S to scores N x 1 x P x P and `outputs` numbers per image."""

    def __init__(self, width: float, layers: int, size: int, outputs: int) -> None:
        super().__init__()
        depth = min(layers, int(math.log2(size)) - 1)
        channels = [3, *(scaled(64 * 2**i, width) for i in range(depth))]
        body: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            body += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.01)]
        self.body = nn.Sequential(*body)
        self.critic = nn.Conv2d(channels[-1], 1, 3, 1, 1, bias=False)
        self.classifier = nn.Conv2d(channels[-1], outputs, size // 2**depth, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores N x 1 x P x P and numbers N x outputs."""
        features = self.body(images)
        return self.critic(features), self.classifier(features).flatten(1)

    def scores(self, images: Tensor) -> Tensor:
        """The critic's scores alone."""
        scores: Tensor = self.critic(self.body(images))
        return scores


def gradient_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """Eq. (8), last term, without its weight: mean over images of (||d(sum of scores)/d(image)||_2 - 1)^2.

    scores: N x ..., computed from `images` (N x 3 x S x S, requires_grad).
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty
