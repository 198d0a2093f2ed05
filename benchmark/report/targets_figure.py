"""Edits to few expressions, in the manner of the paper's Fig. 3(d): a column for each face, a line for each row.

So faces of many kinds (placements, cameras, people) are side by side, with methods one below the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.protocol import EXPRESSIONS
from benchmark.report.canvas import APART, GAP, INK, MARGIN, QUIET, Canvas, Figure
from benchmark.report.figures import SUBSET_NAMES, RowPictures

SOURCE, REFERENCE = "source", "reference (R)"


@dataclass(frozen=True)
class Line:
    """One line of a section. cells: S x S x 3 uint8 for every source; None if the source already shows the target."""

    key: str
    label: str
    cells: tuple[np.ndarray | None, ...]
    is_input: bool = False


@dataclass(frozen=True)
class Section:
    """Rows that edited the same sources (and, guided by reference, by the same references) to one target."""

    heading: str
    target: str
    captions: tuple[str, ...]
    lines: tuple[Line, ...]


def draw_targets(pictures: Sequence[RowPictures], targets: Sequence[str], caption: str) -> Figure | None:
    """Draw all rows and targets; None if there is no edit.

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
    canvas = _Canvas(pictures[0].sources.shape[1], sections)
    canvas.write(f"Edits to {', '.join(targets)}", bold=True)
    canvas.write(caption, QUIET)
    for number, section in enumerate(sections):
        canvas.section(number, section)
    return canvas.figure()


def _groups(rows: Sequence[RowPictures]) -> list[list[RowPictures]]:
    """Group rows of the same subset and sources; rows with other references are apart."""
    groups: list[list[RowPictures]] = []
    # Rows with references come first and define the groups.
    for row in sorted(rows, key=lambda row: row.references is None):
        for group in groups:
            first = group[0]
            same = row.subset == first.subset and np.array_equal(row.sources, first.sources)
            if same and (row.references is None or _equal(row.references, first.references)):
                group.append(row)
                break
        else:
            groups.append([row])
    order = {row.row: number for number, row in enumerate(rows)}
    ordered = [sorted(group, key=lambda row: order[row.row]) for group in groups]
    return sorted(ordered, key=lambda group: order[group[0].row])


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _section(rows: Sequence[RowPictures], target: str) -> Section:
    first, column = rows[0], EXPRESSIONS.index(target)
    own = [expression == target for expression in first.source_expressions]

    def cells(pictures: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return tuple(None if done else picture[column] for done, picture in zip(own, pictures, strict=True))

    lines = [Line(SOURCE, SOURCE, tuple(first.sources), is_input=True)]
    references = next((row.references for row in rows if row.references is not None), None)
    if references is not None:
        lines.append(Line(REFERENCE, REFERENCE, cells(references), is_input=True))
    lines += [Line(row.row, row.label, cells(row.edits)) for row in rows]
    return Section(SUBSET_NAMES[first.subset], target, tuple(first.captions), tuple(lines))


class _Canvas(Canvas):
    """Columns: labels, and the sources."""

    def __init__(self, size: int, sections: Sequence[Section]) -> None:
        super().__init__(size)
        self._labels = self.width_of({line.label for section in sections for line in section.lines}) + 14
        height = 2 * MARGIN + 2 * self.text - GAP
        for section in sections:
            height += 2 * APART + 2 * self.text + len(section.lines) * (self.cell + GAP)
        columns = max(len(section.lines[0].cells) for section in sections)
        self.open(self._left(columns) - GAP + MARGIN, height)

    def section(self, number: int, section: Section) -> None:
        """Draw heading and captions, source and reference, then the edits after a gap."""
        self.y += APART
        self.write(f"{section.heading}, to {section.target}", bold=True)
        for column, caption in enumerate(section.captions):
            self.heading(caption, self._left(column), self.y + self.text - 8, QUIET)
        self.y += self.text
        is_input = True
        for line in section.lines:
            if is_input and not line.is_input:
                self.y += APART
            is_input = line.is_input
            self.label(line.label, MARGIN + self._labels - 14, QUIET if is_input else INK)
            for column, picture in enumerate(line.cells):
                if picture is not None:
                    self.paste((f"{number} {line.key}", column, section.target), self._left(column), picture)
            self.y += self.cell + GAP

    def _left(self, column: int) -> int:
        return MARGIN + self._labels + column * (self.cell + GAP)
