"""One walk for all commands: what it passes over it counts, and copies that programs leave are never sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.data.picture_files import DERIVED, FolderWalk, count_suffixes


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    "name",
    [
        *("processed", "openface", "p01_aligned", "aligned", "crops", "face_crops", "cropped", "out_vis", "Thumbnails"),
        *("annotated", "run-overlays", "masks", "x.landmarks", "rafd_cropped", "visualization", "bbox"),
        *("OpenFace_processed", "processed2", "aligned_faces", "aligned-112x112", "cropped_faces", "rafd_mtcnn"),
    ],
)
def test_folders_of_copies(name: str) -> None:
    assert DERIVED.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["train", "happy", "090", "Images1", "faces", "unprocessed", "crowd", "RaFD", "visit", "RaFD_128px"]
)
def test_other_folders(name: str) -> None:
    assert not DERIVED.fullmatch(name)


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    touch(*(tmp_path / "train" / f"{k}.jpg" for k in range(2)), tmp_path / "train" / ".hidden.jpg")
    touch(*(tmp_path / "processed" / name for name in ("0.jpg", "0.csv", "0_aligned/face.bmp", "1.JPEG")))
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "none")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    (tmp_path / "again").symlink_to(tmp_path)
    walk = FolderWalk(tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in walk]
    assert names == ["circle.png", "nowhere.png", "processed/0.csv", "train/0.jpg", "train/1.jpg"]
    assert walk.left_out() == {
        "pictures in processed/, a folder of copies by its name": 3,
        "named pipes, sockets or devices": 2,
    }
    kept = FolderWalk(tmp_path, frozenset({tmp_path / "processed" / "0.jpg"}))
    assert tmp_path / "processed" / "0.jpg" in list(kept)
    assert kept.derived == {"processed": 2}


def test_a_folder_named_as_copies_is_one_if_it_was_asked_for(tmp_path: Path) -> None:
    touch(tmp_path / "processed" / "a.jpg")
    assert [path.name for path in FolderWalk(tmp_path / "processed")] == ["a.jpg"]


def test_many_folders_of_copies_are_one_line(tmp_path: Path) -> None:
    touch(*(tmp_path / f"p{k}_aligned" / "face_det_000000.bmp" for k in range(5)))
    walk = FolderWalk(tmp_path)
    assert list(walk) == []
    assert walk.left_out() == {"pictures in *_aligned/, a folder of copies by its name": 5}


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "closed" / "a.jpg")
    scandir = os.scandir

    def refuse(path: object) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"closed cannot be read \(Permission denied\): check its permissions"):
        list(FolderWalk(tmp_path))


def test_suffixes_are_counted() -> None:
    paths = [Path(name) for name in ("a.txt", "b.TXT", "c.csv", "README")]
    assert count_suffixes(paths) == ".txt 2, .csv 1, without a suffix 1"
