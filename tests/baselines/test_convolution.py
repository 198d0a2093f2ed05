"""Each way to write a convolution gives what the plain composition gives, its first and second derivatives too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from baselines import convolution
from baselines.convolution import Conv2d, conv2d, painted, pooled_conv2d, upsampled_conv2d

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def derivatives(function: Callable[[Tensor], Tensor], x: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """The output, its gradients, and the gradients of the squared input gradient (R1's)."""
    x = x.detach().requires_grad_()
    out = function(x)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    (gradient,) = torch.autograd.grad((out.tanh() * weights).sum(), x, create_graph=True)
    first = torch.autograd.grad((out.square() * weights).sum(), [x, *parameters], retain_graph=True)
    second = torch.autograd.grad(gradient.square().sum(), [x, *parameters])
    return [out.detach(), *first, *second]


def assert_same(
    quick: Callable[[Tensor], Tensor], plain: Callable[[Tensor], Tensor], x: Tensor, parameters: list[Tensor]
) -> None:
    for found, wanted in zip(derivatives(quick, x, parameters), derivatives(plain, x, parameters), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


def seeded(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("size", "stride", "pad", "bias"), [(4, 2, 1, True), (3, 1, 1, True), (3, 1, 1, False)])
def test_small_maps_as_a_matrix_product(
    monkeypatch: pytest.MonkeyPatch, layout: torch.memory_format, size: int, stride: int, pad: int, bias: bool
) -> None:
    monkeypatch.setattr(convolution, "HEAVY_KERNEL", 1)
    conv = Conv2d(5, 7, size, stride, pad, bias=bias).double().to(memory_format=layout)
    x = seeded(3, 5, 4, 4).contiguous(memory_format=layout)
    called: list[str] = []
    monkeypatch.setattr(F, "conv2d", lambda *_: called.append("conv2d"))
    conv(x)
    monkeypatch.undo()
    assert called == []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(convolution, "HEAVY_KERNEL", 1)
        assert_same(conv, lambda y: F.conv2d(y, conv.weight, conv.bias, stride, pad), x, list(conv.parameters()))


def test_the_product_is_for_small_maps_and_heavy_kernels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[int, ...]] = []
    plain = F.conv2d

    def counted(x: Tensor, *rest: object) -> Tensor:
        called.append(tuple(x.shape))
        return plain(x, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(F, "conv2d", counted)
    heavy, light = nn.Conv2d(256, 256, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1)
    conv2d(torch.zeros(1, 256, 4, 4), heavy)
    assert called == []
    conv2d(torch.zeros(1, 256, 5, 4), heavy)
    conv2d(torch.zeros(1, 8, 4, 4), light)
    assert called == [(1, 256, 5, 4), (1, 8, 4, 4)]


@pytest.mark.parametrize("layout", LAYOUTS)
@given(height=st.integers(1, 5), width=st.integers(1, 5), inputs=st.integers(1, 4), outputs=st.integers(1, 4))
def test_pooling_and_upsampling_join_the_convolution(
    layout: torch.memory_format, height: int, width: int, inputs: int, outputs: int
) -> None:
    conv = nn.Conv2d(inputs, outputs, 3, 1, 1).double().to(memory_format=layout)
    x = seeded(2, inputs, 2 * height, 2 * width).contiguous(memory_format=layout)
    parameters = list(conv.parameters())
    assert_same(lambda y: pooled_conv2d(y, conv), lambda y: F.avg_pool2d(conv(y), 2), x, parameters)
    assert_same(lambda y: upsampled_conv2d(y, conv), lambda y: conv(F.interpolate(y, scale_factor=2)), x, parameters)


@pytest.mark.parametrize("layout", LAYOUTS)
@given(height=st.integers(1, 5), width=st.integers(1, 5), outputs=st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_few_outputs_are_made_in_squares(
    layout: torch.memory_format, height: int, width: int, outputs: list[int]
) -> None:
    convs = [nn.Conv2d(4, count, 7, 1, 3, bias=False).double() for count in outputs]
    x = seeded(2, 4, 2 * height, 2 * width).contiguous(memory_format=layout)
    assert_same(
        lambda y: torch.cat(painted(y, convs), 1),
        lambda y: torch.cat([conv(y) for conv in convs], 1),
        x,
        [conv.weight for conv in convs],
    )


def test_a_kernel_spread_to_the_wrong_side_is_noticed() -> None:
    conv = nn.Conv2d(2, 2, 3, 1, 1).double()

    def wrong(x: Tensor) -> Tensor:
        return F.conv2d(x, convolution._spread(conv.weight).flip(2) / 4, conv.bias, stride=2, padding=1)

    with pytest.raises(AssertionError):
        assert_same(wrong, lambda y: F.avg_pool2d(conv(y), 2), seeded(1, 2, 4, 4), list(conv.parameters()))
