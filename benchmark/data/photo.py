"""Reading one photograph: upright, RGB, centred square, resized."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

BACKGROUND = (255, 255, 255)
"""What shows through transparent pixels: RaFD's white wall."""


def read_upright(path: Path) -> Image.Image:
    """The whole picture as RGB, turned as its EXIF orientation says. Raises OSError or ValueError where it is
    broken.
    """
    with Image.open(path) as opened:
        opened.load()
        picture = ImageOps.exif_transpose(opened)
    if "A" in picture.getbands() or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        picture = Image.new("RGBA", rgba.size, (*BACKGROUND, 255))
        picture.alpha_composite(rgba)
    return picture.convert("RGB")


def read_square(path: Path, size: int) -> np.ndarray:
    """size x size x 3 uint8: the centred square, resized (antialiased bilinear, as torchvision's Resize)."""
    picture = read_upright(path)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))
