"""A table as Markdown, as GitHub reads it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.tables import Entry, Heading, Table, difference

SUPERSCRIPT = str.maketrans("0123456789,", "⁰¹²³⁴⁵⁶⁷⁸⁹˒")
SPECIAL = {ord(character): f"\\{character}" for character in "\\*_[]<>|`"}
"""Escapes by character. Without that of brackets, `FD[lite0](Cp)` is a link."""


def markdown(table: Table) -> str:
    """Return the table with footnotes and notes; columns are aligned in the source, too."""
    lines = [[escape_markdown(f"{heading.group} {heading.text}".strip()) for heading in table.headings]]
    lines += [[_entry(entry) for entry in row] for row in table.rows]
    widths = [max(3, *(len(line[index]) for line in lines)) for index in range(len(table.headings))]
    rule = [
        "-" * (width - 1) + ":" if heading.numeric else "-" * width
        for heading, width in zip(table.headings, widths, strict=True)
    ]
    text = "\n".join(_line(line, widths, table.headings) for line in (lines[0], rule, *lines[1:]))
    below = [f"{superscript((index,))} {escape_markdown(note)}" for index, note in enumerate(table.footnotes, 1)]
    return text + "\n" + "".join(f"\n{line}\n" for line in below) + bullets(table.notes)


def bullets(notes: Sequence[str]) -> str:
    """Return notes as a list, after an empty line."""
    return "\n" + "".join(f"- {escape_markdown(note)}\n" for note in notes) if notes else ""


def escape_markdown(text: str) -> str:
    """Escape a text for Markdown."""
    return text.translate(SPECIAL)


def superscript(marks: Sequence[int]) -> str:
    """Return numbers in superscript: `¹˒²`."""
    return ",".join(map(str, marks)).translate(SUPERSCRIPT)


def _entry(entry: Entry) -> str:
    beside = f" {difference(entry.difference)}" if entry.difference else ""
    return escape_markdown(entry.text) + superscript(entry.marks) + beside


def _line(cells: Sequence[str], widths: Sequence[int], headings: Sequence[Heading]) -> str:
    padded = [
        cell.rjust(width) if heading.numeric else cell.ljust(width)
        for cell, width, heading in zip(cells, widths, headings, strict=True)
    ]
    return f"| {' | '.join(padded)} |"
