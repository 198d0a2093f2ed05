"""Digests of source code, found by reading imports and never by importing; errors of foreign code in one line.

An artifact's key has the digest of a method from outside this repository in it, so that an edited method is trained
and edits anew. Comments and formatting have no part in a digest.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import site
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

HARNESS = "benchmark"
"""The harness, which is left out of a method's digest: stages have versions of their own."""
HARNESS_FOLDER = Path(__file__).parents[1]
DATA = {".json", ".toml", ".yaml", ".yml", ".csv", ".txt", ".so", ".pyd"}
"""Suffixes of files in a method's own package that its behaviour may depend on, beside its modules."""
PROJECT = ("benchmark", "baselines", "models")
"""Packages of this project that decide results."""
IMPORTERS = {"import_module", "__import__"}


def source_digest(module: str) -> str:
    """Return the SHA-256 of the source of `module`, of its package, and of their imports except installed libraries.

    Its package is the folder with an `__init__.py` that holds it, data files included. Raises ModuleNotFoundError where
    there is no such module, OSError where it is not a readable file.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_files(module).items()):
        digest.update(f"{name}|{_file_digest(path)}\n".encode())
    return digest.hexdigest()


def error_line(error: BaseException) -> str:
    """Return an exception of a user's code in one line: type, message, and the last line of that code it passed."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".removesuffix(": ")
    if isinstance(error, SyntaxError):
        return text  # its message has the place
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if not (in_library(frame.filename) or Path(frame.filename).is_relative_to(HARNESS_FOLDER))
    ]
    where = (theirs or frames)[-1:]
    return f"{text} (in {where[0].filename}, line {where[0].lineno})" if where else text


def normal_form(node: object) -> object:
    """Return an abstract syntax tree as nested tuples, the same in every version of Python.

    Sources that differ only in comments and formatting have equal tuples.
    """
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields if name not in {"ctx", "kind"})
        return (type(node).__name__, *((name, normal_form(value)) for name, value in fields if value not in (None, [])))
    return tuple(map(normal_form, node)) if isinstance(node, list) else node


def imported_names(tree: ast.AST, module: str, is_package: bool) -> set[str]:
    """Return the absolute names that a module may import, anywhere in it.

    A name imported from a module may itself be a module.
    """
    package = module if is_package else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            if node.level:
                if node.level > len(package.split(".")) or not package:
                    continue  # Python refuses it too
                origin = resolve_name(origin, package)
            names |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and isinstance(first := next(iter(node.args), None), ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in IMPORTERS and isinstance(first.value, str) and not first.value.startswith("."):
                names.add(first.value)
    return names


# -------------------------------------------------------------------------------------------- which files
def _files(module: str) -> dict[str, Path]:
    """Return the files of a module by names that do not depend on their location."""
    importlib.invalidate_caches()  # a file may have been written a moment ago
    files: dict[str, Path] = {}
    specs = list(_chain(module))
    if len(specs) < len(names := module.split(".")):
        raise ModuleNotFoundError(f"No module named '{'.'.join(names[: len(specs) + 1])}'")
    if not specs[-1].has_location and specs[-1].submodule_search_locations is None:
        raise OSError(f"module '{module}' is not a file")
    package = next((spec for spec in reversed(specs) if _is_package(spec)), None)
    if package is not None:
        files |= dict(_folder_files(package))
    installed = _distribution(specs[0])
    queue, seen = [module, *(name for name, path in files.items() if path.suffix == ".py")], set[str]()
    while queue:
        for spec in _chain(queue.pop()):
            if spec.name in seen:
                continue
            seen.add(spec.name)
            top = spec.name.partition(".")[0]
            if top == HARNESS or (_is_installed(spec) and top not in installed):
                break
            if spec.origin is None or not spec.has_location:
                continue  # a folder without `__init__.py`
            files[spec.name] = Path(spec.origin)
            if files[spec.name].suffix == ".py":
                queue += imported_names(_parsed(files[spec.name]), spec.name, _is_package(spec))
    return files


def _chain(module: str) -> Iterator[ModuleSpec]:
    """Yield the specs of a module's packages and of the module, as far as they exist. Nothing is imported."""
    name, *rest = module.split(".")
    try:
        spec = find_spec(name) if name else None
    except ValueError:  # `__main__`
        spec = None
    while spec is not None:
        yield spec
        if not rest or spec.submodule_search_locations is None:
            return
        name = f"{name}.{rest.pop(0)}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))


def _is_package(spec: ModuleSpec) -> bool:
    return spec.submodule_search_locations is not None and spec.origin is not None


def _folder_files(package: ModuleSpec) -> Iterator[tuple[str, Path]]:
    """Yield modules and data files in the folder of a package, by name."""
    assert package.origin is not None
    folder = Path(package.origin).parent
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix in {".py", *DATA} and path.is_file() and not any(part.startswith(".") for part in inside.parts):
            parts = inside.with_suffix("").parts if path.suffix == ".py" else inside.parts
            yield ".".join((package.name, *(part for part in parts if part != "__init__"))), path


def _is_installed(spec: ModuleSpec) -> bool:
    """Return whether a module is one of Python's own, or lies where packages are installed."""
    if spec.origin in {"built-in", "frozen"}:
        return True
    return any(map(in_library, [spec.origin] if spec.origin else spec.submodule_search_locations or ()))


def in_library(path: str) -> bool:
    """Return whether a file is one of Python's own, or lies where packages are installed."""
    paths = sysconfig.get_paths()
    folders = {paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], site.getusersitepackages()}
    return path.startswith("<frozen ") or any(Path(path).is_relative_to(folder) for folder in folders)


def _distribution(top: ModuleSpec) -> set[str]:
    """Return the top-level modules of the installed distribution of `top`; empty where it is not installed."""
    if not _is_installed(top):
        return set()
    owners = packages_distributions()
    own = set(owners.get(top.name, ()))
    return {top.name, *(name for name, distributions in owners.items() if own & set(distributions))}


# -------------------------------------------------------------------------------------------- their digests
def _parsed(path: Path) -> ast.AST:
    """Return a module's syntax tree; an empty one where it does not parse, which its import reports."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _file_digest(path: Path) -> str:
    content: Any = path.read_bytes()
    if path.suffix == ".py":
        with suppress(SyntaxError, ValueError, RecursionError):  # its bytes then
            content = repr(normal_form(ast.parse(content))).encode()
    return hashlib.sha256(content).hexdigest()


# -------------------------------------------------------------------------------------------- this project's own code
def project_digest(packages: Sequence[str] = PROJECT) -> str:
    """Return the SHA-256 of the modules of this project, without comments, docstrings and formatting."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((HARNESS_FOLDER.parent / package).rglob("*.py")):
            tree = _Wordless().visit(_parsed(path))
            digest.update(f"{path.relative_to(HARNESS_FOLDER.parent).as_posix()}|{normal_form(tree)!r}\n".encode())
    return digest.hexdigest()


class _Wordless(ast.NodeTransformer):
    """Removes docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node
