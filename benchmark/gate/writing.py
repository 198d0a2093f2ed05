"""Write a gate's result: a table in the terminal, JSON, JUnit XML, and a page for a CI's summary."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from benchmark.core.errors import UserError
from benchmark.core.hashes import write_bytes, write_text
from benchmark.core.paths import printable
from benchmark.gate.verdicts import LEVELS, Check, GateResult

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA = 1
MOST_BYTES = 1_000_000
"""Largest size of a summary in bytes; GitHub takes 1 MiB."""
SHOWN = 40
"""Largest number of rows of the terminal's table."""
WIDTH = 120
"""Characters per line where stdout is no terminal."""
ORDER = ("regressed", "not comparable", "inconclusive", "improved", "new", "pass", "reported")
HEADINGS = ("level", "row", "number", "stored", "now", "difference", "bound", "seen from", "verdict")


def as_json(result: GateResult) -> str:
    """Return the whole result as JSON."""
    content: dict[str, Any] = {"schema": SCHEMA, "status": result.status, **dataclasses.asdict(result)}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def open_console() -> Console:
    """Open the standard output with the terminal's width, or `WIDTH` characters if it is no terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def print_result(result: GateResult) -> None:
    """Print levels, checks that did not pass, the statistics, and the verdict."""
    from rich import box
    from rich.table import Table

    console = open_console()
    levels = Table(
        "level", "verdict", "s", "", box=box.SIMPLE, title=f"against {result.reference}", title_justify="left"
    )
    for level in result.levels:
        levels.add_row(level.level, level.verdict, f"{level.seconds:.0f}", printable(level.words))
    console.print(levels)
    shown = [check for check in _sorted(result.checks) if _notable(check)]
    if shown:
        table = Table(*HEADINGS, box=box.SIMPLE)
        for check in shown[:SHOWN]:
            table.add_row(*_cells(check))
        console.print(table)
        if len(shown) > SHOWN:
            console.print(f"{len(shown) - SHOWN} more; --json FILE has them all")
    for sentence in [*_sentences(result), *result.notes]:
        console.print(f"note: {sentence}", markup=False)
    console.print(f"{result.verdict} (exit status {result.status})")


def write_json(result: GateResult, path: Path) -> None:
    """Write the result as JSON. Raises UserError if it cannot be written."""
    _write(path, as_json(result), "--json")


def write_junit(result: GateResult, path: Path) -> None:
    """Write JUnit XML: a suite for each level, a case for each check. Raises UserError if it cannot be written."""
    root = ElementTree.Element("testsuites", name="fesbench gate")
    for level in result.levels:
        checks = result.of_level(level.level)
        suite = ElementTree.SubElement(root, "testsuite", name=level.level, time=f"{level.seconds:.1f}")
        cases = [(check.subject, check.quantity, check.verdict, _line(check)) for check in checks]
        cases = cases or [("level", level.level, level.verdict, level.words)]
        for subject, quantity, verdict, line in cases:
            name = f"fesbench.{level.level}.{_plain(subject)}"
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=_plain(quantity), time="0")
            if verdict == "regressed":
                ElementTree.SubElement(case, "failure", message=_plain(line), type=verdict)
            elif verdict in ("not comparable", "inconclusive"):
                ElementTree.SubElement(case, "error", message=_plain(line), type=verdict)
            elif verdict in ("new", "different", "not compared", "reported"):
                ElementTree.SubElement(case, "skipped", message=_plain(line))
        for kind, tag in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error"),
                          ("skipped", "testcase/skipped")):  # fmt: skip
            suite.set(kind, str(len(suite.findall(tag))))
    ElementTree.indent(root, " ")
    _write(path, ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n", "--junit")


def write_summary(result: GateResult, path: Path, strip: bytes = b"") -> None:
    """Append a page of Markdown below 1 MiB, for a CI system's summary. strip: a PNG of edits, or nothing.

    Raises UserError if it cannot be written.
    """
    text = summary(result, strip)
    try:
        # Do not wait for a reader of a named pipe: there may be none.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8") as stream:
            os.set_blocking(stream.fileno(), True)
            stream.write(text)
    except OSError as error:
        raise UserError(f"--summary {path} cannot be written ({error.strerror or error})") from error


def summary(result: GateResult, strip: bytes = b"") -> str:
    """Return the page: verdict, levels, strip, then as many checks as there is room for, those that failed first."""
    import base64

    lines = [f"## Gate: {result.verdict}", "", f"Against `{result.reference}`, exit status {result.status}.", ""]
    lines += ["| level | verdict | seconds | |", "|---|---|--:|---|"]
    lines += [f"| {each.level} | {each.verdict} | {each.seconds:.0f} | {_cell(each.words)} |" for each in result.levels]
    lines += ["", *(f"- {_cell(sentence)}" for sentence in [*_sentences(result), *result.notes]), ""]
    if strip:
        picture = base64.b64encode(strip).decode()
        lines += [f'<img alt="edits of the stored weights" src="data:image/png;base64,{picture}">', ""]
    lines += [f"| {' | '.join(HEADINGS)} |", f"|---|---|---|{'--:|' * 5}---|"]
    text = "\n".join(lines) + "\n"
    left = len(result.checks)
    for check in _sorted(result.checks):
        row = f"| {' | '.join(map(_cell, _cells(check)))} |\n"
        if len(text.encode()) + len(row.encode()) > MOST_BYTES - 200:
            break
        text, left = text + row, left - 1
    return text + (f"\n{left} more are in the JSON file.\n" if left else "")


def write_strip(strip: bytes, path: Path) -> None:
    """Write a PNG. Raises UserError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, strip)
    except OSError as error:
        raise UserError(f"--strip {path} cannot be written ({error.strerror or error})") from error


# ------------------------------------------------------------------------------------------------ parts
def _sentences(result: GateResult) -> list[str]:
    """Return sentences on the meaning of the numbers."""
    sentences = []
    if result.comparisons:
        seeds = f"seeds {', '.join(map(str, result.seeds))}"
        sentences.append(
            f"chance of any regression by statistics where nothing changed: at most {result.rate:.0%}, shared by "
            f"{result.comparisons} numbers (Bonferroni); {seeds}"
        )
        if result.needed > 1:
            sentences.append(
                f"a number regresses where each of {result.needed} new seeds is worse than every stored one, whatever "
                "the distribution; fewer leave a doubt (--up-to)"
            )
        sentences.append("a change as large as in 'seen from' would be found four times in five")
    if "regressed" in {level.verdict for level in result.levels if level.level in ("losses", "scores")}:
        sentences.append(
            "a change that is meant raises the version of what it changes and renews what is stored: regress --store"
        )
    order = list(LEVELS)
    unseen = order[max((order.index(each.level) + 1 for each in result.levels), default=0) :]
    if unseen and result.verdict == "regressed":
        sentences.append(f"not looked at any more: {', '.join(unseen)} (--all-levels goes on)")
    return sentences


def _sorted(checks: Iterable[Check]) -> list[Check]:
    return sorted(checks, key=lambda check: ORDER.index(check.verdict) if check.verdict in ORDER else len(ORDER))


def _notable(check: Check) -> bool:
    return check.verdict != "pass" or check.level == "statistics"


def _cells(check: Check) -> tuple[str, ...]:
    digits = check.decimals
    probe = check.level in ("losses", "scores")

    def number(value: float | None, sign: str = "") -> str:
        if value is None:
            return "–"
        return f"{value:{sign}.6g}" if probe else f"{value:{sign}.{digits}f}"

    told = check.note and (check.verdict == "not comparable" or (probe and check.verdict != "pass"))
    verdict = f"{check.verdict}: {check.note}" if told else check.verdict
    numbers = number(check.stored), number(check.now), number(check.difference, "+")
    names = check.level, printable(check.subject), printable(check.quantity)
    return (*names, *numbers, number(check.bound), number(check.visible), printable(verdict))


def _line(check: Check) -> str:
    _, subject, quantity, stored, now, difference, bound, visible, verdict = _cells(check)
    return (
        f"{subject}, {quantity}: stored {stored}, now {now}, difference {difference}, bound {bound}, seen from "
        f"{visible}: {verdict}"
    )


def _plain(text: str) -> str:
    """Return text without the characters that XML 1.0 does not allow."""
    return "".join(c for c in printable(text) if c >= " ")


def _cell(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(escaped.split())


def _write(path: Path, text: str, option: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise UserError(f"{option} {path} cannot be written ({error.strerror or error})") from error
