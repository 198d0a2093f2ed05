"""Edits to few expressions, in the manner of the paper's Fig. 3(d): a face is a column, what a row makes of it a line.

So faces of many kinds (placements, cameras, people) stand beside each other, and methods below each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from benchmark.protocol import EXPRESSIONS
from benchmark.report.figures import INK, LEGIBLE, PAPER, QUIET, SUBSET_NAMES, Box, Figure, RowPictures, load_font

SOURCE, REFERENCE = "source", "reference (R)"
MARGIN, GAP, APART = 24, 6, 20
"""Pixels: round the figure, between cells, and between what is given and what was made."""


@dataclass(frozen=True)
class Line:
    """One line of a section. cells: S x S x 3 uint8 for every source; None where the source shows the target already,
    so that there is nothing to edit.
    """

    key: str
    label: str
    cells: tuple[np.ndarray | None, ...]
    given: bool = False


@dataclass(frozen=True)
class Section:
    """Rows that edited the same sources (and, guided by reference, by the same references) to one target."""

    heading: str
    target: str
    captions: tuple[str, ...]
    lines: tuple[Line, ...]


def draw_targets(pictures: Sequence[RowPictures], targets: Sequence[str], caption: str) -> Figure | None:
    """All rows and targets; None where there is no edit.

    The boxes are keyed by section and row id (or "source", "reference (R)"), number of the source, and target:
    `("0 mtss-t", 3, "happy")`.
    """
    sections = [
        _section(group, target)
        for group in _groups([row for row in pictures if len(row.sources)])
        for target in targets
    ]
    if not sections:
        return None
    size = pictures[0].sources.shape[1]
    canvas = _Canvas(sections, max(1, -(-LEGIBLE // size)), size)
    canvas.write(f"Edits to {', '.join(targets)}", bold=True)
    canvas.write(caption, QUIET)
    for number, section in enumerate(sections):
        canvas.section(number, section)
    return Figure(canvas.image, canvas.boxes, canvas.scale)


def _groups(rows: Sequence[RowPictures]) -> list[list[RowPictures]]:
    """Rows of the same subset and sources; where references differ, those guided by them stand apart."""
    groups: list[list[RowPictures]] = []
    for row in sorted(rows, key=lambda row: row.references is None):  # those with references found the groups
        for group in groups:
            first = group[0]
            same = row.subset == first.subset and np.array_equal(row.sources, first.sources)
            if same and (row.references is None or _equal(row.references, first.references)):
                group.append(row)
                break
        else:
            groups.append([row])
    place = {row.row: number for number, row in enumerate(rows)}
    ordered = [sorted(group, key=lambda row: place[row.row]) for group in groups]
    return sorted(ordered, key=lambda group: place[group[0].row])


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _section(rows: Sequence[RowPictures], target: str) -> Section:
    first, column = rows[0], EXPRESSIONS.index(target)
    own = [expression == target for expression in first.source_expressions]

    def cells(pictures: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return tuple(None if done else picture[column] for done, picture in zip(own, pictures, strict=True))

    lines = [Line(SOURCE, SOURCE, tuple(first.sources), given=True)]
    references = next((row.references for row in rows if row.references is not None), None)
    if references is not None:
        lines.append(Line(REFERENCE, REFERENCE, cells(references), given=True))
    lines += [Line(row.row, row.label, cells(row.edits)) for row in rows]
    return Section(SUBSET_NAMES[first.subset], target, tuple(first.captions), tuple(lines))


class _Canvas:
    """Draws from the top down."""

    def __init__(self, sections: Sequence[Section], scale: int, size: int) -> None:
        self.scale, self.cell = scale, size * scale
        self.boxes: dict[tuple[str, int, str], Box] = {}
        self._font = max(13, round(self.cell / 8.5))
        self._text = round(self._font * 1.7)
        labels = {line.label for section in sections for line in section.lines}
        self._side = round(max(load_font(self._font).getlength(label) for label in labels)) + 14
        columns = max(len(section.lines[0].cells) for section in sections)
        height = 2 * MARGIN + 2 * self._text
        for section in sections:
            height += 2 * APART + 2 * self._text + len(section.lines) * (self.cell + GAP)
        width = MARGIN + self._side + columns * (self.cell + GAP) - GAP + MARGIN
        self.image = Image.new("RGB", (width, height - GAP), PAPER)
        self._draw = ImageDraw.Draw(self.image)
        self._y = MARGIN

    def write(self, text: str, colour: tuple[int, int, int] = INK, bold: bool = False) -> None:
        self._draw.text((MARGIN, self._y), text, colour, load_font(self._font, bold))
        self._y += self._text

    def section(self, number: int, section: Section) -> None:
        """Heading, what each face is, then what is given, and apart from it what was made."""
        self._y += APART
        self.write(f"{section.heading}, to {section.target}", bold=True)
        for column, name in enumerate(section.captions):
            middle = self._left(column) + self.cell // 2
            font = load_font(_fitting(name, self._font, self.cell))
            self._draw.text((middle, self._y + self._text - 8), name, QUIET, font, anchor="ms")
        self._y += self._text
        given = True
        for line in section.lines:
            if given and not line.given:
                self._y += APART
            given = line.given
            at = (MARGIN + self._side - 14, self._y + self.cell // 2)
            ink = QUIET if line.given else INK
            self._draw.text(at, line.label, ink, load_font(self._font), anchor="rm")
            for column, picture in enumerate(line.cells):
                if picture is not None:
                    self._paste(f"{number} {line.key}", column, section.target, picture)
            self._y += self.cell + GAP

    def _paste(self, key: str, column: int, target: str, picture: np.ndarray) -> None:
        x, y = self._left(column), self._y
        self.image.paste(Image.fromarray(picture.repeat(self.scale, 0).repeat(self.scale, 1)), (x, y))
        self.boxes[key, column, target] = (x, y, x + self.cell, y + self.cell)

    def _left(self, column: int) -> int:
        return MARGIN + self._side + column * (self.cell + GAP)


def _fitting(text: str, size: int, width: int) -> int:
    """The largest type, up to `size`, in which a text is no wider than that."""
    while size > 8 and load_font(size).getlength(text) > width:
        size -= 1
    return size
