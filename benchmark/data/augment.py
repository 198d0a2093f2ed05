"""Augmentation of a whole batch as tensors: what torchvision does to one picture, with factors of each picture's
own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.interface import Augmentation
from benchmark.protocol import LANDMARK_MIRROR

GREY = (0.2989, 0.587, 0.114)
"""Weights of R, G, B in torchvision's `rgb_to_grayscale`."""


def augment(images: Tensor, how: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """N x 3 x S x S in [0, 1], augmented, and which of them are mirrored (N bool).

    All randomness is from `generator` (on the CPU), in a fixed order of draws.
    """
    flipped = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    if how.flip:
        flipped = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    return jitter(images, how, generator), flipped


def mirrored(landmarks: Tensor, width: int) -> Tensor:
    """Landmarks (N x 68 x 2) of pictures that are `width` pixels wide, as they are in the mirrored pictures."""
    points = landmarks[:, list(LANDMARK_MIRROR)]
    return torch.stack([width - 1 - points[..., 0], points[..., 1]], -1)


def jitter(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """N x 3 x S x S in [0, 1] with other colours.

    As in torchvision's ColorJitter, factors are uniform in 1 +- strength (hue: +- strength) and the four steps come in
    random order; the order is drawn once for the batch, the factors for each picture.
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        drawn = torch.rand(count, generator=generator) * (high - low) + low
        return drawn.to(images).reshape(-1, 1, 1, 1)

    if not (how.brightness or how.contrast or how.saturation or how.hue):
        return images
    for step in torch.randperm(4, generator=generator).tolist():
        if step == 0 and how.brightness:
            images = (images * uniform(max(0.0, 1 - how.brightness), 1 + how.brightness)).clamp(0, 1)
        elif step == 1 and how.contrast:
            mean = grey(images).mean((1, 2, 3), keepdim=True)
            images = blend(images, mean, uniform(max(0.0, 1 - how.contrast), 1 + how.contrast))
        elif step == 2 and how.saturation:
            images = blend(images, grey(images), uniform(max(0.0, 1 - how.saturation), 1 + how.saturation))
        elif step == 3 and how.hue:
            images = shift_hue(images, uniform(-how.hue, how.hue))
    return images


def grey(images: Tensor) -> Tensor:
    """N x 1 x H x W luma."""
    return (images * images.new_tensor(GREY).reshape(1, 3, 1, 1)).sum(1, keepdim=True)


def blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`factor` of the images and the rest of `other`, clamped to [0, 1]."""
    return (factor * images + (1 - factor) * other).clamp(0, 1)


def shift_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Rotate the hue by `turn` (1 is the whole circle), through HSV."""
    top, low = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    chroma = top - low
    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    safe = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    sector = torch.where(
        top == red,
        (green - blue) / safe,
        torch.where(top == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sector = torch.remainder(sector + 6 * turn, 6)
    # Each channel of a hue is a trapezoid wave over the six sectors: value - chroma * clamp(min(k, 4 - k), 0, 1).
    offsets = images.new_tensor((5.0, 3.0, 1.0)).reshape(1, 3, 1, 1)
    k = torch.remainder(offsets + sector, 6)
    return top - chroma * torch.minimum(k, 4 - k).clamp(0, 1)
