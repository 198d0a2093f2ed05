"""Norms equal their plain twins, in value and gradient, and keep float32's digits however far a map is from zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.layers.norms import EPSILON, InstanceNorm, activated_norm, centred, over

EXACT = {"rtol": 1e-9, "atol": 1e-9}
DISTANCES = [0.0, 1.0, 10.0, 100.0]
"""Of the mean from zero, in deviations."""
layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])


def map_of(distance: float, layout: torch.memory_format, shape: tuple[int, ...] = (2, 5, 64, 64)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape, generator=generator) + distance).contiguous(memory_format=layout)


def plain_centred(x: Tensor) -> tuple[Tensor, Tensor]:
    rest = x - x.mean((2, 3), keepdim=True)
    return rest, rest.square().sum((2, 3))


def plain_norm(x: Tensor, weight: Tensor, bias: Tensor, slope: float) -> Tensor:
    mean, deviation = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)
    return F.leaky_relu((x - mean) / (deviation + EPSILON) * over(weight) + over(bias), slope)


def derivatives(outputs: Tensor | tuple[Tensor, ...], inputs: list[Tensor]) -> list[Tensor]:
    """Outputs, and the gradients of a sum with fixed weights."""
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = sum((torch.linspace(-1, 2, y.numel()).to(y).view(y.shape) * y).sum() for y in several)
    assert isinstance(loss, Tensor)
    return [*(y.detach() for y in several), *torch.autograd.grad(loss, inputs)]


@layouts
@pytest.mark.parametrize("shape", [(1, 6, 5, 8), (3, 4, 2, 2), (2, 5, 32, 33)])
def test_centring_is_the_plain_one(shape: tuple[int, ...], layout: torch.memory_format) -> None:
    x = map_of(3.0, layout, shape).double().requires_grad_()
    for ours, plain in zip(derivatives(centred(x), [x]), derivatives(plain_centred(x), [x]), strict=True):
        torch.testing.assert_close(ours, plain, **EXACT)


@layouts
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("shape", [(1, 6, 5, 8), (3, 4, 2, 2), (2, 5, 32, 33)])
def test_instance_norm_is_torch_s(shape: tuple[int, ...], rectified: bool, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x, layer = map_of(3.0, layout, shape).double().requires_grad_(), InstanceNorm(shape[1], rectified).double()
    for p in layer.parameters():
        nn.init.normal_(p)
    plain = F.instance_norm(x.contiguous(), weight=layer.weight, bias=layer.bias)
    inputs = [x, *layer.parameters()]
    expected = derivatives(plain.relu() if rectified else plain, inputs)
    for ours, wanted in zip(derivatives(layer(x), inputs), expected, strict=True):
        torch.testing.assert_close(ours, wanted, **EXACT)


@layouts
@pytest.mark.parametrize("rows", [1, 3])
def test_hisd_s_norm_is_the_plain_one(layout: torch.memory_format, rows: int) -> None:
    x = (0.01 * map_of(7.0, layout, (3, 4, 3, 5)).double()).requires_grad_()
    weight, bias = (map_of(0.0, layout, (2, 1, rows, 4)).double()[i, 0].requires_grad_() for i in (0, 1))
    inputs = [x, weight, bias]
    ours = derivatives(activated_norm(x, weight, bias, 0.2), inputs)
    for one, plain in zip(ours, derivatives(plain_norm(x, weight, bias, 0.2), inputs), strict=True):
        torch.testing.assert_close(one, plain, **EXACT)
    other = F.leaky_relu(F.instance_norm(x) * over(weight) + over(bias), 0.2)  # torch's own norm is something else
    assert (ours[0] - other).abs().max() > 1e-3


@layouts
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [5, 30, 64, 128])
def test_a_constant_map_has_the_deviation_0_and_its_gradient_is_0(
    size: int, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    """As torch.std has it. Rounding of the mean would be divided by itself."""
    levels = torch.linspace(-9.7, 9.7, 8, dtype=dtype).view(2, 4, 1, 1)
    x = levels.expand(-1, -1, size, size).contiguous(memory_format=layout).requires_grad_()
    weight, bias = torch.linspace(0.5, 2, 4, dtype=dtype).requires_grad_(), torch.linspace(-1, 1, 4, dtype=dtype)
    y = activated_norm(x, weight[None], bias[None], 0.2)
    torch.testing.assert_close(y, F.leaky_relu(over(bias), 0.2).expand_as(y), rtol=0, atol=1e-6)
    sent = map_of(0.0, layout, (2, 4, size, size)).to(dtype)
    of_x, of_weight = torch.autograd.grad(y, [x, weight], sent)
    before = sent * torch.where(bias > 0, 1, 0.2)[:, None, None]
    true = (before - before.mean((2, 3), keepdim=True)) * weight.detach()[:, None, None] / EPSILON
    torch.testing.assert_close(of_x, true, rtol=1e-4, atol=1e-3 * float(true.std()))
    assert float(of_weight.abs().max()) < 1e-4 * float(before.sum((0, 2, 3)).abs().max())


def in_one_pass(x: Tensor) -> tuple[Tensor, Tensor]:
    """The known-wrong way: a mean of squares less a squared mean."""
    count = x.shape[2] * x.shape[3]
    mean = x.sum((2, 3)) / count
    return x - over(mean), (x * x).sum((2, 3)) - count * mean * mean


def errors(way: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor) -> tuple[float, float]:
    """Of the centred map in deviations, and of its squares' sum relative to itself."""
    rest, squares = way(x)
    expected, true = plain_centred(x.double())
    deviation = over((true / (x.shape[2] * x.shape[3])).sqrt())
    return float(((rest.double() - expected) / deviation).abs().max()), float((squares.double() / true - 1).abs().max())


@layouts
@pytest.mark.parametrize("distance", [*DISTANCES, 1000.0])
def test_no_digit_is_lost_but_those_of_the_map_itself(distance: float, layout: torch.memory_format) -> None:
    """A map a thousand deviations from zero has itself three digits less."""
    rest, squares = errors(centred, map_of(distance, layout))
    assert rest < 1e-6 * max(1.0, distance / 4)
    assert squares < 1e-6


def test_one_pass_loses_them() -> None:
    _, squares = errors(in_one_pass, map_of(100.0, torch.channels_last))
    assert squares > 1e-4


@layouts
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", ["trunk", "hisd"])
def test_norms_and_their_gradients_are_float64_s_to_float32_s_digits(
    name: str, distance: float, layout: torch.memory_format
) -> None:
    """As a whole: a LeakyReLU's slope flips where its input is all but zero."""
    x, sent = map_of(distance, layout), map_of(0.0, layout).flip(0)
    ones, zeros = torch.ones(1, 5), torch.zeros(1, 5)
    results = []
    for values in (x, x.double().contiguous()):
        values.requires_grad_()
        if name == "trunk":
            y = InstanceNorm(5)(values) if values.dtype == torch.float32 else F.instance_norm(values)
        else:
            norm = activated_norm if values.dtype == torch.float32 else plain_norm
            y = norm(values, ones.to(values), zeros.to(values), 0.2)
        (gradient,) = torch.autograd.grad(y, values, sent.to(y))
        results.append((y.detach().double(), gradient.double()))
    for ours, true in zip(*results, strict=True):
        error = float((ours - true).norm() / true.norm())
        assert error < 1e-6 * max(1.0, distance / 4), error
