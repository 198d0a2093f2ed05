"""Augmentation of a batch: torchvision's flip and ColorJitter, with factors of its own for each picture.

Colours change in place, plane by plane, without branches: selection by a mask takes a CPU twenty times as long as an
addition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmark.interface import Augmentation
from benchmark.protocol import LANDMARK_MIRROR

GREY = (0.2989, 0.587, 0.114)
"""Weights of R, G, B in torchvision's `rgb_to_grayscale`."""
AT_ONCE = 32_768
"""Pixels that a CPU works on at once, so that a few planes fit its second-level cache."""
TINY = 1e-12
"""Least chroma to divide by; the hue of a grey pixel is 0 for any divisor."""


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Augment N x 3 x S x S (uint8, or floats in [0, 1]); returns new floats in [-1, 1], and which are mirrored.

    The result lies channels last in memory; the second is N bool on the CPU. All random numbers are drawn from
    `generator` (on the CPU) in a fixed order, so they are the same on every device.
    """
    strengths = (augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue)
    coloured = any(strengths)
    count = len(images)
    # One call for all numbers of a batch: after a step, every call starts with cold caches.
    drawn = torch.rand(augmentation.flip * count + coloured * len(CHANGES) * (1 + count), generator=generator)
    flipped = torch.zeros(count, dtype=torch.bool)
    if augmentation.flip:
        flipped, drawn = drawn[:count] < 0.5, drawn[count:]
        ones = zip(torch.split(images, 1), flipped.tolist(), strict=True)
        images = torch.cat([one.flip(3) if flip else one for one, flip in ones])
    if coloured:
        planes = images.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if not images.is_floating_point():
            planes.div_(255)
        images = jitter_(planes, strengths, drawn).mul_(2).sub_(1)
    else:
        middle = 0.5 if images.is_floating_point() else 127.5
        images = images.mul(1 / middle).sub_(1)
    return images.contiguous(memory_format=torch.channels_last), flipped


def mirrored(landmarks: Tensor, width: int) -> Tensor:
    """Mirror landmarks (N x 68 x 2) of pictures that are `width` pixels wide."""
    points = landmarks[:, list(LANDMARK_MIRROR)]
    return torch.stack([width - 1 - points[..., 0], points[..., 1]], -1)


def jitter_(images: Tensor, strengths: Sequence[float], drawn: Tensor) -> Tensor:
    """Change the colours of N x 3 x S x S in [0, 1] in place, as torchvision's ColorJitter.

    Factors are uniform in 1 +- strength (hue: +- strength), drawn for each picture; the order of the four steps is
    drawn once for the batch. drawn: uniform numbers; the first four give the order, then come N for each step.
    """
    steps = len(CHANGES)
    order, shares = drawn[:steps].tolist(), drawn[steps:].view(steps, -1)
    ranges = [
        (-strength, strength) if change is shift_hue_ else (max(0.0, 1 - strength), 1 + strength)
        for change, strength in zip(CHANGES, strengths, strict=True)
    ]
    low, high = torch.tensor(ranges).t().unsqueeze(-1).unbind()
    factors = (shares * (high - low) + low).to(images.device, images.dtype, non_blocking=True)
    count = max(1, AT_ONCE // images[0, 0].numel()) if images.device.type == "cpu" else len(images)
    for part, own in zip(torch.split(images, count), torch.split(factors, count, 1), strict=True):
        for step in sorted(range(steps), key=order.__getitem__):
            if strengths[step]:
                CHANGES[step](part, own[step].view(-1, 1, 1, 1))
    return images


def brighten_(images: Tensor, factor: Tensor) -> None:
    """Multiply images by `factor` (N x 1 x 1 x 1) and clamp to [0, 1], in place."""
    images.mul_(factor).clamp_(0, 1)


def contrast_(images: Tensor, factor: Tensor) -> None:
    """Blend images, weight `factor`, with their mean luma, in place, clamped to [0, 1]."""
    mean = luma(images.mean((2, 3), keepdim=True))
    images.mul_(factor).add_(mean.mul_(1 - factor)).clamp_(0, 1)


def saturate_(images: Tensor, factor: Tensor) -> None:
    """Blend images, weight `factor`, with their luma, in place, clamped to [0, 1]."""
    grey = luma(images)
    images.mul_(factor).add_(grey.mul_(1 - factor)).clamp_(0, 1)


def luma(images: Tensor) -> Tensor:
    """Weighted mean of the channels, N x 1 x H x W."""
    red, green, blue = images.chunk(3, 1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])


def shift_hue_(images: Tensor, turn: Tensor) -> None:
    """Rotate hues in HSV by `turn` (N x 1 x 1 x 1; 1 is the whole circle), in place."""
    red, green, blue = images.chunk(3, 1)
    high, low = torch.maximum(green, blue), torch.minimum(green, blue)
    top, middle = torch.maximum(red, high), torch.minimum(red, high)
    # Differences are within [0, 1]; rounded up they are 1 where there is one.
    swapped, other = (high - green).ceil_(), (top - red).ceil_()
    chroma = top - torch.minimum(middle, low)
    # Sector of the hue, 0 (red) to 6 (red again): |k + (middle - low) / chroma|, where k is 0 if red is the largest and
    # green the next, -6 if blue is the next (swapped), and -2 - k where red is not the largest (other).
    sector = middle.sub_(low).div_(chroma.clamp_min(TINY))
    k = swapped.mul_(6)
    sector = sector.sub_(k).addcmul_(other, k.sub_(1), value=2).abs_().add_(turn * 6)
    sector.sub_(torch.div(sector, 6, out=k).floor_(), alpha=6)
    # As a function of the hue, each channel is a trapezoid wave over the six sectors.
    above, below = torch.add(top, chroma, out=high), torch.sub(top, chroma, alpha=2, out=low)
    for channel, base, centre, sign in ((red, below, 3, 1), (green, above, 2, -1), (blue, above, 4, -1)):
        distance = torch.sub(sector, centre, out=other).abs_().clamp_(1, 2)
        torch.addcmul(base, distance, chroma, value=sign, out=channel)


CHANGES: tuple[Callable[[Tensor, Tensor], None], ...] = (brighten_, contrast_, saturate_, shift_hue_)
