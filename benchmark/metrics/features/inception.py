"""Inception v3 as FID uses it: pytorch-fid's port of the network of 2015 (Szegedy et al., 2016; Heusel et al., 2017).

Its blocks and its preparation are pytorch-fid's: bilinear to 299 x 299 without antialiasing, scaled to [-1, 1],
features of the last average pooling. pytorch-fid's own constructor downloads the weights through torch hub; here the
same network is put together without.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.metrics.features.inception_cpu import FastInception
from benchmark.metrics.features.network import NetworkFeatures, default_batch, load_exactly, read_state, ready
from benchmark.metrics.features.weights import Weights

DIMENSIONS = 2048
SIDE = 299
BATCH = 8
"""Per thread."""

LAYERS = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2",
    "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e",
    "Mixed_7a", "Mixed_7b", "Mixed_7c", "avgpool",
)  # fmt: skip
"""From the picture to the features, in torchvision's names; dropout and classifier follow and are left out."""


def open_inception(weights: Weights, device: str, batch: int | None = None) -> NetworkFeatures:
    """The extractor with these weights. Raises UserError where the file does not hold this network."""
    whole = build()
    load_exactly(whole, read_state(weights.path), weights.path, "pytorch-fid's Inception")
    return NetworkFeatures(
        name="inception",
        column="FID" if weights.published else f"FD[{weights.sha256[:8]}]",
        comparable=weights.published,
        identity=weights.sha256,
        dimensions=DIMENSIONS,
        network=_network(whole, device),
        prepare=prepare,
        batch=batch or default_batch(device, BATCH),
        device=device,
    )


def _network(whole: nn.Module, device: str) -> nn.Module:
    """Return the network from picture to features; only a CPU gains from `FastInception`."""
    layers = OrderedDict((name, getattr(whole.eval(), name)) for name in LAYERS)
    if torch.device(device).type == "cpu":
        return FastInception(list(layers.values()))
    return ready(nn.Sequential(layers), device)


def build() -> nn.Module:
    """The network of 2015 without weights: torchvision's, with the blocks in which pytorch-fid departs from it."""
    from pytorch_fid import inception as published
    from torchvision.models import inception_v3

    network: Any = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    network.Mixed_5b = published.FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = published.FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = published.FIDInceptionA(288, pool_features=64)
    network.Mixed_6b = published.FIDInceptionC(768, channels_7x7=128)
    network.Mixed_6c = published.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6d = published.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6e = published.FIDInceptionC(768, channels_7x7=192)
    network.Mixed_7b = published.FIDInceptionE_1(1280)
    network.Mixed_7c = published.FIDInceptionE_2(2048)
    assert isinstance(network, nn.Module)
    return network


def prepare(pixels: Tensor) -> Tensor:
    """N x 3 x H x W in [0, 255] to N x 3 x 299 x 299 in [-1, 1]."""
    resized = F.interpolate(pixels / 255.0, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2.0 * resized - 1.0
