"""Reading one picture: a photograph, upright, 8 bits, RGB, and a square cut out of it; or pixels exactly as written."""

from __future__ import annotations

import io
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from simplejpeg import decode_jpeg

from benchmark.core.files import read_regular
from benchmark.data.framing import Square
from benchmark.data.picture_bytes import (
    PNG_SIGNATURE,
    bits_per_channel,
    compression_of,
    orientation_of,
    without_metadata,
)

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Pillow's formats that are read. Others start an interpreter (EPS), need programs of the system (WMF), or hold no
photographs.
"""
MOST_BYTES, MOST_PIXELS = 1 << 30, 178_956_970
"""Of a picture's file, and of a picture: what Pillow itself takes for the largest that is no attack."""
BACKGROUND = (255, 255, 255)
"""Background of transparent pixels: white, as RaFD's wall."""

SIXTEEN_BITS = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
"""Pillow's modes of grey with more than 8 bits, whose conversion to RGB would cut levels off."""

_JPEG = frozenset({"JPEG", "MPO"})
_HARMLESS = re.compile(r"\b\d{1,2} extraneous bytes before marker 0xd9|Unsupported color conversion")
"""Padding behind the last pixel, which more than a hundred bytes are not; colours that only this check cannot turn to
grey.
"""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that turns a picture upright, by EXIF orientation."""
# Up to 179 million pixels are a large photograph; more Pillow refuses itself.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Photograph:
    """A decoded file. image: upright, RGB; bits: of a channel in the file; still: whether the file holds one picture;
    compression: see `compression_of`.
    """

    image: Image.Image
    bits: int
    still: bool
    compression: str


def read_photograph(source: Path | bytes) -> Photograph:
    """Decode a file, or its bytes, to an upright RGB picture.

    It takes any mode that Pillow reads (grey of 8 or 16 bits, palette, CMYK), puts transparent pixels on `BACKGROUND`,
    takes the first frame of an animation and applies the EXIF orientation. Damage of other metadata plays no part.

    Raises OSError or ValueError where the pixels are damaged or colours of more than 8 bits (Pillow would cut them),
    the format is none of `FORMATS`, the path is no regular file, or the file or the picture is too large.
    """
    content = source if isinstance(source, bytes) else read_regular(source, MOST_BYTES)
    try:
        return _decode(content)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"has more than {MOST_PIXELS / 1e6:.0f} million pixels: reduce it first, or cut the face out"
        ) from error
    except UnidentifiedImageError as error:
        raise ValueError("no picture that can be read: damaged, or of another kind than its name says") from error
    except (OSError, ValueError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise ValueError(str(error) or type(error).__name__) from error


def _decode(content: bytes) -> Photograph:
    file = without_metadata(content)
    with Image.open(io.BytesIO(file.content), formats=FORMATS) as opened:
        still = not getattr(opened, "is_animated", False)
        bits, compression = bits_per_channel(opened, file.content), compression_of(opened, file.content)
        if bits > 8 and opened.mode not in SIXTEEN_BITS | {"F"}:
            raise ValueError(f"its pixels have more than 8 bits a channel ({bits}): convert it first")
        opened.load()
        if opened.format in _JPEG:
            _check_jpeg(file.content)
        orientation = file.orientation
        if opened.format in ("WEBP", "AVIF"):
            orientation = orientation_of(opened.info.get("exif", b""), opened.info.get("xmp", b""))
        turn = _TURNS.get(orientation)
        return Photograph(_as_rgb(opened if turn is None else opened.transpose(turn)), bits, still, compression)


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in SIXTEEN_BITS:
        picture = _reduced(picture)
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers, which have no agreed white: convert it first")
    if "transparency" in picture.info or {"A", "a"} & set(picture.getbands()):
        rgba = picture.convert("RGBA")
        picture = Image.new("RGBA", rgba.size, (*BACKGROUND, 255))
        picture.alpha_composite(rgba)
    return picture.convert("RGB")


def read_upright(source: Path | bytes) -> Image.Image:
    """Return the picture of `read_photograph`."""
    return read_photograph(source).image


def _check_jpeg(raw: bytes) -> None:
    """Raise ValueError for a JPEG file with missing or foreign bytes.

    Pillow decodes it to shifted or grey blocks without an error.
    """
    try:
        decode_jpeg(raw, "GRAY", fastdct=True, fastupsample=True)
    except ValueError as error:
        if not _HARMLESS.search(str(error)):
            raise ValueError(f"is damaged ({error})") from error


def _reduced(picture: Image.Image) -> Image.Image:
    """Reduce grey of 16 bits to 8, with alpha where one of its levels stands for transparency."""
    levels = np.asarray(picture).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise ValueError("its pixels have more than 16 bits: convert it first")
    grey = Image.fromarray(np.rint(levels / 257).astype(np.uint8))
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(levels == clear, 0, 255).astype(np.uint8)))
    return grey


def cut_square(picture: Image.Image, square: Square, size: int) -> np.ndarray:
    """Cut a square of an RGB picture at its sub-pixel position and resize it: size x size x 3 uint8.

    Resizing is bilinear with antialiasing; outside the picture its edge is repeated.
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
    """Read the pixels of a PNG file of this size and 8 bits unchanged: size x size x 3 uint8.

    Grey, palette and opaque alpha are converted to RGB without loss. Any other mode raises ValueError with the reason,
    a damaged file OSError or ValueError.
    """
    content = read_regular(path, MOST_BYTES)
    if not content.startswith(PNG_SIGNATURE):
        raise ValueError("is no PNG file (other formats may have lost what is measured)")
    file = without_metadata(content)
    with Image.open(io.BytesIO(file.content), formats=("PNG",)) as opened:
        if (bits := bits_per_channel(opened, file.content)) > 8:
            raise ValueError(f"has {bits} bits a channel, not 8")
        if opened.size != (size, size):
            raise ValueError(f"is {opened.width} x {opened.height} px, not {size} x {size}")
        if getattr(opened, "is_animated", False):
            raise ValueError("is an animation")
        opened.load()
        if file.orientation != 1:
            raise ValueError("is turned by its EXIF orientation: turn the pixels instead")
        if "A" in opened.getbands() or "transparency" in opened.info:
            rgba = np.asarray(opened.convert("RGBA"))
            if (rgba[..., 3] < 255).any():
                raise ValueError("has transparent pixels")
            return rgba[..., :3]
        return np.asarray(opened.convert("RGB"))
