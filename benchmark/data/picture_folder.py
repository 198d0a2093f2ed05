"""A folder of pictures as a set to be measured: its files, their sizes, broken ones, and the pixels in batches."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.core.errors import UserError, one_line, why_unreadable
from benchmark.core.files import fault_of, folder_fault_of
from benchmark.data.picture_files import PICTURE_SUFFIXES, FolderWalk, count_suffixes, is_picture

PYTORCH_FID_SUFFIXES = frozenset({".bmp", ".jpg", ".jpeg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes that pytorch-fid reads."""
BATCH_BYTES = 1 << 26
"""Bytes of pixels decoded at once."""
READERS = 4

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class BrokenFile:
    """A file that cannot be measured, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FolderContent:
    """The picture files of a folder, sorted, and what a reader must know of the files that are left out."""

    folder: Path
    paths: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PictureSet:
    """Pictures of a folder that can be decoded: `sizes[i]` and `compressions[i]` are those of `paths[i]`."""

    folder: Path
    paths: tuple[Path, ...]
    sizes: tuple[Size, ...]
    compressions: tuple[str, ...]

    def count_sizes(self) -> dict[str, int]:
        """Return the number of pictures by size ("64x64"), most frequent first."""
        return {f"{width}x{height}": count for (width, height), count in Counter(self.sizes).most_common()}

    def count_compressions(self) -> dict[str, int]:
        """Return the number of pictures by compression (`lossless`, `JPEG quality 95`), most frequent first."""
        return dict(Counter(self.compressions).most_common())

    def name(self, number: int) -> str:
        """Return a picture's path below the folder, without its suffix."""
        return self.paths[number].relative_to(self.folder).with_suffix("").as_posix()

    def chosen(self, numbers: Sequence[int]) -> PictureSet:
        """Return the pictures with these indices, in this order."""
        return PictureSet(
            self.folder,
            tuple(self.paths[number] for number in numbers),
            tuple(self.sizes[number] for number in numbers),
            tuple(self.compressions[number] for number in numbers),
        )

    def batches(self) -> Iterator[NDArray[np.uint8]]:
        """Yield all pixels, a few pictures of one size at a time: N x H x W x 3."""
        by_size: dict[Size, list[Path]] = defaultdict(list)
        for path, size in zip(self.paths, self.sizes, strict=True):
            by_size[size].append(path)
        for (width, height), paths in by_size.items():
            step = max(1, BATCH_BYTES // (width * height * 3))
            for start in range(0, len(paths), step):
                yield read_all(paths[start : start + step])


def find_pictures(folder: Path, role: str, recursive: bool = False) -> FolderContent:
    """Return the picture files of a folder; with `recursive`, of its subfolders, too.

    Raises UserError, which begins with `role` ("--real"), for a folder that is missing, unreadable or has no picture.
    """
    if fault := folder_fault_of(folder):
        raise UserError(f"{role} {folder} {fault}")
    walk, folders = FolderWalk(folder), []
    try:
        files = list(walk) if recursive else sorted(path for path in folder.iterdir() if path.name[0] != ".")
        if not recursive:
            folders = [path for path in files if os.path.isdir(path)]  # noqa: PTH112 - never raises
            files = [path for path in files if path not in set(folders)]
            walk.special = sum(fault_of(path).endswith("not a file") for path in files)
            files = [path for path in files if not fault_of(path).endswith("not a file")]
        inside = sum(sum(map(is_picture, below := FolderWalk(each))) + below.derived.total() for each in folders)
    except OSError as error:
        raise UserError(f"{role} {folder} cannot be read ({error.strerror})") from error
    except UserError as error:
        raise UserError(f"{role} {error}") from error
    paths = [path for path in files if is_picture(path)]
    notes = [f"{count:,} {why} were not read" for why, count in walk.left_out().items()]
    if inside:
        notes.append(
            f"{inside:,} pictures in folders in it ({folders[0].name}, ...) are not searched without --recursive"
        )
    if not paths:
        why = f"; {'; '.join(notes)}" if notes else f" ({', '.join(sorted(PICTURE_SUFFIXES))})"
        raise UserError(f"{role} {folder} has no pictures{why}")
    others = [path for path in files if not is_picture(path)]
    if others:
        notes.append(f"{len(others):,} files are no pictures by their names ({count_suffixes(others)})")
    unusual = [path for path in paths if path.suffix.lower() not in PYTORCH_FID_SUFFIXES]
    if unusual:
        notes.append(
            f"{len(unusual):,} pictures of kinds that pytorch-fid passes over were read ({count_suffixes(unusual)})"
        )
    return FolderContent(folder, tuple(paths), tuple(f"{role} {folder}: {note}" for note in notes))


def examine(content: FolderContent, progress: Callable[[int], None]) -> tuple[PictureSet | None, list[BrokenFile]]:
    """Decode every file once: the set, and the files that cannot be measured. `progress` is called with how many are
    done.
    """
    usable: list[tuple[Path, Size, str]] = []
    broken = []
    with ThreadPoolExecutor(READERS) as pool:
        outcomes = pool.map(_describe, content.paths)
        for number, (path, outcome) in enumerate(zip(content.paths, outcomes, strict=True), start=1):
            if isinstance(outcome, str):
                broken.append(BrokenFile(path, outcome))
            else:
                usable.append((path, *outcome))
            progress(number)
    if not usable:
        return None, broken
    paths, sizes, compressions = zip(*usable, strict=True)
    return PictureSet(content.folder, paths, sizes, compressions), broken


def read_all(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Read files of one size as N x H x W x 3. Raises UserError for a file that has changed since it was examined."""
    with ThreadPoolExecutor(READERS) as pool:
        pictures = list(pool.map(_read_again, paths))
    try:
        return np.stack(pictures)
    except ValueError as error:
        raise UserError(f"pictures in {paths[0].parent} changed while they were measured") from error


def _describe(path: Path) -> tuple[Size, str] | str:
    """Return size and compression of a picture, or why it cannot be measured."""
    try:
        pixels, compression = _read(path)
    except Exception as error:  # decoders raise nearly anything on damaged files, and each is an answer here
        return why_unreadable(error, path)
    return (pixels.shape[1], pixels.shape[0]), compression


def _read_again(path: Path) -> NDArray[np.uint8]:
    try:
        return _read(path)[0]
    except Exception as error:  # as above
        raise UserError(f"{path} cannot be read any more ({one_line(error)})") from error


def _read(path: Path) -> tuple[NDArray[np.uint8], str]:
    """Read an upright RGB picture, H x W x 3, and its compression.

    Raises ValueError for more than 8 bits a channel, and for animations.
    """
    from benchmark.data.photo import read_photograph

    photograph = read_photograph(path)
    if photograph.bits > 8:
        raise ValueError(f"its pixels have more than 8 bits a channel ({photograph.bits}): convert it first")
    if not photograph.still:
        raise ValueError("it is an animation or has several pages: save the picture that is meant")
    return np.asarray(photograph.image), photograph.compression
