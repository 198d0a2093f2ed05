"""Methods by name. Nothing of a method is imported before somebody asks for it.

A method of another package is found through the entry point group `fesbench.methods`:

    [project.entry-points."fesbench.methods"]
    mymethod = "mypackage.module:MyMethod"

A suite may also name one that is not installed at all by its import path, `mypackage.module:MyMethod`.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from benchmark.core.errors import UserError, unknown

if TYPE_CHECKING:
    from benchmark.interface import Method

GROUP = "fesbench.methods"

METHODS: dict[str, str] = {
    "stargan": "baselines.stargan:StarGAN",
    "ganimation": "baselines.ganimation:GANimation",
    "efgan": "baselines.efgan:EFGAN",
    "hisd": "baselines.hisd:HiSD",
    "mtss": "models.mtss:MTSS",
}


def known_methods() -> dict[str, str]:
    """Name to `module:Class`, ours and those of installed packages; ours win."""
    return {entry.name: entry.value for entry in entry_points(group=GROUP)} | METHODS


def is_known(name: str) -> bool:
    """Whether `find_method` would look for it: a registered name, or an import path."""
    return ":" in name or name in known_methods()


def find_method(name: str) -> type[Method]:
    """The class called `name`. Raises UserError for an unknown name or an import that fails."""
    from benchmark.interface import Method

    if not is_known(name):
        raise unknown("method", name, known_methods())
    path = name if ":" in name else known_methods()[name]
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"method '{name}'{_meaning(name, path)} does not import: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UserError(f"method '{name}'{_meaning(name, path)} is not a Method (benchmark.interface)")
    return found


def _meaning(name: str, path: str) -> str:
    return "" if name == path else f", which is {path},"
