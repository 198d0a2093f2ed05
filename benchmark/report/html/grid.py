"""The grid of edits, like the paper's Fig. 3, as indices of the page's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.protocol import EXPRESSIONS
from benchmark.report.figures import GUIDE_NAMES, SUBSET_NAMES, RowPictures
from benchmark.report.html.content import EditExample
from benchmark.report.html.pictures import PagePictures


@dataclass(frozen=True)
class Tile:
    """A picture of the page and its text. kind: source, edit, truth or reference."""

    picture: int
    words: str
    kind: str
    column: str = ""


@dataclass(frozen=True)
class GridLine:
    """A line of a block; None for a cell without an edit."""

    label: str
    kind: str
    tiles: tuple[Tile | None, ...]


@dataclass(frozen=True)
class Block:
    """One source and its edits."""

    source: Tile
    caption: str
    lines: tuple[GridLine, ...]


@dataclass(frozen=True)
class GridSection:
    """The rows of one guide that edit the same sources."""

    heading: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class ExampleTiles:
    """An edit between its source and the true picture."""

    value: str
    words: str
    source: Tile
    edit: Tile
    truth: Tile | None


def grid_sections(pictures: Sequence[RowPictures], targets: Sequence[str], album: PagePictures) -> list[GridSection]:
    """Group rows of equal guide, subset and sources into sections. targets: of the suite; empty for all."""
    groups: dict[tuple[str, str, bytes], list[RowPictures]] = {}
    for row in pictures:
        if len(row.sources):
            groups.setdefault((row.guide, row.subset, row.sources.tobytes()), []).append(row)
    columns = tuple(targets or EXPRESSIONS)
    return [
        GridSection(
            f"{GUIDE_NAMES[members[0].guide]}: {SUBSET_NAMES[members[0].subset]}",
            columns,
            tuple(_block(members, index, columns, album) for index in range(len(members[0].sources))),
        )
        for members in groups.values()
    ]


def _block(rows: Sequence[RowPictures], index: int, columns: Sequence[str], album: PagePictures) -> Block:
    first = rows[0]
    own = first.source_expressions[index]
    caption = first.captions[index] if first.captions else ""
    source = Tile(album.add(first.sources[index]), f"source {index + 1}, {own}", "source")

    def line(label: str, kind: str, cells: np.ndarray) -> GridLine:
        tiles = (
            None if name == own else Tile(
                album.add(cells[index, EXPRESSIONS.index(name)]),
                f"{label}: source {index + 1}, {own} to {name}", kind, name,
            )
            for name in columns
        )  # fmt: skip
        return GridLine(label, kind, tuple(tiles))

    lines = [] if first.truths is None else [line("true picture", "truth", first.truths)]
    shown: list[bytes] = []
    for row in rows:
        if row.references is not None:
            cells = row.references[index].tobytes()
            if cells not in shown[-1:]:
                lines.append(line("reference", "reference", row.references))
                shown.append(cells)
        lines.append(line(row.label, "edit", row.edits))
    return Block(source, f"{own}, {caption}" if caption else own, tuple(lines))


def example_tiles(example: EditExample, label: str, decimals: int, album: PagePictures) -> ExampleTiles:
    """Make the tiles of a single edit. label: of its row."""
    change = f"{example.source_expression} to {example.target}"
    words = f"{label}, {example.which}: {change}"
    truth = None if example.truth is None else Tile(album.add(example.truth), f"{words}, true picture", "truth")
    return ExampleTiles(
        f"{example.value:.{decimals}f}",
        f"{change}, judged {example.judged}",
        Tile(album.add(example.source), f"{words}, source", "source"),
        Tile(album.add(example.edit), words, "edit", example.target),
        truth,
    )
