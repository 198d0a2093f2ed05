"""Edits side by side, in the manner of the paper's Fig. 3: a block for every source, a column for every expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.protocol import EXPRESSIONS, Guide, Subset
from benchmark.report.canvas import FRAME, GAP, INK, MARGIN, QUIET, Canvas, Figure

GUIDE_NAMES: dict[Guide, str] = {"T": "Label-guided synthesis (T)", "R": "Reference-guided synthesis (R)"}
SUBSET_NAMES: dict[Subset, str] = {"F": "Frontal faces (F)", "F&P": "Frontal and posed faces (F&P)"}
BLOCK_GAP = 22
"""Pixels between the blocks of two sources."""


@dataclass(frozen=True)
class RowPictures:
    """Some edits of one row of the suite: K sources, edited to every expression.

    sources: K x S x S x 3 uint8. source_expressions: K. edits: K x 8 x S x S x 3 uint8 in the order of
    `protocol.EXPRESSIONS`; the cell of the source's own expression holds the source. references: as edits, or None.
    captions: camera of each source, and its placement if it is not aligned. truths: the true picture of every edit, as
    edits; None if the data set lacks some.
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
    truths: np.ndarray | None = None

    def __post_init__(self) -> None:
        count, size = len(self.sources), self.sources.shape[1]
        wanted = {"sources": (count, size, size, 3), "edits": (count, len(EXPRESSIONS), size, size, 3)}
        if self.references is not None:
            wanted["references"] = wanted["edits"]
        if self.truths is not None:
            wanted["truths"] = wanted["edits"]
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


def draw_edits(pictures: Sequence[RowPictures], guide: Guide, caption: str) -> Figure | None:
    """Draw all rows of one guide, grouped by their sources; None if there is no such row."""
    shown = [row for row in pictures if row.guide == guide and len(row.sources)]
    if not shown:
        return None
    sections = _sections(shown)
    canvas = _Canvas(shown[0].sources.shape[1], sections)
    canvas.write(GUIDE_NAMES[guide], bold=True)
    canvas.write(caption, QUIET)
    for section_number, section in enumerate(sections):
        canvas.section(section.heading)
        for number, block in enumerate(section.blocks):
            canvas.block(section_number, number, block)
    canvas.write("Framed: the source, in the column of its own expression.", QUIET)
    return canvas.figure()


# ---------------------------------------------------------------------------------------------- layout
@dataclass(frozen=True)
class Block:
    """One source and its edits."""

    source: np.ndarray
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Section:
    """The blocks of the sources that rows share."""

    heading: str
    blocks: tuple[Block, ...]


def _sections(rows: Sequence[RowPictures]) -> list[Section]:
    """Group rows that share subset and sources, with their blocks: a list of lines for each source."""
    groups: dict[tuple[str, bytes], list[RowPictures]] = {}
    for row in rows:
        groups.setdefault((row.subset, row.sources.tobytes()), []).append(row)
    return [
        Section(
            SUBSET_NAMES[members[0].subset],
            tuple(_block(members, index) for index in range(len(members[0].sources))),
        )
        for members in groups.values()
    ]


def _block(rows: Sequence[RowPictures], index: int) -> Block:
    """Return the lines of one source: references (once if all rows have the same), then a line for each row."""
    first = rows[0]
    own = EXPRESSIONS.index(first.source_expressions[index])
    shared = all(_same(row.references, first.references, index) for row in rows)
    lines: list[Line] = []
    for row in rows:
        if row.references is not None and (row is first or not shared):
            key, label = ("references", "references") if shared else (f"references {row.row}", "references")
            lines.append(Line(key, label, row.references[index], own, is_reference=True))
        lines.append(Line(row.row, row.label, row.edits[index], own))
    return Block(first.sources[index], tuple(lines))


def _same(one: np.ndarray | None, other: np.ndarray | None, index: int) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one[index], other[index])


class _Canvas(Canvas):
    """Columns: the source, labels, and the expressions."""

    def __init__(self, size: int, sections: Sequence[Section]) -> None:
        super().__init__(size)
        blocks = [block for section in sections for block in section.blocks]
        self._labels = self.width_of({line.label for block in blocks for line in block.lines}) + 28
        height = 2 * MARGIN + 3 * self.text + len(sections) * (2 * self.text + BLOCK_GAP)
        height += sum(len(block.lines) * (self.cell + GAP) - GAP + BLOCK_GAP for block in blocks)
        self.open(self._left(len(EXPRESSIONS)) + self.cell + MARGIN, height)

    def _left(self, column: int) -> int:
        """Return x of a column: 0 is the source, 1 to 8 the expressions; the labels are between."""
        return MARGIN + (column * (self.cell + GAP) + self._labels if column else 0)

    def section(self, heading: str) -> None:
        """Write the heading, and the names of the columns."""
        self.y += BLOCK_GAP
        self.write(heading, bold=True)
        for column, name in enumerate(("source", *EXPRESSIONS)):
            self.heading(name, self._left(column), self.y + self.text - 6)
        self.y += self.text

    def block(self, section: int, number: int, block: Block) -> None:
        """Show a source, at the left of the first line, and the lines."""
        self.paste((f"{section} source", number, "source"), self._left(0), block.source)
        for line in block.lines:
            self.label(line.label, self._left(1) - 12, QUIET if line.is_reference else INK)
            for column, name in enumerate(EXPRESSIONS, 1):
                self.paste((f"{section} {line.key}", number, name), self._left(column), line.cells[column - 1])
                if column - 1 == line.own:
                    self._frame(self._left(column))
            self.y += self.cell + GAP
        self.y += BLOCK_GAP - GAP

    def _frame(self, x: int) -> None:
        """Draw a frame in the gap round a cell, so that the picture stays whole."""
        self.draw.rectangle((x - 2, self.y - 2, x + self.cell + 1, self.y + self.cell + 1), outline=FRAME, width=2)
