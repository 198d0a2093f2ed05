"""pytorch-fid's Inception for a CPU: the same function of the same weights, to float32's rounding (4e-7 of the norm).

Four things, without any of which scoring Table 1 takes more than a quarter of the processor time of pytorch-fid's
command (docs/speed.md). Milliseconds of processor time a picture, on one core of a Xeon at 2.8 GHz, eight at once:

    pytorch-fid's network                                                          169
    batch normalisations in the convolutions, ReLU in place                        119
    and all four                                                                    97
    all but the kernels of 7 taps along lines (`LineChain`)                        111
    all but the kernels of 3 x 3 and stride 1 by tiles (`TileConv`)                106
    all but the first layers, whose maps are large, two pictures at a time         103

Measured and left: one oneDNN call for convolution and ReLU, the 1 x 1 convolutions of a block as one, pooling after
the 1 x 1 convolution, which leaves fewer channels to pool, tiles that reach beyond the picture. Together they are 6 %.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.metrics.features.short_convolutions import LineChain, TileConv

SIDE_MIDDLE = 17
"""Side of the maps in Mixed_6 and 7a, along whose lines the kernels of 7 taps run."""
STEM, STEM_BATCH = 7, 2
"""The first layers, whose maps are 20 times as large as the later ones' and leave the cache in a larger batch, and the
pictures that go through them at once."""

TILED = 64
"""Fewest channels with which convolutions of 3 x 3 go by tiles; with fewer, cutting tiles costs more than it saves."""


class FastInception(nn.Module):
    """N x 3 x 299 x 299, channels last, to N x 2048. layers: pytorch-fid's, in evaluation mode; they are changed."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        folded = [_folded(layer) if hasattr(layer, "bn") else _with_folded_parts(layer) for layer in layers]
        self.stem, self.blocks = nn.Sequential(*folded[:STEM]), nn.Sequential(*folded[STEM:])

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        maps = torch.cat([self.stem(part) for part in torch.split(x, STEM_BATCH)])
        features: Tensor = self.blocks(maps).flatten(1)
        return features


def _with_folded_parts(block: nn.Module) -> nn.Module:
    """A block whose convolutions are folded, and those of 7 taps one `LineChain` for each branch."""
    parts: dict[str, Any] = {name: part for name, part in block.named_children() if hasattr(part, "bn")}
    chains: dict[str, list[str]] = {}
    for name, part in parts.items():
        if sorted(part.conv.kernel_size) == [1, 7]:
            chains.setdefault(name.rpartition("_")[0], []).append(name)
        else:
            setattr(block, name, _folded(part))
    for first, *rest in chains.values():
        convs = [_convolution(parts[name]) for name in (first, *rest)]
        setattr(block, first, LineChain(convs, SIDE_MIDDLE))
        for name in rest:
            setattr(block, name, nn.Identity())
    return block


def _folded(part: Any) -> nn.Module:
    """A block "convolution, batch normalisation, ReLU" without its normalisation."""
    conv = _convolution(part)
    if conv.kernel_size == (3, 3) and conv.stride == (1, 1) and conv.in_channels >= TILED:
        return TileConv(conv)
    return nn.Sequential(conv, nn.ReLU(inplace=True))


def _convolution(part: Any) -> nn.Conv2d:
    """The convolution of such a block, with the normalisation in it."""
    conv: nn.Conv2d = fuse_conv_bn_eval(part.conv, part.bn)
    return conv.requires_grad_(False).to(memory_format=torch.channels_last)
