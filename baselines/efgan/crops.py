"""Crops of eyes, nose and mouth: their windows, and how edited crops are pasted.

A crop is a product with two matrices of zeros and ones that select rows and columns. Its values are exact, since every
sum has one term that is not zero; and unlike indexing, its backward pass has one order of summation on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from baselines.efgan.settings import EFGANSettings
from benchmark.core.errors import UserError

Region = Literal["eyes", "nose", "mouth"]
REGIONS: tuple[Region, ...] = get_args(Region)
POINTS: dict[Region, slice] = {"eyes": slice(36, 48), "nose": slice(27, 36), "mouth": slice(48, 68)}
"""A region's landmarks in the iBUG scheme."""
FRAME = 128
"""Width of the images, in pixels, for which the settings give the crops' sizes."""
SMALLEST = 8
"""Two halvings leave 2 x 2, the least that instance norm can normalise without erasing."""


@dataclass(frozen=True)
class Window:
    """One crop of h x w in each of N images of S x S: rows N x h x S and columns N x w x S, 1 where selected."""

    rows: Tensor
    columns: Tensor

    def cut(self, images: Tensor) -> Tensor:
        """N x C x S x S to N x C x h x w."""
        crops: Tensor = self.rows[:, None] @ images @ self.columns[:, None].mT
        return crops

    def paste(self, crops: Tensor) -> Tensor:
        """N x C x h x w to N x C x S x S, 0 outside the window."""
        pasted: Tensor = self.rows[:, None].mT @ crops @ self.columns[:, None]
        return pasted

    def inside(self) -> Tensor:
        """N x 1 x S x S: 1 in the window, else 0."""
        return self.rows.sum(1)[:, None, :, None] * self.columns.sum(1)[:, None, None, :]


def crop_size(settings: EFGANSettings, region: Region, size: int) -> tuple[int, int]:
    """Height and width of a region's crop in images of `size` x `size`, multiples of 4.

    Raises UserError for a setting that is no height and width of up to 128.
    """
    stated = getattr(settings, region)
    if len(stated) != 2 or not all(0 < length <= FRAME for length in stated):
        raise UserError(f"{region} must be a height and a width between 1 and {FRAME}, not {list(stated)}")
    height, width = (min(size, max(SMALLEST, 4 * int(length * size / FRAME / 4 + 0.5))) for length in stated)
    return height, width


def window(landmarks: Tensor, height: int, width: int, size: int) -> Window:
    """The window of height x width centred on the box round the landmarks, at whole pixels and moved inside the image.

    landmarks: N x points x 2, x and y in pixels, finite.
    """
    centre = (landmarks.amin(1) + landmarks.amax(1)) / 2
    return Window(_selection(centre[:, 1], height, size), _selection(centre[:, 0], width, size))


def _selection(centre: Tensor, length: int, size: int) -> Tensor:
    """N x length x size: for each of N centres, `length` neighbouring pixels of `size`."""
    first = torch.floor(centre - (length - 1) / 2 + 0.5).clamp(0, size - length)
    pixels = first[:, None] + torch.arange(length, device=centre.device)
    return (pixels[:, :, None] == torch.arange(size, device=centre.device)).to(centre)


def windows(landmarks: Tensor, sizes: Sequence[tuple[int, int]], size: int) -> tuple[Window, ...]:
    """The windows of all REGIONS, from landmarks N x 68 x 2 and the crops' heights and widths."""
    return tuple(
        window(landmarks[:, POINTS[region]], height, width, size)
        for region, (height, width) in zip(REGIONS, sizes, strict=True)
    )


def stitch(images: Tensor, crops: Sequence[Tensor], where: Sequence[Window]) -> Tensor:
    """`images` (N x C x S x S) with each of `crops` pasted at its window; where windows overlap, the crops' mean."""
    stitched, times = images, torch.zeros_like(images[:, :1])
    for window, crop in zip(where, crops, strict=True):
        inside = window.inside()
        times = times + inside
        # A running mean, which leaves a pixel that all crops agree on as it is, to the last bit.
        stitched = torch.lerp(stitched, window.paste(crop), inside / times.clamp(min=1))
    return stitched
