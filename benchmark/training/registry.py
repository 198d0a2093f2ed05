"""Methods by name. Nothing of a method is imported before it is asked for.

A method of another package is found through the entry point group `fesbench.methods`:

    [project.entry-points."fesbench.methods"]
    mymethod = "mypackage.module:MyMethod"

A suite may also name one that is not installed at all by its import path, `mypackage.module:MyMethod`.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from benchmark.core.errors import UserError, unknown
from benchmark.core.source_code import error_line, source_digest

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
_loaded: dict[str, str] = {}
"""Digests of the modules that this process has imported, as they were then."""


def known_methods() -> dict[str, str]:
    """Name to `module:Class` of this repository's methods and those of installed packages; this repository's win."""
    return {entry.name: entry.value for entry in entry_points(group=GROUP)} | METHODS


def is_known(name: str) -> bool:
    """Whether `find_method` would look for it: a registered name, or an import path."""
    return ":" in name or name in known_methods()


def find_method(name: str) -> type[Method]:
    """The class called `name`. Raises UserError for an unknown name, a failing import, a class that is no method."""
    from benchmark.interface import Method
    from benchmark.training.contract import check_class

    module, attribute = _import_path(name)
    if name not in METHODS and module not in sys.modules:
        _loaded.pop(module, None)
        code_digest(name)
    try:
        candidate = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"method '{name}'{_meaning(name)} does not import: {error}") from error
    except Exception as error:  # whatever the code of a module raises
        raise UserError(f"method '{name}'{_meaning(name)} does not import: {error_line(error)}") from error
    if not (isinstance(candidate, type) and issubclass(candidate, Method)):
        raise UserError(f"method '{name}'{_meaning(name)} is not a Method (benchmark.interface)")
    check_class(name, candidate)
    return candidate


def code_digest(name: str) -> str:
    """SHA-256 of the class name and source of a method from outside this repository; "" for one of this repository.

    Of a module that this process has imported, the source is that of the import. Raises UserError as `find_method`
    does, and where the source is not a file.
    """
    module, attribute = _import_path(name)
    if name in METHODS:
        return ""
    if module not in sys.modules or module not in _loaded:
        try:
            _loaded[module] = source_digest(module)
        except OSError as error:
            raise UserError(f"method '{name}'{_meaning(name)} has no source to take a digest of: {error}") from error
        except ModuleNotFoundError as error:
            raise UserError(f"method '{name}'{_meaning(name)} does not import: {error}") from error
    return hashlib.sha256(f"{attribute}|{_loaded[module]}".encode()).hexdigest()


def _import_path(name: str) -> tuple[str, str]:
    """Module and class of a method. Raises UserError for an unknown name and for what is no import path."""
    path = name if ":" in name else known_methods().get(name)
    if path is None:
        raise unknown("method", name, known_methods())
    module, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), attribute]):
        raise UserError(f"method '{name}'{_meaning(name)} is no import path: write \"package.module:Class\"")
    return module, attribute


def _meaning(name: str) -> str:
    return "" if ":" in name else f", which is {known_methods()[name]},"
