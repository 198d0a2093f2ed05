"""Only regular files are opened, through links too; whatever else a path may be is a reason in words."""

from __future__ import annotations

import errno
import os
import resource
import socket
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.core.files import fault_of, folder_fault_of, open_regular, read_memory, read_regular, require_file
from benchmark.core.hashes import write_bytes


@pytest.fixture
def special(tmp_path: Path) -> dict[str, Path]:
    """A path of every kind that is no regular file, and a link to each."""
    paths = {
        "a folder": tmp_path / "folder",
        "a named pipe": tmp_path / "pipe",
        "a socket": tmp_path / "socket",
        "a device": Path("/dev/zero"),
    }
    paths["a folder"].mkdir()
    os.mkfifo(paths["a named pipe"])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(paths["a socket"]))
    for kind, path in list(paths.items()):
        link = tmp_path / f"link to {kind}"
        link.symlink_to(path)
        paths[f"{kind} "] = link
    return paths


def test_what_is_no_regular_file_is_never_opened(special: dict[str, Path]) -> None:
    for kind, path in special.items():
        words = f"is {kind.strip()}, not a file"
        for call in (lambda path=path: open_regular(path), lambda path=path: read_regular(path, 10)):
            with pytest.raises(OSError, match="not a file") as error:
                call()
            assert error.value.strerror == f"it {words}"
        assert fault_of(path) == words
        with pytest.raises(UserError, match=f"^--aus .* {words}$"):
            require_file(path, "--aus")


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    loop, other = tmp_path / "loop", tmp_path / "other"
    loop.symlink_to(other)
    other.symlink_to(loop)
    for path, words in (
        (tmp_path / "none", "is missing"),
        (loop, "cannot be read (Too many levels of symbolic links)"),
        (tmp_path / ("x" * 300), "cannot be read (File name too long)"),
        (Path("a\0b"), "cannot be read (embedded null byte)"),
    ):
        assert fault_of(path) == words
        with pytest.raises(OSError, match=words.partition("(")[2].rstrip(")") or "No such file"):
            open_regular(path)


def test_sizes_are_limited_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    link = tmp_path / "link"
    link.symlink_to(path)
    assert read_regular(link, 5) == b"12345"
    assert fault_of(link) == ""
    assert require_file(link, "--aus") == link
    with pytest.raises(OSError, match=r"it has 0\.0 MB, and at most 0 MB are read"):
        open_regular(path, 4)
    with path.open("r+b") as stream:
        stream.truncate(1 << 42)  # no byte of it is on the disk
    with pytest.raises(OSError, match=r"it has 4,194,304.0 MB, and at most 1 MB are read"):
        read_regular(path, 1 << 20)
    with pytest.raises(OSError, match="are read"):
        read_regular(Path("/proc/self/status"), 10)  # a regular file that tells no size


def test_what_is_no_folder(special: dict[str, Path], tmp_path: Path) -> None:
    for kind, path in special.items():
        assert folder_fault_of(path) == ("" if kind.strip() == "a folder" else f"is {kind.strip()}, not a folder")
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    assert folder_fault_of(tmp_path / "file") == "is a file, not a folder"
    assert folder_fault_of(tmp_path / "dangling") == "is a link to nowhere"
    assert folder_fault_of(tmp_path / "none") == "is missing"


def test_a_memory_that_cannot_be_read_is_none(special: dict[str, Path], tmp_path: Path) -> None:
    for path in (*special.values(), tmp_path / "none"):
        assert read_memory(path) is None
    for content in (b"", b"{", b"[" * 100_000, bytes(range(256)), b"9" * 5_000):
        (tmp_path / "memory.json").write_bytes(content)
        assert read_memory(tmp_path / "memory.json") is None
    (tmp_path / "memory.json").write_bytes(b'{"a": [1]}')
    assert read_memory(tmp_path / "memory.json") == {"a": [1]}


def test_a_full_disk_keeps_the_file_that_was_there_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"kept")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            write_bytes(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(path))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("page.html", b"kept")]
