"""Convolutions written so that a CPU does less work for the same function.

Each of these equals the plain composition named in its docstring, to rounding, and can be differentiated twice. The
speeds are of two cores with AVX-512 in float32; docs/speed.md has the timings of whole training steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL_MAP, HEAVY_KERNEL = 16, 1 << 19
"""Outputs of at most this many pixels by a kernel of at least this many numbers are one matrix product: libraries tile
such a convolution by its pixels, of which there are too few, and read the kernel many times. (1024 to 2048 channels,
4x4 pixels to 2x2, batch 8: 73 ms forwards and backwards instead of 230.)"""


class Conv2d(nn.Conv2d):
    """`nn.Conv2d`, fast on small maps too."""

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H' x W'."""
        return conv2d(x, self)


def conv2d(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """What `conv` (square, not dilated, not grouped, zero padding) makes of x."""
    size, stride, pad = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
    height, width = ((length + 2 * pad - size) // stride + 1 for length in x.shape[2:])
    if height * width > SMALL_MAP or conv.weight.numel() < HEAVY_KERNEL:
        return F.conv2d(x, conv.weight, conv.bias, stride, pad)
    patches = F.pad(x, (pad, pad, pad, pad)).unfold(2, size, stride).unfold(3, size, stride)
    # Rows of patches in the order in which the kernel lies in memory: to turn the kernel costs more than the product.
    if conv.weight.is_contiguous(memory_format=torch.channels_last) and not conv.weight.is_contiguous():
        rows, kernel = patches.permute(0, 2, 3, 4, 5, 1), conv.weight.permute(0, 2, 3, 1)
    else:
        rows, kernel = patches.permute(0, 2, 3, 1, 4, 5), conv.weight
    flat = F.linear(rows.reshape(len(x) * height * width, -1), kernel.reshape(len(kernel), -1), conv.bias)
    return flat.view(len(x), height, width, -1).permute(0, 3, 1, 2)


def pooled_conv2d(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """`F.avg_pool2d(conv(x), 2)` of a 3x3 convolution (stride 1, padding 1; H and W even), as one 4x4 convolution with
    stride 2: 16 multiplications where there were 36, and no map of the full size.
    """
    return F.conv2d(x, _spread(conv.weight) / 4, conv.bias, stride=2, padding=1)


def upsampled_conv2d(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """`conv` (3x3, stride 1, padding 1) of the nearest upsampling of x by 2, as one transposed 4x4 convolution: 16
    multiplications where there were 36.
    """
    return F.conv_transpose2d(x, _spread(conv.weight).flip(2, 3).transpose(0, 1), conv.bias, stride=2, padding=1)


def _spread(kernel: Tensor) -> Tensor:
    """A 3x3 kernel laid at the four places of a 2x2 square, and summed: 4x4."""
    wide = F.pad(kernel, (1, 1, 1, 1))
    return wide[..., :-1, :-1] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., 1:, 1:]


def painted(x: Tensor, convs: Sequence[nn.Conv2d]) -> list[Tensor]:
    """`[conv(x) for conv in convs]` of convolutions with few outputs and one odd kernel size k (stride 1, padding
    k // 2, no bias; H and W even), as one convolution.

    Hardware computes 16 output channels at once. Here every 2x2 square of pixels of all outputs is one pixel of 4 times
    the channels, made by a (k + 1) x (k + 1) kernel with stride 2. (64 channels to 3 and 1 by 7x7 at 128 x 128.)
    """
    weight = torch.cat([conv.weight for conv in convs])
    size = weight.shape[2]
    # The kernel of the square's pixel (i, j) is the kernel moved by (i, j).
    moved = [F.pad(weight, (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)]
    kernel = torch.stack(moved, 1).flatten(0, 1)
    squares = F.conv2d(x, kernel, stride=2, padding=size // 2)
    counts = [len(conv.weight) for conv in convs]
    return list(F.pixel_shuffle(squares, 2).split_with_sizes(counts, 1))
