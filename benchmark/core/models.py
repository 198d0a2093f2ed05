"""Strict pydantic models of files: types are taken as they are, and a fault is one line that names file and field."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from benchmark.core.errors import UserError, did_you_mean, quoted
from benchmark.core.files import MEGABYTE, read_regular
from benchmark.core.paths import printable

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
"""Configuration of every model: "3" is no number, 1 is no bool, and unknown fields are refused."""
MOST_OF_A_PATH = 100
LARGEST = 256 * MEGABYTE
"""Largest size of a JSON file; results of five seeds have 3 MB."""
WORDS = {
    "an object": "a mapping of names to values", "a valid array": "a list", "after validation": "here",
    "a valid string": "text", "a valid integer": "a whole number", "a valid number": "a number",
    "a valid boolean": "true or false", "less than or equal to": "at most", "greater than or equal to": "at least",
}  # fmt: skip
"""pydantic's terms, and those of a YAML file's author."""
T = TypeVar("T")


def parse_json(kind: type[T], text: str | bytes, where: object) -> T:
    """Parse JSON into a model. Raises UserError that begins with `where`."""
    try:
        adapter: TypeAdapter[T] = _adapter(cast(Any, kind))
        return adapter.validate_json(text)
    except ValidationError as error:
        raise UserError(f"{where}: {fault_line(error, kind)}") from error


def read_json(path: Path, name: str = "") -> tuple[str, Any]:
    """Return the text of a JSON file and its content, None where it is no JSON: `parse_json` has the better message.

    name: what the error begins with, such as `--against`. Raises UserError where the file cannot be read, or a name is
    there twice in an object.
    """
    where = f"{name} {path}".strip()

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in content if names.count(key) > 1)
            raise UserError(f"{where} is damaged: {quoted(twice)} is there twice")
        return content

    try:
        text = read_regular(path, LARGEST).decode()
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{where} cannot be read: it is no text in UTF-8 (byte {error.start:,})") from error
    try:
        return text, json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return text, None


def parse(kind: type[T], data: Any, where: object) -> T:
    """Parse values of JSON or YAML (lists, mappings, scalars) into a model. Raises UserError as `parse_json`."""
    return parse_json(kind, json.dumps(data), where)


def dump(model: Any) -> dict[str, Any]:
    """Return a model as JSON values."""
    kind: Any = type(model)
    values: dict[str, Any] = _adapter(kind).dump_python(model, mode="json")
    return values


def fault_line(error: ValidationError, kind: type) -> str:
    """Return the first fault, and how many more there are: `row 1: guide must be 'T' or 'R', not 'X'`."""
    faults = error.errors(include_url=False, include_context=True)
    first, more = faults[0], len(faults) - 1
    rest = f" (and {more} more fault{'s' if more > 1 else ''})" if more else ""
    return f"{_fault(first['type'], first['loc'], first['msg'], first['input'], kind)}{rest}"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _fault(name: str, location: Sequence[str | int], message: str, value: Any, kind: type) -> str:
    if name == "json_invalid":
        return printable(f"cannot be read as JSON: {message.removeprefix('Invalid JSON: ')}")
    if name in ("extra_forbidden", "unexpected_keyword_argument"):
        *above, field = location
        hint = did_you_mean(str(field)[:MOST_OF_A_PATH], _fields(kind, above))
        return f"{_path(above, ': ')}no field {quoted(field)}{hint}"
    if name in ("missing", "missing_argument"):
        return f"{_path(location[:-1], ': ')}{quoted(location[-1])} is missing"
    if location and location[-1] == "[key]":
        location = (*location[:-2], "a key")
    if name in ("value_error", "assertion_error"):
        return f"{_path(location, ' ')}{message.partition(', ')[2]}"
    long = isinstance(value, Mapping | list) and len(value) > 3
    shown = "" if long or ", not " in message else f", not {quoted(value)}"
    text = re.sub(r"^(Input|Dictionary|List|Tuple|String) should", "must", message)
    for theirs, ours in WORDS.items():
        text = text.replace(theirs, ours)
    return f"{_path(location, ' ') or 'it '}{text}{shown}"


def _path(location: Sequence[str | int], end: str) -> str:
    """Format a location, followed by `end`: `row 1: guide` for ("rows", 0, "guide"), else `overrides.mtss`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path = f"{path.removesuffix('s')} {part + 1}"
        else:
            path += f"{': ' if path[-1:].isdigit() else '.' if path else ''}{printable(part)}"
    if len(path) > MOST_OF_A_PATH:
        path = f"{path[:MOST_OF_A_PATH]}..."
    return path + end if path else ""


def _fields(kind: Any, location: Sequence[str | int]) -> list[str]:
    """Return the fields of the model at a location in another; none where it has no model."""
    for part in location:
        models = [kind, *get_args(kind)]
        matching = next((hint for model in models for name, hint in _hints(model).items() if name == part), None)
        kind = matching if matching is not None else get_args(kind)[-1 if isinstance(part, str) else 0]
    for model in (kind, *get_args(kind)):
        if names := list(_hints(model)):
            return names
    return []


def _hints(kind: Any) -> dict[str, Any]:
    if not (dataclasses.is_dataclass(kind) or hasattr(kind, "model_fields")):
        return {}
    return {name: hint for name, hint in get_type_hints(kind).items() if name not in ("model_config",)}
