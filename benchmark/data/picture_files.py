"""The picture files of a folder: one list of suffixes and one walk for every command.

Programs that find or align faces leave copies of the pictures beside them: OpenFace's `processed/` (the pictures with
the landmarks drawn in, and `NAME_aligned/`), crops, overlays, thumbnails. Folders of such names are never sources.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.core.errors import UserError

PICTURE_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf"),
        *(".jpg", ".jpx", ".jxl", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
    }
)
"""Suffixes of pictures; a file with one of them that cannot be decoded is reported as broken."""
SYSTEM_FOLDERS = frozenset({"__MACOSX", "$RECYCLE.BIN", "@eaDir"})
OPENFACE_FOLDERS = ("processed", "openface")
"""Names of OpenFace's output folder; `processed` is its default."""
_COPIES = (
    r"(face[-_ ]?)?(align(ed)?|crops?|cropped|vis|viz|vis?ualis?z?ations?|overlays?|annotated|thumb(nail)?s?|previews?"
    r"|masks?|heatmaps?|bbox(es)?|detect(ed|ions)|landmarks?|hog|mtcnn|retinaface)"
)
_FACES = r"[-_ .]?(faces?|imgs?|images?|pictures?|photos?|pics?)"
_BEHIND = r"[-_ .]?(\d{1,4}(x\d{1,4}|px)?|out(put)?)"
DERIVED = re.compile(rf"(.+[-_ .])?({'|'.join(OPENFACE_FOLDERS)}|{_COPIES})({_FACES})?({_BEHIND})?", re.IGNORECASE)
"""Names of folders that hold copies of other pictures."""

COPIES = "a folder of copies by its name"


@dataclass
class FolderWalk:
    """All files below a folder, in the order of their paths, without hidden ones and a system's own.

    Iterate over it once; each folder is visited once, whatever links lead to it. keep: pictures that are no copies,
    wherever they lie. derived: how many pictures lie in
    folders named as `DERIVED`, by that folder's path below the root; special: how many named pipes, sockets and devices
    there are. Neither are among the files; links to nowhere are. Raises UserError where a folder cannot be read.
    """

    root: Path
    keep: frozenset[Path] = frozenset()
    derived: Counter[str] = field(default_factory=Counter)
    special: int = 0

    def __iter__(self) -> Iterator[Path]:
        visited = {_inode(self.root)}
        for folder, folders, files in os.walk(self.root, onerror=_refuse, followlinks=True):
            named = sorted(name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS)
            folders.clear()
            for name in named:
                inode = _inode(Path(folder, name))
                if inode not in visited:  # links may lead back
                    visited.add(inode)
                    folders.append(name)
            derived = self._derived_folder(Path(folder))
            for name in sorted(files):
                path = Path(folder, name)
                if name.startswith("."):
                    continue
                if _is_special(path):
                    self.special += 1
                elif derived is not None and is_picture(path) and path not in self.keep:
                    self.derived[derived] += 1
                else:
                    yield path

    def left_out(self) -> dict[str, int]:
        """Return the number of files left out, by reason; complete after the iteration."""
        counts = {f"pictures in {name}/, {COPIES}": count for name, count in _few(self.derived)}
        return counts | ({"named pipes, sockets or devices": self.special} if self.special else {})

    def _derived_folder(self, folder: Path) -> str | None:
        """Return the topmost folder of copies that contains a folder, below the root."""
        parts = folder.relative_to(self.root).parts
        for number, part in enumerate(parts, start=1):
            if DERIVED.fullmatch(part):
                return "/".join(parts[:number])
        return None


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture, by its suffix."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def count_suffixes(paths: list[Path]) -> str:
    """Format the number of files by suffix, most frequent first: `.csv 2, .txt 1`."""
    counts = Counter(path.suffix.lower() or "without a suffix" for path in paths)
    shown = [f"{suffix} {count:,}" for suffix, count in counts.most_common(6)]
    return ", ".join(shown) + (", ..." if len(counts) > len(shown) else "")


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read ({error.strerror}): check its permissions")


def _inode(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): check its permissions") from error
    return status.st_dev, status.st_ino


def _is_special(path: Path) -> bool:
    """Return whether a path is neither a regular file nor a broken link.

    Raises UserError in a folder whose names may be listed but not opened.
    """
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except PermissionError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the folder's permissions") from error
    except OSError:
        return False  # a link to nowhere, or in a circle: broken, as is said when it is opened


def _few(derived: Counter[str]) -> list[tuple[str, int]]:
    """Return the folders of copies, merged by name where there are many."""
    if len(derived) <= 3:
        return sorted(derived.items())
    names: Counter[str] = Counter()
    for folder, count in derived.items():
        names[re.sub(r"^.+([-_ .])", r"*\1", folder.rpartition("/")[2])] += count
    return sorted(names.items())
