"""Convolutions with less work for the same function. All can be differentiated twice."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL_MAP, HEAVY_KERNEL = 64, 1 << 16
"""Outputs of at most so many pixels, by a kernel of at least so many numbers for each of them, are a matrix product."""


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` (square, not dilated, not grouped, zero padding), on small maps as one matrix product.

    Libraries tile such a convolution by its pixels, of which there are too few, and read the kernel many times. (Of no
    use at width 1/8. At 128 px and width 1 StarGAN's discriminator takes 2.1 times as long without it.)
    """

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H' x W'."""
        return convolved(x, self.weight, self.bias, self.stride[0], int(self.padding[0]))


def convolved(x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """`F.conv2d(x, kernel, bias, stride, padding)` of a square kernel, as `Conv2d`."""
    size = kernel.shape[2]
    pixels = math.prod((length + 2 * padding - size) // stride + 1 for length in x.shape[2:])
    if size == 1 or pixels > SMALL_MAP or kernel.numel() < HEAVY_KERNEL * pixels:
        return F.conv2d(x, kernel, bias, stride, padding)
    patches = F.pad(x, (padding,) * 4).unfold(2, size, stride).unfold(3, size, stride).permute(0, 2, 3, 4, 5, 1)
    return F.linear(patches.flatten(3), kernel.permute(0, 2, 3, 1).flatten(1), bias).permute(0, 3, 1, 2)


def pooled_conv2d(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """`F.avg_pool2d(conv(x), 2)` of a 3x3 convolution (stride 1, padding 1), as one 4x4 convolution with stride 2.

    It has 16 multiplications where there were 36, and no map of the full size. (The plain one takes 10 % more of HiSD's
    step, 9 % of MTSS's.)
    """
    return convolved(x, _spread(conv.weight) / 4, conv.bias, 2, 1)


def upsampled_conv2d(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """`conv(F.interpolate(x, scale_factor=2))` of a 3x3 convolution (stride 1, padding 1), as one transposed 4x4 one.

    It has 16 multiplications where there were 36. (The plain one takes 11 % more of MTSS's step, 5 % of HiSD's.)
    """
    return F.conv_transpose2d(x, _spread(conv.weight).flip(2, 3).transpose(0, 1), conv.bias, stride=2, padding=1)


def _spread(kernel: Tensor) -> Tensor:
    """A 3x3 kernel at the four positions in a 4x4 one, summed."""
    return F.avg_pool2d(kernel, 2, 1, 1, divisor_override=1)


def joined(second: Tensor, first: Tensor) -> Tensor:
    """The kernel that does what two do, one after the other, of which at least one is 1x1.

        F.conv2d(F.conv2d(x, first), second)

    The first has no bias, or the second no padding. (Two convolutions take 12 % more of MTSS's step in its SDU.)
    """
    kernel = torch.einsum("omab,mikl->oiakbl", second, first)
    return kernel.flatten(4).flatten(2, 3)


def output_convs(x: Tensor, convs: Sequence[nn.Conv2d]) -> list[Tensor]:
    """`[conv(x) for conv in convs]` of convolutions with few outputs in all, for the images and masks of a generator.

    They have one odd kernel size k, stride 1, padding k // 2 and no bias; H and W are even. Hardware computes 16 output
    channels at once. Here a 2x2 square of pixels of all outputs is one pixel of 4 times the channels, made by a
    (k + 1) x (k + 1) kernel with stride 2. (The plain ones take 10 % more of StarGAN's step, 8 % of GANimation's.)
    """
    kernel = torch.cat([conv.weight for conv in convs])
    # The kernel of the square's pixel (i, j) is the kernel moved by (i, j).
    moved = torch.cat([F.pad(kernel, (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)])
    squares = F.conv2d(x, moved, stride=2, padding=kernel.shape[2] // 2).permute(0, 2, 3, 1)
    count, height, width, _ = squares.shape
    pixels = torch.unflatten(squares, 3, (2, 2, len(kernel))).transpose(2, 3)  # F.pixel_shuffle, channels last
    outputs = pixels.reshape(count, 2 * height, 2 * width, len(kernel)).permute(0, 3, 1, 2)
    return list(outputs.split_with_sizes([len(conv.weight) for conv in convs], 1))
