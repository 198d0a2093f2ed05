"""What norms are made of keeps float32's digits, however far a map is from zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.centring import LARGE, centred, over
from baselines.hisd.norms import EPSILON, SLOPE, activated_norm
from baselines.trunk import InstanceNorm

DISTANCES = [0.0, 1.0, 10.0, 100.0, 1000.0]
"""From zero, in deviations."""
layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])


def map_of(distance: float, layout: torch.memory_format, shape: tuple[int, ...] = (2, 5, 64, 64)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape, generator=generator) + distance).contiguous(memory_format=layout)


def in_one_pass(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mistake: a mean of squares less a squared mean."""
    count = x.shape[2] * x.shape[3]
    mean = x.sum((2, 3)) / count
    return x - over(mean), (x * x).sum((2, 3)) - count * mean * mean


def errors(way: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor) -> tuple[float, float]:
    """Of what is left in deviations, and of its squares' sum relative to itself."""
    rest, squares = way(x)
    flat = x.double().flatten(2)
    expected = flat - flat.mean(2, keepdim=True)
    true = expected.square().sum(2)
    deviation = (true / flat.shape[2]).sqrt()
    off = ((rest.double().flatten(2) - expected) / deviation[..., None]).abs().max()
    return float(off), float((squares.double() / true - 1).abs().max())


@layouts
@pytest.mark.parametrize("distance", DISTANCES)
def test_no_digit_is_lost_but_those_of_the_map_itself(distance: float, layout: torch.memory_format) -> None:
    """A map a thousand deviations from zero has itself three digits less."""
    left, squares = errors(centred, map_of(distance, layout))
    assert left < 1e-6 * max(1.0, distance / 4)
    assert squares < 1e-6


def test_one_pass_loses_them() -> None:
    _, squares = errors(in_one_pass, map_of(100.0, torch.channels_last))
    assert squares > 1e-4


@layouts
def test_large_maps_are_summed_image_by_image_to_the_same(layout: torch.memory_format) -> None:
    x = map_of(3.0, layout, (3, 6, 384, 384))
    assert x.numel() > LARGE
    assert max(errors(centred, x)) < 1e-6
    one, squares = centred(x[:1])
    rest, all_squares = centred(x)
    torch.testing.assert_close(one, rest[:1], rtol=0, atol=2e-6)
    torch.testing.assert_close(squares, all_squares[:1], rtol=1e-6, atol=0)


def leaky_norm(x: Tensor) -> Tensor:
    """HiSD's, as published."""
    flat = x.flatten(2)
    normed = (flat - flat.mean(2, keepdim=True)) / (flat.std(2, keepdim=True) + EPSILON)
    return F.leaky_relu(normed.view_as(x), SLOPE)


@layouts
@pytest.mark.parametrize("distance", DISTANCES[:-1])
@pytest.mark.parametrize("name", ["trunk", "hisd"])
def test_norms_and_their_gradients_are_float64_s_to_float32_s_digits(
    name: str, distance: float, layout: torch.memory_format
) -> None:
    """Of the same map in both precisions. As a whole: a LeakyReLU's slope flips where its input is all but zero."""
    x, sent = map_of(distance, layout), map_of(0.0, layout).flip(0)
    ones, zeros = torch.ones(1, 5), torch.zeros(1, 5)
    ours = InstanceNorm(5) if name == "trunk" else lambda x: activated_norm(x, ones, zeros)
    theirs = F.instance_norm if name == "trunk" else leaky_norm
    made = []
    for norm, values in ((ours, x), (theirs, x.double().contiguous())):
        values.requires_grad_()
        y = norm(values)
        (gradient,) = torch.autograd.grad(y, values, sent.to(y))
        made += [y.detach().double(), gradient.double()]
    for found, expected in ((made[0], made[2]), (made[1], made[3])):
        error = float((found - expected).norm() / expected.norm())
        assert error < 1e-6 * max(1.0, distance / 4), error
