"""The discriminator of StarGAN, GANimation and EF-GAN, and its gradient penalty."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from baselines.convolution import Conv2d, convolved, kernel_gradient, transposed
from baselines.scaling import scaled

SLOPE = 0.01
"""Of LeakyReLU below 0."""


class Discriminator(nn.Module):
    """PatchGAN critic with a second head: N x 3 x S x S to scores N x 1 x P x P and `outputs` numbers per image."""

    def __init__(self, width: float, layers: int, size: int, outputs: int) -> None:
        super().__init__()
        depth = min(layers, int(math.log2(size)) - 1)
        channels = [3, *(scaled(64 * 2**i, width) for i in range(depth))]
        body: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            body += [Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*body)
        self.critic = nn.Conv2d(channels[-1], 1, 3, 1, 1, bias=False)
        self.classifier = nn.Conv2d(channels[-1], outputs, size // 2**depth, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores N x 1 x P x P and numbers N x outputs."""
        features = self.body(images)
        return self.critic(features), self.classifier(features).flatten(1)

    def image_gradient(self, images: Tensor) -> Tensor:
        """The gradient of the summed scores by the images, N x 3 x S x S; can be differentiated by the weights, once.

        Between bends the critic is linear, so the gradient is its kernels' product, and in the derivative of that no
        slope moves: passes forwards that leave nothing but slopes, back, and forwards again for the derivative, where
        automatic differentiation takes two more, which come to zero.
        """
        body = [parameter for layer in self.body if isinstance(layer, Conv2d) for parameter in layer.parameters()]
        gradient: Tensor = _ImageGradient.apply(images, self.critic.weight, *body)
        return gradient


class _ImageGradient(torch.autograd.Function):
    """1 sent back from the scores to the images; body: kernel and bias of each layer."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, critic: Tensor, *body: Tensor) -> Tensor:
        kernels, activated = body[::2], [images]
        for kernel, bias in zip(kernels, body[1::2], strict=True):
            activated.append(F.leaky_relu_(convolved(activated[-1], kernel, bias, 2, 1), SLOPE))
        ones = images.new_ones(len(images), 1, *activated[-1].shape[2:])
        deltas = [_sloped(F.conv_transpose2d(ones, critic, padding=1), activated[-1])]
        for kernel, below in zip(kernels[:0:-1], activated[-2:0:-1], strict=True):
            deltas.append(_sloped(transposed(deltas[-1], kernel, below.shape[2:], 2, 1), below))
        ctx.activated, ctx.deltas = activated[1:], deltas[::-1]
        ctx.save_for_backward(ones, critic, *body)
        return transposed(deltas[-1], kernels[0], images.shape[2:], 2, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        ones, critic, *body = ctx.saved_tensors
        gradients: list[Tensor] = []
        for kernel, bias, delta, above in zip(body[::2], body[1::2], ctx.deltas, ctx.activated, strict=True):
            gradients += [kernel_gradient(sent, delta, kernel, 2, 1), torch.zeros_like(bias)]
            sent = _sloped(convolved(sent, kernel, None, 2, 1), above)
        return None, kernel_gradient(sent, ones, critic, 1, 1), *gradients


def _sloped(values: Tensor, activated: Tensor) -> Tensor:
    """Values times LeakyReLU's slopes, of which `activated` are the outputs."""
    sloped: Tensor = torch.ops.aten.leaky_relu_backward(values, activated, SLOPE, True)
    return sloped


def gradient_penalty(gradient: Tensor) -> Tensor:
    """StarGAN's Eq. (8), last term, without its weight: mean over images of (||d(sum of scores)/d(image)||_2 - 1)^2.

    gradient: N x 3 x S x S.
    """
    penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty
