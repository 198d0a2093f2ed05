"""OpenFace's files and rows are those of the picture that they belong to, or of none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.core.errors import UserError
from benchmark.data.openface import NoFaceError
from benchmark.data.openface_tables import find_tables
from tests.data.openface_files import IMAGE_COLUMNS, row, write

POINTS = np.random.default_rng(1).uniform(0, 200, (68, 2)).round(1)
VIDEO = ("frame", "face_id", "timestamp", "success", *(name.strip() for name in IMAGE_COLUMNS[1:]))


def line(unit: float, **others: Any) -> dict[str, Any]:
    """A face whose action units are all `unit`, which tells the rows apart."""
    return {**row(POINTS, [unit] * 17, success=1, confidence=0.9), **others}


def pictures(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def units(root: Path, paths: list[Path], folder_table: Path | None = None) -> list[float | None]:
    """By picture, the action unit of its row."""
    tables = find_tables(root, paths, folder_table=folder_table).by_picture
    return [float(face.units[0]) if (face := tables[path].read()).units is not None else None for path in paths]


def test_a_file_of_the_pictures_name_lies_beside_it_or_above(tmp_path: Path) -> None:
    paths = [*pictures(tmp_path / "a" / "b", "1.png", "2.png", "3.png"), *pictures(tmp_path, "4.png")]
    write(tmp_path / "a" / "b" / "1.csv", [line(1)])
    write(tmp_path / "a" / "processed" / "2.csv", [line(2)])
    write(tmp_path / "openface" / "3.csv", [line(3)])
    write(tmp_path / "4.csv", [line(4)])
    write(tmp_path / "processed" / "1.csv", [line(0)])
    assert units(tmp_path, paths) == [1, 2, 3, 4]


def test_a_file_that_fits_two_pictures_belongs_to_neither(tmp_path: Path) -> None:
    paths = [*pictures(tmp_path / "ann", "01.png", "02.png"), *pictures(tmp_path / "bob", "01.png")]
    write(tmp_path / "processed" / "01.csv", [line(1)])
    write(tmp_path / "processed" / "02.csv", [line(2)])
    actual = find_tables(tmp_path, paths)
    assert list(actual.by_picture) == [paths[1]]
    assert actual.unusable == (f"{tmp_path / 'processed' / '01.csv'}: pictures in 2 folders are named 01",)


@pytest.mark.parametrize("name", ["processed/photos.csv", "photos.csv", "openface.csv", "../processed/photos.csv"])
def test_one_file_for_a_folder_by_the_order_of_names(tmp_path: Path, name: str) -> None:
    paths = pictures(tmp_path / "photos", "b.png", "a.png", "c.jpg")
    write(tmp_path / "photos" / name, [line(k, frame=k, confidence=0.5) for k in (1, 2, 3)], VIDEO)
    assert units(tmp_path, paths) == [2, 1, 3]


def test_one_file_for_a_folder_by_numbers_in_names(tmp_path: Path) -> None:
    paths = pictures(tmp_path, "shot_0003.png", "shot_0001.png")  # some frames of a video
    write(tmp_path / "processed" / "video.csv", [line(k, frame=k) for k in (1, 2, 3)], VIDEO)
    assert units(tmp_path, paths) == [3, 1]


@pytest.mark.parametrize(
    "values", [("ann/1.png", "bob/1.png"), ("ann\\1", "bob\\1"), ("./ann/1.png", "/data/bob/1.png")]
)
def test_one_file_for_a_folder_by_names(tmp_path: Path, values: tuple[str, str]) -> None:
    root = tmp_path / "data"
    paths = [*pictures(root / "ann", "1.png"), *pictures(root / "bob", "1.png")]
    rows = [line(k + 1, filename=value) for k, value in enumerate(values)]
    write(root / "all.csv", rows, ("filename", *IMAGE_COLUMNS), ",")
    assert units(root, paths) == [1, 2]


@pytest.mark.parametrize(
    ("names", "frames", "why"),
    [
        (("a.png", "b.png"), (1, 2, 3), "has 3 frames, and .* has 2 pictures"),
        (("a.png", "b.png"), (1, 3), "has 2 frames, and .* has 2 pictures"),
        (("2.png", "10.png", "1.png", *(f"{k}.png" for k in range(3, 10))), range(1, 11), "leading zeros"),
    ],
)
def test_ambiguous_frames_belong_to_no_picture(
    tmp_path: Path, names: tuple[str, ...], frames: tuple[int, ...], why: str
) -> None:
    paths = pictures(tmp_path, *names)
    write(tmp_path / "video.csv", [line(k % 5, frame=k) for k in frames], VIDEO)
    actual = find_tables(tmp_path, paths)
    assert not actual.by_picture
    (message,) = actual.unusable
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(message)


def test_a_picture_without_a_line_has_no_face(tmp_path: Path) -> None:
    path, other = pictures(tmp_path, "1.png", "2.png")
    folder_table = write(tmp_path / "all.csv", [line(1, frame=1, success=0), line(1, frame=2)], VIDEO)
    with pytest.raises(NoFaceError, match="found no face"):
        find_tables(tmp_path, [path], folder_table=folder_table).by_picture[path].read()
    one = write(tmp_path / "one.csv", [line(1)])
    assert units(tmp_path, [path], folder_table=one) == [1]
    (why,) = find_tables(tmp_path, [path, other], folder_table=one).unusable
    assert "has no column that names pictures, and not several frames" in why


def test_two_files_in_one_are_refused(tmp_path: Path) -> None:
    paths = pictures(tmp_path, "1.png", "2.png")
    faces = [line(face, frame=frame, face_id=face) for frame in (1, 2) for face in (1, 2)]
    table = write(tmp_path / "all.csv", faces, VIDEO)
    assert find_tables(tmp_path, paths, folder_table=table).by_picture[paths[0]].read().others == 1
    table = write(tmp_path / "both.csv", [*faces, *faces], VIDEO)
    with pytest.raises(UserError, match=r"both.csv has face 1 of frame 1 twice: are two files in one\?"):
        find_tables(tmp_path, paths, folder_table=table).by_picture[paths[0]].read()
