"""Rows that cannot be measured are known before anything is trained, with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.config.profiles import load_profile
from benchmark.config.suites import Suite, SuiteRow, load_suite
from benchmark.core.errors import UserError
from benchmark.data.faceset import FaceSet
from benchmark.data.registry import open_source
from benchmark.data.source import DataSource
from benchmark.data.split import lowest_ranked
from benchmark.pipeline.requirements import RowChecks, SourceFaces, _check_networks
from benchmark.protocol import ACTION_UNITS
from tests.data.test_split_and_edits import face_set, kept

QUICK = load_profile("quick")
TABLE1, NONALIGNED = load_suite("table1"), load_suite("nonaligned")
ROWS = {row.id: row for row in TABLE1.rows}
ANIMATED = next(row for row in TABLE1.rows if row.method == "ganimation")
CASCADE = next(row for row in TABLE1.rows if row.method == "efgan")
LABELLED = next(row for row in TABLE1.rows if row.method == "stargan")
FRONTAL = next(row for row in TABLE1.rows if row.method == "mtss" and row.data == "F")


@pytest.fixture
def rendered(tmp_path: Path) -> DataSource:
    return open_source("rendered", tmp_path)


def checks(
    source: DataSource, faces: FaceSet | None, suite: Suite = TABLE1, edited: FaceSet | None = None
) -> RowChecks:
    trained = SourceFaces(source, faces)
    return RowChecks(suite, QUICK, trained, trained if edited is None else SourceFaces(source.uncropped(), edited))


def told(row: SuiteRow, source: DataSource, faces: FaceSet) -> str:
    return checks(source, faces).reason(row)


def test_nothing_is_reported_of_pictures_that_were_not_read(rendered: DataSource) -> None:
    assert [checks(rendered, None).reason(row) for row in TABLE1.rows] == [""] * len(TABLE1.rows)


def test_rows_for_which_all_is_there(rendered: DataSource) -> None:
    faces = face_set(6)
    assert [told(row, rendered, faces) for row in TABLE1.rows if row.method != "efgan"] == [""] * 7


def test_what_a_method_needs_may_be_lost_in_single_pictures(rendered: DataSource) -> None:
    """A set that knows landmarks and units in general, and not of all that is left of it."""
    faces = face_set(6)
    assert told(CASCADE, rendered, faces) == (
        "EFGAN needs the landmarks of every face that is trained on, and 24 of 24 pictures have none"
    )
    faces.table.loc[faces.table["identity"] == "p5", ACTION_UNITS[3]] = float("nan")
    assert told(ANIMATED, rendered, faces) == (
        "GANimation needs the action units of every face that is trained on, and 24 of 72 pictures have none"
    )
    assert told(LABELLED, rendered, faces) == ""
    faces = face_set(6)
    faces.table.loc[faces.table["identity"] == "p0", ACTION_UNITS[3]] = float("nan")
    assert told(ANIMATED, rendered, faces) == (
        "GANimation needs the action units of every face that is edited, and 24 of 72 pictures have none"
    )


def test_people_who_are_trained_on_may_not_be_in_the_subset(rendered: DataSource) -> None:
    faces = face_set(6)
    (first,) = lowest_ranked(faces.identities("train"), 1)
    few = kept(faces, ~((faces.table["identity"] == first) & (faces.table["camera"] == 90)))
    trained = SourceFaces(rendered, few)
    actual = RowChecks(TABLE1, replace(QUICK, train_identities=1), trained, trained)
    assert actual.reason(FRONTAL) == f"no picture of subset F shows one of those who are trained on ({first})"
    assert actual.reason(LABELLED) == ""


@pytest.mark.parametrize(
    ("gone", "why"),
    [
        (
            ["happy"],
            "of the non-aligned pictures, no test picture of subset F&P has another expression",
        ),
        (["angry", "sad"], ""),
    ],
)
def test_a_target_that_nobody_shows(gone: list[str], why: str, rendered: DataSource) -> None:
    """The suite's only target, and expressions that are none of its targets."""
    assert NONALIGNED.targets == ("happy",)
    faces = face_set(6)
    edited = kept(faces, ~faces.table["expression"].isin(gone))
    row = next(row for row in NONALIGNED.rows if row.method == "stargan")
    actual = checks(rendered, faces, NONALIGNED, edited).reason(row)
    assert actual.startswith(why)
    assert bool(actual) is bool(why)


def test_a_test_person_alone_with_an_expression(rendered: DataSource) -> None:
    faces = face_set(6)
    lonely: pd.Series[bool] = faces.table["identity"].isin(["p0", "p1"]) & (faces.table["expression"] == "happy")
    assert "only one test person shows happy" in told(LABELLED, rendered, kept(faces, ~lonely))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("width", "why"),
    [(1e-9, "row a: mtss cannot be so narrow: '"), (1000.0, "row a: networks of its settings would need ")],
)
def test_networks_without_numbers_or_beyond_any_memory(width: float, why: str) -> None:
    row = SuiteRow("a", "A", "mtss", "T", "F", variant={"width": width})
    with pytest.raises(UserError, match=why):
        _check_networks(row, QUICK)
