"""The overview: a few people, each edited to one expression by every method, beside the true picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.protocol import EXPRESSIONS
from benchmark.report.ablation_figure import choose_target
from benchmark.report.canvas import APART, GAP, INK, MARGIN, QUIET, Canvas, Figure
from benchmark.report.figures import RowPictures

LINES = 3
"""Largest number of people."""
SOURCE, TRUTH = "source", "true picture"


@dataclass(frozen=True)
class OverviewLine:
    """A person and a target. cells: the source, the edit of each row, and the true picture; S x S x 3 uint8."""

    target: str
    cells: tuple[np.ndarray, ...]


def draw_overview(pictures: Sequence[RowPictures], targets: Sequence[str] = ()) -> Figure | None:
    """Draw a line for each of a few sources, a column for each row; None for no edits.

    The rows are those of the sources that most rows edit. targets: of the suite; all if empty. The boxes are keyed by
    row id (or "source", "true picture"), number of the line, and target.
    """
    groups: dict[tuple[str, bytes], list[RowPictures]] = {}
    for row in pictures:
        if len(row.sources):
            groups.setdefault((row.subset, row.sources.tobytes()), []).append(row)
    if not groups:
        return None
    rows = max(groups.values(), key=len)
    lines = [line for index in range(len(rows[0].sources)) if (line := _line(rows, index, targets))][:LINES]
    return _Canvas(rows, lines).drawn() if lines else None


def _line(rows: Sequence[RowPictures], index: int, targets: Sequence[str]) -> OverviewLine | None:
    """Make the line of a source by its index; None if it already shows the only target."""
    first = rows[0]
    own = first.source_expressions[index]
    wanted = [target for target in targets if target != own] if targets else [choose_target(index, own)]
    if not wanted:
        return None
    target = wanted[index % len(wanted)]
    column = EXPRESSIONS.index(target)
    truth = [] if first.truths is None else [first.truths[index, column]]
    return OverviewLine(target, (first.sources[index], *(row.edits[index, column] for row in rows), *truth))


class _Canvas(Canvas):
    """Columns: the source, the target's name, the rows of the suite, and, apart from them, the true picture."""

    def __init__(self, rows: Sequence[RowPictures], lines: Sequence[OverviewLine]) -> None:
        super().__init__(rows[0].sources.shape[1])
        self._lines, self._rows = lines, rows
        truth = [] if rows[0].truths is None else [TRUTH]
        self._names = (SOURCE, *(row.label for row in rows), *truth)
        self._keys = (SOURCE, *(row.row for row in rows), *truth)
        self._between = self.width_of({self._words(line) for line in lines}) + 28
        head = self.names_height(self._names)
        height = 2 * MARGIN + head + len(lines) * (self.cell + GAP) - GAP
        self.open(self._left(len(self._names) - 1) + self.cell + MARGIN, height)
        self.y += head

    def drawn(self) -> Figure:
        """Draw everything."""
        for column, name in enumerate(self._names):
            self.name(name, self._left(column), INK if 0 < column <= len(self._rows) else QUIET)
        for number, line in enumerate(self._lines):
            self.label(self._words(line), self._left(1) - 14)
            for column, (key, picture) in enumerate(zip(self._keys, line.cells, strict=True)):
                self.paste((key, number, line.target), self._left(column), picture)
            self.y += self.cell + GAP
        return self.figure()

    def _words(self, line: OverviewLine) -> str:
        return f"→ {line.target}"

    def _left(self, column: int) -> int:
        """Return x of a column."""
        edits = self._between if column else 0
        return MARGIN + column * (self.cell + GAP) + edits + (APART if column > len(self._rows) else 0)
