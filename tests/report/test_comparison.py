"""Which of our numbers stands beside which of the paper's, and when the two may be subtracted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmark.report.comparison import (
    Cell,
    ComparedRow,
    Difference,
    compare,
    extra_metrics,
)
from benchmark.report.results import Features, SuiteResults
from tests.report.made_up import ABSENT, LITE0, NO_LANDMARKS, ROWS, published_run, quick_run, scores
from tests.report.made_up import row as made_row

ROOT = Path(__file__).parents[2]
COMPARABLE_ROW, FRONTAL_ROW = "mtss-t", "mtss-r-f"


def cells(results: SuiteResults, row: str = COMPARABLE_ROW) -> dict[str, Cell]:
    compared = next(actual for actual in compare(results).rows if actual.row.id == row)
    return {cell.column.paper: cell for cell in compared.cells if cell.beside}


def one_row(**metrics: float) -> dict[str, Cell]:
    row = made_row("mtss-t", "Ours (T)", "mtss", "T", "F&P", scores(**metrics))
    return cells(dataclasses.replace(published_run(), rows=(row,)))


def test_rows_and_columns_are_the_papers() -> None:
    comparison = compare(published_run())
    assert [column.paper for column in comparison.columns] == ["FID", "FID(Cp)", "PSNR", "PSNR", "CA"]
    assert [column.metric.key for column in comparison.columns] == ["fid", "fid_cropped", "psnr_ref", "psnr_true", "ca"]
    assert [compared.row.id for compared in comparison.rows] == [row.id for row in ROWS]
    assert compare(dataclasses.replace(published_run(), paper_table="table2")).columns[1].paper == "PSNR"


def test_differences_are_ours_less_the_papers_and_say_which_way_is_better() -> None:
    actual = cells(published_run())
    assert actual["FID"].ours == 41.5
    assert actual["FID"].spread == 0.5
    assert actual["FID"].difference == Difference(-1.02, "better")  # 41.50 - 42.52, lower is better
    assert actual["PSNR"].difference == Difference(-0.3, "worse")  # 13.50 - 13.80, higher is better
    assert actual["CA"].difference == Difference(-3.38, "worse")
    assert cells(published_run(), "hisd-t")["FID"].difference == Difference(3.95, "worse")
    assert cells(published_run(), "stargan-t")["PSNR"].difference == Difference(0.06, "better")


def test_differences_are_those_of_the_printed_numbers() -> None:
    assert one_row(fid=42.524)["FID"].difference == Difference(0.0, "equal")
    assert one_row(fid=42.5251)["FID"].difference == Difference(0.01, "worse")
    assert str(one_row(fid=42.5199)["FID"].difference) == str(Difference(0.0, "equal"))  # no -0.0


def test_the_papers_psnr_stands_beside_one_reading_for_each_subset() -> None:
    posed, frontal = cells(published_run())["PSNR"], cells(published_run(), FRONTAL_ROW)["PSNR"]
    assert (posed.metric.key, posed.paper, posed.ours) == ("psnr_ref", 13.80, 13.5)
    assert (frontal.metric.key, frontal.paper, frontal.ours) == ("psnr_true", 25.75, 24.0)
    rows = {row.row.id: row.cells for row in compare(published_run()).rows}
    readings = [cell for cell in rows[FRONTAL_ROW] if cell.column.paper == "PSNR"]
    assert [(cell.metric.label, cell.paper, cell.ours) for cell in readings] == [
        ("PSNR-ref", None, 13.5), ("PSNR-true", 25.75, 24.0),
    ]  # fmt: skip


def test_a_suite_may_name_its_columns() -> None:
    chosen = dataclasses.replace(published_run(), columns=("ssim", "psnr_true", "fid"), extra_columns=("kid",))
    comparison = compare(chosen)
    assert [(column.metric.key, column.paper) for column in comparison.columns] == [
        ("ssim", ""), ("psnr_true", "PSNR"), ("fid", "FID"),
    ]  # fmt: skip
    assert [metric.key for metric in extra_metrics(comparison)] == ["kid"]
    differences = {row.row.id: [cell.difference for cell in row.cells] for row in comparison.rows}
    assert differences[FRONTAL_ROW] == [None, Difference(-1.75, "worse"), Difference(2.81, "worse")]
    assert differences[COMPARABLE_ROW] == [None, None, Difference(-1.02, "better")]
    with pytest.raises(ValueError, match="unknown metric 'sim' in the columns; did you mean 'ssim'"):
        dataclasses.replace(chosen, columns=("sim",))


def test_columns_that_the_paper_leaves_empty_have_no_difference() -> None:
    cell = cells(published_run(), FRONTAL_ROW)["FID(Cp)"]
    assert (cell.paper, cell.ours, cell.difference) == (None, 20.0, None)


def test_what_was_not_measured_says_why() -> None:
    cell = cells(published_run(), "stargan-t")["FID(Cp)"]
    assert (cell.ours, cell.reason, cell.difference) == (None, NO_LANDMARKS, None)
    missing = cells(published_run(), "ganimation-r")["FID(Cp)"]
    assert (missing.paper, missing.ours) == (23.99, None)
    assert missing.reason == f"not available: {ABSENT.format('ganimation')}"
    row = made_row("mtss-t", "", "mtss", "T", "F&P", scores(40.0), scores(41.0, None), scores(42.0))
    some = cells(dataclasses.replace(published_run(), rows=(row,)))["FID(Cp)"]
    assert (some.ours, some.reason) == (20.0, f"only 2 of 3 seeds: {NO_LANDMARKS}")


# ------------------------------------------------------------------------------------------------ comparability
OTHER_INCEPTION = Features("inception", "FD[deadbeef]", False, "deadbeef" * 8)
DISTANCES, OTHERS = {"FID", "FID(Cp)"}, {"PSNR", "CA"}


@pytest.mark.parametrize(
    ("change", "blocked", "reason"),
    [
        ({"data": "rendered"}, DISTANCES | OTHERS, "measured on rendered faces (the paper: RaFD)"),
        ({"data": "cfee"}, DISTANCES | OTHERS, "measured on CFEE (the paper: RaFD)"),
        ({"size": 64}, DISTANCES | OTHERS, "pictures of 64 px (the paper: 128 px)"),
        ({"features": LITE0}, DISTANCES, "in the features of efficientnet-lite0 (the paper: Inception as published)"),
        ({"features": OTHER_INCEPTION}, DISTANCES, "in the features of inception (the paper: Inception as published)"),
        ({"profile": "reference"}, DISTANCES, "trained by profile reference (the paper: in full)"),
    ],
)
def test_each_way_of_not_being_comparable(change: dict[str, object], blocked: set[str], reason: str) -> None:
    assert all(cell.difference for cell in cells(published_run()).values())
    actual = cells(dataclasses.replace(published_run(), **change))  # type: ignore[arg-type]
    assert {name for name, cell in actual.items() if cell.difference is None} == blocked
    assert {name for name, cell in actual.items() if cell.column.obstacles == (reason,)} == blocked
    assert all(cell.paper is not None and cell.ours is not None for cell in actual.values())


def test_nothing_of_a_quick_run_is_compared() -> None:
    differences = [cell.difference for compared in compare(quick_run()).rows for cell in compared.cells]
    assert len(differences) == 40
    assert set(differences) == {None}


def test_a_suite_without_a_published_table_has_the_papers_columns_and_none_of_its_numbers() -> None:
    comparison = compare(dataclasses.replace(published_run(), paper_table=""))
    assert comparison.published is None
    assert [column.metric.key for column in comparison.columns] == ["fid", "fid_cropped", "psnr_ref", "psnr_true", "ca"]
    rows: tuple[ComparedRow, ...] = comparison.rows
    assert {cell.paper for compared in rows for cell in compared.cells} == {None}
