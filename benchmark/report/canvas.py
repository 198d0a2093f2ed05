"""A canvas for figures of edits. Pictures are shown pixel by pixel, enlarged by a whole factor and never resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]
INK, QUIET, FRAME, PAPER = (24, 24, 27), (100, 100, 108), (150, 150, 158), (255, 255, 255)
LEGIBLE = 112
"""Smallest side of a face on the page in pixels; smaller pictures are enlarged."""
MARGIN, GAP, APART = 24, 6, 20
"""Distances in pixels: round the figure, between cells, between groups of cells."""


@dataclass(frozen=True)
class Figure:
    """The picture, and the box of each cell by section and line (`0 hisd-r`), number of the source, and column.

    text: of the file, by name.
    """

    image: Image.Image
    boxes: dict[tuple[str, int, str], Box] = field(default_factory=dict)
    scale: int = 1
    text: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write a PNG."""
        text = PngInfo()
        for name, value in self.text.items():
            text.add_text(name, value)
        self.image.save(path, optimize=True, pnginfo=text)


class Canvas:
    """Draws from the top down; `y` is where the next line begins. size: of the pictures, in pixels."""

    def __init__(self, size: int) -> None:
        self.scale = scale_of_pictures(size)
        self.cell = size * self.scale
        self.font = max(13, round(self.cell / 8.5))
        self.text = round(self.font * 1.7)
        """Height of a line of text."""
        self.y = MARGIN
        self._boxes: dict[tuple[str, int, str], Box] = {}

    def open(self, width: int, height: int) -> None:
        """Make the empty picture. Call it before anything is drawn."""
        self._image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self._image)

    def figure(self) -> Figure:
        """Return the finished figure."""
        return Figure(self._image, self._boxes, self.scale)

    def width_of(self, texts: set[str]) -> int:
        """Return the width of the longest text."""
        return round(max(load_font(self.font).getlength(text) for text in texts))

    def write(self, text: str, colour: Colour = INK, bold: bool = False) -> None:
        """Write a line of text at the left margin."""
        self.draw.text((MARGIN, self.y), text, colour, load_font(self.font, bold))
        self.y += self.text

    def label(self, text: str, right: int, colour: Colour = INK) -> None:
        """Write a label that ends at `right`, level with the middle of the cells beside it."""
        self.draw.text((right, self.y + self.cell // 2), text, colour, load_font(self.font), anchor="rm")

    def heading(self, text: str, left: int, baseline: int, colour: Colour = INK) -> None:
        """Write a column's heading over the cell at `left`, in smaller type where it is wider than the cell."""
        size = self.font
        while size > 8 and load_font(size).getlength(text) > self.cell:
            size -= 1
        self.draw.text((left + self.cell // 2, baseline), text, colour, load_font(size), anchor="ms")

    def names_height(self, names: Sequence[str]) -> int:
        """Return the height of the names over cells, each in as many lines of text as it needs."""
        return max(len(self._wrapped(name)) for name in names) * (self.font + 5) + 12

    def name(self, name: str, left: int, colour: Colour = INK) -> None:
        """Write a name over the cell at `left`, above the current line."""
        at = (left + self.cell // 2, self.y - 8)
        text = "\n".join(self._wrapped(name))
        self.draw.multiline_text(at, text, colour, load_font(self.font), anchor="md", align="center", spacing=4)

    def _wrapped(self, name: str) -> list[str]:
        """Split a name into lines that fit a cell, at spaces and before plus signs."""
        font, lines = load_font(self.font), [""]
        for word in name.replace("+", " +").split():
            glue = "" if word.startswith("+") or not lines[-1] else " "
            longer = lines[-1] + glue + word
            if lines[-1] and font.getlength(longer) > self.cell:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def paste(self, key: tuple[str, int, str], left: int, picture: np.ndarray) -> None:
        """Show a picture (S x S x 3 uint8) at `left` and remember its box."""
        self._image.paste(enlarged(picture, self.scale), (left, self.y))
        self._boxes[key] = (left, self.y, left + self.cell, self.y + self.cell)


def scale_of_pictures(size: int) -> int:
    """Return the integer factor by which pictures of `size` pixels are enlarged."""
    return max(1, -(-LEGIBLE // size))


def enlarged(picture: np.ndarray, scale: int) -> Image.Image:
    """Repeat every pixel `scale` times each way."""
    return Image.fromarray(picture.repeat(scale, 0).repeat(scale, 1))


def load_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which comes with matplotlib and has every character of the labels."""
    import matplotlib as mpl

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)
