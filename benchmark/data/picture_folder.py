"""Any folder of pictures as a set to be measured: its files, their sizes, what is broken, and the pixels in bounded
portions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.core.errors import UserError

EXTENSIONS = frozenset({".bmp", ".jpg", ".jpeg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""pytorch-fid's; here in either case."""
PORTION = 1 << 26
"""Bytes of pixels decoded at once."""
READERS = 4
DEEP = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
"""Pillow's modes of more than 8 bits, whose conversion to RGB would cut levels off."""

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Broken:
    """A file that is no picture, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Pictures:
    """The pictures of a folder (not of folders in it), by name: `sizes[i]` is that of `paths[i]`."""

    folder: Path
    paths: tuple[Path, ...]
    sizes: tuple[Size, ...]

    def count_sizes(self) -> list[tuple[Size, int]]:
        """How many pictures there are of each size, the most frequent first."""
        return Counter(self.sizes).most_common()

    def portions(self) -> Iterator[NDArray[np.uint8]]:
        """All pixels, as N x H x W x 3 arrays of pictures of one size each, a few at a time."""
        by_size: dict[Size, list[Path]] = defaultdict(list)
        for path, size in zip(self.paths, self.sizes, strict=True):
            by_size[size].append(path)
        for (width, height), paths in by_size.items():
            step = max(1, PORTION // (width * height * 3))
            for start in range(0, len(paths), step):
                yield read_all(paths[start : start + step])


def find_pictures(folder: Path, role: str) -> list[Path]:
    """The picture files of a folder, sorted. `role` ("--real") begins the UserError for a folder that is missing or has
    none."""
    if not folder.is_dir():
        raise UserError(f"{role} {folder} is {'not a folder' if folder.exists() else 'missing'}")
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{role} {folder} cannot be read ({error.strerror})") from error
    paths = [path for path in entries if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")]
    if not paths:
        inside = [path.name for path in entries if path.is_dir()]
        hint = f"; folders in it ({inside[0]}, ...) are not searched" if inside else ""
        raise UserError(f"{role} {folder} has no pictures ({', '.join(sorted(EXTENSIONS))}){hint}")
    return paths


def examine(paths: Sequence[Path], progress: Callable[[int], None]) -> tuple[Pictures | None, list[Broken]]:
    """Decode every file once: their sizes, and those that cannot be decoded. `progress` is called with how many are
    done."""
    found: dict[Path, Size] = {}
    broken = []
    with ThreadPoolExecutor(READERS) as pool:
        for number, (path, outcome) in enumerate(zip(paths, pool.map(_size_or_reason, paths), strict=True), start=1):
            if isinstance(outcome, str):
                broken.append(Broken(path, outcome))
            else:
                found[path] = outcome
            progress(number)
    pictures = Pictures(paths[0].parent, tuple(found), tuple(found.values())) if found else None
    return pictures, broken


def read_all(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """N x H x W x 3 from files of one size. Raises UserError for a file that has changed since it was examined."""
    with ThreadPoolExecutor(READERS) as pool:
        pictures = list(pool.map(_read_again, paths))
    try:
        return np.stack(pictures)
    except ValueError as error:
        raise UserError(f"pictures in {paths[0].parent} changed while they were measured") from error


def _size_or_reason(path: Path) -> Size | str:
    try:
        pixels = _read(path)
    except Exception as error:  # decoders raise nearly anything on damaged files, and each is an answer here
        return " ".join(str(error).split()).replace(str(path), path.name) or type(error).__name__
    return pixels.shape[1], pixels.shape[0]


def _read_again(path: Path) -> NDArray[np.uint8]:
    try:
        return _read(path)
    except Exception as error:  # as above
        raise UserError(f"{path} cannot be read any more ({' '.join(str(error).split())})") from error


def _read(path: Path) -> NDArray[np.uint8]:
    """H x W x 3: upright, RGB."""
    from PIL import Image

    from benchmark.data.photo import read_upright

    with Image.open(path) as opened:
        if opened.mode in DEEP:
            raise ValueError(f"pixels of more than 8 bits (mode {opened.mode}): convert it first")
    return np.asarray(read_upright(path))
