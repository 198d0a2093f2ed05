"""Edits side by side, in the manner of the paper's Fig. 3: a block for every source, a column for every expression.

Pictures are shown pixel by pixel: enlarged by a whole factor, never resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmark.protocol import EXPRESSIONS, Guide, Subset

Box = tuple[int, int, int, int]
GUIDE_NAMES: dict[Guide, str] = {"T": "Label-guided synthesis (T)", "R": "Reference-guided synthesis (R)"}
SUBSET_NAMES: dict[Subset, str] = {"F": "Frontal faces (F)", "F&P": "Frontal and posed faces (F&P)"}
LEGIBLE = 112
"""Pixels that a face should have on the page at least; smaller pictures are enlarged."""
INK, QUIET, FRAME, PAPER = (24, 24, 27), (100, 100, 108), (150, 150, 158), (255, 255, 255)


@dataclass(frozen=True)
class RowPictures:
    """Some edits of one row of the suite: K sources, edited to every expression.

    sources: K x S x S x 3 uint8. source_expressions: K. edits: K x 8 x S x S x 3 uint8 in the order of
    `protocol.EXPRESSIONS`; the cell of the source's own expression holds the source. references: as edits, or None.
    captions: what each source is: its camera, and its placement where that is not aligned.
    """

    row: str
    label: str
    guide: Guide
    subset: Subset
    sources: np.ndarray
    source_expressions: Sequence[str]
    edits: np.ndarray
    references: np.ndarray | None = None
    captions: Sequence[str] = ()

    def __post_init__(self) -> None:
        count, size = len(self.sources), self.sources.shape[1]
        wanted = {"sources": (count, size, size, 3), "edits": (count, len(EXPRESSIONS), size, size, 3)}
        if self.references is not None:
            wanted["references"] = wanted["edits"]
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.uint8:
                raise ValueError(f"{self.row}: {name} must be uint8 {shape}, not {array.dtype} {array.shape}")
        if len(self.source_expressions) != count:
            raise ValueError(f"{self.row}: {len(self.source_expressions)} source expressions for {count} sources")


@dataclass(frozen=True)
class Line:
    """One line of a block. `own`: index of the source's own expression, whose cell holds no edit."""

    key: str
    label: str
    cells: np.ndarray
    own: int
    is_reference: bool = False


@dataclass(frozen=True)
class Figure:
    """The picture, and where in it each cell is: by section and line (`0 hisd-r`), number of the source, and column."""

    image: Image.Image
    boxes: dict[tuple[str, int, str], Box] = field(default_factory=dict)
    scale: int = 1

    def save(self, path: Path) -> None:
        """Write a PNG."""
        self.image.save(path, optimize=True)


def draw_edits(pictures: Sequence[RowPictures], guide: Guide, caption: str) -> Figure | None:
    """All rows of one guide, those that edit the same sources under one another; None where there is no such row."""
    shown = [row for row in pictures if row.guide == guide and len(row.sources)]
    if not shown:
        return None
    sections = _sections(shown)
    layout = _Layout.of(shown, sections)
    canvas = _Canvas(layout, sections)
    canvas.title(GUIDE_NAMES[guide], caption)
    for section in sections:
        canvas.section(section.heading)
        for number, block in enumerate(section.blocks):
            canvas.block(number, block)
    canvas.legend("Framed: the source, in the column of its own expression.")
    return Figure(canvas.image, canvas.boxes, layout.scale)


# ---------------------------------------------------------------------------------------------- what goes where
@dataclass(frozen=True)
class Block:
    """One source and what was made of it."""

    source: np.ndarray
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Section:
    """Blocks of the sources that some rows share."""

    heading: str
    blocks: tuple[Block, ...]


def _sections(rows: Sequence[RowPictures]) -> list[Section]:
    """Rows that share subset and sources, with their blocks: a list of lines for each source."""
    groups: dict[tuple[str, bytes], list[RowPictures]] = {}
    for row in rows:
        groups.setdefault((row.subset, row.sources.tobytes()), []).append(row)
    return [
        Section(
            SUBSET_NAMES[members[0].subset],
            tuple(_block(members, place) for place in range(len(members[0].sources))),
        )
        for members in groups.values()
    ]


def _block(rows: Sequence[RowPictures], place: int) -> Block:
    """The lines of one source: references (once, where all rows have the same), then a line for each row."""
    first = rows[0]
    own = EXPRESSIONS.index(first.source_expressions[place])
    shared = all(_same(row.references, first.references, place) for row in rows)
    lines: list[Line] = []
    for row in rows:
        if row.references is not None and (row is first or not shared):
            key, label = ("references", "references") if shared else (f"references {row.row}", "references")
            lines.append(Line(key, label, row.references[place], own, is_reference=True))
        lines.append(Line(row.row, row.label, row.edits[place], own))
    return Block(first.sources[place], tuple(lines))


def _same(one: np.ndarray | None, other: np.ndarray | None, place: int) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one[place], other[place])


@dataclass(frozen=True)
class _Layout:
    """Sizes in pixels."""

    scale: int
    cell: int
    label: int
    font: int
    margin: int = 24
    gap: int = 6
    block_gap: int = 22

    @staticmethod
    def of(rows: Sequence[RowPictures], sections: Sequence[Section]) -> _Layout:
        size = rows[0].sources.shape[1]
        scale = max(1, -(-LEGIBLE // size))
        font = max(13, round(size * scale / 8.5))
        labels = {line.label for section in sections for block in section.blocks for line in block.lines}
        width = max(load_font(font).getlength(label) for label in labels)
        return _Layout(scale, size * scale, round(width) + 28, font)

    @property
    def text(self) -> int:
        """Height of a line of text with its space."""
        return round(self.font * 1.7)

    def left(self, column: int) -> int:
        """x of a column: 0 is the source, 1 to 8 the expressions; the labels stand between."""
        if column == 0:
            return self.margin
        return self.margin + column * (self.cell + self.gap) + self.label

    @property
    def width(self) -> int:
        return self.left(len(EXPRESSIONS)) + self.cell + self.margin

    def height(self, sections: Sequence[Section]) -> int:
        total = 2 * self.margin + 2 * self.text + self.text
        for section in sections:
            total += 2 * self.text + self.block_gap
            total += sum(len(b.lines) * (self.cell + self.gap) - self.gap + self.block_gap for b in section.blocks)
        return total


class _Canvas:
    """Draws from the top down."""

    def __init__(self, layout: _Layout, sections: Sequence[Section]) -> None:
        self.layout = layout
        self.image = Image.new("RGB", (layout.width, layout.height(sections)), PAPER)
        self.boxes: dict[tuple[str, int, str], Box] = {}
        self._draw = ImageDraw.Draw(self.image)
        self._y = layout.margin
        self._section = -1

    def title(self, text: str, caption: str) -> None:
        layout = self.layout
        self._write(text, INK, bold=True)
        self._y += layout.text
        self._write(caption, QUIET)
        self._y += layout.text

    def section(self, heading: str) -> None:
        """The heading, and the names of the columns."""
        layout = self.layout
        self._section += 1
        self._y += layout.block_gap
        self._write(heading, INK, bold=True)
        self._y += layout.text
        for column, name in enumerate(("source", *EXPRESSIONS)):
            size = layout.font
            while load_font(size).getlength(name) > layout.cell and size > 8:
                size -= 1
            middle = layout.left(column) + layout.cell // 2
            self._draw.text((middle, self._y + layout.text - 6), name, INK, load_font(size), anchor="ms")
        self._y += layout.text

    def block(self, number: int, block: Block) -> None:
        """The source at the left of its first line."""
        layout = self.layout
        self._paste("source", number, 0, "source", block.source)
        for line in block.lines:
            middle = self._y + layout.cell // 2
            label_at = (layout.left(1) - 12, middle)
            ink = QUIET if line.is_reference else INK
            self._draw.text(label_at, line.label, ink, load_font(layout.font), anchor="rm")
            for place, name in enumerate(EXPRESSIONS):
                self._paste(line.key, number, place + 1, name, line.cells[place])
                if place == line.own:
                    self._frame(place + 1)
            self._y += layout.cell + layout.gap
        self._y += layout.block_gap - layout.gap

    def legend(self, text: str) -> None:
        self._write(text, QUIET)

    def _paste(self, key: str, number: int, column: int, name: str, picture: np.ndarray) -> None:
        layout = self.layout
        x, y = layout.left(column), self._y
        enlarged = picture.repeat(layout.scale, 0).repeat(layout.scale, 1)
        self.image.paste(Image.fromarray(enlarged), (x, y))
        self.boxes[f"{self._section} {key}", number, name] = (x, y, x + layout.cell, y + layout.cell)

    def _frame(self, column: int) -> None:
        """In the gap round the cell, so that the picture stays whole."""
        x, y, cell = self.layout.left(column), self._y, self.layout.cell
        self._draw.rectangle((x - 2, y - 2, x + cell + 1, y + cell + 1), outline=FRAME, width=2)

    def _write(self, text: str, colour: tuple[int, int, int], bold: bool = False) -> None:
        self._draw.text((self.layout.margin, self._y), text, colour, load_font(self.layout.font, bold))


def load_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has every sign that a label may need."""
    import matplotlib as mpl

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)
