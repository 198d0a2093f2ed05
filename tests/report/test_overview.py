"""The table at a glance: every cell is the picture it was given."""

from __future__ import annotations

import dataclasses

import numpy as np

from benchmark.protocol import EXPRESSIONS
from benchmark.report.figures import RowPictures
from benchmark.report.overview_figure import draw_overview
from tests.report.test_figures import cell, enlarged, pictures

OWN = ("neutral", "neutral", "happy", "sad")


def with_truths(row: RowPictures) -> RowPictures:
    truths = np.random.default_rng(9).integers(0, 256, row.edits.shape, np.uint8)
    return dataclasses.replace(row, truths=truths)


def test_a_line_is_a_person_and_a_column_a_row() -> None:
    rows = [with_truths(pictures("a", "T", seed=0, own=OWN)), with_truths(pictures("b", "R", seed=1, own=OWN))]
    figure = draw_overview([*rows, pictures("f", "T", "F", own=("sad",))])
    assert figure is not None
    targets = {number: target for _, number, target in figure.boxes}
    assert targets == {0: "happy", 1: "surprised", 2: "disgusted"}  # three lines at most; never the source's own
    assert {key for key, _, _ in figure.boxes} == {"source", "a", "b", "true picture"}
    for number, target in targets.items():
        column = EXPRESSIONS.index(target)
        for row in rows:
            expected = enlarged(row.edits[number, column], figure.scale)
            assert np.array_equal(cell(figure, (row.row, number, target)), expected)
        source = enlarged(rows[0].sources[number], figure.scale)
        assert np.array_equal(cell(figure, ("source", number, target)), source)
        assert rows[0].truths is not None
        truth = enlarged(rows[0].truths[number, column], figure.scale)
        assert np.array_equal(cell(figure, ("true picture", number, target)), truth)


def test_a_suite_of_some_targets_shows_those() -> None:
    figure = draw_overview([pictures("a", "T", own=("happy", "sad", "neutral"))], ("happy",))
    assert figure is not None
    assert [(number, target) for key, number, target in figure.boxes if key == "a"] == [(0, "happy"), (1, "happy")]
    assert "true picture" not in {key for key, _, _ in figure.boxes}
    assert draw_overview([pictures("a", "T", own=("happy",))], ("happy",)) is None
    assert draw_overview([]) is None
