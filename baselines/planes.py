"""A convolution of images with constant planes beside them, without convolving the planes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_weight

from baselines.convolution import few_outputs


class PlanesConv2d(nn.Conv2d):
    """`nn.Conv2d` (odd kernel, stride 1, zero padding that keeps the size, no bias) of images and, beside their
    channels, planes that are constant all over: but for a constant per image and output, which the instance norm
    behind it removes. Can be differentiated once.

    A plane adds the sum of the kernel's taps that are inside the picture: the same at all places but near the border.
    """

    def forward(self, images: Tensor, planes: Tensor | None = None) -> Tensor:
        """images: N x C x H x W, at least as large as the kernel; planes: N x P, the planes' values; C + P inputs."""
        values = images.new_zeros(len(images), 0) if planes is None else planes
        result: Tensor = _PlanesConvolution.apply(images, values, self.weight)
        return result


class _PlanesConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, planes: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(images, planes, kernel)
        of_images, of_planes = kernel.split_with_sizes([images.shape[1], planes.shape[1]], 1)
        result = F.conv2d(images, of_images, padding=kernel.shape[2] // 2)
        if planes.shape[1]:
            inside = _inside(kernel)
            sums = torch.einsum("np,opab->noab", planes, inside @ of_planes @ inside.mT)
            middle = kernel.shape[2] // 2
            _add_border(result, sums - sums[:, :, middle : middle + 1, middle : middle + 1])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor | None, ...]:
        images, planes, kernel = ctx.saved_tensors
        channels, padding = images.shape[1], kernel.shape[2] // 2
        of_images = of_planes = None
        if ctx.needs_input_grad[0]:
            turned = kernel[:, :channels].flip(2, 3).transpose(0, 1)
            of_images = few_outputs(delta, turned)
        shape = (len(kernel), channels, *kernel.shape[2:])
        of_kernel = conv2d_weight(images, shape, delta, padding=padding)  # type: ignore[no-untyped-call]
        if planes.shape[1]:
            inside, sums = _inside(kernel), _border_sums(delta, padding)
            by_planes = inside.mT @ torch.einsum("np,noab->opab", planes, sums) @ inside
            of_kernel = torch.cat([of_kernel, by_planes], 1)
            if ctx.needs_input_grad[1]:
                of_planes = torch.einsum("noab,opab->np", sums, inside @ kernel[:, channels:] @ inside.mT)
        return of_images, of_planes, of_kernel


def _inside(kernel: Tensor) -> Tensor:
    """Which taps of a kernel of k = 2p + 1 rows are inside a picture, k x k: at its first p rows, in the middle, at its
    last p rows.
    """
    padding = kernel.shape[2] // 2
    place = torch.arange(2 * padding + 1, device=kernel.device)
    reach = place[:, None] + place
    return ((reach >= padding) & (reach <= 3 * padding)).to(kernel)


def _add_border(result: Tensor, sums: Tensor) -> None:
    """Add sums (N x O x k x k, zero in the middle) to the p outermost rows and columns of result (N x O x H x W)."""
    p, (height, width) = sums.shape[2] // 2, result.shape[2:]

    def along(rows: Tensor) -> Tensor:
        middle = rows[..., p : p + 1].expand(-1, -1, -1, width - 2 * p)
        return torch.cat([rows[..., :p], middle, rows[..., p + 1 :]], 3)

    result[:, :, :p] += along(sums[:, :, :p])
    result[:, :, height - p :] += along(sums[:, :, p + 1 :])
    result[:, :, p : height - p, :p] += sums[:, :, p : p + 1, :p]
    result[:, :, p : height - p, width - p :] += sums[:, :, p : p + 1, p + 1 :]


def _border_sums(delta: Tensor, p: int) -> Tensor:
    """The transpose of `_add_border`, with what the middle takes off everywhere: N x O x k x k."""
    height, width = delta.shape[2:]

    def along(rows: Tensor) -> Tensor:
        middle = rows[..., p : width - p].sum(3, keepdim=True)
        return torch.cat([rows[..., :p], middle, rows[..., width - p :]], 3)

    left = delta[:, :, p : height - p, :p].sum(2, keepdim=True)
    right = delta[:, :, p : height - p, width - p :].sum(2, keepdim=True)
    middle = torch.cat([left, torch.zeros_like(left[..., :1]), right], 3)
    sums = torch.cat([along(delta[:, :, :p]), middle, along(delta[:, :, height - p :])], 2)
    sums[:, :, p, p] = -sums.sum((2, 3))
    return sums
