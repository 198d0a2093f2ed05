"""Convolutions written so that a CPU does less work for the same function.

Each of these equals the plain composition named in its docstring, to rounding, and can be differentiated twice. The
speeds are of two cores with AVX-512 in float32; docs/speed.md has the timings of whole training steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

SMALL_MAP, HEAVY_KERNEL = 64, 1 << 15
"""Outputs of at most so many pixels, by a kernel of at least so many numbers for each of them, are one matrix product:
libraries tile such a convolution by its pixels, of which there are too few, and read the kernel many times. (1024 to
2048 channels, 4x4 pixels to 2x2, batch 8: 73 ms forwards and backwards instead of 230.)"""


class Conv2d(nn.Conv2d):
    """`nn.Conv2d`, fast on small maps too."""

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H' x W'."""
        return conv2d(x, self)


def conv2d(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """What `conv` (square, not dilated, not grouped, zero padding) makes of x."""
    return convolved(x, conv.weight, conv.bias, conv.stride[0], int(conv.padding[0]))


def pooled_conv2d(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """`F.avg_pool2d(conv(x), 2)` of a 3x3 convolution (stride 1, padding 1), as one 4x4 convolution with stride 2: 16
    multiplications where there were 36, and no map of the full size.
    """
    return convolved(x, pooled_kernel(conv.weight), conv.bias, 2, 1)


def upsampled_conv2d(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """`conv` (3x3, stride 1, padding 1) of the nearest upsampling of x by 2, as one transposed 4x4 convolution: 16
    multiplications where there were 36.
    """
    return F.conv_transpose2d(x, _spread(conv.weight).flip(2, 3).transpose(0, 1), conv.bias, stride=2, padding=1)


def pooled_kernel(kernel: Tensor) -> Tensor:
    """Of a 3x3 kernel (padding 1) and the mean over 2x2 pixels behind it: 4x4, for stride 2 and padding 1."""
    return _spread(kernel) / 4


def _spread(kernel: Tensor) -> Tensor:
    """A 3x3 kernel laid at the four places of a 2x2 square, and summed: 4x4."""
    return F.avg_pool2d(kernel, 2, 1, 1, divisor_override=1)


def joined(second: Tensor, first: Tensor) -> Tensor:
    """The kernel of two convolutions in a row, at least one of them 1x1; the first without bias, or without padding."""
    kernel = torch.einsum("omab,mikl->oiakbl", second, first)
    return kernel.flatten(4).flatten(2, 3)


def convolved(x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """`F.conv2d` by a square kernel, small maps as a matrix product."""
    pixels = math.prod((length + 2 * padding - kernel.shape[2]) // stride + 1 for length in x.shape[2:])
    if _as_product(kernel, pixels):
        product: Tensor = _Product.apply(x, kernel, bias, stride, padding)
        return product
    return F.conv2d(x, kernel, bias, stride, padding)


def transposed(delta: Tensor, kernel: Tensor, size: Sequence[int], stride: int, padding: int) -> Tensor:
    """The gradient at the input (of `size`, height and width) of `convolved`, whose output's is delta."""
    count, _, height, width = delta.shape
    places = kernel.shape[2]
    if not _as_product(kernel, height * width):
        ends = zip(size, (height, width), strict=True)
        rest = [long + 2 * padding - places - (short - 1) * stride for long, short in ends]
        return F.conv_transpose2d(delta, kernel, None, stride, padding, rest)
    patches = torch.unflatten(_unfolded(_rows(delta) @ _matrix(kernel), kernel), 0, (count, height, width))
    wide = patches.new_zeros(count, size[0] + 2 * padding, size[1] + 2 * padding, kernel.shape[1])
    for i in range(places):
        for j in range(places):
            wide[:, i : i + stride * height : stride, j : j + stride * width : stride] += patches[:, :, :, i, j]
    return wide[:, padding : padding + size[0], padding : padding + size[1]].permute(0, 3, 1, 2)


def kernel_gradient(x: Tensor, delta: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """The gradient at the kernel of `convolved`, whose output's is delta."""
    if not _as_product(kernel, delta.shape[2] * delta.shape[3]):
        gradient: Tensor = conv2d_weight(x, kernel.shape, delta, stride, padding)  # type: ignore[no-untyped-call]
        return gradient
    return _unfolded(_rows(delta).t() @ _patches(x, kernel, stride, padding), kernel).permute(0, 3, 1, 2)


class _Product(torch.autograd.Function):
    """A convolution as one matrix product, each of its gradients as one more."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.stride, ctx.padding, size = stride, padding, kernel.shape[2]
        height, width = ((length + 2 * padding - size) // stride + 1 for length in x.shape[2:])
        rows = F.linear(_patches(x, kernel, stride, padding), _matrix(kernel), bias)
        return rows.view(len(x), height, width, -1).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        of_x, of_kernel, of_bias, _, _ = ctx.needs_input_grad
        return (
            transposed(delta, kernel, x.shape[2:], ctx.stride, ctx.padding) if of_x else None,
            kernel_gradient(x, delta, kernel, ctx.stride, ctx.padding) if of_kernel else None,
            delta.sum((0, 2, 3)) if of_bias else None,
            None,
            None,
        )


def _as_product(kernel: Tensor, pixels: int) -> bool:
    return kernel.shape[2] > 1 and pixels <= SMALL_MAP and kernel.numel() >= HEAVY_KERNEL * pixels


def _channels_last(kernel: Tensor) -> bool:
    """Numbers are taken in the order in which the kernel lies in memory: to turn it costs more than the product."""
    return kernel.is_contiguous(memory_format=torch.channels_last) and not kernel.is_contiguous()


def _matrix(kernel: Tensor) -> Tensor:
    """outputs x numbers, a view."""
    return (kernel.permute(0, 2, 3, 1) if _channels_last(kernel) else kernel).reshape(len(kernel), -1)


def _unfolded(flat: Tensor, kernel: Tensor) -> Tensor:
    """M x numbers to M x size x size x inputs, a view."""
    _, inputs, size, _ = kernel.shape
    if _channels_last(kernel):
        return flat.view(-1, size, size, inputs)
    return flat.view(-1, inputs, size, size).permute(0, 2, 3, 1)


def _rows(x: Tensor) -> Tensor:
    """N x C x H x W to pixels x C."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _patches(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """What the kernel sees at every place: pixels x numbers."""
    size = kernel.shape[2]
    patches = F.pad(x, (padding,) * 4).unfold(2, size, stride).unfold(3, size, stride)
    order = (0, 2, 3, 4, 5, 1) if _channels_last(kernel) else (0, 2, 3, 1, 4, 5)
    return patches.permute(order).reshape(-1, kernel[0].numel())


def painted(x: Tensor, convs: Sequence[nn.Conv2d]) -> list[Tensor]:
    """`[conv(x) for conv in convs]` of convolutions with few outputs in all and one odd kernel size k (stride 1,
    padding k // 2, no bias; H and W even), as one convolution. (64 channels to 3 and 1 by 7x7 at 128 x 128.)
    """
    counts = [len(conv.weight) for conv in convs]
    return list(few_outputs(x, torch.cat([conv.weight for conv in convs])).split_with_sizes(counts, 1))


def few_outputs(x: Tensor, kernel: Tensor) -> Tensor:
    """`F.conv2d(x, kernel, padding=k // 2)` of an odd kernel size k; H and W even.

    Hardware computes 16 output channels at once. Here every 2x2 square of pixels of all outputs is one pixel of 4 times
    the channels, made by a (k + 1) x (k + 1) kernel with stride 2.
    """
    # The kernel of the square's pixel (i, j) is the kernel moved by (i, j).
    moved = torch.cat([F.pad(kernel, (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)])
    squares = F.conv2d(x, moved, stride=2, padding=kernel.shape[2] // 2).permute(0, 2, 3, 1)
    count, height, width, _ = squares.shape
    pixels = torch.unflatten(squares, 3, (2, 2, len(kernel))).transpose(2, 3)  # F.pixel_shuffle, channels last
    return pixels.reshape(count, 2 * height, 2 * width, len(kernel)).permute(0, 3, 1, 2)
