"""The layout of StarGAN's and GANimation's published checkpoints, which have the same trunk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from benchmark.published import Measured, Names, Shapes, length, numbers

CHANNELS = 64
"""Of the first layers at width 1."""
DEPTH = 6
"""Published layers of the discriminator, and residual blocks of the generator."""


def running_statistics(names: Names) -> set[str]:
    """Published buffers that are not used here: the running statistics of a generator's norms.

    In the generators only the norms have a bias.
    """
    norms = [name.removesuffix("bias") for name in names if name.endswith(".bias")]
    return {norm + kept for norm in norms for kept in ("running_mean", "running_var", "num_batches_tracked")}


def measure(shapes: Mapping[str, Shapes], condition: Literal["classes", "units"]) -> Measured:
    """Width, depth and number of conditions from the generator, the size of the images from the discriminator.

    The discriminator's last kernel has the size of its last map.
    """
    generator, discriminator = shapes.get("generator", {}), shapes.get("discriminator", {})
    settings: dict[str, Any] = {}
    first = length(generator, "main.0.weight", 0)
    if first and first != CHANNELS:
        settings["width"] = first / CHANNELS
    blocks = len(numbers(generator, r"main\.(\d+)\.main\."))
    if blocks not in (0, DEPTH):
        settings["residual_blocks"] = blocks
    inputs = length(generator, "main.0.weight", 1)
    size, layers = _size(discriminator)
    if size and layers != min(DEPTH, int(math.log2(size)) - 1):
        settings["discriminator_layers"] = layers
    conditions = inputs - 3 if inputs and inputs >= 3 else None
    return Measured(
        settings,
        classes=conditions if condition == "classes" else None,
        units=conditions if condition == "units" else None,
        smallest=size,
        largest=size,
    )


def _size(discriminator: Shapes) -> tuple[int | None, int]:
    """Side of the images, and the number of layers that halve it."""
    layers = len(numbers(discriminator, r"main\.(\d+)\."))
    kernel = length(discriminator, "conv2.weight", 2)
    return (kernel * 2**layers if kernel else None), layers
