"""Errors of commands, and the text of their messages: quoted values, reasons, suggestions for an unknown name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from benchmark.core.paths import printable


class UserError(Exception):
    """The input is wrong: the message says what, where, and what to do. Exit status 2."""


class ContractError(UserError):
    """Several faults, one a line; any other UserError is printed in one line."""


class RunFailed(Exception):  # noqa: N818 - it is a verdict on a run, not an error of a caller
    """The input was valid and the work failed (a loss became NaN, for example). Exit status 1."""

    stage: str = ""
    """Key of the stage that failed, where it was one."""


def quoted(value: object, most: int = 60) -> str:
    """Return `repr(value)` as a message quotes it: in one line, cut to `most` characters."""
    try:
        text = printable(repr(value))
    except ValueError:  # an integer of more digits than Python prints
        return "a number of too many digits"
    return text if len(text) <= most else f"{text[:most]}..."


def first_line(error: Exception) -> str:
    """Return the first line of an exception's message, without the whitespace around it."""
    return str(error).strip().partition("\n")[0]


def one_line(error: BaseException) -> str:
    """Return an exception's message in one line, each run of whitespace as one space."""
    return " ".join(str(error).split())


def why_unreadable(error: Exception, path: Path) -> str:
    """Return why a file could not be read: one line, with the file's name in place of its path."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split()).replace(str(path), path.name) or type(error).__name__


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'hisd'?` for the nearest known word, or "" where none is near."""
    near = difflib.get_close_matches(word[:100].lower(), sorted(known), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `nearest`, or the list of all known words where none is near."""
    options = sorted(known)
    if near := nearest(word, options):
        return near
    return f"; known: {', '.join(options)}" if options else ""


def unknown(kind: str, word: str, known: Iterable[str], where: str = "") -> UserError:
    """Return the error for a name that is not in `known`. where: context, such as "in suite table1"."""
    context = f" {where}" if where else ""
    return UserError(f"unknown {kind} {quoted(word)}{context}{did_you_mean(word, known)}")
