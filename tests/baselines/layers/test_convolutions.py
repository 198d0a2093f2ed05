"""Layers equal their plain twins: outputs, first derivatives and the derivatives of a squared gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from baselines.layers import convolutions
from baselines.layers.convolutions import Conv2d, joined, output_convs, pooled_conv2d, upsampled_conv2d
from baselines.layers.planes import PlanesConv2d

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
    monkeypatch.setattr(convolutions, "HEAVY_KERNEL", 1)
    conv = Conv2d(5, 7, size, stride, pad, bias=bias).double().to(memory_format=layout)
    x = seeded(3, 5, 4, 4).contiguous(memory_format=layout)
    plain = F.conv2d

    def refused(*_: object) -> Tensor:
        raise AssertionError("not a matrix product")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(F, "conv2d", refused)
        conv(x)
    assert_same(conv, lambda y: plain(y, conv.weight, conv.bias, stride, pad), x, list(conv.parameters()))


def test_the_product_is_for_small_maps_and_heavy_kernels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[int, ...]] = []
    plain = F.conv2d

    def counted(x: Tensor, *rest: object) -> Tensor:
        called.append(tuple(x.shape))
        return plain(x, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(F, "conv2d", counted)
    heavy, light = Conv2d(512, 256, 3, 1, 1), Conv2d(8, 8, 3, 1, 1)
    heavy(torch.zeros(1, 512, 4, 4))
    assert called == []
    heavy(torch.zeros(1, 512, 5, 4))
    light(torch.zeros(1, 8, 4, 4))
    assert called == [(1, 512, 5, 4), (1, 8, 4, 4)]


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


@pytest.mark.parametrize("sizes", [(1, 3), (3, 1)])
def test_two_convolutions_in_a_row_have_one_kernel(sizes: tuple[int, int]) -> None:
    first, second = (seeded(out, 4, size, size) for out, size in zip((4, 5), sizes, strict=True))
    first, second = first.requires_grad_(), second.requires_grad_()
    x = seeded(2, 4, 6, 7)
    assert_same(
        lambda y: F.conv2d(y, joined(second, first)), lambda y: F.conv2d(F.conv2d(y, first), second), x, [first, second]
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@given(height=st.integers(1, 5), width=st.integers(1, 5), outputs=st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_few_outputs_are_made_in_squares(
    layout: torch.memory_format, height: int, width: int, outputs: list[int]
) -> None:
    convs = [nn.Conv2d(4, count, 7, 1, 3, bias=False).double() for count in outputs]
    x = seeded(2, 4, 2 * height, 2 * width).contiguous(memory_format=layout)
    assert_same(
        lambda y: torch.cat(output_convs(y, convs), 1),
        lambda y: torch.cat([conv(y) for conv in convs], 1),
        x,
        [conv.weight for conv in convs],
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("size", "height", "width"), [(7, 7, 8), (7, 10, 24), (3, 4, 6)])
@pytest.mark.parametrize("planes", [0, 1, 5])
def test_planes_are_convolved(planes: int, size: int, height: int, width: int, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = PlanesConv2d(3 + planes, 4, size, 1, size // 2, bias=False).double().to(memory_format=layout)
    images = seeded(2, 3, height, width).contiguous(memory_format=layout)
    values = seeded(2, planes).requires_grad_()

    def plain(x: Tensor) -> Tensor:
        beside = torch.cat([x, values[:, :, None, None].expand(-1, -1, height, width)], 1)
        return F.conv2d(beside, layer.weight, padding=size // 2)

    parameters = [layer.weight, *([values] if planes else [])]
    assert_same(lambda x: layer(x, values if planes else None), plain, images, parameters)


def test_a_kernel_spread_to_the_wrong_side_is_noticed() -> None:
    conv = nn.Conv2d(2, 2, 3, 1, 1).double()

    def wrong(x: Tensor) -> Tensor:
        return F.conv2d(x, convolutions._spread(conv.weight).flip(2) / 4, conv.bias, stride=2, padding=1)

    with pytest.raises(AssertionError):
        assert_same(wrong, lambda y: F.avg_pool2d(conv(y), 2), seeded(1, 2, 4, 4), list(conv.parameters()))
