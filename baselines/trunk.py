"""The body of StarGAN's generator, which GANimation's and EF-GAN's have too."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from baselines.layers.norms import InstanceNorm
from baselines.layers.planes import PlanesConv2d
from baselines.scaling import scaled


class Trunk(nn.Sequential):
    """All of the generator but its last convolution: N x inputs x S x S to N x 64 width x S x S.

    Zero padding, since instance norm removes a label plane that reflection makes constant. Instance norm keeps no
    running statistics: with them, eval mode would change the images.
    """

    def __init__(self, inputs: int, width: float, residual_blocks: int) -> None:
        channels = [scaled(64 * 2**i, width) for i in range(3)]
        layers: list[nn.Module] = [PlanesConv2d(inputs, channels[0], 7, 1, 3, bias=False), *norm_relu(channels[0])]
        for before, after in itertools.pairwise(channels):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), *norm_relu(after)]
        layers += [ResidualBlock(channels[-1]) for _ in range(residual_blocks)]
        for before, after in itertools.pairwise(channels[::-1]):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), *norm_relu(after)]
        super().__init__(*layers)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        """condition: N x planes, the values of one constant plane each, which stand beside the images' channels."""
        first, *rest = self
        hidden: Tensor = first(images, condition)
        for layer in rest:
            hidden = layer(hidden)
        return hidden


class ResidualBlock(nn.Module):
    """x + IN(conv(ReLU(IN(conv(x))))): two 3x3 convolutions without bias, nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            *norm_relu(channels),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        out: Tensor = self.body(x).add_(x)
        return out


def norm_relu(channels: int) -> list[nn.Module]:
    """Instance norm and ReLU, as two layers: so they are numbered in checkpoints."""
    return [InstanceNorm(channels, rectified=True), nn.Identity()]
