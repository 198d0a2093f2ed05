"""Folders that other projects read are named, with what to do, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.data.layouts import layout_of
from benchmark.data.registry import open_source
from tests.photo_folders import write_rafd

FILES = {
    "class folders (angry/, happiness/": ["angry/1.jpg", "happiness/2.jpg", "notes.txt"],
    "class folders (test/Happy/, train/Sad/": ["train/Sad/1.jpg", "test/Happy/2.jpg"],
    "GANimation's layout": ["imgs/N_0000000356_00190.jpg", "aus_openface.pkl", "train_ids.csv", "test_ids.csv"],
    "StarGAN's layout of CelebA": ["images/000001.jpg", "list_attr_celeba.txt"],
    "HiSD's layout (lists Mood_happy.txt, Mood_sad.txt": ["Mood_sad.txt", "Mood_happy.txt"],
    "HiSD's layout (folders Bangs/with/, Bangs/without/": ["Bangs/with/1.jpg", "Bangs/without/2.jpg"],
    "HiSD's layout (folders Mood/happy/, Mood/sad/": ["Mood/sad/1.jpg", "Mood/happy/1.jpg"],
}


CONTENT = "/data/celeba/000001.jpg 1 -1\n"


def lay_out(folder: Path, files: list[str]) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("/data/imgs/1 2.jpg\n/data/1.jpg 1\n" if name == "notes_1.txt" else CONTENT)
    return folder


@pytest.mark.parametrize("source", ["rafd", "cfee", "folder", "rendered"])
@pytest.mark.parametrize("words", FILES)
def test_layouts_of_other_projects(tmp_path: Path, words: str, source: str) -> None:
    root = lay_out(tmp_path / "root", FILES[words])
    with pytest.raises(UserError) as error:
        open_source(f"{source}:{root}", tmp_path / "cache").files()
    assert f"{root} holds {words}" in str(error.value)
    assert "path,identity,expression" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "files",
    [
        ["happy/1.jpg"],
        ["happy/1.txt", "sad/2.txt"],
        ["090/1.jpg", "045/1.jpg"],
        [],
        ["notes_1.txt", "notes_2.txt"],
        ["a_1.txt", "b_1.txt"],
        ["ann/with/1.jpg", "ann/without/2.jpg"],
    ],
)
def test_other_folders_are_no_layout(tmp_path: Path, files: list[str]) -> None:
    assert layout_of(lay_out(tmp_path, files)) == ""


def test_numbered_classes(tmp_path: Path) -> None:
    assert layout_of(lay_out(tmp_path, ["train/0/1.jpg", "train/1/2.jpg"])).startswith(
        "class folders (train/0/, train/1/,"
    )


def test_class_folders_of_pictures_with_names_are_what_the_names_say(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(2))
    for path in list(root.rglob("*.jpg")):
        path.parent.joinpath(path.name.split("_")[-2]).mkdir(exist_ok=True)
        path.rename(path.parent / path.name.split("_")[-2] / path.name)
    assert len(open_source(f"rafd:{root}", tmp_path / "cache").files()) == 16
    with pytest.raises(UserError, match="has no table, and holds RaFD: --data rafd:"):
        open_source(f"folder:{root}", tmp_path / "cache")


def test_a_table_that_nearly_is_one_comes_first(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "root", ["angry/1.jpg", "happy/2.jpg"])
    (root / "faces.csv").write_text("path,identity\nangry/1.jpg,ann\n")
    with pytest.raises(UserError, match=r"faces.csv has no column 'expression'"):
        open_source(f"folder:{root}", tmp_path / "cache")
