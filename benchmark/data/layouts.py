"""Folder layouts of other projects: how to recognise them, and what to do with them here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from benchmark.core.files import open_regular
from benchmark.data.picture_files import is_picture
from benchmark.data.spelling import expression_of

SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
LEAST_CLASSES = 2
LIST, NUMBER = re.compile(r"([^_]+)_.+\.txt"), re.compile(r"-?\d{1,9}")
CLASS_NUMBER = re.compile(r"\d{1,2}")
"""A folder of a numbered class, as FER2013's and AffectNet's have."""
HISD_TAGS = {
    "Bangs": frozenset({"with", "without"}),
    "Eyeglasses": frozenset({"with", "without"}),
    "HairColor": frozenset({"black", "blond", "brown"}),
}
"""The tags of HiSD's published configuration, with their attributes."""
TABLE = "write a CSV file with the columns path,identity,expression into it, and give it as --data folder:DIR"


def layout_of(folder: Path) -> str:
    """Return which known layout without identities a folder has, and what to do; "" for none.

    The text ends a sentence "DIR holds ...".
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
    if lists := _attribute_lists(folder):
        shown = f"lists {lists[0]}, {lists[1]}, ..."
    else:
        shown = next(_attribute_folders(folder), "")
    if shown:
        return (
            f"HiSD's layout ({shown}), which says which attribute of a tag a picture has and not who it shows, and the "
            f"split here is by person: {TABLE}"
        )
    classes = sorted(_class_folders(folder))
    if len(classes) >= LEAST_CLASSES:
        shown = ", ".join(f"{name}/" for name in classes[:2])
        return (
            f"class folders ({shown}, ...), as StarGAN and torchvision's ImageFolder read them: they say which "
            f"expression a picture shows and not who, and the split here is by person: {TABLE}"
        )
    return ""


def _attribute_lists(folder: Path) -> list[str]:
    """Return the files TAG_ATTRIBUTE.txt, of tags with two, whose first line is a picture and its conditions."""
    lists: dict[str, list[str]] = {}
    for entry in _entries(folder):
        if (named := LIST.fullmatch(entry.name)) and _begins_with_a_picture(Path(entry.path)):
            lists.setdefault(named[1], []).append(entry.name)
    return next((names for names in lists.values() if len(names) >= LEAST_CLASSES), [])


def _begins_with_a_picture(path: Path) -> bool:
    """Return whether a text's first line is a path and one or more numbers, as `PATH 0`."""
    try:
        with open_regular(path) as stream:
            words = stream.readline(1 << 12).decode("utf-8", "replace").split()
    except OSError:
        return False
    return len(words) > 1 and is_picture(Path(words[0])) and all(NUMBER.fullmatch(word) for word in words[1:])


def _attribute_folders(folder: Path) -> Iterator[str]:
    """Return the folders TAG/ATTRIBUTE/ that hold pictures.

    Attributes are those of the published configuration, or expressions.
    """
    for tag in _entries(folder):
        if not tag.is_dir() or tag.name.lower() in SPLITS or expression_of(tag.name) is not None:
            continue
        known = HISD_TAGS.get(tag.name, frozenset())
        names = [
            entry.name
            for entry in _entries(Path(tag.path))
            if (entry.name in known or expression_of(entry.name) is not None) and _holds_pictures(entry)
        ]
        if len(names) >= LEAST_CLASSES:
            yield f"folders {tag.name}/{names[0]}/, {tag.name}/{names[1]}/, ..."


def _holds_pictures(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and any(is_picture(Path(file.name)) for file in _entries(Path(entry.path)))


def _class_folders(folder: Path) -> Iterator[str]:
    """Return the folders of pictures named after expressions, or numbered.

    They are in the folder, or in its folders of a split.
    """
    for entry in _entries(folder):
        if not entry.is_dir():
            continue
        if expression_of(entry.name) is not None or CLASS_NUMBER.fullmatch(entry.name):
            if _holds_pictures(entry):
                yield entry.name
        elif entry.name.lower() in SPLITS:
            yield from (f"{entry.name}/{name}" for name in _class_folders(Path(entry.path)))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
