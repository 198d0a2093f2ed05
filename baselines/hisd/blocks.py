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

EPSILON = 1e-5
SLOPE = 0.2


def normalise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Instance norm of x (N x C x H x W) with its own statistics, then weight and bias (1 or N x C x 1 x 1).

    The deviation is the unbiased one and epsilon is added to it, not to the variance: other numbers than torch's
    instance norm.
    """
    deviation, mean = torch.std_mean(x, dim=(2, 3), keepdim=True)
    gain = weight / (deviation + EPSILON)
    return torch.addcmul(bias - mean * gain, x, gain)


class InstanceNorm(nn.Module):
    """Instance norm with a learned weight and bias per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        return normalise(x, self.weight.view(1, -1, 1, 1), self.bias.view(1, -1, 1, 1))


def activate(x: Tensor) -> Tensor:
    """LeakyReLU."""
    return F.leaky_relu(x, SLOPE)


def add(residual: Tensor, skip: Tensor) -> Tensor:
    """Sum of two branches at unchanged variance."""
    return (residual + skip) / math.sqrt(2)


def upsample_then_conv(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """3x3 convolution of a nearest upsampling by 2, as one transposed 4x4 convolution: 16 multiplications, not 36."""
    kernel = F.pad(conv.weight, (1, 1, 1, 1))
    # Each upsampled pixel repeats in 2x2 places: the kernel summed over these four is 4x4.
    kernel = kernel[..., :-1, :-1] + kernel[..., :-1, 1:] + kernel[..., 1:, :-1] + kernel[..., 1:, 1:]
    return F.conv_transpose2d(x, kernel.flip(2, 3).transpose(0, 1), conv.bias, stride=2, padding=1)


class DownBlock(nn.Module):
    """N x inputs x H x W to N x outputs x H/2 x W/2; normalised in encoders, not in extractor and discriminator."""

    def __init__(self, inputs: int, outputs: int, normalised: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.norm1 = InstanceNorm(inputs) if normalised else nn.Identity()
        self.norm2 = InstanceNorm(inputs) if normalised else nn.Identity()
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H/2 x W/2."""
        hidden = F.avg_pool2d(self.conv1(activate(self.norm1(x))), 2)
        return add(self.conv2(activate(self.norm2(hidden))), self.skip(F.avg_pool2d(x, 2)))


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
        hidden = upsample_then_conv(activate(self.norm1(x)), self.conv1)
        skip = F.interpolate(self.skip(x), scale_factor=2, mode="nearest")
        return add(self.conv2(activate(self.norm2(hidden))), skip)


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
        bias1, weight1, bias2, weight2 = modulation[..., None, None].unbind(1)
        hidden = self.conv1(activate(normalise(x, weight1 + 1, bias1)))
        return add(self.conv2(activate(normalise(hidden, weight2 + 1, bias2))), self.skip(x))


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
