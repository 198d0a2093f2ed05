"""File names and texts made safe to print."""

from __future__ import annotations

import os
from pathlib import Path


def readable(path: Path | str) -> str:
    """With slashes; bytes that are no UTF-8 as \\xNN, and nothing that would move a terminal's cursor."""
    text = path.as_posix() if isinstance(path, Path) else path
    return printable(os.fsencode(text).decode("utf-8", "backslashreplace"))


def printable_lines(text: str) -> str:
    """Apply `printable` to each line of a text."""
    return "\n".join(map(printable, text.split("\n")))


def printable(text: str) -> str:
    """Escape characters that a terminal would not print, such as those that move its cursor."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def cut(text: str, most: int) -> str:
    """Cut a text to about `most` characters, keeping its start and its end."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
