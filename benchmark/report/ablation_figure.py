"""The ablation in pictures, in the manner of the paper's Fig. 3(c): source, reference, and a column for every row.

Each source is shown with one target, each with another, so that a few lines show as many expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.protocol import EXPRESSIONS
from benchmark.report.canvas import APART, GAP, INK, MARGIN, QUIET, Canvas, Figure
from benchmark.report.figures import SUBSET_NAMES, RowPictures

TARGETS = ("happy", "surprised", "angry", "disgusted", "fearful", "sad", "contemptuous", "neutral")
"""Targets in the order in which sources take them; those that change most of a face come first."""
SOURCE, REFERENCE = "source", "reference"


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
        """The headings above the cells."""
        return (SOURCE, REFERENCE, *(row.label for row in self.rows))


def draw_ablation(pictures: Sequence[RowPictures], caption: str) -> Figure | None:
    """The reference-guided rows side by side; None where there is none.

    The boxes are keyed by row id (or "source", "reference"), number of the source within its group, and target. Rows
    that have not the same sources and references are a group of their own, and their keys carry its number: `1 b-sse`.
    """
    groups = _groups([row for row in pictures if row.guide == "R" and len(row.sources)])
    if not groups:
        return None
    canvas = _Canvas(groups[0].lines[0].cells[0].shape[0], groups)
    canvas.write("Ablation, reference-guided (R)", bold=True)
    canvas.write(caption, QUIET)
    for number, group in enumerate(groups):
        canvas.group(number, group)
    return canvas.figure()


def choose_target(index: int, own: str) -> str:
    """Return the target of a source: TARGETS in turn, without the source's own expression."""
    others = [target for target in TARGETS if target != own]
    return others[index % len(others)]


def _groups(rows: Sequence[RowPictures]) -> list[Group]:
    by_pictures: dict[tuple[str, bytes, bytes], list[RowPictures]] = {}
    for row in rows:
        if row.references is None:
            raise ValueError(f"{row.row}: a reference-guided row without references")
        by_pictures.setdefault((row.subset, row.sources.tobytes(), row.references.tobytes()), []).append(row)
    return [
        Group(SUBSET_NAMES[members[0].subset], tuple(members), tuple(_lines(members)))
        for members in by_pictures.values()
    ]


def _lines(rows: Sequence[RowPictures]) -> list[AblationLine]:
    lines, first = [], rows[0]
    assert first.references is not None
    for index, own in enumerate(first.source_expressions):
        target = choose_target(index, own)
        column = EXPRESSIONS.index(target)
        inputs = first.sources[index], first.references[index, column]
        lines.append(AblationLine(target, (*inputs, *(row.edits[index, column] for row in rows))))
    return lines


class _Canvas(Canvas):
    """Columns: the target's name, source, reference, and the rows of the suite."""

    def __init__(self, size: int, groups: Sequence[Group]) -> None:
        super().__init__(size)
        self._labels = self.width_of(set(TARGETS)) + 14
        height = 2 * MARGIN + 2 * self.text
        for group in groups:
            height += APART + self.text + self.names_height(group.columns) + len(group.lines) * (self.cell + GAP)
        self.open(self._left(max(len(group.columns) for group in groups)) - GAP + MARGIN, height)

    def group(self, number: int, group: Group) -> None:
        """Draw the heading and the names of the columns, then a line for each source."""
        self.y += APART
        self.write(group.heading, bold=True)
        self.y += self.names_height(group.columns)
        for column, name in enumerate(group.columns):
            self.name(name, self._left(column), QUIET if column < 2 else INK)
        keys = (SOURCE, REFERENCE, *(row.row for row in group.rows))
        for index, line in enumerate(group.lines):
            self.label(line.target, MARGIN + self._labels - 14)
            for column, (key, picture) in enumerate(zip(keys, line.cells, strict=True)):
                self.paste((f"{number} {key}", index, line.target), self._left(column), picture)
            self.y += self.cell + GAP

    def _left(self, column: int) -> int:
        """Return x of a column; there is a gap between source and reference and the edits."""
        return MARGIN + self._labels + column * (self.cell + GAP) + (APART if column >= 2 else 0)
