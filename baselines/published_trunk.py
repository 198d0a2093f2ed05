"""What StarGAN's published checkpoints look like, and GANimation's, whose networks grew out of StarGAN's."""

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
    """Published buffers without a use here: what the norms of a network kept of their inputs. In the generators the
    norms alone have a bias.
    """
    norms = [name.removesuffix("bias") for name in names if name.endswith(".bias")]
    return {norm + kept for norm in norms for kept in ("running_mean", "running_var", "num_batches_tracked")}


def measure(shapes: Mapping[str, Shapes], condition: Literal["classes", "units"]) -> Measured:
    """Width, depth and number of conditions from the generator; the size of the pictures from the discriminator, whose
    last kernel is what its halvings leave of it.
    """
    generator, discriminator = shapes.get("generator", {}), shapes.get("discriminator", {})
    settings: dict[str, Any] = {}
    first = length(generator, "main.0.weight", 0)
    if first and first != CHANNELS:
        settings["width"] = first / CHANNELS
    blocks = len(numbers(generator, r"main\.(\d+)\.main\."))
    if blocks not in (0, DEPTH):
        settings["residual_blocks"] = blocks
    planes = length(generator, "main.0.weight", 1)
    size, layers = _size(discriminator)
    if size and layers != min(DEPTH, int(math.log2(size)) - 1):
        settings["discriminator_layers"] = layers
    conditions = planes - 3 if planes and planes >= 3 else None
    return Measured(
        settings,
        classes=conditions if condition == "classes" else None,
        units=conditions if condition == "units" else None,
        smallest=size,
        largest=size,
    )


def _size(discriminator: Shapes) -> tuple[int | None, int]:
    """Side of the pictures, and the layers that halve it."""
    layers = len(numbers(discriminator, r"main\.(\d+)\."))
    kernel = length(discriminator, "conv2.weight", 2)
    return (kernel * 2**layers if kernel else None), layers
