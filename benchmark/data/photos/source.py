"""Data sets of photographs: everything that does not depend on how their files are named."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmark.core.errors import UserError, unknown
from benchmark.core.paths import readable
from benchmark.data.faceset import FaceSet
from benchmark.data.layouts import layout_of
from benchmark.data.openface_tables import FaceTable
from benchmark.data.photos.action_units import Prototypes
from benchmark.data.photos.face_detection import needed_packages
from benchmark.data.photos.index import PhotoIndex
from benchmark.data.photos.inspection import How, PrepareOptions, has_landmarks
from benchmark.data.photos.preparation import prepare_photos
from benchmark.data.picture_files import COPIES
from benchmark.data.source import Advance, DataSource, NotThisDataSetError, Prepared
from benchmark.data.split import LEAST_PEOPLE, SALT, draw_test_identities, listed_test_identities
from benchmark.protocol import Knowledge

FACES: tuple[str, ...] = ("dlib", "none")


class Photographs(DataSource):
    """A folder of photographs. Options behind the folder: `leave-out=kid+05` leaves people or groups out; `faces=none`
    detects no faces.
    """

    licensed = True
    stand_ins = True
    version = 4
    options = frozenset({"leave-out", "faces"})
    title: ClassVar[str]
    like: ClassVar[str]
    """An example of its file names, for errors."""
    framing: ClassVar[Literal["centre", "face"]]
    fixed_cameras: ClassVar[bool]
    """Whether a camera sees all people at the same place, so that one face can stand in for another."""
    test_fraction: ClassVar[float]
    prototypes: ClassVar[Prototypes]

    def __init__(self, folder: Path | None, cache: Path, chosen: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, cache, chosen)
        faces = self.chosen.get("faces", "dlib")
        if faces not in FACES:
            raise unknown("faces", faces, FACES, f"in --data {self.name}")
        self.find = faces == "dlib"
        left_out = self.chosen.get("leave-out")
        self.leave_out = tuple(sorted(left_out.split("+"))) if left_out is not None else ()
        if "" in self.leave_out:
            raise UserError(
                f"--data {self.name}: leave-out={left_out}: names with a + between them, none of them empty"
            )
        self.how: How = self.framing
        self.test_share = self.test_fraction

    @classmethod
    @abstractmethod
    def index_folder(cls, folder: Path) -> PhotoIndex:
        """Index the pictures of a folder."""

    @classmethod
    def title_of(cls, folder: Path) -> str:
        """Recognise a folder by the names of its pictures."""
        return cls.title if cls.index_folder(folder).photos else ""

    @cached_property
    def index(self) -> PhotoIndex:
        """Return the pictures, without those left out. Raises UserError where there is none."""
        assert self.folder is not None  # checked by the base class
        index = self.index_folder(self.folder)
        if not index.photos:
            raise NotThisDataSetError(self._why_empty(index), f"{self.folder} holds", f", not {self.title}")
        return index.without(self.leave_out) if self.leave_out else index

    def _why_empty(self, index: PhotoIndex) -> str:
        """Return why an index has no pictures."""
        if not index.aside and not index.left_out and not index.others:
            return f"{self.folder} is empty"
        copies = [why for why in index.left_out if why.endswith(COPIES)]
        if copies and not index.aside:
            return (
                f"{self.folder} holds no pictures but {copies[0]}: if those are meant, name that folder, "
                f"--data {self.name}:DIR"
            )
        assert self.folder is not None  # checked by the base class
        if layout := layout_of(self.folder):
            return f"{self.folder} holds {layout}"
        why = f"; {index.aside[0].path}: {index.aside[0].detail}" if index.aside else ""
        return f"{self.folder} holds no picture named as {self.title} names them ({self.like}){why}"

    @cached_property
    def knows(self) -> frozenset[Knowledge]:  # type: ignore[override]
        """Landmarks where faces are detected or given, action units where they are measured, given or posed."""
        photos = self.index.photos
        known: set[Knowledge] = set()
        if self.find or all(photo.landmarks is not None for photo in photos):
            known.add("landmarks")
        if (
            self.prototypes
            or any(photo.units is not None for photo in photos)
            or any(map(_has_units, self._openface_tables))
        ):
            known.add("units")
        return frozenset(known)

    @property
    def _openface_tables(self) -> Iterator[FaceTable]:
        """Read OpenFace's rows of the pictures."""
        return (photo.openface for photo in self.index.photos if photo.openface is not None)

    @cached_property
    def _openface(self) -> list[Path]:
        """Return OpenFace's CSV files."""
        return sorted({table.path for table in self._openface_tables})

    def files(self) -> list[Path]:
        """Return pictures, tables and OpenFace's files."""
        return sorted({*(photo.path for photo in self.index.photos), *self.index.tables, *self._openface})

    def count(self) -> int:
        """Pictures."""
        return len(self.index.photos)

    def describe(self) -> str:
        """Describe the number of pictures and people, and how they are cut."""
        people = len({photo.identity for photo in self.index.photos})
        ways = {
            "centre": "centred square",
            "face": "the square in which the face lies where RaFD's have it",
            "uncropped": "not cropped, the edge repeated round them",
        }
        left_out = f", without {' and '.join(self.leave_out)}" if self.leave_out else ""
        return (
            f"{len(self.index.photos):,} photographs of {people} people{left_out}, upright, {ways[self.how]}, resized"
        )

    def split_settings(self) -> dict[str, Any]:
        """Return the settings of the split (list, salt, fraction) and those that decide the prepared faces."""
        return {
            "salt": SALT, "fraction": self.test_fraction, "test": listed_test_identities(self.name),
            "leave_out": list(self.leave_out), "faces": "dlib" if self.find else "none", "how": self.how,
        }  # fmt: skip

    def split(self, groups: Mapping[str, str]) -> tuple[list[str], str]:
        """Return the test identities and a note on a draw.

        They are those of the repository's list that the folder has, or drawn where that leaves fewer than two on either
        side. Raises UserError for too few people to split.
        """
        if len(groups) < LEAST_PEOPLE:
            left_out = f", without {' and '.join(self.leave_out)}" if self.leave_out else ""
            raise UserError(
                f"{readable(self.folder or Path())} has pictures of {_people(len(groups))} that can be used{left_out}; "
                f"{LEAST_PEOPLE} are needed, two to train on and two to test on"
            )
        listed = [name for name in listed_test_identities(self.name) or [] if name in groups]
        if len(listed) >= 2 and len(groups) - len(listed) >= 2:
            return listed, ""
        return draw_test_identities(groups, self.test_fraction), (
            ""
            if listed_test_identities(self.name) is None
            else f"The test people were drawn by rank: of the repository's list, {len(listed)} are in this folder."
        )

    def uncropped(self) -> DataSource:
        """Return the source of the uncropped pictures."""
        other = type(self)(self.folder, self.cache, self.chosen)
        other.how = "uncropped"
        other.__dict__["index"] = self.index  # names are the same
        return other

    def prepare(self, size: int, folder: Path, workers: int, advance: Advance) -> Prepared:
        """Prepare the pictures in parallel; resumable. Raises UserError where dlib is missing, the people are too few
        to split, or no picture can be used.
        """
        self.split({photo.identity: photo.group for photo in self.index.photos})  # raises before any work
        options = PrepareOptions(size, self.how, self.find, self.fixed_cameras)
        return prepare_photos(self.index, options, self.prototypes, self.split, folder, workers, advance)

    def check(self) -> None:
        """Raise UserError where a package that preparation needs is missing."""
        try:
            needed_packages()
        except UserError:
            if self.find and not all(map(has_landmarks, self.index.photos)):
                raise

    def load(self, size: int, advance: Advance) -> FaceSet:
        """Prepare the pictures in a temporary folder and read them into memory."""
        with tempfile.TemporaryDirectory() as scratch:
            self.prepare(size, Path(scratch), 1, advance)
            faces = FaceSet.load(Path(scratch))
            return FaceSet(faces.images[:].copy(), faces.table)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _has_units(table: FaceTable) -> bool:
    """Return whether OpenFace's rows of a picture can be used for action units."""
    try:
        return table.read().units is not None
    except UserError:
        return False
