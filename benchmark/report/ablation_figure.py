"""The ablation in pictures, in the manner of the paper's Fig. 3(c): source, reference, and a column for every row.

Each source is shown with one target, each with another, so that a few lines show as many expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from benchmark.protocol import EXPRESSIONS
from benchmark.report.figures import INK, LEGIBLE, PAPER, QUIET, SUBSET_NAMES, Box, Figure, RowPictures, load_font

TARGETS = ("happy", "surprised", "angry", "disgusted", "fearful", "sad", "contemptuous", "neutral")
"""In the order in which the sources take them: first those that change most of a face."""
SOURCE, REFERENCE = "source", "reference"
MARGIN, GAP, APART = 24, 6, 20
"""Pixels: round the figure, between cells, and between what is given and what was made."""


@dataclass(frozen=True)
class AblationLine:
    """One edit as every row made it. cells: the source, the reference, then one for each row; S x S x 3 uint8."""

    target: str
    cells: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Group:
    """Rows that edited the same sources by the same references."""

    heading: str
    rows: tuple[RowPictures, ...]
    lines: tuple[AblationLine, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """What stands above the cells."""
        return (SOURCE, REFERENCE, *(row.label for row in self.rows))


def draw_ablation(pictures: Sequence[RowPictures], caption: str) -> Figure | None:
    """The reference-guided rows side by side; None where there is none.

    The boxes are keyed by row id (or "source", "reference"), number of the source within its group, and target. Rows
    that have not the same sources and references are a group of their own, and their keys carry its number: `1 b-sse`.
    """
    groups = _groups([row for row in pictures if row.guide == "R" and len(row.sources)])
    if not groups:
        return None
    size = groups[0].lines[0].cells[0].shape[0]
    canvas = _Canvas(groups, max(1, -(-LEGIBLE // size)), size)
    canvas.write("Ablation, reference-guided (R)", bold=True)
    canvas.write(caption, QUIET)
    for number, group in enumerate(groups):
        canvas.group(number, group)
    return Figure(canvas.image, canvas.boxes, canvas.scale)


def choose_target(place: int, own: str) -> str:
    """The target of the source at a place: the next of TARGETS, its own expression passed over."""
    others = [target for target in TARGETS if target != own]
    return others[place % len(others)]


def _groups(rows: Sequence[RowPictures]) -> list[Group]:
    found: dict[tuple[str, bytes, bytes], list[RowPictures]] = {}
    for row in rows:
        if row.references is None:
            raise ValueError(f"{row.row}: a reference-guided row without references")
        found.setdefault((row.subset, row.sources.tobytes(), row.references.tobytes()), []).append(row)
    return [
        Group(SUBSET_NAMES[members[0].subset], tuple(members), tuple(_lines(members))) for members in found.values()
    ]


def _lines(rows: Sequence[RowPictures]) -> list[AblationLine]:
    lines, first = [], rows[0]
    assert first.references is not None
    for place, own in enumerate(first.source_expressions):
        target = choose_target(place, own)
        column = EXPRESSIONS.index(target)
        given = first.sources[place], first.references[place, column]
        lines.append(AblationLine(target, (*given, *(row.edits[place, column] for row in rows))))
    return lines


class _Canvas:
    """Draws from the top down."""

    def __init__(self, groups: Sequence[Group], scale: int, size: int) -> None:
        self.scale, self.cell = scale, size * scale
        self.boxes: dict[tuple[str, int, str], Box] = {}
        self._font = max(13, round(self.cell / 8.5))
        self._text = round(self._font * 1.7)
        self._side = round(max(load_font(self._font).getlength(target) for target in TARGETS)) + 14
        columns = max(len(group.columns) for group in groups)
        height = 2 * MARGIN + 2 * self._text
        for group in groups:
            height += APART + self._text + self._head(group) + len(group.lines) * (self.cell + GAP)
        self.image = Image.new("RGB", (self._left(columns) - GAP + MARGIN, height), PAPER)
        self._draw = ImageDraw.Draw(self.image)
        self._y = MARGIN

    def write(self, text: str, colour: tuple[int, int, int] = INK, bold: bool = False) -> None:
        self._draw.text((MARGIN, self._y), text, colour, load_font(self._font, bold))
        self._y += self._text

    def group(self, number: int, group: Group) -> None:
        """Heading, names of the columns, then a line for each source."""
        self._y += APART
        self.write(group.heading, bold=True)
        self._y += self._head(group)
        for column, name in enumerate(group.columns):
            middle = self._left(column) + self.cell // 2
            ink = QUIET if column < 2 else INK
            text = "\n".join(self._wrapped(name))
            self._draw.multiline_text(
                (middle, self._y - 8), text, ink, load_font(self._font), anchor="md", align="center", spacing=4
            )
        keys = (SOURCE, REFERENCE, *(row.row for row in group.rows))
        for place, line in enumerate(group.lines):
            at = (MARGIN + self._side - 14, self._y + self.cell // 2)
            self._draw.text(at, line.target, INK, load_font(self._font), anchor="rm")
            for column, (key, picture) in enumerate(zip(keys, line.cells, strict=True)):
                self._paste(f"{number} {key}", place, line.target, column, picture)
            self._y += self.cell + GAP

    def _paste(self, key: str, place: int, target: str, column: int, picture: np.ndarray) -> None:
        x, y = self._left(column), self._y
        enlarged = picture.repeat(self.scale, 0).repeat(self.scale, 1)
        self.image.paste(Image.fromarray(enlarged), (x, y))
        self.boxes[key, place, target] = (x, y, x + self.cell, y + self.cell)

    def _left(self, column: int) -> int:
        """x of a column; what was made stands apart from what was given."""
        return MARGIN + self._side + column * (self.cell + GAP) + (APART if column >= 2 else 0)

    def _head(self, group: Group) -> int:
        """Height of the names of the columns."""
        lines = max(len(self._wrapped(name)) for name in group.columns)
        return lines * (self._font + 5) + 12

    def _wrapped(self, name: str) -> list[str]:
        """A name in lines that fit a cell, broken at spaces and before plus signs."""
        font, lines = load_font(self._font), [""]
        for word in name.replace("+", " +").split():
            glue = "" if word.startswith("+") or not lines[-1] else " "
            longer = lines[-1] + glue + word
            if lines[-1] and font.getlength(longer) > self.cell:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines
