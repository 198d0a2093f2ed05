"""The parts of generator and discriminator that are written out: the same functions and gradients as torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.patchgan import Discriminator
from baselines.planes import PlanesConv2d
from baselines.trunk import InstanceNorm

EXACT = {"rtol": 1e-9, "atol": 1e-9}


def random(*shape: int, last: bool = False) -> Tensor:
    drawn = torch.randn(shape, dtype=torch.float64)
    if last:
        drawn = drawn.contiguous(memory_format=torch.channels_last)
    return drawn.requires_grad_()


def norm(channels: int, rectified: bool) -> InstanceNorm:
    layer = InstanceNorm(channels, rectified).double()
    for p in layer.parameters():
        nn.init.normal_(p)
    return layer


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("shape", [(1, 6, 5, 8), (3, 4, 2, 2), (2, 5, 32, 33), (1, 4, 40, 32)])
def test_instance_norm_is_torch_s(shape: tuple[int, ...], rectified: bool, last: bool) -> None:
    torch.manual_seed(0)
    x, layer, weights = random(*shape, last=last), norm(shape[1], rectified), torch.randn(shape, dtype=torch.float64)
    expected = F.instance_norm(x.contiguous(), weight=layer.weight, bias=layer.bias)
    expected = torch.relu(expected) if rectified else expected
    found = layer(x)
    torch.testing.assert_close(found, expected, **EXACT)
    inputs = [x, *layer.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, weights.contiguous(memory_format=torch.channels_last)),
        torch.autograd.grad(expected, inputs, weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize("rectified", [False, True])
def test_instance_norm_s_gradient_is_the_difference_quotient(rectified: bool) -> None:
    torch.manual_seed(1)
    assert torch.autograd.gradcheck(norm(3, rectified), (random(2, 3, 3, 4, last=True),))


def beside(images: Tensor, planes: Tensor) -> Tensor:
    return torch.cat([images, planes[:, :, None, None].expand(-1, -1, *images.shape[2:])], 1)


@pytest.mark.parametrize(("size", "height", "width"), [(7, 8, 8), (7, 10, 24), (3, 4, 6)])
@pytest.mark.parametrize("planes", [0, 1, 5])
def test_planes_are_convolved_but_for_a_constant(planes: int, size: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    layer = PlanesConv2d(3 + planes, 4, size, 1, size // 2, bias=False).double()
    images, values = random(2, 3, height, width, last=True), random(2, planes)
    expected = F.conv2d(beside(images, values), layer.weight, padding=size // 2)
    found = layer(images, values)
    constant = (expected - found).detach()
    torch.testing.assert_close(constant, constant.mean((2, 3), keepdim=True).expand_as(constant), **EXACT)
    # Any gradient that an instance norm sends back has the mean 0.
    sent = torch.randn_like(expected)
    sent = sent - sent.mean((2, 3), keepdim=True)
    inputs = [images, layer.weight, *([values] if planes else [])]
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, sent), torch.autograd.grad(expected, inputs, sent), strict=True
    ):
        torch.testing.assert_close(ours, theirs, **EXACT)


def test_planes_gradient_is_the_difference_quotient() -> None:
    torch.manual_seed(0)
    layer = PlanesConv2d(5, 2, 3, 1, 1, bias=False).double()
    assert torch.autograd.gradcheck(layer, (random(2, 3, 4, 6), random(2, 2)))


@pytest.mark.parametrize(("size", "width"), [(16, 0.0625), (20, 0.0625), (32, 0.5)])
def test_the_critic_s_gradient_is_that_of_automatic_differentiation(size: int, width: float) -> None:
    """And so is its derivative by every parameter."""
    torch.manual_seed(0)
    critic = Discriminator(width, 6, size, 5).double()
    images = random(2, 3, size, size)
    (expected,) = torch.autograd.grad(critic(images)[0].sum(), images, create_graph=True)
    found = critic.image_gradient(images.detach())
    torch.testing.assert_close(found, expected, **EXACT)
    parameters = [p for name, p in critic.named_parameters() if "classifier" not in name]
    weights = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(made, parameters, weights, allow_unused=True) for made in (found, expected))
    for one, other, parameter in zip(ours, theirs, parameters, strict=True):
        torch.testing.assert_close(one, torch.zeros_like(parameter) if other is None else other, **EXACT)
