"""A suite of some targets and of faces that are not aligned: its figure, and what its tables say."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from benchmark.protocol import EXPRESSIONS, Guide, Subset
from benchmark.report.canvas import PAPER, Figure
from benchmark.report.comparison import compare
from benchmark.report.figures import RowPictures
from benchmark.report.notes import notes
from benchmark.report.results import JudgeReading, SuiteResults
from benchmark.report.tables import expressions_table
from benchmark.report.targets_figure import draw_targets
from tests.report.made_up import quick_run

OWN = ("neutral", "happy", "neutral")
CAPTIONS = ("off 090", "tilted 045", "camera 135")
HAPPY = EXPRESSIONS.index("happy")


def pictures(row: str, guide: Guide, subset: Subset = "F&P", draw: int = 0, own: tuple[str, ...] = OWN) -> RowPictures:
    """Noise; sources depend on the subset, references on subset and `draw`, edits on the row."""
    shared = np.random.default_rng([len(subset), len(own)])
    sources = shared.integers(0, 256, (len(own), 32, 32, 3), np.uint8)
    references = np.random.default_rng([len(subset), draw]).integers(0, 256, (len(own), 8, 32, 32, 3), np.uint8)
    edits = np.random.default_rng([ord(word) for word in row]).integers(0, 256, (len(own), 8, 32, 32, 3), np.uint8)
    inputs = references if guide == "R" else None
    return RowPictures(row, f"Model {row} ({guide})", guide, subset, sources, own, edits, inputs, CAPTIONS[: len(own)])


def drawn(rows: list[RowPictures], targets: tuple[str, ...] = ("happy",)) -> Figure:
    figure = draw_targets(rows, targets, "Data: noise, 32 px.")
    assert figure is not None
    return figure


def cell(figure: Figure, key: tuple[str, int, str]) -> np.ndarray:
    shown = np.asarray(figure.image)[slice(*figure.boxes[key][1::2]), slice(*figure.boxes[key][::2])]
    small = shown[:: figure.scale, :: figure.scale]
    assert np.array_equal(shown, small.repeat(figure.scale, 0).repeat(figure.scale, 1)), "enlarged and nothing else"
    return small


def test_a_face_is_a_column_and_a_row_a_line() -> None:
    rows = [pictures("a", "T"), pictures("b", "R"), pictures("c", "R")]
    figure = drawn(rows)
    assert rows[1].references is not None
    for index in (0, 2):
        assert np.array_equal(cell(figure, ("0 source", index, "happy")), rows[0].sources[index])
        reference = rows[1].references[index, HAPPY]
        assert np.array_equal(cell(figure, ("0 reference (R)", index, "happy")), reference)
        for row in rows:
            assert np.array_equal(cell(figure, (f"0 {row.row}", index, "happy")), row.edits[index, HAPPY])
        lines = [figure.boxes[f"0 {key}", index, "happy"] for key in ("source", "reference (R)", "a", "b", "c")]
        assert len({(left, right) for left, _, right, _ in lines}) == 1, "one column"
        assert all(above[3] < below[1] for above, below in itertools.pairwise(lines)), "from the top down"
    assert figure.boxes["0 a", 0, "happy"][2] < figure.boxes["0 a", 2, "happy"][0]


def test_what_shows_the_target_already_is_not_edited() -> None:
    figure = drawn([pictures("a", "R")])
    assert ("0 source", 1, "happy") in figure.boxes
    assert ("0 a", 1, "happy") not in figure.boxes
    assert ("0 reference (R)", 1, "happy") not in figure.boxes
    left, _, right, _ = figure.boxes["0 source", 1, "happy"]
    _, top, _, bottom = figure.boxes["0 a", 0, "happy"]
    assert (np.asarray(figure.image)[top:bottom, left:right] == PAPER).all()


def test_sections_by_subset_references_and_target() -> None:
    rows = [pictures("a", "T"), pictures("b", "R"), pictures("c", "R", draw=1), pictures("d", "R", "F")]
    figure = drawn(rows, ("happy", "sad"))
    lines = {key.partition(" ")[::2] for key, _, _ in figure.boxes}
    result = {(section, line) for section, line in lines if line in "abcd"}
    assert result == {
        ("0", "a"), ("0", "b"), ("1", "a"), ("1", "b"), ("2", "c"), ("3", "c"), ("4", "d"), ("5", "d")
    }  # fmt: skip
    boxes = list(figure.boxes.values())
    assert all(
        one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        for number, one in enumerate(boxes)
        for other in boxes[:number]
    ), "no two overlap"
    width, height = figure.image.size
    assert all(0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in boxes)


def test_no_row_no_figure() -> None:
    assert draw_targets([], ("happy",), "") is None


# ---------------------------------------------------------------------------------------------- the tables
def not_aligned(**change: object) -> SuiteResults:
    """The quick run as if its faces had not been aligned."""
    readings = {
        "F&P": JudgeReading(31.25, 720, {"happy": 40.0, "sad": 22.5}, 40.0, 90, 720, 12.25),
        "F": JudgeReading(37.5, 240, {"happy": 50.0}, 50.0, 30, 240, 11.5),
    }
    result = dataclasses.replace(
        quick_run(), faces="nonaligned", targets=("happy",), readings=readings, paper_table="", suite="nonaligned",
        test_images={"F&P": 90, "F": 30},
    )  # fmt: skip
    return dataclasses.replace(result, **change)  # type: ignore[arg-type]


def test_the_notes_say_what_ca_is_read_beside_and_what_distances_are_to() -> None:
    lines = notes(compare(not_aligned()))
    assert lines[0] == (
        "The judge names the expression of real aligned test pictures in 93.33 % of 240 pictures (F&P) and "
        "95.00 % of 80 pictures (F)."
    )
    assert lines[1] == (
        "The judge has learned aligned faces alone, so for it each face is brought to where those are, an edit's by "
        "the landmarks of its source; as they stand it names 12.25 % of 720 (F&P) and 11.50 % of 240 (F) real ones "
        "rightly."
    )
    assert lines[2] == (
        "Read CA beside the judge's accuracy on the real non-aligned test pictures that show happy, 40.00 % of 90 "
        "(F&P) and 50.00 % of 30 (F): edits can score lower or higher; of all expressions it names 31.25 % of 720 "
        "(F&P) and 37.50 % of 240 (F) rightly, where chance is 12.5 %."
    )
    assert lines[3] == (
        "Only edits to happy are made, and distances are to the real non-aligned test pictures that show happy."
    )
    assert "measured against 90 (F&P) and 30 (F) real ones that show happy;" in lines[4]


def test_the_notes_without_targets_and_of_aligned_faces() -> None:
    every = notes(compare(not_aligned(targets=())))
    assert every[2].endswith(
        "real non-aligned test pictures, 31.25 % of 720 (F&P) and 37.50 % of 240 (F): edits can score lower or higher."
    )
    aligned = notes(compare(not_aligned(faces="aligned")))
    assert aligned[1].startswith(
        "Read CA beside the judge's accuracy on the real test pictures that show happy, 40.00 %"
    )
    assert not any("aligned" in line for line in aligned)
    read = not_aligned().readings
    some = {subset: dataclasses.replace(reading, framed=reading.images - 20) for subset, reading in read.items()}
    assert "(where landmarks are known: 700 of 720 (F&P) and 220 of 240 (F))" in notes(
        compare(not_aligned(readings=some))
    )[1]  # fmt: skip
    none = {subset: dataclasses.replace(reading, framed=0) for subset, reading in read.items()}
    assert "as they stand, since no landmarks are known" in notes(compare(not_aligned(readings=none)))[1]


@pytest.mark.parametrize("faces", ["aligned", "nonaligned"])
def test_the_expressions_have_a_row_of_what_is_edited(faces: str) -> None:
    rows = [[entry.text for entry in row] for row in expressions_table(not_aligned(faces=faces)).rows]
    actual = [row for row in rows if row[0] == "real pictures, not aligned"]
    if faces == "aligned":
        assert actual == []
    else:
        assert actual[0] == ["real pictures, not aligned", "F&P", "–", "–", "–", "–", "40.0", "–", "22.5", "–"]
