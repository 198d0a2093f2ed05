"""Texts of errors in messages."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from benchmark.core.errors import first_line, one_line, why_unreadable

PATH = Path("/data/faces/a.png")


def test_a_message_of_several_lines_is_shortened() -> None:
    error = ValueError("\n first  one\n\tsecond ")
    assert first_line(error) == "first  one"
    assert one_line(error) == "first one second"
    assert first_line(ValueError()) == one_line(ValueError()) == ""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(errno.EACCES, "Permission denied", str(PATH)), "Permission denied"),
        (OSError(f"cannot identify\nimage file '{PATH}'"), "cannot identify image file 'a.png'"),
        (ValueError(), "ValueError"),
    ],
)
def test_the_reason_names_the_file_without_its_folder(error: Exception, reason: str) -> None:
    assert why_unreadable(error, PATH) == reason
