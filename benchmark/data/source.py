"""The interface of data sets: where faces come from. `benchmark.data.registry` knows them by name."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.core.errors import UserError, unknown
from benchmark.core.files import folder_fault_of
from benchmark.core.hashes import Stamps
from benchmark.core.paths import readable
from benchmark.data.faceset import IMAGES, TABLE
from benchmark.protocol import Knowledge

if TYPE_CHECKING:
    from benchmark.data.faceset import FaceSet

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Prepared:
    """A face set that was written into a folder. files: their names. facts: counts for manifest and check-up; `notes`
    are sentences that a report repeats.
    """

    files: list[str]
    facts: Mapping[str, Any] = field(default_factory=dict)


class NotThisDataSetError(UserError):
    """A folder that holds nothing of the data set, and maybe another one.

    `holds` and `rather` stand before and behind the title of that one: "DIR holds", ", not RaFD".
    """

    def __init__(self, message: str, holds: str, rather: str = "") -> None:
        super().__init__(message)
        self.holds, self.rather = holds, rather


class DataSource(ABC):
    """A data set. `folder` is DIR in `--data NAME:DIR`, or None."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Part of the content key: raise it when the same files would give other faces."""
    needs_folder: ClassVar[bool] = True
    knows: ClassVar[frozenset[Knowledge]] = frozenset()
    """Annotations of its faces beyond the expression."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Names of options behind the folder, `,name=value`."""
    test_share: float = 0.25
    """Estimated share of pictures of test identities."""
    licensed: ClassVar[bool] = False
    """Whether its pictures are under a licence that forbids to pass them on: they then stay on this machine."""
    stand_ins: ClassVar[bool] = False
    """Whether other pictures' values may stand in for those of a picture (`FaceSet.measured_units`)."""

    def __init__(self, folder: Path | None, cache: Path, chosen: Mapping[str, str] | None = None) -> None:
        if folder is None and self.needs_folder:
            raise UserError(f"--data {self.name} needs the folder of its pictures: --data {self.name}:DIR")
        if folder is not None and (fault := folder_fault_of(folder)):
            reason = "there is no such folder" if fault == "is missing" else f"it {fault}"
            raise UserError(f"--data {self.name}:{readable(folder)}: {reason}")
        if folder is not None and not os.access(folder, os.R_OK | os.X_OK):
            raise UserError(f"--data {self.name}:{readable(folder)} cannot be read: check its permissions")
        for name in chosen or {}:
            if name not in self.options:
                raise unknown("option", name, self.options, f"of --data {self.name}")
        self.folder = folder
        self.cache = cache
        self.chosen = dict(chosen or {})

    @property
    def spec(self) -> str:
        """Return the `--data` text that opens this source, with the folder's full path."""
        options = "".join(f",{name}={value}" for name, value in sorted(self.chosen.items()))
        return f"{self.name}:{self.folder.absolute()}{options}" if self.folder else f"{self.name}{options}"

    @abstractmethod
    def files(self) -> list[Path]:
        """Return every file of the set, sorted. Raises NotThisDataSetError where there is none."""

    @classmethod
    def title_of(cls, folder: Path) -> str:
        """Return the title, such as "RaFD", if a folder's file names are of this data set; else ""."""
        return ""

    @abstractmethod
    def load(self, size: int, advance: Advance) -> FaceSet:
        """Load all faces at `size` px with their split. Calls `advance(n)` after every n pictures. Raises UserError for
        bad files.
        """

    @abstractmethod
    def describe(self) -> str:
        """Describe the pictures in one line for the report."""

    @abstractmethod
    def split_settings(self) -> dict[str, Any]:
        """Return what decides the split: salt and fraction of the draw, or the list of the repository."""

    def uncropped(self) -> DataSource:
        """Return the source of non-aligned pictures of the same people, with the same split.

        Raises UserError where there are none.
        """
        raise UserError(
            f"data set {self.name} has no non-aligned pictures: choose another with --data, or a suite of aligned faces"
        )

    def count(self) -> int:
        """Return how many pictures `load` will read."""
        return len(self.files())

    def check(self) -> None:  # noqa: B027 - most sets need nothing
        """Raise UserError where a package that `prepare` needs is not installed."""

    def prepare(self, size: int, folder: Path, workers: int, advance: Advance) -> Prepared:
        """Write all faces at `size` px with their split into `folder`, on at most `workers` threads.

        advance: called as `advance(n)` after every n pictures. Work of an interrupted call in the folder may be reused.
        """
        self.load(size, advance).save(folder)
        return Prepared([IMAGES, TABLE])

    def content_key(self) -> str:
        """Return the SHA-256 of the content of `files`: the same pictures are the same data set in any folder."""
        return content_hash(self.files(), self.folder or Path(), self.cache)


def content_hash(files: Sequence[Path], root: Path, cache: Path) -> str:
    """Return the SHA-256 over relative names and contents. Files are hashed again only if their size, times or inode
    change.

    A file that cannot be read counts by the reason: whether that is an error is decided where the file is needed.
    """
    stamps = Stamps(cache / "content-hashes.json")
    content = hashlib.sha256()
    for path in files:
        try:
            digest = stamps.trusted(path)
        except OSError as error:
            digest = str(error.strerror)
        content.update(f"{path.relative_to(root)}|{digest}\n".encode("utf-8", "surrogateescape"))
    stamps.save()
    return content.hexdigest()
