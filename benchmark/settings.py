"""Settings of a method: frozen dataclasses in which every value has its source or the reason for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from benchmark.core.errors import UserError, did_you_mean, quoted

Origin = Literal["published", "chosen"]
S = TypeVar("S")
MOST = 100_000
"""Of a count (a batch, channels, layers), or 1,000 times its default where that is more."""


def published(value: Any, source: str) -> Any:
    """Dataclass field whose default is the published value; `source` is a section of the paper, the code, an issue."""
    return dataclasses.field(default=value, metadata={"origin": "published", "note": source})


def chosen(value: Any, reason: str) -> Any:
    """Dataclass field for what the publication leaves open or gets wrong; `reason` is why the default is this value."""
    return dataclasses.field(default=value, metadata={"origin": "chosen", "note": reason})


@dataclass(frozen=True)
class DocumentedSetting:
    """A setting as the report and the documentation print it."""

    name: str
    value: Any
    origin: Origin
    note: str


def documented(settings: Any) -> list[DocumentedSetting]:
    """Every field of a settings dataclass: of a class with its default, of an instance with its value."""
    rows = []
    for field in dataclasses.fields(settings):
        value = field.default if isinstance(settings, type) else getattr(settings, field.name)
        rows.append(DocumentedSetting(field.name, value, field.metadata["origin"], field.metadata["note"]))
    return rows


def make_settings(cls: type[S], overrides: Mapping[str, Any], where: str) -> S:
    """Make settings of class `cls` with `overrides` in place of its defaults.

    Raises UserError that begins with `where` for an unknown name, for a value of another type, and for a count
    that is too small (below 1, or below 0 where the default is 0) or beyond all reason (`MOST`).
    """
    hints = get_type_hints(cls)
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        if name not in hints:
            raise UserError(f"{where}: no setting {quoted(name)} in {cls.__name__}{did_you_mean(name, hints)}")
        values[name] = _checked(value, hints[name], f"{where}: {name}")
        default = defaults[name]
        if hints[name] is int and isinstance(default, int):
            least, most = min(default, 1), max(MOST, 1000 * default)
            if values[name] < least:
                raise UserError(f"{where}: {name} must be at least {least}, not {quoted(value)}")
            if values[name] > most:
                raise UserError(f"{where}: {name} must be at most {most:,}, not {quoted(value)}")
    return cls(**values)


def _checked(value: Any, kind: Any, where: str) -> Any:
    """Return `value` as type `kind`: an int may stand for a float, a list for a tuple. Raises UserError otherwise."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UserError(f"{where} must be one of {', '.join(map(repr, get_args(kind)))}, not {quoted(value)}")
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{where} must be a list, not {quoted(value)}")
        inner = get_args(kind)[0]
        return tuple(_checked(item, inner, where) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{where} must be of type {getattr(kind, '__name__', kind)}, not {quoted(value)}")
    return value
