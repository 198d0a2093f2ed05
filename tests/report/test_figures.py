"""The pictures: every cell is the picture it was given, in its place, enlarged and nothing else."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.protocol import EXPRESSIONS, Guide, Subset
from benchmark.report.canvas import FRAME, PAPER, Figure
from benchmark.report.curves import draw_losses, scale_of, thin
from benchmark.report.figures import RowPictures, draw_edits


def pictures(
    row: str,
    guide: Guide,
    subset: Subset = "F&P",
    seed: int = 0,
    size: int = 32,
    own: tuple[str, ...] = ("happy", "sad"),
) -> RowPictures:
    """Noise; the sources depend on the subset alone, the references too, the edits on the row."""
    rng = np.random.default_rng([len(subset), size])
    sources = rng.integers(0, 256, (len(own), size, size, 3), np.uint8)
    references = rng.integers(0, 256, (len(own), 8, size, size, 3), np.uint8) if guide == "R" else None
    edits = np.random.default_rng(seed).integers(0, 256, (len(own), 8, size, size, 3), np.uint8)
    for index, expression in enumerate(own):
        edits[index, EXPRESSIONS.index(expression)] = sources[index]
    return RowPictures(row, f"Model {row} ({guide})", guide, subset, sources, own, edits, references)


def cell(figure: Figure, key: tuple[str, int, str]) -> np.ndarray:
    return np.asarray(figure.image)[slice(*figure.boxes[key][1::2]), slice(*figure.boxes[key][::2])]


def enlarged(picture: np.ndarray, scale: int) -> np.ndarray:
    return picture.repeat(scale, 0).repeat(scale, 1)


def drawn(rows: list[RowPictures], guide: Guide) -> Figure:
    figure = draw_edits(rows, guide, "Data: noise, 32 px.")
    assert figure is not None
    return figure


def test_every_cell_is_the_picture_it_was_given() -> None:
    rows = [pictures("a", "T", seed=1), pictures("b", "T", seed=2), pictures("c", "R", seed=3)]
    figure = drawn(rows, "T")
    assert figure.scale == 4
    for row in rows[:2]:
        for index in range(2):
            assert np.array_equal(cell(figure, ("0 source", index, "source")), enlarged(row.sources[index], 4))
            for number, name in enumerate(EXPRESSIONS):
                assert np.array_equal(
                    cell(figure, (f"0 {row.row}", index, name)), enlarged(row.edits[index, number], 4)
                )
    assert len(figure.boxes) == 2 * (1 + 2 * 8)


def test_cells_stand_in_an_even_grid() -> None:
    figure = drawn([pictures("a", "T", seed=1), pictures("b", "T", seed=2)], "T")
    lefts = [figure.boxes["0 a", 0, name][0] for name in EXPRESSIONS]
    assert len({right - left for left, right in itertools.pairwise(lefts)}) == 1
    assert lefts[1] - lefts[0] == 128 + 6
    assert figure.boxes["0 source", 0, "source"][1] == figure.boxes["0 a", 0, "angry"][1]
    assert figure.boxes["0 b", 0, "angry"][1] - figure.boxes["0 a", 0, "angry"][3] == 6
    assert figure.boxes["0 a", 1, "angry"][1] - figure.boxes["0 b", 0, "angry"][3] == 22
    width, height = figure.image.size
    assert all(box[0] >= 24 and box[2] <= width - 24 and box[3] < height for box in figure.boxes.values())


def test_the_sources_own_expression_is_framed_and_nothing_else_is() -> None:
    figure = drawn([pictures("a", "T", own=("happy", "sad"))], "T")
    page = np.asarray(figure.image)
    for index, own in enumerate(("happy", "sad")):
        for name in EXPRESSIONS:
            left, top, right, bottom = figure.boxes["0 a", index, name]
            border = [
                page[top - 1, left:right],
                page[bottom, left:right],
                page[top:bottom, left - 1],
                page[top:bottom, right],
            ]
            colour = FRAME if name == own else PAPER
            assert all((line == colour).all() for line in border)


def test_references_are_shown_once_where_methods_share_them() -> None:
    rows = [pictures("a", "R", seed=1), pictures("b", "R", seed=2)]
    figure = drawn(rows, "R")
    assert {key for key, _, _ in figure.boxes} == {"0 source", "0 references", "0 a", "0 b"}
    assert rows[0].references is not None
    assert np.array_equal(cell(figure, ("0 references", 1, "fearful")), enlarged(rows[0].references[1, 3], 4))
    assert figure.boxes["0 references", 0, "angry"][3] < figure.boxes["0 a", 0, "angry"][1]


def test_references_stand_above_each_method_where_they_differ() -> None:
    first, second = pictures("a", "R", seed=1), pictures("b", "R", seed=2)
    assert second.references is not None
    second.references[0, 0] ^= 255
    figure = drawn([first, second], "R")
    keys = list(dict.fromkeys(key for key, number, _ in figure.boxes if number == 0))
    assert keys == ["0 source", "0 references a", "0 a", "0 references b", "0 b"]
    assert np.array_equal(cell(figure, ("0 references b", 0, "angry")), enlarged(second.references[0, 0], 4))
    shared = list(dict.fromkeys(key for key, number, _ in figure.boxes if number == 1))
    assert shared == ["0 source", "0 references", "0 a", "0 b"]


def test_other_sources_are_a_section_of_their_own() -> None:
    rows = [pictures("a", "T"), pictures("f", "T", "F", own=("neutral",)), pictures("b", "T")]
    figure = drawn(rows, "T")
    assert {key for key, _, _ in figure.boxes} == {"0 source", "0 a", "0 b", "1 source", "1 f"}
    assert figure.boxes["1 f", 0, "angry"][1] > figure.boxes["0 b", 1, "angry"][3]
    assert np.array_equal(cell(figure, ("1 source", 0, "source")), enlarged(rows[1].sources[0], 4))


@pytest.mark.parametrize(("size", "scale"), [(16, 7), (64, 2), (128, 1), (256, 1)])
def test_small_faces_are_enlarged_by_a_whole_factor(size: int, scale: int) -> None:
    row = pictures("a", "T", size=size, own=("happy",))
    figure = drawn([row], "T")
    assert figure.scale == scale
    assert np.array_equal(cell(figure, ("0 a", 0, "angry")), enlarged(row.edits[0, 0], scale))


def test_no_row_of_a_guide_is_no_figure() -> None:
    assert draw_edits([pictures("a", "T")], "R", "") is None
    assert draw_edits([], "T", "") is None


def test_the_file_is_the_picture(tmp_path: Path) -> None:
    figure = drawn([pictures("a", "T")], "T")
    figure.save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), np.asarray(figure.image))


def test_wrong_shapes_are_refused() -> None:
    right = pictures("a", "T")
    with pytest.raises(ValueError, match=r"a: edits must be uint8 \(2, 8, 32, 32, 3\), not uint8 \(2, 7, 32, 32, 3\)"):
        RowPictures("a", "A", "T", "F", right.sources, right.source_expressions, right.edits[:, :7])
    with pytest.raises(ValueError, match=r"a: sources must be uint8 .* not float64"):
        RowPictures("a", "A", "T", "F", right.sources.astype(float), right.source_expressions, right.edits)
    with pytest.raises(ValueError, match="a: 1 source expressions for 2 sources"):
        RowPictures("a", "A", "T", "F", right.sources, ["sad"], right.edits)


# ------------------------------------------------------------------------------------------------ loss curves
def history(**losses: list[float]) -> pd.DataFrame:
    length = len(next(iter(losses.values())))
    return pd.DataFrame({"iteration": range(5, 5 * length + 1, 5), **losses})


def test_losses_are_a_panel_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure_

    titles: list[str] = []
    words: list[str] = []
    plotted: list[list[float]] = []
    dashes: list[str] = []
    title, text, plot, write = Axes.set_title, Axes.text, Axes.plot, Figure_.text
    monkeypatch.setattr(Axes, "set_title", lambda *a, **k: (titles.append(a[1]), title(*a, **k))[1])
    monkeypatch.setattr(Axes, "text", lambda *a, **k: (titles.append(a[3]), text(*a, **k))[1])
    monkeypatch.setattr(Figure_, "text", lambda *a, **k: (words.append(a[3]), write(*a, **k))[1])
    monkeypatch.setattr(
        Axes, "plot", lambda *a, **k: (plotted.append(list(a[2])), dashes.append(a[3]), plot(*a, **k))[2]
    )
    losses = {
        "mtss F&P seed 0": history(**{"generator/mapped_class": [2.0, 1.0], "discriminator/real": [1.0, float("nan")]}),
        "mtss F&P seed 1": history(**{"generator/mapped_class": [2.5, 1.5], "discriminator/real": [0.5, 0.25]}),
        "stargan F&P seed 0": history(total=[1.0, 3.0]),
        "hisd F&P seed 0": pd.DataFrame({"iteration": []}),
    }
    assert draw_losses(losses, tmp_path / "losses.png", {"mtss F&P seed 1"})
    assert titles == ["mapped class", "G", "1 to 2.5", "real", "D", "0.25 to 1", "total", "1 to 3"]
    assert plotted == [[2.0, 1.0], [2.5, 1.5], [1.0], [0.5, 0.25], [1.0, 3.0]]
    assert dashes == ["-", "--", "-", "--", "-"]
    assert words == [
        "mtss F&P", "seed 1 failed", "seed 0", "10 iterations", "stargan F&P", "10 iterations"
    ]  # fmt: skip
    assert Image.open(tmp_path / "losses.png").width == 13 * 110


def test_no_losses_are_no_file(tmp_path: Path) -> None:
    assert not draw_losses({"hisd F&P seed 0": pd.DataFrame({"iteration": []})}, tmp_path / "losses.png")
    assert not (tmp_path / "losses.png").exists()


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 2.0, 29.0], "linear"),
        ([1.0, 2.0, 31.0], "log"),
        ([-1.0, 0.5, 0.25, 1.0, -0.5], "linear"),
        ([*np.linspace(-1, 1, 50), 300.0], "symlog"),
        ([0.0, 0.0, 0.0], "linear"),
        ([], "linear"),
    ],
)
def test_scales(values: list[float], scale: str) -> None:
    assert scale_of(np.array(values)) == scale


def test_long_histories_are_thinned_by_means() -> None:
    iterations, values = thin(np.arange(1000.0), np.arange(1000.0) * 2, 10)
    assert iterations.tolist() == [49.5 + 100 * index for index in range(10)]
    assert values.tolist() == [99 + 200 * index for index in range(10)]
    few = np.arange(10.0)
    assert thin(few, few, 10)[1] is few
