"""The folders of `benchmark/`: imports run one way, in no circle, and every folder says what it is for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "core",
    "protocol", "settings", "published", "interface",
    "config", "rendering", "data", "training", "metrics", "statistics", "report", "stages",
    "importing", "pipeline", "storing", "tuning", "external", "checkup", "editing", "gate",
    "commands",
)  # fmt: skip
"""From the bottom up; the second line is what the writer of a method imports; `commands` are all other modules."""
FOR_METHODS = {"core", "protocol", "settings", "published", "interface"}
MOST_ROOMS = 20
LAZY = re.compile(r"benchmark(\.\w+)+(?=:\w+$)")
"""An import by a string, `benchmark.data.rafd:RaFD`."""


def module_name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def modules(root: Path) -> dict[str, Path]:
    packages = ("benchmark", "baselines", "models")
    return {module_name(path, root): path for package in packages for path in sorted((root / package).rglob("*.py"))}


def imports(name: str, path: Path, known: set[str]) -> Iterator[str]:
    """The modules of ours that one names: at its top, in functions, for types, and as strings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        named: list[str] = []
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            named = [f"{module}.{alias.name}" if f"{module}.{alias.name}" in known else module for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and LAZY.match(node.value):
            named = [node.value.partition(":")[0]]
        yield from (other for other in named if other in known and other != name)


def room(name: str) -> str:
    top, *rest = name.split(".")
    if top != "benchmark":
        return top
    return rest[0] if rest and rest[0] in ROOMS else "commands"


def may_import(mine: str, other: str) -> bool:
    if mine in ("baselines", "models"):
        return other in {*FOR_METHODS, "baselines", mine}
    return other in ROOMS and ROOMS.index(other) <= ROOMS.index(mine)


def faults(root: Path) -> list[str]:
    """Imports against the order of the rooms. `benchmark/__init__.py` is everyone's: it names lazily what it offers."""
    paths = modules(root)
    return [
        f"{name} ({room(name)}) imports {other} ({room(other)})"
        for name, path in paths.items()
        if name != "benchmark"
        for other in imports(name, path, set(paths))
        if other != "benchmark" and not may_import(room(name), room(other))
    ]


def circles(root: Path) -> TopologicalSorter[str]:
    paths = modules(root)
    graph = {name: set(imports(name, path, set(paths))) - {"benchmark"} for name, path in paths.items()}
    return TopologicalSorter({name: others for name, others in graph.items() if name != "benchmark"})


def test_imports_run_from_later_rooms_to_earlier_ones() -> None:
    assert faults(ROOT) == []


def test_modules_import_each_other_in_no_circle() -> None:
    circles(ROOT).prepare()  # raises CycleError, which names it


def test_every_folder_of_code_is_a_room_and_says_what_it_is_for() -> None:
    folders = {path.name for path in (ROOT / "benchmark").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= set(ROOMS)
    assert len(folders) <= MOST_ROOMS
    for path in (ROOT / "benchmark").rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert re.match(r"[A-Z`].*\.", text.partition("\n")[0]), f"{path}: the first line is a sentence"


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ({"core/a.py": "import benchmark.report.b", "report/b.py": ""}, "core.a (core) imports benchmark.report.b"),
        (
            {"data/a.py": "def f():\n from benchmark.stages import b", "stages/b.py": ""},
            "imports benchmark.stages.b",
        ),
        ({"data/a.py": "X = 'benchmark.stages.b:B'", "stages/b.py": ""}, "imports benchmark.stages.b (stages)"),
        ({"core/a.py": "from benchmark.run import main", "run.py": ""}, "imports benchmark.run (commands)"),
    ],
)
def test_an_import_against_the_order_is_seen(tmp_path: Path, files: dict[str, str], wrong: str) -> None:
    for name, text in files.items():
        path = tmp_path / "benchmark" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (fault,) = faults(tmp_path)
    assert wrong in fault
