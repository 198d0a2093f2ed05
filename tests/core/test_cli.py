"""What ends a command is one line; files that cannot be written are named before any work."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from benchmark.core.cli import (
    EXIT_FAILED,
    EXIT_USAGE,
    Parser,
    check_writable,
    run_command,
    writable_file,
    writable_folder,
)
from benchmark.core.errors import ContractError, UserError
from benchmark.core.hashes import write_bytes


def raising(error: BaseException) -> int:
    def work() -> None:
        raise error

    return run_command(work)


def test_a_name_with_a_line_break_is_shown_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(UserError("a\nb is missing")) == EXIT_USAGE
    assert raising(ContractError("one\ntwo")) == EXIT_USAGE
    assert capsys.readouterr().err == "error: a\\nb is missing\nerror: one\ntwo\n"


def test_a_path_that_the_system_refuses_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def rename() -> None:
        (tmp_path / "folder").mkdir()
        write_bytes(tmp_path / "folder", b"x")

    assert run_command(rename) == EXIT_FAILED
    assert raising(PermissionError(errno.EACCES, "Permission denied", b"a\x1b")) == EXIT_USAGE
    assert capsys.readouterr().err == (
        f"failed: {tmp_path}/folder cannot be used (Is a directory): give another path, or mend it\n"
        "error: a\\x1b cannot be used (Permission denied): check its permissions\n"
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]  # nothing half written
    with pytest.raises(OSError, match="refused"):
        raising(OSError(errno.ECONNREFUSED, "refused"))


def test_a_loop_of_links_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    def read() -> None:
        (tmp_path / "loop").read_bytes()

    assert run_command(read) == EXIT_USAGE
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'loop'} is a link that leads to itself:")


def test_files_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "file").write_text("x")
    for path, message in {
        Path(): "'.': the name of a file is needed", Path("/"): "the name of a file is needed",
        tmp_path: "is a folder, not a file: choose another name", tmp_path / "pipe": "is a named pipe",
        Path("/dev/null"): "is a device, not a file: choose another name", tmp_path / "device": "is a device",
        tmp_path / "loop": "cannot be read", tmp_path / "file/below": "cannot be read",
        tmp_path / ("x" * 300): "too long",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=message) as error:
            writable_file(path, "--out")
        assert str(error.value).startswith("--out ")
    new = tmp_path / "a/b.html"
    assert writable_file(new, "--out") == new
    assert writable_file(tmp_path / "file", "--out").read_text() == "x"
    assert new.parent.is_dir()
    assert not new.exists()


def test_an_empty_value_is_not_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("x", "")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--methods")
    parser.add_argument("--store", default="")
    assert parser.parse_args(["--out", ".", "--store", ""]).out == Path()
    for option in ("--out", "--methods"):
        with pytest.raises(SystemExit, match="2"):
            parser.parse_args([option, ""])
        assert capsys.readouterr().err == f"error: argument {option}: a value is needed, not ''\n"


def test_a_wrong_choice_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("x", "")
    parser.add_argument("--engine", choices=("local", "ray", "slurm"))
    for word, hint in (("slum", "; did you mean 'slurm'?"), ("zzz", "; known: local, ray, slurm")):
        with pytest.raises(SystemExit, match="2"):
            parser.parse_args(["--engine", word])
        assert capsys.readouterr().err == f"error: argument --engine: invalid choice: '{word}'{hint}\n"


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, fault in (
        ("file", "is a file, not a folder"),
        ("loop", "cannot be read (Too many levels"),
        ("file/x", ""),
    ):
        for check in (writable_folder, check_writable):
            with pytest.raises(UserError) as error:
                check(tmp_path / name, "--out")
            assert str(error.value).startswith(f"--out {tmp_path / name} {fault}")
            assert str(error.value).endswith(": choose another folder")
    for path in (Path("/proc/x"), Path("/proc/x/y")):
        with pytest.raises(UserError, match="cannot be written"):
            check_writable(path, "--out")
    check_writable(tmp_path / "new" / "deep", "--out")
    assert not (tmp_path / "new").exists()
    assert writable_folder(tmp_path / "new" / "deep", "--out").is_dir()


def test_a_nul_character_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("x", "")
    parser.add_argument("--out", type=Path)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--out", "a\0b"])
    assert capsys.readouterr().err == "error: argument --out: a value without NUL characters is needed, not 'a\\x00b'\n"
