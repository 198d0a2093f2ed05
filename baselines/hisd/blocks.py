"""The layers that HiSD is made of; MTSS is made of the same.

LeakyReLU 0.2 before every convolution, zero padding, every residual sum divided by sqrt(2). A 1x1 skip convolution
commutes with average pooling and with nearest upsampling, so it always runs at the smaller size: the same function, a
quarter of the work.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.convolution import conv2d, pooled_conv2d, upsampled_conv2d
from baselines.hisd.norms import SLOPE, activated_norm


class InstanceNorm(nn.Module):
    """Instance norm with a learned weight and bias per channel, and the LeakyReLU behind it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        return activated_norm(x, self.weight[None], self.bias[None])


def activation(channels: int, normalised: bool) -> nn.Module:
    """What stands before a convolution: LeakyReLU, behind an instance norm where `normalised`."""
    return InstanceNorm(channels) if normalised else nn.LeakyReLU(SLOPE)


def add_(residual: Tensor, skip: Tensor) -> Tensor:
    """Sum of two branches at unchanged variance, in the place of the second."""
    return skip.add_(residual).mul_(math.sqrt(0.5))


class DownBlock(nn.Module):
    """N x inputs x H x W to N x outputs x H/2 x W/2; normalised in encoders, not in extractor and discriminator."""

    def __init__(self, inputs: int, outputs: int, normalised: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.norm1 = activation(inputs, normalised)
        self.norm2 = activation(inputs, normalised)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H/2 x W/2."""
        hidden = pooled_conv2d(self.norm1(x), self.conv1)
        return add_(conv2d(self.norm2(hidden), self.conv2), self.skip(F.avg_pool2d(x, 2)))


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
        hidden = upsampled_conv2d(self.norm1(x), self.conv1)
        skip = F.interpolate(self.skip(x), scale_factor=2, mode="nearest")
        return add_(self.conv2(self.norm2(hidden)), skip)


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
        hidden = self.conv1(activated_norm(x, weight1 + 1, bias1))
        return add_(self.conv2(activated_norm(hidden, weight2 + 1, bias2)), self.skip(x))


class ClassLinear(nn.Module):
    """One linear layer per class: N x inputs and labels N to N x outputs."""

    def __init__(self, classes: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, outputs, inputs))
        self.bias = nn.Parameter(torch.empty(classes, outputs))
        nn.init.kaiming_uniform_(self.weight.view(-1, inputs), math.sqrt(5))
        nn.init.uniform_(self.bias, -(inputs**-0.5), inputs**-0.5)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """x: N x inputs; labels: N, whose layer each row goes through."""
        # Every class's layer for every row, then the row's own: at a batch's size cheaper than gathering the weights.
        every = torch.einsum("ni,coi->nco", x, self.weight) + self.bias
        return of_class(every, labels)


def of_class(values: Tensor, labels: Tensor) -> Tensor:
    """N x classes x C and labels N to the rows of these labels, N x C."""
    return values[torch.arange(len(values), device=values.device), labels]


@torch.no_grad()
def initialise(module: nn.Module, bias: float) -> None:
    """Kaiming-normal weights (fan-in, ReLU) and one constant bias for all convolutions and linear layers."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, ClassLinear):
            nn.init.kaiming_normal_(layer.weight.view(-1, layer.weight.shape[-1]), nonlinearity="relu")
        else:
            continue
        if layer.bias is not None:
            nn.init.constant_(layer.bias, bias)
