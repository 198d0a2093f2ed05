"""The layers that HiSD is made of; MTSS is made of the same.

LeakyReLU 0.2 before every convolution, zero padding, every residual sum divided by sqrt(2). What is linear between two
of them is computed in the cheapest order, the same function at a part of the work: a 1x1 skip convolution runs on the
smaller side of pooling and upsampling; a 3x3 convolution is one with the pooling behind it or the upsampling before it;
of a last block that is averaged or goes into the 1x1 convolution of an image, only what is left of it is made.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.convolution import conv2d, convolved, few_outputs, joined, pooled_conv2d, upsampled_conv2d
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


def windows(x: Tensor) -> Tensor:
    """N x C x 3 x 3: what a 3x3 convolution makes of it is the mean of what it makes of x (N x C x H x W)."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), x.shape[2:], 1)


class DownBlock(nn.Module):
    """N x inputs x H x W to N x outputs x H/2 x W/2; normalised in encoders, not in extractor and discriminator."""

    def __init__(self, inputs: int, outputs: int, normalised: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.norm1 = activation(inputs, normalised)
        self.norm2 = activation(inputs, normalised)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, averaged: bool = False) -> Tensor:
        """N x inputs x H x W to N x outputs x H/2 x W/2, or x 1 x 1 if averaged over pixels."""
        hidden, half = self.norm2(pooled_conv2d(self.norm1(x), self.conv1)), F.avg_pool2d(x, 2)
        if not averaged:
            return add_(conv2d(hidden, self.conv2), self.skip(half))
        mean = convolved(windows(hidden), self.conv2.weight, self.conv2.bias, 1, 0)
        return add_(mean, self.skip(half.mean((2, 3), keepdim=True)))


class UpBlock(nn.Module):
    """N x inputs x H x W to N x outputs x 2H x 2W, with instance norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1 = InstanceNorm(inputs)
        self.norm2 = InstanceNorm(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, head: nn.Conv2d | None = None) -> Tensor:
        """N x inputs x H x W to N x outputs x 2H x 2W; with a `head` (1x1, few outputs) to what that makes of it."""
        hidden = self.norm2(upsampled_conv2d(self.norm1(x), self.conv1))
        if head is None:
            return add_(self.conv2(hidden), F.interpolate(self.skip(x), scale_factor=2))
        weight = head.weight * math.sqrt(0.5)
        skip = F.conv2d(x, joined(weight, self.skip.weight))
        images = few_outputs(hidden, joined(weight, self.conv2.weight)) + F.interpolate(skip, scale_factor=2)
        assert self.conv2.bias is not None
        constant: Tensor = head(self.conv2.bias[None, :, None, None] * math.sqrt(0.5))
        return images + constant


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
