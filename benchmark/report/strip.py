"""One source and its edits side by side, with names under them.

Pictures are enlarged by an integer factor, never resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from benchmark.report.canvas import INK, PAPER, QUIET, enlarged, load_font, scale_of_pictures

MARGIN, GAP, APART = 20, 6, 22
"""Distances in pixels: round the strip, between two edits, between source and first edit."""
SMALLEST_TYPE = 12


@dataclass(frozen=True)
class Strip:
    """The drawing, and the corner (left, top) of each picture, the source's first. scale: the factor of enlargement."""

    image: Image.Image
    corners: tuple[tuple[int, int], ...]
    scale: int


def draw_strip(source: np.ndarray, edits: Sequence[np.ndarray], names: Sequence[str]) -> Strip:
    """Draw a source and its edits (S x S x 3 uint8 each), with "source" and the edits' names under them."""
    size = len(source)
    scale = scale_of_pictures(size)
    cell = size * scale
    type_size = max(SMALLEST_TYPE, round(cell / 8.5))
    words = ("source", *names)
    while type_size > SMALLEST_TYPE and max(load_font(type_size).getlength(word) for word in words) > cell:
        type_size -= 1
    lefts = [MARGIN, *(MARGIN + APART - GAP + index * (cell + GAP) for index in range(1, len(words)))]
    text = round(1.7 * type_size)
    image = Image.new("RGB", (lefts[-1] + cell + MARGIN, MARGIN + cell + text + round(0.7 * MARGIN)), PAPER)
    draw = ImageDraw.Draw(image)
    for left, picture, word in zip(lefts, (source, *edits), words, strict=True):
        image.paste(enlarged(picture, scale), (left, MARGIN))
        ink = QUIET if word == "source" else INK
        draw.text(
            (left + cell / 2, MARGIN + cell + text - 0.4 * type_size), word, ink, load_font(type_size), anchor="ms"
        )
    return Strip(image, tuple((left, MARGIN) for left in lefts), scale)
