"""pytorch-fid's Inception put together for a CPU: the same function of the same weights, to float32's rounding.

Batch normalisations are folded into the convolutions, and ReLU is done in the pass that writes their results. The 1 x 1
convolutions that read one tensor are one; that after an average pooling comes before it, where there are fewer channels
to pool. Convolutions of 7 taps, a quarter of the network's work, take a quarter of their multiplications, and most
3 x 3 ones of stride 1 less than half (see `bilinear`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.metrics.features.convolutions import FusedConv, LineChain, TileConv

SIDE_MIDDLE = 17
"""Of the maps in Mixed_6, whose lines the kernels of 7 taps run along."""
STEM_BATCH = 2
"""Pictures that go through the first layers at once: their maps are 20 times as large as the later ones'."""


class FastInception(nn.Module):
    """N x 3 x 299 x 299, channels last, to N x 2048. `network` is pytorch-fid's, in evaluation mode."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        whole: Any = network
        self.stem = nn.Sequential(
            _fused(whole.Conv2d_1a_3x3),
            _fused(whole.Conv2d_2a_3x3),
            _fused(whole.Conv2d_2b_3x3),
            nn.MaxPool2d(3, 2),
            _fused(whole.Conv2d_3b_1x1),
            # 71 x 71 in tiles of 4 is 72 x 72, and pooling looks at the first 71.
            TileConv(_folded(whole.Conv2d_4a_3x3), whole_tiles=True),
            nn.MaxPool2d(3, 2),
        )
        self.blocks = nn.Sequential(
            *(_BlockA(getattr(whole, f"Mixed_5{letter}")) for letter in "bcd"),
            _BlockB(whole.Mixed_6a),
            *(_BlockC(getattr(whole, f"Mixed_6{letter}")) for letter in "bcde"),
            _BlockD(whole.Mixed_7a),
            _BlockE(whole.Mixed_7b, average=True),
            _BlockE(whole.Mixed_7c, average=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        begun = torch.cat([self.stem(part) for part in torch.split(x, STEM_BATCH)])
        found: Tensor = self.blocks(begun).mean(dim=(2, 3))
        return found


class _BlockA(nn.Module):
    """Mixed_5b to 5d."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.heads = _Heads((block.branch1x1, block.branch5x5_1, block.branch3x3dbl_1))
        self.five = _fused(block.branch5x5_2)
        self.three = nn.Sequential(*(TileConv(_folded(conv)) for conv in (block.branch3x3dbl_2, block.branch3x3dbl_3)))
        self.pool = _AveragePool(block.branch_pool)

    def forward(self, x: Tensor) -> Tensor:
        one, five, three = self.heads(x)
        return _joined([one, self.five(five), self.three(three), self.pool(x)])


class _BlockB(nn.Module):
    """Mixed_6a: halves the side."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.three = _fused(block.branch3x3)
        self.deep = nn.Sequential(
            _fused(block.branch3x3dbl_1), TileConv(_folded(block.branch3x3dbl_2)), _fused(block.branch3x3dbl_3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return _joined([self.three(x), self.deep(x), F.max_pool2d(x, 3, 2)])


class _BlockC(nn.Module):
    """Mixed_6b to 6e."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.heads = _Heads((block.branch1x1, block.branch7x7_1, block.branch7x7dbl_1))
        self.seven = _chain(block.branch7x7_2, block.branch7x7_3)
        self.deep = _chain(*(getattr(block, f"branch7x7dbl_{number}") for number in (2, 3, 4, 5)))
        self.pool = _AveragePool(block.branch_pool)

    def forward(self, x: Tensor) -> Tensor:
        one, seven, double = self.heads(x)
        return _joined([one, self.seven(seven), self.deep(double), self.pool(x)])


class _BlockD(nn.Module):
    """Mixed_7a: halves the side."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.heads = _Heads((block.branch3x3_1, block.branch7x7x3_1))
        self.three = _fused(block.branch3x3_2)
        self.seven = nn.Sequential(_chain(block.branch7x7x3_2, block.branch7x7x3_3), _fused(block.branch7x7x3_4))

    def forward(self, x: Tensor) -> Tensor:
        three, seven = self.heads(x)
        return _joined([self.three(three), self.seven(seven), F.max_pool2d(x, 3, 2)])


class _BlockE(nn.Module):
    """Mixed_7b and 7c; the second pools by the maximum, as in the published weights' own graph."""

    def __init__(self, block: Any, average: bool) -> None:
        super().__init__()
        self.heads = _Heads((block.branch1x1, block.branch3x3_1, block.branch3x3dbl_1))
        self.three = nn.ModuleList(map(_fused, (block.branch3x3_2a, block.branch3x3_2b)))
        # Its kernels are large beside 8 x 8 maps: all pictures of a batch in one go.
        self.deep = TileConv(_folded(block.branch3x3dbl_2), tiles=1 << 10)
        self.deeps = nn.ModuleList(map(_fused, (block.branch3x3dbl_3a, block.branch3x3dbl_3b)))
        self.pool = (
            _AveragePool(block.branch_pool)
            if average
            else nn.Sequential(nn.MaxPool2d(3, 1, 1), _fused(block.branch_pool))
        )

    def forward(self, x: Tensor) -> Tensor:
        one, three, double = self.heads(x)
        double = self.deep(double)
        parts = [one, *(conv(three) for conv in self.three), *(conv(double) for conv in self.deeps)]
        return _joined([*parts, self.pool(x)])


class _Heads(nn.Module):
    """The 1 x 1 convolutions that read one tensor, as one; their results apart."""

    def __init__(self, convs: Sequence[Any]) -> None:
        super().__init__()
        folded = [_folded(conv) for conv in convs]
        self.sizes = [conv.out_channels for conv in folded]
        whole = nn.Conv2d(folded[0].in_channels, sum(self.sizes), 1)
        whole.weight.data = torch.cat([conv.weight.data for conv in folded])
        whole.bias = nn.Parameter(torch.cat([_bias(conv) for conv in folded]), requires_grad=False)
        self.conv = FusedConv(whole, "relu")

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.split(self.conv(x), self.sizes, dim=1)


class _AveragePool(nn.Module):
    """relu(1 x 1 convolution of the 3 x 3 average + bias), the average that of the positions inside the map: both are
    linear, one over channels and one over places, so their order is free."""

    bias: Tensor

    def __init__(self, conv: Any) -> None:
        super().__init__()
        folded = _folded(conv)
        self.register_buffer("bias", _bias(folded)[:, None, None])
        folded.bias = None
        self.conv = FusedConv(folded, "none")

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.avg_pool2d(self.conv(x), 3, 1, 1, count_include_pad=False)
        return pooled.add_(self.bias).relu_()


def _folded(block: Any) -> nn.Conv2d:
    """The convolution of a block "convolution, batch normalisation, ReLU", with the normalisation in it."""
    conv: nn.Conv2d = fuse_conv_bn_eval(block.conv, block.bn)
    return conv.requires_grad_(False)


def _fused(block: Any) -> FusedConv:
    return FusedConv(_folded(block), "relu")


def _chain(*blocks: Any) -> LineChain:
    return LineChain([_folded(block) for block in blocks], SIDE_MIDDLE)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias.detach()


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Along channels, channels last whatever the parts' strides are."""
    count, _, height, width = parts[0].shape
    channels = sum(part.shape[1] for part in parts)
    whole = torch.empty((count, channels, height, width), dtype=parts[0].dtype, memory_format=torch.channels_last)
    first = 0
    for part in parts:
        whole[:, first : first + part.shape[1]] = part
        first += part.shape[1]
    return whole
