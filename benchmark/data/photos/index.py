"""Index of a folder of photographs by file names or a table: which pictures belong to the set, and which do not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark.core.errors import UserError
from benchmark.core.paths import readable
from benchmark.data.openface_tables import FaceTable, find_tables
from benchmark.data.picture_files import FolderWalk, is_picture

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
"""Reasons that follow from names alone."""


@dataclass(frozen=True)
class Photo:
    """A picture of the set, as its name or its line of a table describes it.

    units: 17 action units in [0, 5]; landmarks: 68 x 2 in the pixels of the upright picture; None where not given.
    openface: its rows in OpenFace's CSV files, if there are any.
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
    openface: FaceTable | None = None


@dataclass(frozen=True)
class SetAside:
    """A file that is not used. path: below the set's folder."""

    path: str
    reason: Reason
    detail: str


@dataclass(frozen=True)
class PhotoIndex:
    """A folder's pictures, by face_id.

    left_out: number of files left out on purpose, by reason. others: number of files that are no pictures. tables:
    files that describe the pictures. copies: of each picture that shows a face again, its path and that of the picture
    that is used. unusable: OpenFace's files that cannot be assigned, each with the reason.
    """

    root: Path
    photos: tuple[Photo, ...]
    aside: tuple[SetAside, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    others: int = 0
    tables: tuple[Path, ...] = ()
    copies: tuple[tuple[Path, Path], ...] = ()
    unusable: tuple[str, ...] = ()

    def without(self, people: Iterable[str]) -> PhotoIndex:
        """Leave out people by identity, group, or a group's name up to a hyphen (`kid`).

        Raises UserError for an unknown name.
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
        return replace(self, photos=tuple(kept), left_out=dict(left_out))


UNFINISHED = frozenset({".crdownload", ".download", ".filepart", ".opdownload", ".part", ".partial", ".tmp"})
"""Suffixes of unfinished files."""
HALF_NAMED = "has the name of a picture and no picture's suffix: is it half a download?"


class NamedPictures:
    """The pictures of a folder whose names describe them; iterate over it once.

    name: the pattern of their names. aside: files that are not used, in the order of their paths; others: number of
    files that are no pictures.
    """

    def __init__(self, folder: Path, name: re.Pattern[str]) -> None:
        self.walk = FolderWalk(folder)
        self.aside: list[SetAside] = []
        self.others = 0
        self._folder, self._name = folder, name

    def __iter__(self) -> Iterator[Path]:
        for path in self.walk:
            if is_picture(path):
                yield path
            elif _is_half_named(path, self._name):
                self.set_aside(path, HALF_NAMED)
            else:
                self.others += 1

    def set_aside(self, path: Path, why: str) -> None:
        """Set aside a misnamed file."""
        self.aside.append(SetAside(relative(path, self._folder), "misnamed", why))


def _is_half_named(path: Path, name: re.Pattern[str]) -> bool:
    """Return whether a file has a picture's name without its suffix, as an unfinished download has."""
    if path.suffix.lower() in UNFINISHED:
        return bool(name.fullmatch(path.stem))
    return not path.suffix and bool(name.fullmatch(f"{path.name}.jpg"))


def build_index(
    walk: FolderWalk,
    photos: Iterable[Photo],
    aside: Iterable[SetAside] = (),
    left_out: Mapping[str, int] | None = None,
    others: int = 0,
    tables: tuple[Path, ...] = (),
) -> PhotoIndex:
    """Build an index with each face once and each person in one group.

    Pictures whose group is not that of most of the person's pictures are misnamed; of two pictures of one face the
    first is used. walk: the folder's, after its end.
    """
    root = walk.root
    every, refused = sorted(photos, key=lambda photo: (photo.face_id, str(photo.path))), list(aside)
    groups: dict[str, Counter[str]] = {}
    for photo in every:
        groups.setdefault(photo.identity, Counter())[photo.group] += 1
    kept: dict[str, Photo] = {}
    copies: list[tuple[Path, Path]] = []
    for photo in every:
        where = relative(photo.path, root)
        if fault := _group_fault(photo, groups[photo.identity]):
            refused.append(SetAside(where, "misnamed", fault))
        elif photo.face_id in kept:
            other = kept[photo.face_id].path
            copies.append((photo.path, other))
            refused.append(SetAside(where, "twofold", f"shows what {relative(other, root)} shows"))
        else:
            kept[photo.face_id] = photo
    openface = find_tables(root, [photo.path for photo in kept.values()], tables)
    return PhotoIndex(
        root,
        tuple(replace(photo, openface=openface.by_picture.get(photo.path)) for photo in kept.values()),
        tuple(refused),
        {**(left_out or {}), **walk.left_out()},
        others - len({table.path for table in openface.by_picture.values()}),
        tables,
        tuple(copies),
        openface.unusable,
    )


def _group_fault(photo: Photo, counts: Counter[str]) -> str:
    """Return why a photo's group is in doubt, or "". counts: pictures of its person by group."""
    usual = most_frequent(counts)
    if usual is None:
        named = " and ".join(sorted(name for name in counts if counts[name] == max(counts.values())))
        return f"of person {photo.identity} as many pictures say {named}: nobody can tell which is right"
    if photo.group != usual:
        return f"most pictures of person {photo.identity} say {usual}, this one says {photo.group}"
    return ""


def most_frequent(groups: Counter[str]) -> str | None:
    """Return the most frequent group, or None where two are equally frequent."""
    (first, count), *others = groups.most_common(2)
    return None if others and others[0][1] == count else first


def relative(path: Path, root: Path) -> str:
    """Return a path for messages, relative to the root where it is below it."""
    return readable(path.relative_to(root) if path.is_relative_to(root) else path)


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:4])}, ... {names[-1]}"
