"""What the names of a folder's pictures say: a data set's pictures, and what does not belong to them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark.core.errors import UserError
from benchmark.core.paths import readable

SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2"),
        *(".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
    }
)
"""Of pictures; one of them that cannot be read is broken, and said."""
SYSTEM_FOLDERS = frozenset({"__MACOSX", "$RECYCLE.BIN", "@eaDir"})
OPENFACE_FOLDERS = (".", "processed", "openface")
"""Where OpenFace's CSV of a picture may lie, from the picture's folder or the set's: `processed` is its own default."""

Reason = Literal[
    "misnamed", "twofold", "missing", "duplicate", "broken", "truncated", "tiny", "grey", "landmarks", "no face"
]  # fmt: skip
REASONS: dict[Reason, str] = {
    "misnamed": "the name, or the line of the table, says nothing that is known, or contradicts others",
    "twofold": "another picture is there of the same person, expression, camera and gaze",
    "missing": "the table names it, and it is not there",
    "duplicate": "the same bytes as another picture",
    "broken": "it cannot be decoded",
    "truncated": "the file ends too early",
    "tiny": "its shorter side is less than the size asked for, and would have to be enlarged",
    "grey": "it has no colour, and most of the set has",
    "landmarks": "the landmarks given for it do not lie in it",
    "no face": "no face was found in it, and nothing stands in for one",
}
"""Why a picture is set aside."""
BY_NAME: frozenset[Reason] = frozenset({"misnamed", "twofold", "missing"})
"""Reasons that need no look at the picture."""


@dataclass(frozen=True)
class Photo:
    """A picture of the set as its name, or its line of a table, has it.

    units: 17 action units in [0, 5]; landmarks: 68 x 2 in the pixels of the upright picture; None where not given.
    openface: OpenFace's CSV file of its name, if there is one.
    """

    path: Path
    face_id: str
    identity: str
    group: str
    expression: str
    camera: int
    gaze: str
    units: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    openface: Path | None = None


@dataclass(frozen=True)
class SetAside:
    """A file that is not used. path: below the set's folder."""

    path: str
    reason: Reason
    detail: str


@dataclass(frozen=True)
class PhotoIndex:
    """A folder's pictures, by face_id. left_out: how many were left out on purpose, by why. others: how many files are
    no pictures. tables: files beside the pictures that decide what they show.
    """

    root: Path
    photos: tuple[Photo, ...]
    aside: tuple[SetAside, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    others: int = 0
    tables: tuple[Path, ...] = ()

    def without(self, people: Iterable[str]) -> PhotoIndex:
        """Without some people: identities, groups, or what a group's name begins with before a hyphen (`kid`). Raises
        UserError for one who is not there.
        """
        wanted = {name.lower() for name in people}
        known: set[str] = set()
        kept, left_out = [], Counter(self.left_out)
        for photo in self.photos:
            names = {photo.identity.lower(), photo.group.lower(), photo.group.lower().partition("-")[0]}
            known |= names
            if names & wanted:
                left_out["people left out"] += 1
            else:
                kept.append(photo)
        for name in sorted(wanted - known):
            groups = sorted({photo.group for photo in self.photos})
            raise UserError(
                f"leave-out={name}: nobody of that name or group in {self.root} (groups: {', '.join(groups)}; people: "
                f"{_few(sorted({photo.identity for photo in self.photos}))})"
            )
        return PhotoIndex(self.root, tuple(kept), self.aside, dict(left_out), self.others, self.tables)


def scan(root: Path) -> Iterator[Path]:
    """All files below a folder, sorted, without hidden ones and a system's own; each folder once, whatever links lead
    to it. Raises UserError where a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): check its permissions")

    walked = {_inode(root)}
    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        named = sorted(name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS)
        folders.clear()
        for name in named:
            place = _inode(Path(folder, name))
            if place not in walked:  # links may lead back
                walked.add(place)
                folders.append(name)
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and _is_file(path):
                yield path


def _inode(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): check its permissions") from error
    return status.st_dev, status.st_ino


def _is_file(path: Path) -> bool:
    """A file, or a link to one or to nowhere; no pipe, which nobody fills."""
    try:
        return path.is_file() or path.is_symlink()
    except OSError as error:  # the folder's names may be read, and what they stand for not
        raise UserError(f"{path} cannot be read ({error.strerror}): check the folder's permissions") from error


def is_picture(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in SUFFIXES


def half_named(path: Path, name: re.Pattern[str]) -> bool:
    """Whether a file has a picture's name and none of a picture's suffixes, as half a download has."""
    if path.suffix.lower() in UNFINISHED:
        return bool(name.fullmatch(path.stem))
    return not path.suffix and bool(name.fullmatch(f"{path.name}.jpg"))


UNFINISHED = frozenset({".crdownload", ".download", ".filepart", ".opdownload", ".part", ".partial", ".tmp"})
"""What programs add to the name of a file that is not whole yet."""
HALF_NAMED = "has the name of a picture and no picture's suffix: is it half a download?"


def build_index(
    root: Path,
    photos: Iterable[Photo],
    aside: Iterable[SetAside] = (),
    left_out: Mapping[str, int] | None = None,
    others: int = 0,
    tables: tuple[Path, ...] = (),
) -> PhotoIndex:
    """An index in which each face is there once, and each person belongs to one group: pictures that say otherwise
    than most are misnamed, and of two of one face the first is kept.
    """
    every, refused = sorted(photos, key=lambda photo: (photo.face_id, str(photo.path))), list(aside)
    groups: dict[str, Counter[str]] = {}
    for photo in every:
        groups.setdefault(photo.identity, Counter())[photo.group] += 1
    kept: dict[str, Photo] = {}
    for photo in every:
        usual, where = most_frequent(groups[photo.identity]), relative(photo.path, root)
        if usual is None:
            counts = groups[photo.identity]
            said = " and ".join(sorted(name for name in counts if counts[name] == max(counts.values())))
            detail = f"of person {photo.identity} as many pictures say {said}: nobody can tell which is right"
            refused.append(SetAside(where, "misnamed", detail))
        elif photo.group != usual:
            detail = f"most pictures of person {photo.identity} say {usual}, this one says {photo.group}"
            refused.append(SetAside(where, "misnamed", detail))
        elif photo.face_id in kept:
            other = relative(kept[photo.face_id].path, root)
            refused.append(SetAside(where, "twofold", f"shows what {other} shows"))
        else:
            kept[photo.face_id] = photo
    beside = _openface_tables(root, (photo.path for photo in kept.values()))
    used = set(beside.values()) - set(tables)
    found = [
        replace(photo, openface=beside[photo.path]) if beside.get(photo.path) in used else photo
        for photo in kept.values()
    ]
    return PhotoIndex(root, tuple(found), tuple(refused), dict(left_out or {}), others - len(used), tables)


def most_frequent(groups: Counter[str]) -> str | None:
    """The group that most pictures say, if there is one."""
    (first, count), *others = groups.most_common(2)
    return None if others and others[0][1] == count else first


def _openface_tables(root: Path, pictures: Iterable[Path]) -> dict[Path, Path]:
    """Of each picture the first CSV file of its name beside it, or in the set's own folder of them; every folder is
    read once.
    """
    tables: dict[Path, dict[str, Path]] = {}
    found = {}
    for path in pictures:
        for folder in (place / name for place in (path.parent, root) for name in OPENFACE_FOLDERS):
            if folder not in tables:
                files = sorted(folder.glob("*.[cC][sS][vV]")) if folder.is_dir() else []
                tables[folder] = {file.stem: file for file in reversed(files)}
            if path.stem in tables[folder]:
                found[path] = tables[folder][path.stem]
                break
    return found


def relative(path: Path, root: Path) -> str:
    """Below the root, as it is where it lies elsewhere; for people."""
    return readable(path.relative_to(root) if path.is_relative_to(root) else path)


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:4])}, ... {names[-1]}"
