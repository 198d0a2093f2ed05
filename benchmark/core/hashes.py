"""Hashes of files, and files that are written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from benchmark.core.files import open_regular, read_memory, read_regular

SETTLED = 2_000_000_000
"""Nanoseconds after which a further change of a file certainly has a different time stamp."""


class Stamps:
    """A cache of the hashes of files, each valid while size, times and inode of its file stay as they were.

    A file that does not parse is an empty cache.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = False

    @cached_property
    def _known(self) -> dict[str, list[Any]]:
        known = read_memory(self._path)
        return known if isinstance(known, dict) else {}

    def hashed(self, path: Path) -> str:
        """Compute the SHA-256 of a file."""
        status = path.stat()
        digest = sha256_of(path)
        if time.time_ns() - status.st_ctime_ns > SETTLED:
            self._known[str(path.absolute())] = [digest, *_stamp(status)]
            self._new = True
        return digest

    def trusted(self, path: Path) -> str:
        """Return the SHA-256 of a file, computed only where its size, times or inode have changed."""
        entry = self._known.get(str(path.absolute()))
        if isinstance(entry, list) and entry[1:] == _stamp(path.stat()):
            return str(entry[0])
        return self.hashed(path)

    def save(self) -> None:
        """Write the cache, without files that are gone, if there is room."""
        if self._new:
            existing = {name: entry for name, entry in self._known.items() if Path(name).exists()}
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_text(self._path, json.dumps(existing, indent=0))
            self._new = False


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. The OSError of a full disk has its path."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{token_hex(4)}.tmp")
    try:
        partial.write_bytes(content)
        sync(partial)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        error.filename = error.filename or os.fspath(path)
        raise


def write_sealed(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file with its hash beside it, for `is_sealed`."""
    partial = path.with_name(f"{path.name}.tmp")
    with partial.open("wb") as stream:
        write(stream)
    write_text(path.with_name(f"{path.name}.sha256"), sha256_of(partial))
    partial.replace(path)


def is_sealed(path: Path) -> bool:
    """Return whether a file has the hash that `write_sealed` recorded."""
    try:
        return path.with_name(f"{path.name}.sha256").read_text(encoding="utf-8") == sha256_of(path)
    except (OSError, ValueError):
        return False


def recorded_sha256(path: Path) -> str | None:
    """Return the SHA-256 recorded beside `path`, in lower case.

    It is in a file with the suffix `.sha256`, as sha256sum writes it. None without such a file, "" where it holds no
    hash.
    """
    try:
        words = read_regular(path.with_suffix(".sha256"), 1 << 12).decode("ascii", "replace").split()
    except FileNotFoundError:
        return None
    except OSError:
        return ""
    return words[0].lower() if words else ""


def sync(path: Path) -> None:
    """Flush a file to the disk. A rename may survive a power cut that the data does not."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file, 64 hex digits. Raises OSError for anything else."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
