"""Digests of the code behind every version number: whoever changes the one decides about the other.

`versions.json` has, for each method, stage, metric and data set, its version and a digest of the source that decides
what it computes. `tests/core/test_versions.py` fails where the two differ from the code. After a change:

    python -m tests.versions                            what changed since the list was written
    python -m tests.versions --renew                    write it again, if every changed thing has another version
    python -m tests.versions --renew --same train mtss  the same; these have another source and the same results

The source of a thing is its class (or object), and every function, class and constant of this repository that it
names, directly or through others. Things with a version of their own are left out where others name them, and so is
what decides no content: `SKIPPED`. Docstrings, comments, formatting, messages of errors, imports and the modules that
definitions stand in have no part in a digest, nor have the names of parameters and variables of functions.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmark.core.source_code import normal_form

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".json")
PACKAGES = {"benchmark", "baselines", "models"}
SKIPPED = (
    "benchmark.core",
    "benchmark.config",
    "benchmark.stages.base",
    "benchmark.stages.rates",
    "benchmark.training.contract",
    "benchmark.training.registry",
)
"""Logging, the store and its bookkeeping; suites and profiles, whose values are in the keys; checks of methods."""

Symbol = tuple[str, str]
"""A module and a name that is defined at its top level."""


@dataclass(frozen=True)
class Versioned:
    """A thing with a version number, and where it is defined."""

    name: str
    version: int
    symbol: Symbol


def versioned() -> list[Versioned]:
    """Every stage, method, data set and metric."""
    from benchmark.data.registry import SOURCES
    from benchmark.metrics.registry import METRICS
    from benchmark.stages.base import Stage
    from benchmark.training.registry import METHODS, find_method

    for module in ("benchmark.pipeline.plan", "benchmark.external.stage", "benchmark.gate.plans"):
        importlib.import_module(module)
    things = [
        Versioned(f"stage {cls.kind}", cls.version, (cls.__module__, cls.__name__))
        for cls in _subclasses(Stage)
        if "kind" in vars(cls) and cls.__module__.partition(".")[0] in PACKAGES
    ]
    for name in METHODS:
        method = find_method(name)
        things.append(Versioned(f"method {name}", method.version, (method.__module__, method.__name__)))
    for name, path in SOURCES.items():
        module, _, attribute = path.partition(":")
        source = getattr(importlib.import_module(module), attribute)
        things.append(Versioned(f"data set {name}", source.version, (source.__module__, attribute)))
    registry = _module("benchmark.metrics.registry")
    objects = {id(getattr(importlib.import_module(at), name)): (at, name) for at, name in registry.imports.values()}
    things += [Versioned(f"metric {metric.key}", metric.version, objects[id(metric)]) for metric in METRICS]
    return sorted(things, key=lambda thing: thing.name)


def _subclasses(cls: type) -> Iterator[type]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


# ------------------------------------------------------------------------------------------------ the source of a thing
def digests(things: Sequence[Versioned]) -> dict[str, str]:
    """The digest of each thing's source."""
    own = {thing.symbol for thing in things}
    return {thing.name: _digest(reached(thing.symbol, own)) for thing in things}


def reached(root: Symbol, stops: set[Symbol]) -> set[Symbol]:
    """What `root` names, directly or through others, itself included; not `stops`."""
    actual, queue = {root}, [root]
    while queue:
        for symbol in _named(*queue.pop()) - actual - stops:
            actual.add(symbol)
            queue.append(symbol)
    return actual


def _digest(symbols: set[Symbol]) -> str:
    return hashlib.sha256("\n".join(sorted(_form(*symbol) for symbol in symbols)).encode()).hexdigest()[:16]


@cache
def _form(module: str, name: str) -> str:
    return repr([normal_form(_Renamed().visit(_without_words(node))) for node in _module(module).defined[name]])


class _Renamed(ast.NodeTransformer):
    """Numbers the parameters and variables of functions."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        numbers = {name: f"{index}" for index, name in enumerate(_locals(node))}
        for inner in ast.walk(node):
            if isinstance(inner, ast.arg):
                inner.arg = numbers.get(inner.arg, inner.arg)
            elif isinstance(inner, ast.Name):
                inner.id = numbers.get(inner.id, inner.id)
        return node


@dataclass
class _Module:
    """Top-level definitions of a module by name, and what its imports bind: a module and a name in it ("": itself)."""

    defined: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Symbol] = field(default_factory=dict)


@cache
def _path(module: str) -> Path | None:
    """The file of a module of this repository; None for any other."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


@cache
def _module(name: str) -> _Module:
    path = _path(name)
    assert path is not None
    tree, module = ast.parse(path.read_bytes()), _Module()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module.imports[alias.asname or alias.name.partition(".")[0]] = (alias.name, "")
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} has a relative import"
            for alias in node.names:
                module.imports[alias.asname or alias.name] = (node.module or "", alias.name)
    for statement in _statements(tree.body):
        for bound in _bound(statement):
            module.defined.setdefault(bound, []).append(statement)
    return module


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements; those within `if` and `try` count as such."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try)):
            yield from _statements([*statement.body, *statement.orelse])


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement defines; "" for one that runs on import, which all of its module depends on."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        return {
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
    words = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return {""} if isinstance(statement, (ast.Expr, ast.For, ast.With)) and not words else set()


@cache
def _named(module: str, name: str) -> set[Symbol]:
    """The definitions that one names."""
    symbols: set[Symbol] = set()
    for statement in _module(module).defined[name]:
        for used, attribute in _loads(_without_words(statement), frozenset()):
            symbols |= _resolved(module, used, attribute)
    if name and "" in _module(module).defined:
        symbols.add((module, ""))
    return symbols


def _loads(node: ast.AST, local: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Names that are read and not `local`, with the attribute that is read of them."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        local |= set(_locals(node))
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id not in local:
        yield node.value.id, node.attr
    elif isinstance(node, ast.Name) and _is_read(node) and node.id not in local:
        yield node.id, ""
    for child in ast.iter_child_nodes(node):
        yield from _loads(child, local)


def _locals(function: ast.AST) -> list[str]:
    """Parameters and variables of a function and of those in it, in the order of their first occurrence."""
    nodes = list(ast.walk(function))
    names = [node.arg for node in nodes if isinstance(node, ast.arg)]
    names += [node.id for node in nodes if isinstance(node, ast.Name) and not _is_read(node)]
    elsewhere = {name for node in nodes if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names}
    return [name for name in dict.fromkeys(names) if name not in elsewhere]


def _is_read(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _resolved(module: str, name: str, attribute: str = "") -> set[Symbol]:
    """The definition that a name of a module stands for, or its attribute if it stands for a module."""
    if name in _module(module).defined:
        return {(module, name)}
    origin, imported = _module(module).imports.get(name, ("", ""))
    if origin.startswith(SKIPPED):
        return set()
    submodule = f"{origin}.{imported}" if imported else origin
    if _path(submodule) is not None:  # a module; named alone it is another node of its attribute
        return _resolved(submodule, attribute) if attribute and not submodule.startswith(SKIPPED) else set()
    return _resolved(origin, imported) if imported and _path(origin) is not None else set()


class _WithoutWords(ast.NodeTransformer):
    """Takes away docstrings and what errors say."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        words = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if words else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise()


def _without_words(statement: ast.stmt) -> ast.stmt:
    stripped: ast.stmt = _WithoutWords().visit(copy.deepcopy(statement))
    return stripped


# ------------------------------------------------------------------------------------------------ the list
@dataclass(frozen=True)
class Difference:
    """What differs between the list and the code."""

    name: str
    listed: int | None
    version: int | None
    """Of the code; None where it has no such thing."""

    def __str__(self) -> str:
        if self.listed is None:
            return f"{self.name} is new"
        if self.version is None:
            return f"{self.name} is gone"
        if self.version != self.listed:
            return f"{self.name}: version {self.listed} became {self.version}"
        return f"{self.name}: its code changed and its version, {self.version}, did not"

    @property
    def undecided(self) -> bool:
        """Whether somebody has to say that its results stay the same."""
        return self.listed == self.version


def current() -> dict[str, dict[str, int | str]]:
    """The list as the code has it."""
    things = versioned()
    of_source = digests(things)
    return {thing.name: {"version": thing.version, "digest": of_source[thing.name]} for thing in things}


def differences(listed: dict[str, dict[str, int | str]], now: dict[str, dict[str, int | str]]) -> list[Difference]:
    """Where they differ, by name."""

    def version(things: dict[str, dict[str, int | str]], name: str) -> int | None:
        return int(things[name]["version"]) if name in things else None

    changed = sorted(name for name in listed.keys() | now.keys() if listed.get(name) != now.get(name))
    return [Difference(name, version(listed, name), version(now, name)) for name in changed]


def main(arguments: Sequence[str] | None = None) -> int:
    """Show or renew the list."""
    parser = argparse.ArgumentParser(prog="python -m tests.versions", description=__doc__.partition("\n")[0])
    parser.add_argument("--renew", action="store_true", help="write the list again")
    parser.add_argument(
        "--same", nargs="+", default=[], metavar="NAME", help="whose results stay the same: train, mtss ...; all"
    )
    options = parser.parse_args(arguments)
    listed = json.loads(LIST.read_text()) if LIST.exists() else {}
    now = current()
    changed = differences(listed, now)
    same = {each.name for each in changed if {"all", each.name, each.name.rpartition(" ")[2]} & set(options.same)}
    undecided = [each for each in changed if each.undecided and each.name not in same]
    for each in changed:
        print(f"{each}{'' if each not in undecided else ': raise it, or say --same, if its results stay the same'}")
    if options.renew and not undecided:
        LIST.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    elif options.renew:
        print("nothing was written")
    return 1 if undecided else 0


if __name__ == "__main__":
    sys.exit(main())
