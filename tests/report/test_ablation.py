"""Rows beyond the paper, the steps of a ladder, which rows are one run, and the figure in the manner of Fig. 3(c)."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import re

import numpy as np
import pytest
from rich.console import Console

from benchmark.protocol import EXPRESSIONS
from benchmark.report.ablation_figure import TARGETS, choose_target, draw_ablation
from benchmark.report.canvas import Figure
from benchmark.report.comparison import compare, controls
from benchmark.report.figures import RowPictures
from benchmark.report.latex import latex
from benchmark.report.markdown import markdown
from benchmark.report.notes import not_as_published, notes, same_run_notes
from benchmark.report.page import extended_page, report_page, table_page
from benchmark.report.results import SuiteResults
from benchmark.report.spreadsheet import extended_csv, main_csv
from benchmark.report.tables import Table, main_table, measures_table, steps_table
from benchmark.report.terminal import print_tables
from tests.report.made_up import HIDDEN, STEPS, ablation_run, published_run, quick_run, scores
from tests.report.test_figures import cell, enlarged, pictures

AS_PUBLISHED, CALM = ablation_run(), ablation_run({"learning_rate": 1e-3, **HIDDEN})
MAIN = [label for _, label, _, _, extended in STEPS if not extended]
CONTROLS = [label for _, label, _, _, extended in STEPS if extended]
SAME = (
    '"Baseline (B)" and "B, style hidden from D" are one and the same run in this profile: its overrides of hisd set '
    "style_in_discriminator = false."
)


def steps(results: SuiteResults) -> Table:
    table = steps_table(results)
    assert table is not None
    return table


def shown(results: SuiteResults, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_tables(results, {}, {}, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# ------------------------------------------------------------------------------------------------ extended rows
def test_the_main_table_has_the_papers_rows_alone() -> None:
    comparison = compare(AS_PUBLISHED)
    assert [compared.row.label for compared in comparison.rows] == MAIN
    assert [row[0].text for row in main_table(comparison).rows] == MAIN
    assert [line["model"] for line in csv.DictReader(io.StringIO(main_csv(comparison)))] == MAIN
    for text in (table_page(AS_PUBLISHED), latex([main_table(comparison)]), main_csv(comparison)):
        assert not any(label in text for label in CONTROLS)


def test_the_extended_tables_have_all_rows_in_the_order_of_the_suite() -> None:
    everything = [label for _, label, _, _, _ in STEPS]
    assert [row[0].text for row in measures_table(AS_PUBLISHED).rows] == everything
    lines = list(csv.DictReader(io.StringIO(extended_csv(CALM, {}))))
    assert [line["model"] for line in lines] == everything
    assert [line["model"] for line in lines if line["extended"] == "yes"] == CONTROLS
    assert {line["id"]: line["same_run_as"] for line in lines if line["same_run_as"]} == {"b-hidden": "b"}
    page = extended_page(AS_PUBLISHED, {})
    assert all(page.count(f"| {label}") >= 3 for label in everything)


def test_the_controls_have_the_columns_of_the_main_table_and_nothing_of_the_papers() -> None:
    actual = controls(compare(AS_PUBLISHED))
    assert [compared.row.label for compared in actual.rows] == CONTROLS
    assert [column.metric.key for column in actual.columns] == ["fid", "psnr_ref", "ca"]
    assert {entry.paper for compared in actual.rows for entry in compared.cells} == {None}
    assert [compared.cells[2].ours for compared in actual.rows] == [30.0, 40.0, 50.0]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_terminal_has_every_number_of_every_row(width: int) -> None:
    text = shown(AS_PUBLISHED, width)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    main, beyond = text.split("Beyond the paper")
    assert all(re.search(rf"^{re.escape(label)}\S* +F&P", main, re.MULTILINE) for label in MAIN)
    assert not any(re.search(rf"^{re.escape(label)}\S* +F&P", main, re.MULTILINE) for label in CONTROLS)
    for label, ca in zip(CONTROLS, ("30.00", "40.00", "50.00"), strict=True):
        assert re.search(rf"^{re.escape(label)}\S* +F&P +measured .* {ca} ", beyond, re.MULTILINE)
    assert beyond.count("25.00") == len(STEPS)  # FID(Cp), which the main table has not
    assert "FID" not in shown(published_run(), width).split("Beyond the paper")[1]  # nor twice where it has


def test_a_suite_without_extended_rows_has_no_table_of_them() -> None:
    assert "measured" not in shown(quick_run(), 100).split("Beyond the paper")[1]


def test_notes_stand_at_their_rows() -> None:
    for table in (main_table(compare(AS_PUBLISHED)), measures_table(AS_PUBLISHED)):
        by_label = {row[0].text: [table.footnotes[mark - 1] for mark in row[0].marks] for row in table.rows}
        for key, label, _, _, _ in STEPS:
            assert by_label.get(label, [f"Note of {key}."]) == [f"Note of {key}."]


# ------------------------------------------------------------------------------------------------ one and the same run
def test_rows_that_are_one_run_are_named_with_what_makes_them_so() -> None:
    assert same_run_notes(CALM, CALM.rows) == [SAME]
    assert SAME in measures_table(CALM).notes
    assert SAME not in notes(compare(CALM))  # one of the two is not in the main table
    assert " ".join(SAME.split()[:8]) in " ".join(shown(CALM, 100).split())


def test_no_rows_are_one_run_as_published() -> None:
    assert same_run_notes(AS_PUBLISHED, AS_PUBLISHED.rows) == []
    for text in (shown(AS_PUBLISHED, 100), report_page(AS_PUBLISHED, {}, [])):
        assert "one and the same run" not in text
        assert "overrides" not in text.replace("`overrides`", "")


def test_other_reasons_for_being_one_run() -> None:
    first, second = AS_PUBLISHED.rows[:2]
    default = dataclasses.replace(second, variant={"classes": "per-batch"}, same_as="b", extended=False)
    assert same_run_notes(AS_PUBLISHED, [first, default]) == [
        '"Baseline (B)" and "B, style hidden from D" are one and the same run: what they say of classes is the default.'
    ]
    twice = dataclasses.replace(default, variant={})
    assert same_run_notes(AS_PUBLISHED, [first, twice]) == [
        '"Baseline (B)" and "B, style hidden from D" are one and the same run.'
    ]
    both = dataclasses.replace(AS_PUBLISHED, rows=(first, twice))
    assert same_run_notes(both, both.rows)[0] in notes(compare(both))


def test_a_row_in_which_the_profile_sets_what_others_vary_is_reported_not_to_be_as_published() -> None:
    actual = {row.id: not_as_published(row, CALM) for row in CALM.rows}
    assert {key for key, text in actual.items() if text} == {"b"}
    assert "overrides set style_in_discriminator = false, a setting that this suite varies" in actual["b"]
    assert "learning_rate" not in actual["b"]
    table = main_table(compare(CALM))
    assert len(table.rows[0][0].marks) == 2
    assert any("not hisd as published" in note for note in table.footnotes)
    assert not any(not_as_published(row, AS_PUBLISHED) for row in AS_PUBLISHED.rows)


def test_the_reasons_of_overrides_are_on_the_page() -> None:
    page = report_page(CALM, {}, [])
    assert "Why the profile changes them:\n\n- hisd: The published start shows noise.\n" in page
    assert "Profile calm overrides published settings of hisd" in page


# ------------------------------------------------------------------------------------------------ steps
def test_each_step_says_what_it_changes() -> None:
    assert [[row[0].text, row[2].text] for row in steps(AS_PUBLISHED).rows] == [
        ["Baseline (B)", "–"],
        ["B, style hidden from D", "style_in_discriminator: true to false"],
        [
            "B in MTSS's trainer",
            'method: hisd to mtss with content = "none", reference_path = false, supervision = false; '
            'classes: "per-batch" to "per-sample"',
        ],
        ["B + reference path", "reference_path: false to true"],
        ["B+SSE", "supervision: false to true"],
        ["B+SSE+SC", 'content: "none" to "skip"'],
        ["B+SSE+SDU", 'content: "skip" to "disentangled"'],
    ]
    assert [row[-1].text for row in steps(AS_PUBLISHED).rows] == ["–", *["+10.00"] * 6]
    assert [row[3].text for row in steps(AS_PUBLISHED).rows] == ["–", *["-1.00"] * 6]


def test_changes_are_those_of_the_printed_numbers() -> None:
    first, second = AS_PUBLISHED.rows[:2]
    rows = [
        dataclasses.replace(row, seeds={0: scores(fid=fid, ca=ca)})
        for row, fid, ca in ((first, 50.004, 20.0), (second, 49.996, 19.9849))
    ]
    table = steps(dataclasses.replace(AS_PUBLISHED, rows=tuple(rows)))
    assert [entry.text for entry in table.rows[1][3:]] == ["+0.00", "+0.00", "-0.02"]
    assert "& $-$0.02 " in latex([table])


def test_a_profile_that_breaks_a_step_is_found_out() -> None:
    lines = [row[2].text for row in steps(CALM).rows]
    assert lines[1] == "nothing: one and the same run"
    assert lines[2].endswith('classes: "per-batch" to "per-sample"; learning_rate: 0.001 to 0.0001') or lines[
        2
    ].endswith('learning_rate: 0.001 to 0.0001; classes: "per-batch" to "per-sample"')
    first, second = AS_PUBLISHED.rows[:2]
    assert second.training is not None
    longer = dataclasses.replace(second, training=dataclasses.replace(second.training, iterations=1500), subset="F")
    actual = steps(dataclasses.replace(AS_PUBLISHED, rows=(first, longer)))
    assert actual.rows[1][2].text == (
        "data: F&P to F; iterations: 300,000 to 1,500; style_in_discriminator: true to false"
    )


def test_a_row_that_was_not_run_is_passed_over() -> None:
    first, second, third = AS_PUBLISHED.rows[:3]
    gone = dataclasses.replace(second, seeds={}, training=None, trainings={}, missing="gone")
    actual = steps(dataclasses.replace(AS_PUBLISHED, rows=(first, gone, third)))
    assert [entry.text for entry in actual.rows[1][2:]] == ["–", "–", "–", "–"]
    assert "style_in_discriminator: true to false" in actual.rows[2][2].text
    assert actual.rows[2][-1].text == "+20.00"


def test_only_ladders_have_steps() -> None:
    assert steps_table(quick_run()) is None
    assert "## Steps of table2" in report_page(AS_PUBLISHED, {}, [])
    assert "## Steps" not in report_page(quick_run(), {}, [])


def test_long_sentences_are_broken_in_latex_and_nothing_else_is() -> None:
    text = latex([steps(AS_PUBLISHED)])
    assert r"\begin{tabular}{llp{75mm}rrr}" in text
    assert r"\begin{tabular}{ll" + "r" * 10 + "}" in latex([measures_table(AS_PUBLISHED)])
    assert all(line.count("|") == 7 for line in markdown(steps(AS_PUBLISHED)).splitlines() if line.startswith("|"))


# ------------------------------------------------------------------------------------------------ the figure
def drawn(rows: list[RowPictures]) -> Figure:
    figure = draw_ablation(rows, "Data: noise, 32 px.")
    assert figure is not None
    return figure


OWN = ("neutral", "neutral", "happy", "sad")
SHOWN = ("happy", "surprised", "disgusted", "disgusted")
ROWS = [
    pictures(name, "R", seed=number, own=OWN) for number, name in enumerate(("b", "b-sse", "b-sse-sc", "b-sse-sdu"))
]


def test_every_cell_of_the_ablation_is_the_picture_it_was_given() -> None:
    figure = drawn([*ROWS, pictures("b-t", "T", own=OWN)])
    assert figure.scale == 4
    assert len(figure.boxes) == 4 * (2 + 4)
    for index, target in enumerate(SHOWN):
        column = EXPRESSIONS.index(target)
        references = ROWS[0].references
        assert references is not None
        assert np.array_equal(cell(figure, ("0 source", index, target)), enlarged(ROWS[0].sources[index], 4))
        assert np.array_equal(cell(figure, ("0 reference", index, target)), enlarged(references[index, column], 4))
        for row in ROWS:
            expected = enlarged(row.edits[index, column], 4)
            assert np.array_equal(cell(figure, (f"0 {row.row}", index, target)), expected)


def test_columns_are_the_rows_of_the_table_and_lines_the_faces() -> None:
    figure = drawn(ROWS)
    keys = ["0 source", "0 reference", *(f"0 {row.row}" for row in ROWS)]
    lefts = [figure.boxes[key, 0, "happy"][0] for key in keys]
    assert [right - left for left, right in itertools.pairwise(lefts)] == [134, 154, 134, 134, 134]
    assert len({figure.boxes[key, 0, "happy"][1] for key in keys}) == 1
    tops = [figure.boxes["0 b", index, target][1] for index, target in enumerate(SHOWN)]
    assert [lower - upper for upper, lower in itertools.pairwise(tops)] == [134, 134, 134]
    width, height = figure.image.size
    assert all(box[0] >= 24 and box[2] == box[0] + 128 and box[2] <= width - 24 for box in figure.boxes.values())
    assert all(box[1] >= 24 and box[3] <= height - 24 for box in figure.boxes.values())


@pytest.mark.parametrize("own", EXPRESSIONS)
def test_a_source_is_never_shown_in_its_own_expression_and_neighbours_differ(own: str) -> None:
    assert sorted(TARGETS) == sorted(EXPRESSIONS)
    chosen = [choose_target(index, own) for index in range(14)]
    assert own not in chosen
    assert sorted(chosen[:7]) == sorted(set(EXPRESSIONS) - {own})
    assert chosen[7:] == chosen[:7]


def test_other_faces_are_a_group_of_their_own() -> None:
    figure = drawn([ROWS[0], pictures("f", "R", "F", own=("neutral",)), ROWS[1]])
    assert {key for key, _, _ in figure.boxes} == {
        "0 source", "0 reference", "0 b", "0 b-sse", "1 source", "1 reference", "1 f",
    }  # fmt: skip
    assert figure.boxes["1 f", 0, "happy"][1] > figure.boxes["0 b", 3, "disgusted"][3]
    alien = pictures("x", "R", seed=9, own=OWN)
    assert alien.references is not None
    alien.references[0, 0] ^= 255
    assert "1 x" in {key for key, _, _ in drawn([*ROWS, alien]).boxes}


def test_long_names_of_columns_take_lines_and_touch_nothing() -> None:
    long = dataclasses.replace(ROWS[1], label="B, style hidden from the discriminator")
    figure = drawn([ROWS[0], long])
    page = np.asarray(figure.image)
    left, top, right, _ = figure.boxes["0 b-sse", 0, "happy"]
    above = page[top - 60 : top, left:right]
    assert (above != 255).any()
    assert (page[top - 60 : top, right : right + 24] == 255).all()
    assert (page[top - 60 : top, left - 6 : left] == 255).all()


def test_without_reference_guided_rows_there_is_no_ablation_figure() -> None:
    assert draw_ablation([pictures("a", "T")], "") is None
    assert draw_ablation([], "") is None
