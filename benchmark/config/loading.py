"""Read YAML files as data: bounded, without duplicate keys, each fault in one line."""

from __future__ import annotations

import errno
import math
import os
import re
from pathlib import Path
from typing import Any

import yaml

from benchmark.core.errors import UserError, one_line, quoted, unknown
from benchmark.core.files import fault_of, read_regular
from benchmark.core.models import MOST_OF_A_PATH, parse
from benchmark.core.paths import cut, printable

HERE = Path(__file__).parent
PAPER = HERE.parents[1] / "results" / "paper"
REFERENCE = HERE.parents[1] / "results" / "reference"
LARGEST = 1 << 20
"""Largest size of a file in bytes; the longest in this repository has 6,000."""
MOST_VALUES = 50_000
"""Most values of a file; those of an alias count each time."""
DEEPEST = 20
LARGEST_INTEGER = 2**63
STANDARD = "tag:yaml.org,2002:"
MERGE, STRING = f"{STANDARD}merge", f"{STANDARD}str"
PLAIN = {f"{STANDARD}{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null")}
NUMBERS = {f"{STANDARD}int", f"{STANDARD}float"}
MISREAD = re.compile(r".*:.*|[-+]?0_*\d[\d_]*")
"""Numbers that YAML 1.1 takes for other ones: `1:30` for 90, `010` for 8."""


class _Refused(yaml.YAMLError):
    """Valid YAML that is refused."""


class _Loader(yaml.SafeLoader):
    """Scalars, lists and mappings of JSON's kinds."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._depth = self._values = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count the composed nodes."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        anchor: str | None = getattr(event, "anchor", None)
        before = self._values
        if isinstance(event, yaml.AliasEvent):
            if anchor in self.anchors and anchor not in self._sizes:
                raise _Refused(f"'*{anchor}' is a part of itself{_line(event.start_mark)}")
            self._values += self._sizes.get(anchor or "", 0)
        self._values += 1
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Refused(f"values are nested more than {DEEPEST} deep{_line(event.start_mark)}")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if self._values > MOST_VALUES:
            raise _Refused(f"it has more than {MOST_VALUES:,} values{_line(event.start_mark)}")
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._sizes[anchor] = self._values - before
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse keys that are repeated or no text."""
        seen = set()
        for key, _ in node.value:
            if key.tag not in (STRING, MERGE):
                shown = quoted(key.value) if isinstance(key, yaml.ScalarNode) else "this key"
                raise _Refused(f"{shown} is no name: put it in quotes{_line(key.start_mark)}")
            if key.value in seen:
                raise _Refused(f"{quoted(key.value)} is there twice{_line(key.start_mark)}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Refuse values that JSON lacks (dates, bytes, objects, NaN, infinity, integers beyond 64 bits, halves of
        characters), and numbers of base 60 or 8.
        """
        if node.tag not in PLAIN:
            kind = quoted(node.tag.removeprefix(STANDARD))
            shown = quoted(node.value) if isinstance(node, yaml.ScalarNode) else "a value"
            raise _Refused(f"{shown} is of type {kind}, which is not read; put text in quotes{_line(node.start_mark)}")
        if node.tag in NUMBERS and MISREAD.fullmatch(node.value):
            hint = "put text in quotes, and write a number to base 10, without zeros in front"
            raise _Refused(f"{quoted(node.value)} could be read in several ways: {hint}{_line(node.start_mark)}")
        try:
            value = super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise _Refused(f"{quoted(node.value)} is no number that can be read{_line(node.start_mark)}") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise _Refused(f"{quoted(node.value)} is no finite number{_line(node.start_mark)}")
        if isinstance(value, str) and not value.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise _Refused(f"{quoted(value)} holds half a character{_line(node.start_mark)}")
        if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
            raise _Refused(f"{quoted(value)} is beyond any number here{_line(node.start_mark)}")
        return value


def _line(mark: Any) -> str:
    return f" (line {mark.line + 1})" if mark is not None else ""


def load(kind: type[Any], path: Path, **added: Any) -> Any:
    """Read a YAML file into a model. added: fields not in the file. Raises UserError, naming file and field."""
    data = _read(path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: a mapping of names to values is needed, not {quoted(data)}")
    for name in added:
        if name in data:
            raise UserError(f"{path}: '{name}' is not taken from a file: remove it")
    return parse(kind, {**data, **added}, path)


def _read(path: Path) -> Any:
    try:
        content = read_regular(path, LARGEST)
        return yaml.load(content, _Loader)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except _Refused as error:
        raise UserError(f"{path}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as YAML: {_line_of(error)}") from error


def _line_of(error: Exception) -> str:
    return one_line(error).replace(' in "<byte string>"', "")[:300]


def names(folder: Path) -> list[str]:
    """Return the names of the YAML files in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find(kind: str, folder: Path, name: str) -> Path:
    """Return the file of a suite or profile by name (in `folder`) or path. Raises UserError, with the nearest name."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not os.path.exists(path):  # noqa: PTH110 - never raises
            closed = os.strerror(errno.EACCES) in fault_of(path)
            fault = "cannot be read: check the permissions of its folder" if closed else "does not exist"
            raise UserError(f"{kind} file {printable(cut(name, MOST_OF_A_PATH))} {fault}")
        return path
    if name not in names(folder):
        if os.sep in name:
            raise UserError(
                f"{kind} {quoted(name)}: the name of a file ends in .yaml; without a file: {', '.join(names(folder))}"
            )
        raise unknown(kind, name, names(folder))
    return folder / f"{name}.yaml"
