"""The blocks of HiSD's networks, which MTSS has too.

LeakyReLU 0.2 before every convolution, zero padding, every residual sum divided by sqrt(2). 1x1 skip convolutions run
on the smaller side of pooling and upsampling, with which they commute.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.layers.convolutions import Conv2d, pooled_conv2d, upsampled_conv2d
from baselines.layers.norms import activated_norm

SLOPE = 0.2
"""Of LeakyReLU below 0."""


class InstanceNorm(nn.Module):
    """Instance norm with a learned weight and bias per channel, and the LeakyReLU behind it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        return activated_norm(x, self.weight[None], self.bias[None], SLOPE)


def activation(channels: int, normalised: bool) -> nn.Module:
    """The activation before a convolution: LeakyReLU, after an instance norm if `normalised`."""
    return InstanceNorm(channels) if normalised else nn.LeakyReLU(SLOPE)


def add_(residual: Tensor, skip: Tensor) -> Tensor:
    """Sum of two branches divided by sqrt(2), computed in place of `skip`."""
    return skip.add_(residual).mul_(math.sqrt(0.5))


class DownBlock(nn.Module):
    """N x inputs x H x W to N x outputs x H/2 x W/2; normalised in encoders, not in extractor and discriminator."""

    def __init__(self, inputs: int, outputs: int, normalised: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, 1, 1)
        self.conv2 = Conv2d(inputs, outputs, 3, 1, 1)
        self.norm1 = activation(inputs, normalised)
        self.norm2 = activation(inputs, normalised)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H/2 x W/2."""
        hidden = self.norm2(pooled_conv2d(self.norm1(x), self.conv1))
        return add_(self.conv2(hidden), self.skip(F.avg_pool2d(x, 2)))


class UpBlock(nn.Module):
    """N x inputs x H x W to N x outputs x 2H x 2W, with instance norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1 = InstanceNorm(inputs)
        self.norm2 = InstanceNorm(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x 2H x 2W."""
        hidden = self.norm2(upsampled_conv2d(self.norm1(x), self.conv1))
        return add_(self.conv2(hidden), F.interpolate(self.skip(x), scale_factor=2))


class AdaINBlock(nn.Module):
    """N x C x H x W to the same, its two norms' weights and biases given by the style."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.skip = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """modulation: N x 4 x C: bias and weight less one of the first norm, then of the second."""
        bias1, weight1, bias2, weight2 = modulation.unbind(1)
        hidden = self.conv1(activated_norm(x, weight1 + 1, bias1, SLOPE))
        return add_(self.conv2(activated_norm(hidden, weight2 + 1, bias2, SLOPE)), self.skip(x))


@torch.no_grad()
def initialise(module: nn.Module, bias: float) -> None:
    """Kaiming-normal weights (fan-in, ReLU) and one constant bias for all convolutions and linear layers."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)
