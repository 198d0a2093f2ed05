"""The body of StarGAN's generator, on which GANimation's and EF-GAN's are built too."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from baselines.centring import centred, over
from baselines.planes import PlanesConv2d
from baselines.scaling import scaled


class Trunk(nn.Sequential):
    """All of the generator but its last convolution: N x inputs x S x S to N x 64 width x S x S.

    Zero padding, since instance norm removes a label plane that reflection makes constant. Instance norm keeps no
    running statistics: with them, eval mode would change the pictures.
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


class InstanceNorm(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d(channels, affine=True)` and, if `rectified`, the ReLU behind it. Can be differentiated once.

    torch's own copies a map in channels-last order twice, and its gradient of a single such image is wrong (2.15).
    """

    def __init__(self, channels: int, rectified: bool = False) -> None:
        super().__init__(channels, affine=True)
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        normed: Tensor = _InstanceNorm.apply(x, self.weight, self.bias, self.eps, self.rectified)
        return normed


class _InstanceNorm(torch.autograd.Function):
    """y = (x - m) w / s + b, m the mean of x and s^2 its biased variance + epsilon, which is group norm of one channel
    each; with its own gradient, since torch's passes over memory twice as often.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, rectified: bool) -> Tensor:
        rest, squares = centred(x)
        inverse = (squares / (x.shape[2] * x.shape[3]) + epsilon).rsqrt()
        y = torch.addcmul(over(bias), rest, over(inverse * weight))
        ctx.rectified = rectified
        ctx.save_for_backward(rest, y.relu_() if rectified else None, weight, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor | None, ...]:
        rest, y, weight, inverse = ctx.saved_tensors
        if ctx.rectified:
            delta = torch.ops.aten.threshold_backward(delta, y, 0)
        of_bias = delta.sum((2, 3))
        result = delta * rest
        of_weight = result.sum((2, 3)) * inverse
        # dL/dx = g (d - mean of d) - h (x - m), g = w / s, h = g sum of d (x - m) / (s^2 count).
        pixels = rest.shape[2] * rest.shape[3]
        gain = weight * inverse
        pull = gain * inverse * of_weight / pixels
        torch.addcmul(over(-gain * of_bias / pixels), rest, over(-pull), out=result)
        return result.addcmul_(delta, over(gain)), of_weight.sum(0), of_bias.sum(0), None, None
