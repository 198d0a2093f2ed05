"""OpenFace's CSV files: read by name, the most confident face, errors that name file and column."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.data.openface import read_face, read_units
from benchmark.protocol import ACTION_UNITS
from tests.data.openface_files import IMAGE_COLUMNS, row, write

POINTS = np.random.default_rng(1).uniform(-5, 900, (68, 2)).round(1)
UNITS = np.random.default_rng(2).uniform(0, 5, 17).round(2)


def face(confidence: float, shift: float = 0, **others: float) -> dict[str, Any]:
    return row(POINTS + shift, UNITS.tolist(), confidence=confidence, **others)


def test_face_landmark_img(tmp_path: Path) -> None:
    actual = read_face(write(tmp_path / "a.csv", [face(0.975, face=0)]))
    np.testing.assert_array_equal(actual.landmarks, POINTS)
    np.testing.assert_array_equal(actual.units, UNITS)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_columns_and_their_spaces_play_no_part(
    tmp_path_factory: pytest.TempPathFactory, shuffle: random.Random, spaces: bool
) -> None:
    columns = [name if spaces else name.strip() for name in IMAGE_COLUMNS]
    shuffle.shuffle(columns)
    path = write(tmp_path_factory.mktemp("o") / "a.csv", [face(1)], columns, ", " if spaces else ",")
    actual = read_face(path)
    np.testing.assert_array_equal(actual.landmarks, POINTS)
    np.testing.assert_array_equal(actual.units, UNITS)


def test_the_most_confident_face_of_several_and_the_first_of_equals(tmp_path: Path) -> None:
    faces = [face(0.4, 1), face(0.9, 2), face(0.9, 3), face(0.2, 4)]
    actual = read_face(write(tmp_path / "a.csv", faces))
    np.testing.assert_array_equal(actual.landmarks, POINTS + 2)
    assert actual.others == 1


@pytest.mark.parametrize(
    ("person", "stranger", "chosen"),
    [
        (0.975, 0.98, "person"),  # a bystander in focus
        (0.8, 0.98, "person"),
        (0.98, 0.975, "person"),
        (0.3, 0.98, "stranger"),  # what is large here is no face
        (0.98, 0.2, "person"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_largest_face_of_comparable_confidence(
    tmp_path: Path, person: float, stranger: float, chosen: str, order: int
) -> None:
    faces = {
        "person": row(POINTS, [1] * 17, confidence=person),
        "stranger": row(POINTS / 4 + 300, [0] * 17, confidence=stranger),
    }
    actual = read_face(write(tmp_path / "a.csv", list(faces.values())[::order]))
    assert actual.units is not None
    assert actual.units[0] == (chosen == "person")
    assert actual.others == (min(person, stranger) > 0.5)


def test_several_faces_or_frames_that_nothing_tells_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [face(0.9), face(0.95)], ["face", "confidence", *ACTION_UNITS])
    with pytest.raises(UserError, match=r"a.csv has 2 faces, and no landmarks .*: keep the line of one"):
        read_face(path)
    columns = ["frame", " timestamp", " success", *IMAGE_COLUMNS[1:]]
    path = write(tmp_path / "v.csv", [face(0.9, k, frame=k, success=1) for k in (1, 2, 3)], columns)
    for read in (read_face, read_units):
        with pytest.raises(UserError, match=r"v.csv has 3 frames of a video or a folder, and one picture is meant"):
            read(path)


def test_frames_without_success_are_passed_over(tmp_path: Path) -> None:
    columns = ["frame", " face_id", " timestamp", " success", *IMAGE_COLUMNS[1:]]
    frames = [face(0.98, 1, success=0), face(0.5, 2, success=1)]
    actual = read_face(write(tmp_path / "a.csv", frames, columns))
    np.testing.assert_array_equal(actual.landmarks, POINTS + 2)
    with pytest.raises(UserError, match=r"a.csv: OpenFace found no face \(success is 0 in all 1 rows\)"):
        read_face(write(tmp_path / "a.csv", frames[:1], columns))
    with pytest.raises(UserError, match="it has no rows"):
        read_face(write(tmp_path / "a.csv", [], columns))


def test_landmarks_or_units_alone(tmp_path: Path) -> None:
    only_units = read_face(write(tmp_path / "u.csv", [face(1)], ["face", *ACTION_UNITS]))
    assert only_units.landmarks is None
    np.testing.assert_array_equal(only_units.units, UNITS)
    names = [name for name in IMAGE_COLUMNS if "AU" not in name]
    only_landmarks = read_face(write(tmp_path / "l.csv", [face(1)], names))
    assert only_landmarks.units is None
    np.testing.assert_array_equal(only_landmarks.landmarks, POINTS)
    with pytest.raises(UserError, match=r"u.csv has no action units|l.csv has no action units"):
        read_units(tmp_path / "l.csv")


def without(*names: str) -> list[str]:
    return [name for name in IMAGE_COLUMNS if name.strip() not in names]


@pytest.mark.parametrize(
    ("columns", "cells", "message"),
    [
        (without("x_17"), {}, "a.csv: column x_17 is missing"),
        (without("y_3", "y_9"), {}, "a.csv: column y_3 and 1 more is missing"),
        (without("AU12_r"), {}, "a.csv: column AU12_r is missing"),
        (IMAGE_COLUMNS, {"x_5": "nan"}, "a.csv, line 2: column x_5 is 'nan', not a number"),
        (IMAGE_COLUMNS, {"y_5": "12;3"}, "a.csv, line 2: column y_5 is '12;3', not a number"),
        (IMAGE_COLUMNS, {"AU04_r": "5.01"}, "a.csv, line 2: column AU04_r is 5.01, and intensities are 0 to 5"),
        (IMAGE_COLUMNS, {"AU04_r": "-0.1"}, "column AU04_r is -0.1"),
        (IMAGE_COLUMNS, {"confidence": "high"}, "column confidence is 'high', not a number"),
        ((*IMAGE_COLUMNS, " x_3"), {}, "a.csv: column x_3 is there twice"),
        (["a", "b"], {}, "a.csv has neither landmarks (x_0, ...) nor action units (AU01_r, ...): is it OpenFace's?"),
    ],
)
def test_faults_are_one_line_with_file_and_column(
    tmp_path: Path, columns: list[str], cells: dict[str, object], message: str
) -> None:
    path = write(tmp_path / "a.csv", [{**face(1), **cells}], columns)
    with pytest.raises(UserError) as error:
        read_face(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",", ";", "has values separated by semicolons: save it with commas between values"),
        (",", "\t", "has values separated by tabs: save it with commas between values"),
        (".", ",", "are decimals, or texts without quotation marks, written with commas?"),
    ],
)
def test_what_programs_of_other_countries_write(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = write(tmp_path / "a.csv", [face(0.975)]).read_text().replace(old, new)
    for content in (text, text.replace(".", ",")):
        (tmp_path / "a.csv").write_text(content)
        with pytest.raises(UserError) as error:
            read_face(tmp_path / "a.csv")
        assert message in str(error.value)
    assert "and decimals with points" in str(error.value) or old == "."
    (tmp_path / "a.csv").write_text("AU06;1,5\nAU12;2,0\n")
    with pytest.raises(UserError, match="by semicolons: save it with commas between values, and decimals with points"):
        read_units(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text('AU06,AU12,AU25\n"1,5",2,0\n')
    with pytest.raises(UserError, match="column AU06 is '1,5', not a number: decimals are written with a point"):
        read_units(tmp_path / "a.csv")


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [face(1), face(0.5)])
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match=r"a.csv, line 3: \d+ values for \d+ columns: is the file cut off\?"):
        read_face(path)
    for content, message in ((b"", "is empty"), (b"\xff\xfe\x00x\x00", "is no CSV file"), (b"\n \n", "is empty")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            read_face(path)
    with pytest.raises(UserError, match=r"none.csv cannot be read \(No such file"):
        read_face(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "text",
    [
        "AU06,2\nAU12,3.5\n",
        "unit,intensity\nAU06_r, 2\nau12_r, 3.5\n",
        "AU06, AU12_r, AU25\n2, 3.5, 0\n",
        "AU06,AU12\n2,3.5\n",
        "AU06_r,AU12_r,AU12_c\n2,3.5,1\n",
        "\ufeffAU12,3.5\n\nAU06,2\n",
    ],
)
def test_plain_units(tmp_path: Path, text: str) -> None:
    path = tmp_path / "u.csv"
    path.write_text(text, encoding="utf-8")
    expected = dict.fromkeys(ACTION_UNITS, 0.0) | {"AU06_r": 2.0, "AU12_r": 3.5}
    assert dict(zip(ACTION_UNITS, read_units(path).tolist(), strict=True)) == expected


def test_units_of_openface(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_units(write(tmp_path / "a.csv", [face(0.1, 0), face(0.9)])), UNITS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AU13,2\n", "u.csv, AU13: no action unit 'AU13'; did you mean 'AU"),
        ("AU12,6\n", "column AU12 is 6, and intensities are 0 to 5"),
        ("AU12,much\n", "column AU12 is 'much', not a number"),
        ("AU12,1\nAU12_r,2\n", "u.csv, AU12_r is there twice"),
        ("AU12,1\nAU06,2,3\n", "3 values, and name,value is needed"),
        ("AU06,AU12,AU25\n", "u.csv has 0 lines of values below its names: one is needed"),
        ("AU06,AU12,AU25\n1,2,3\n1,2,3\n", "u.csv has 2 lines of values"),
        ("unit,value\n", "u.csv names no action unit"),
        ("smile\n3\n", "no action unit 'smile'"),
        ("AU12,3,5\n", "u.csv, AU12: 3 values, and name,value is needed: a comma between the two, and decimals with"),
        ("AU12,3,5\nAU06,2,5\n", "decimals with points"),
        ("AU12 3.5\n", "u.csv, AU12 3.5: 1 value, and name,value is needed"),
    ],
)
def test_plain_units_with_faults(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "u.csv"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_units(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
