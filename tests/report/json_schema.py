"""A validator of the part of JSON Schema that results.schema.json uses. An unknown keyword is an error, not a pass."""

from __future__ import annotations

import re
from typing import Any

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip
SILENT = {"$schema", "title", "description", "$defs", "properties", "minimum", "maximum"}


def errors(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "$") -> list[str]:
    """What is wrong with `value`, each with its place."""
    found: list[str] = []
    for keyword, wanted in schema.items():
        if keyword == "$ref":
            found += errors(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, where)
        elif keyword == "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            if not any(_is(value, kind) for kind in kinds):
                return [f"{where}: {value!r} is not of type {' or '.join(kinds)}"]
        elif keyword == "const":
            found += [f"{where}: {value!r} is not {wanted!r}"] if value != wanted else []
        elif keyword == "enum":
            found += [f"{where}: {value!r} is none of {wanted}"] if value not in wanted else []
        elif keyword == "pattern":
            found += [f"{where}: {value!r} does not match {wanted}"] if not re.search(wanted, value) else []
        elif keyword == "required":
            found += [f"{where}: '{name}' is missing" for name in wanted if name not in value]
        elif keyword == "items":
            found += [
                error for place, item in enumerate(value) for error in errors(item, wanted, root, f"{where}[{place}]")
            ]
        elif keyword == "propertyNames":
            found += [error for name in value for error in errors(name, wanted, root, f"{where} name")]
        elif keyword == "additionalProperties":
            found += _additional(value, schema, root, where)
        elif keyword == "anyOf":
            found += [f"{where}: fits none"] if all(errors(value, option, root, where) for option in wanted) else []
        elif keyword not in SILENT:
            raise NotImplementedError(keyword)
    if isinstance(value, dict):
        for name, rule in schema.get("properties", {}).items():
            found += errors(value[name], rule, root, f"{where}.{name}") if name in value else []
    if _is(value, "number"):
        found += [f"{where}: {value} is too small"] if value < schema.get("minimum", value) else []
        found += [f"{where}: {value} is too large"] if value > schema.get("maximum", value) else []
    return found


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and not (isinstance(value, bool) and kind in ("integer", "number"))


def _additional(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str) -> list[str]:
    rule = schema["additionalProperties"]
    others = [name for name in value if name not in schema.get("properties", {})]
    if rule is False:
        return [f"{where}: '{name}' is not known" for name in others]
    return [error for name in others for error in errors(value[name], rule, root, f"{where}.{name}")]
