"""Folders as other projects lay them out: what they are, and what to do with them here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmark.data.picture_files import is_picture
from benchmark.data.spelling import expression_of

SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
LEAST_CLASSES = 2
TABLE = "write a CSV file with the columns path,identity,expression into it, and give it as --data folder:DIR"


def layout_of(folder: Path) -> str:
    """What a folder holds that names no people, and what to do, as the end of "DIR holds ..."; "" for none that is
    known.
    """
    top = {entry.name.lower() for entry in _entries(folder)}
    if "aus_openface.pkl" in top or ({"train_ids.csv", "test_ids.csv"} & top and "imgs" in top):
        return (
            "GANimation's layout (imgs/, aus_openface.pkl, train_ids.csv), which says neither who nor which expression "
            f"a picture shows: {TABLE}; OpenFace's CSV files in processed/ are read, the pickled action units are not"
        )
    if "list_attr_celeba.txt" in top:
        return (
            "StarGAN's layout of CelebA (images/, list_attr_celeba.txt): its attributes are no expressions but "
            f"'Smiling', and it names no people; for pictures with expressions {TABLE}"
        )
    classes = sorted(_class_folders(folder))
    if len(classes) >= LEAST_CLASSES:
        shown = ", ".join(f"{name}/" for name in classes[:2])
        return (
            f"class folders ({shown}, ...), as StarGAN and torchvision's ImageFolder read them: they say which "
            f"expression a picture shows and not who, and the split here is by person: {TABLE}"
        )
    return ""


def _class_folders(folder: Path) -> Iterator[str]:
    """The folders named after expressions that hold pictures: those in a folder, or in its folders of a split."""
    for entry in _entries(folder):
        if not entry.is_dir():
            continue
        if expression_of(entry.name) is not None:
            if any(is_picture(Path(file.name)) for file in _entries(Path(entry.path))):
                yield entry.name
        elif entry.name.lower() in SPLITS:
            yield from (f"{entry.name}/{name}" for name in _class_folders(Path(entry.path)))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
