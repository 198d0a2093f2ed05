"""The discriminator in a training step: scores and gradients, each computed once for both networks' updates.

Between its convolutions stand only means and LeakyReLUs. So a score is s = c . f(x), f piecewise linear in the image x
and, its bends apart, in every kernel. Of image and row c, one pass forwards leaves the input h_l of each convolution,
one pass back the gradient d_l of s at its output, and g at the image. From these follow

- the gradient of any loss of s, for the image dL/ds g, for kernel l dL/ds d_l (x) h_l: the generator's update and the
  discriminator's, which judge the same edits with the same weights, share both passes;
- that of R1's |g|^2: with v_l, what comes to convolution l when g is sent forwards without biases and with the slopes
  of x, |g|^2 = c . v, of which only the kernels move: 2 d_l (x) v_l. No second derivative is taken, and what goes
  forwards is dL/ds x + 2 dL/d|g|^2 g, once for both terms.

Residual sums are not divided by sqrt(2) here: features grow by it at every block, as biases do, and f is divided once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from baselines.convolution import convolved, kernel_gradient, pooled_kernel, transposed
from baselines.hisd.blocks import DownBlock, windows
from baselines.hisd.networks import Discriminator
from baselines.hisd.norms import SLOPE


class Layer:
    """A convolution as a linear map and its transpose; `pooled`: with a mean over 2x2 pixels, as one kernel."""

    def __init__(self, conv: nn.Conv2d, scale: float, padding: int = 1, pooled: bool = False) -> None:
        weight = conv.weight.detach()
        self.scale, self.pooled = scale, pooled
        self.stride, self.padding = (2 if pooled else 1), padding
        self.kernel = pooled_kernel(weight) if pooled else weight
        self.bias = None if conv.bias is None else conv.bias.detach() * scale

    def forwards(self, x: Tensor, shares: Tensor | None = None) -> Tensor:
        """N x inputs x H x W to N x outputs x H' x W'. shares: N, of the bias; None for 1."""
        y = convolved(x, self.kernel, self.bias if shares is None else None, self.stride, self.padding)
        if shares is not None and self.bias is not None:
            y += (shares[:, None] * self.bias)[..., None, None]
        return y

    def back(self, delta: Tensor, like: Tensor) -> Tensor:
        """The transpose: gradients at the output to gradients at the input, of the size of `like`."""
        return transposed(delta, self.kernel, like.shape[2:], self.stride, self.padding)

    def weight_gradient(self, x: Tensor, delta: Tensor) -> Tensor:
        """Sum of delta (x) x over images and places, in the shape of the convolution's own kernel."""
        gradient = kernel_gradient(x, delta, self.kernel, self.stride, self.padding)
        return F.avg_pool2d(gradient, 2, 1) if self.pooled else gradient


def sloped(values: Tensor, activated: Tensor) -> Tensor:
    """LeakyReLU's slope at `activated` (N of them, its outputs) times values (a multiple of N, image by image)."""
    several = torch.unflatten(values, 0, (-1, len(activated)))
    return torch.ops.aten.leaky_relu_backward(several, activated, SLOPE, True).flatten(0, 1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Inputs:
    """What the three convolutions of a block take; `middle`: behind the first and its activation."""

    conv1: Tensor
    middle: Tensor
    conv2: Tensor
    skip: Tensor


class Block:
    """A `DownBlock` without norm; x is `scale` times what the block of the module takes. averaged: over all pixels."""

    def __init__(self, block: DownBlock, scale: float, averaged: bool) -> None:
        self.averaged = averaged
        self.conv1 = Layer(block.conv1, scale, pooled=True)
        self.conv2 = Layer(block.conv2, scale, padding=0 if averaged else 1)
        self.skip = Layer(block.skip, scale, padding=0)

    def forwards(self, x: Tensor) -> tuple[Tensor, Inputs]:
        """The next block's x; N x outputs x 1 x 1 where averaged."""
        first = F.leaky_relu(x, SLOPE)
        return self._sum(x, first, F.leaky_relu_(self.conv1.forwards(first), SLOPE))

    def tangent(self, u: Tensor, shares: Tensor, at: Inputs) -> tuple[Tensor, Inputs]:
        """`forwards` of u with the slopes of other inputs and shares of the biases."""
        first = sloped(u, at.conv1)
        return self._sum(u, first, sloped(self.conv1.forwards(first, shares), at.middle), shares)

    def _sum(self, x: Tensor, first: Tensor, middle: Tensor, shares: Tensor | None = None) -> tuple[Tensor, Inputs]:
        taken, skip = middle, F.avg_pool2d(x, 2)
        if self.averaged:
            taken, skip = windows(middle), skip.mean((2, 3), keepdim=True)
        return self.conv2.forwards(taken, shares).add_(self.skip.forwards(skip)), Inputs(first, middle, taken, skip)

    def back(self, delta: Tensor, at: Inputs) -> tuple[Tensor, Tensor]:
        """From the gradient at the sum to that at x, and to that behind the first convolution."""
        taken = self.conv2.back(delta, at.conv2)
        middle = sloped(windows_back(taken, at.middle) if self.averaged else taken, at.middle)
        x = sloped(self.conv1.back(middle, at.conv1), at.conv1)
        height, width = (length // 2 for length in x.shape[2:])
        squares = torch.unflatten(x[:, :, : 2 * height, : 2 * width], 3, (width, 2))
        squares = torch.unflatten(squares, 2, (height, 2))  # of the means before the skip
        skip = self.skip.back(delta, at.skip)[:, :, :, None, :, None]
        squares.add_(skip, alpha=0.25 / (height * width) if self.averaged else 0.25)
        return x, middle


def windows_back(delta: Tensor, like: Tensor) -> Tensor:
    """The transpose of `windows`: from N x C x 3 x 3 to the shape of `like` but for N."""
    height, width = like.shape[2:]
    wide = delta.new_zeros(*delta.shape[:2], height + 2, width + 2)
    for i in range(3):
        for j in range(3):
            wide[:, :, i : i + height, j : j + width] += delta[:, :, i : i + 1, j : j + 1]
    return wide[:, :, 1:-1, 1:-1] / (height * width)


class Opinion:
    """Of N images (N x 3 x S x S) R scores (a multiple of N: one for each image, then another for each), and their
    gradients. index: R, the scores' places in the discriminator's last layer.

    gradient: R x 3 x S x S, of each score by its image.
    """

    def __init__(self, discriminator: Discriminator, images: Tensor, index: Tensor) -> None:
        trunk = discriminator.trunk
        modules = [block for block in trunk.blocks if isinstance(block, DownBlock)]
        self._head, self._index, self._images = discriminator.head, index, images.detach()
        self._convs = [trunk.stem, *(conv for b in modules for conv in (b.conv1, b.conv2, b.skip))]
        self._stem = Layer(trunk.stem, 1.0, padding=0)
        self._blocks = [
            Block(block, math.sqrt(2) ** place, averaged=block is modules[-1]) for place, block in enumerate(modules)
        ]
        self._scale = math.sqrt(2) ** len(modules)
        self._inputs: list[Inputs] = []
        with torch.no_grad():
            x = self._stem.forwards(self._images)
            for block in self._blocks:
                x, taken = block.forwards(x)
                self._inputs.append(taken)
            self.features = x.flatten(1) / self._scale
            self._deltas = self._back()
            self.gradient = self._stem.back(self._deltas[0], images)

    def _back(self) -> list[Tensor]:
        """Gradients of the scores at the outputs of stem, first block's first convolution, first block, second's ..."""
        deltas = [(self._rows().detach() / self._scale)[..., None, None]]
        for block, at in zip(reversed(self._blocks), reversed(self._inputs), strict=True):
            deltas += reversed(block.back(deltas[-1], at))
        return deltas[::-1]

    def _rows(self) -> Tensor:
        """c: R x features."""
        return self._head.weight[self._index, : self.features.shape[1]]

    def _scores(self, of_images: Tensor, style: Tensor | None, weight: Tensor, bias: Tensor) -> Tensor:
        scores = of_images + bias[self._index]
        if style is None:
            return scores
        return scores + _dot(weight[self._index, self.features.shape[1] : -1], style)

    def for_generator(self, style: Tensor | None, images: Tensor | None = None) -> Tensor:
        """Scores (R) whose gradient reaches the style (N x style, None for unseen), and `images`: those judged, with
        the graph that they come from (only where R is N).
        """
        of_images = _dot(self._rows().detach(), self.features)
        if images is not None:
            product = (self.gradient * images).flatten(1).sum(1)
            of_images = of_images + (product - product.detach())
        return self._scores(of_images, style, self._head.weight.detach(), self._head.bias.detach())

    def for_critic(self, style: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores and the squared norms of their gradients by the image (R each), for the discriminator's update."""
        parameters = [p for conv in self._convs for p in conv.parameters()]
        of_images, squares = _OfParameters.apply(self, self._rows(), *parameters)
        return self._scores(of_images, style, self._head.weight, self._head.bias), squares

    def parameter_gradients(self, shares: Tensor, squares: Tensor | None) -> list[Tensor]:
        """Of `shares` (R) times the scores plus `squares` (R, None for 0) times the squared norms: by c (R x features),
        then by the parameters of stem and blocks.
        """
        deltas = self._deltas
        if squares is None and len(shares) == len(self._images):
            sent, inputs, features = self._images, self._inputs, shares[:, None] * self.features
            weighed = [delta * shares[:, None, None, None] for delta in deltas]
        else:
            sent, inputs, features = self._sent(shares, squares)
            weighed = deltas
        layers = [self._stem, *(layer for b in self._blocks for layer in (b.conv1, b.conv2, b.skip))]
        taken = [sent, *(x for i in inputs for x in (i.conv1, i.conv2, i.skip))]
        places = [0, *(place for b in range(len(self._blocks)) for place in (2 * b + 1, 2 * b + 2, 2 * b + 2))]
        gradients = [features]
        for layer, x, place in zip(layers, taken, places, strict=True):
            gradients.append(layer.weight_gradient(x, weighed[place]))
            if layer.bias is not None:
                gradients.append(shares @ deltas[place].sum((2, 3)) * layer.scale)
        return gradients

    def _sent(self, shares: Tensor, squares: Tensor | None) -> tuple[Tensor, list[Inputs], Tensor]:
        """What every convolution takes when shares of the images and of their gradients are sent forwards."""
        scores = torch.unflatten(shares, 0, (-1, len(self._images)))[..., None, None, None]
        sent = (scores * self._images).flatten(0, 1)
        if squares is not None:
            sent = sent + 2 * squares[:, None, None, None] * self.gradient
        sent = sent.contiguous(memory_format=torch.channels_last)
        u, inputs = self._stem.forwards(sent, shares), []
        for block, at in zip(self._blocks, self._inputs, strict=True):
            u, taken = block.tangent(u, shares, at)
            inputs.append(taken)
        return sent, inputs, u.flatten(1) / self._scale


class _OfParameters(torch.autograd.Function):
    """The trunk's part of scores, and the squared norms of their gradients, for a loss's way back to c and kernels."""

    @staticmethod
    def forward(ctx: Any, opinion: Opinion, rows: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        ctx.opinion = opinion
        ctx.set_materialize_grads(False)
        return _dot(rows, opinion.features), opinion.gradient.square().flatten(1).sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, shares: Tensor | None, squares: Tensor | None) -> tuple[Tensor | None, ...]:
        if shares is None:
            shares = torch.zeros(len(ctx.opinion.gradient)).to(ctx.opinion.gradient)
        return None, *ctx.opinion.parameter_gradients(shares, squares)


def _dot(rows: Tensor, vectors: Tensor) -> Tensor:
    """Rows R x C, vectors N x C, R a multiple of N: the product of each row with its image's vector, R."""
    return (torch.unflatten(rows, 0, (-1, len(vectors))) * vectors).sum(2).flatten()
