"""Reading one picture: a photograph, upright, 8 bits, RGB, and a square cut out of it; or pixels exactly as written."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps
from simplejpeg import decode_jpeg

from benchmark.data.framing import Square

BACKGROUND = (255, 255, 255)
"""What shows through transparent pixels: RaFD's white wall."""

SIXTEEN_BITS = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
"""Pillow's modes of grey with more than 8 bits, whose conversion to RGB would cut levels off."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH = 24
"""The byte of a PNG file that says how many bits a channel has."""
_PNG_HEAD = 26
_ORIENTATION = 0x0112
_JPEG = frozenset({"JPEG", "MPO"})
_HARMLESS = re.compile(r"\b\d{1,2} extraneous bytes before marker 0xd9|Unsupported color conversion")
"""Padding behind the last pixel, which more than a hundred bytes are not; colours that only this check cannot turn to
grey.
"""
# Up to 179 million pixels are a large photograph; more Pillow refuses itself.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_upright(path: Path | BinaryIO) -> Image.Image:
    """The whole picture (a file, or its bytes) as RGB, turned as its EXIF orientation says: any mode that Pillow reads
    (grey and palette, 16 bits, CMYK), transparent pixels on `BACKGROUND`, of an animation the first frame.

    Raises OSError or ValueError where it is broken.
    """
    try:
        with Image.open(path) as opened:
            opened.load()
            if opened.format in _JPEG:
                _check_jpeg(_content(path))
            picture = ImageOps.exif_transpose(opened)
        if picture.mode in SIXTEEN_BITS:
            picture = _reduced(picture)
        if picture.mode == "F":
            raise ValueError("its pixels are floating-point numbers, which have no agreed white: convert it first")
        if "transparency" in picture.info or {"A", "a"} & set(picture.getbands()):
            rgba = picture.convert("RGBA")
            picture = Image.new("RGBA", rgba.size, (*BACKGROUND, 255))
            picture.alpha_composite(rgba)
        return picture.convert("RGB")
    except (OSError, ValueError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise ValueError(str(error) or type(error).__name__) from error


def _content(path: Path | BinaryIO) -> bytes:
    if isinstance(path, Path):
        return path.read_bytes()
    path.seek(0)
    return path.read()


def _check_jpeg(raw: bytes) -> None:
    """Raises ValueError for a JPEG file with a hole or foreign bytes in it, which Pillow decodes to shifted or grey
    blocks without a word.
    """
    try:
        decode_jpeg(raw, "GRAY", fastdct=True, fastupsample=True)
    except ValueError as error:
        if not _HARMLESS.search(str(error)):
            raise ValueError(f"is damaged ({error})") from error


def _reduced(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey of 8, with alpha where one of its levels stands for transparency."""
    levels = np.asarray(picture).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise ValueError("its pixels have more than 16 bits: convert it first")
    grey = Image.fromarray(np.rint(levels / 257).astype(np.uint8))
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(levels == clear, 0, 255).astype(np.uint8)))
    return grey


def read_square(path: Path, size: int) -> np.ndarray:
    """size x size x 3 uint8: the centred square, resized (antialiased bilinear, as torchvision's Resize)."""
    picture = read_upright(path)
    return cut_square(picture, Square.centred(*picture.size), size)


def cut_square(picture: Image.Image, square: Square, size: int) -> np.ndarray:
    """size x size x 3 uint8: a square of an RGB picture, at its sub-pixel place, resized (antialiased bilinear).
    Outside the picture its edge is repeated.
    """
    left, top = math.floor(square.left), math.floor(square.top)
    right, bottom = math.ceil(square.left + square.side), math.ceil(square.top + square.side)
    inside = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError("the square lies outside the picture")
    cut = picture.crop(inside)
    if inside != (left, top, right, bottom):
        beyond = ((inside[1] - top, bottom - inside[3]), (inside[0] - left, right - inside[2]), (0, 0))
        cut = Image.fromarray(np.pad(np.asarray(cut), beyond, mode="edge"))
    x, y = square.left - left, square.top - top
    box = (x, y, min(x + square.side, cut.width), min(y + square.side, cut.height))
    return np.array(cut.resize((size, size), Image.Resampling.BILINEAR, box=box))


def read_pixels(path: Path, size: int) -> np.ndarray:
    """size x size x 3 uint8: the pixels of a PNG file of that size and 8 bits, as they were written. Grey, palette and
    opaque alpha are RGB in other words and are taken; whatever is not raises ValueError with the reason, a damaged file
    OSError or ValueError.
    """
    with path.open("rb") as stream:
        head = stream.read(_PNG_HEAD)
    if not head.startswith(_PNG_SIGNATURE) or len(head) < _PNG_HEAD:
        raise ValueError("is no PNG file (other formats may have lost what is measured)")
    if head[_PNG_DEPTH] > 8:
        raise ValueError(f"has {head[_PNG_DEPTH]} bits a channel, not 8")
    with Image.open(path, formats=("PNG",)) as opened:
        if opened.size != (size, size):
            raise ValueError(f"is {opened.width} x {opened.height} px, not {size} x {size}")
        if getattr(opened, "n_frames", 1) > 1:
            raise ValueError("is an animation")
        opened.load()
        if opened.getexif().get(_ORIENTATION, 1) != 1:
            raise ValueError("is turned by its EXIF orientation: turn the pixels instead")
        if "A" in opened.getbands() or "transparency" in opened.info:
            rgba = np.asarray(opened.convert("RGBA"))
            if (rgba[..., 3] < 255).any():
                raise ValueError("has transparent pixels")
            return rgba[..., :3]
        return np.asarray(opened.convert("RGB"))
