"""Open regular files only: a named pipe blocks for ever, a device such as /dev/zero never ends."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO

from benchmark.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

MEGABYTE = 1 << 20
MOST_OF_A_MEMORY = 256 * MEGABYTE
A_FILE = "is a file, not a folder"
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path, limit: int | None = None) -> BufferedReader:
    """Open a regular file for reading, links followed.

    limit: bytes that it may have. Raises OSError, whose `strerror` names the reason, for anything else (a folder, a
    named pipe, a device, a socket), for a name that the system does not take, and for a larger file; nothing is read.
    """
    try:
        _check(path, os.stat(path), limit)  # noqa: PTH116 - before opening, which may itself act on a device
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL character in the name
        raise OSError(errno.EINVAL, f"its name is none that a file can have: {error}", os.fspath(path)) from error
    try:
        _check(path, os.fstat(descriptor), limit)  # it may have been replaced since
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes. Raises OSError as `open_regular`."""
    with open_regular(path, limit) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:  # it has grown, or its size is not known before it is read, as in /proc
        raise _too_large(path, len(content), limit)
    return content


def read_memory(path: Path) -> Any:
    """Return the content of a JSON file that is only a cache; None where it cannot be read."""
    try:
        return json.loads(read_regular(path, MOST_OF_A_MEMORY))
    except (OSError, ValueError, RecursionError):
        return None


def fault_of(path: Path) -> str:
    """Return why a path is no regular file, or "".

    The reason ends a sentence: `is missing`, `is a named pipe, not a file`.
    """
    try:
        kind = _kind(os.stat(path).st_mode)  # noqa: PTH116 - also where the path is no valid name
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError as error:
        return f"cannot be read ({error})"
    return f"is {kind}, not a file" if kind else ""


def folder_fault_of(path: Path) -> str:
    """Return why a path is no folder, or "".

    The reason ends a sentence: `is missing`, `is a named pipe, not a folder`.
    """
    fault = fault_of(path)
    if not fault:
        return A_FILE
    if fault == "is missing" and os.path.islink(path):  # noqa: PTH114 - never raises
        return "is a link to nowhere"
    return "" if fault == "is a folder, not a file" else fault.replace(", not a file", ", not a folder")


def require_file(path: Path, name: str) -> Path:
    """Return `path` if it is a regular file. name: what the error begins with, such as `--aus`. Raises UserError."""
    fault = fault_of(path)
    if fault:
        raise UserError(f"{name} {path} {fault}")
    return path


def create_array(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Create a `.npy` of uint8 with all blocks allocated, and map it.

    A write into a hole of a mapped file kills the process where the disk is full.

    Raises OSError where there is no room; no file is left then.
    """
    import numpy as np

    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    try:
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink()
        error.filename = os.fspath(path)
        raise
    return array


def write_array(stream: BinaryIO, array: np.ndarray) -> None:
    """Write an array as `.npy`. Raises OSError with its number, which `numpy.save` loses where a disk is full."""
    import numpy as np

    np.lib.format.write_array(SimpleNamespace(write=stream.write), np.asanyarray(array), allow_pickle=False)


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array into a new `.npy` file. Raises OSError with the path as its `filename`."""
    try:
        with path.open("wb") as stream:
            write_array(stream, array)
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def _check(path: Path, status: os.stat_result, limit: int | None) -> None:
    kind = _kind(status.st_mode)
    if kind:
        raise OSError(
            errno.EISDIR if kind == "a folder" else errno.EINVAL, f"it is {kind}, not a file", os.fspath(path)
        )
    if limit is not None and status.st_size > limit:
        raise _too_large(path, status.st_size, limit)


def _kind(mode: int) -> str:
    """Name the kind of what is no regular file (`a folder`); "" for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return next((words for test, words in _KINDS if test(mode)), "no regular file")


def _too_large(path: Path, size: int, limit: int) -> OSError:
    megabytes = f"it has {size / MEGABYTE:,.1f} MB, and at most {limit / MEGABYTE:,.0f} MB are read"
    return OSError(errno.EFBIG, megabytes, os.fspath(path))
