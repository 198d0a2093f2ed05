"""Data sets by name: what `--data` accepts.

A new data set is one file with a `DataSource` and one line in `SOURCES`.
"""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path

from benchmark.core.errors import UserError, unknown
from benchmark.data.source import DataSource, NotThisDataSetError

SOURCES: dict[str, str] = {
    "rafd": "benchmark.data.rafd:RaFD",
    "cfee": "benchmark.data.cfee:CFEE",
    "folder": "benchmark.data.folder:Folder",
    "rendered": "benchmark.data.rendered_set:Rendered",
}


def open_source(spec: str, cache: Path) -> DataSource:
    """Open the source of a `--data` text.

    Examples: `rendered`, `rafd:DIR`, `rafd:DIR,leave-out=kid`. cache: a folder for content hashes.
    """
    name, colon, rest = spec.partition(":")
    if name not in SOURCES:
        raise unknown("data set", name, SOURCES)
    # A folder's own name may look as if options followed it.
    folder, *options = [rest] if rest and os.path.isdir(rest) else _OPTION.split(rest)  # noqa: PTH112 - never raises
    if colon and not folder:
        raise UserError(f"--data {spec}: a folder must follow the colon")
    chosen: dict[str, str] = {}
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option in chosen:
            raise UserError(f"--data {spec}: {option} is there twice")
        if not value:
            raise UserError(f"--data {spec}: a value must follow {option}=")
        chosen[option] = value
    try:
        path = Path(folder).expanduser() if folder else None
        if path is not None:
            path.is_dir()
    except PermissionError as error:
        raise UserError(f"--data {spec}: cannot be read ({error.strerror}): check its permissions") from error
    except (RuntimeError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--data {name}: '{folder[:80]}' is no folder's name ({reason})") from error
    source = source_class(name)(path, cache, chosen)
    if path is not None:
        try:
            source.files()
        except NotThisDataSetError as error:
            title, other = held_by(path, but=name)
            if not other:
                raise
            raise UserError(f"{error.holds} {title}{error.rather}: --data {other}:{path}") from None
    return source


_OPTION = re.compile(r",([a-z-]+)=")
"""Separates the folder from its options."""


def source_class(name: str) -> type[DataSource]:
    """Return the class behind a name of `SOURCES`."""
    module, _, attribute = SOURCES[name].partition(":")
    kind: type[DataSource] = getattr(importlib.import_module(module), attribute)
    return kind


def held_by(folder: Path, but: str) -> tuple[str, str]:
    """Return title and name of the data set that a folder's file names match, other than `but`; "" for none."""
    for name in SOURCES:
        if name != but and (title := source_class(name).title_of(folder)):
            return title, name
    return "", ""
