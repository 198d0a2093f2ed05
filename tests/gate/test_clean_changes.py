"""Clean changes: code written otherwise that computes the same. Keys differ, and the probes pass."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.core.source_code import project_digest

ROOT = Path(__file__).parents[2]
STORED = ROOT / "results" / "reference" / "smoke.json"
PACKAGES = ("benchmark", "baselines", "models")
REWRITTEN = (
    "baselines/layers", "baselines/hisd", "baselines/ganimation", "baselines/efgan", "baselines/stargan.py", "models",
    "benchmark/data", "benchmark/editing", "benchmark/gate", "benchmark/metrics", "benchmark/stages",
    "benchmark/training",
)  # fmt: skip


class Rewriting(ast.NodeTransformer):
    """Renames every local variable of functions, and turns `a if c else b` round."""

    def __init__(self) -> None:
        self.count = 0
        self._names: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Rename in outermost functions alone, so that what an inner one shares has one name."""
        if self._names:
            return self.generic_visit(node)
        inside = list(ast.walk(node))
        assigned = {each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        given = {each.arg for each in inside if isinstance(each, ast.arg)}
        shared = {name for each in inside if isinstance(each, ast.Global | ast.Nonlocal) for name in each.names}
        imported = {
            (each.asname or each.name).partition(".")[0] for each in inside if isinstance(each, ast.alias)
        }  # fmt: skip
        fields = {
            each.target.id
            for kind in inside
            if isinstance(kind, ast.ClassDef)
            for each in kind.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        }
        caught = {each.name for each in inside if isinstance(each, ast.ExceptHandler | ast.MatchAs)}
        self._names = assigned - given - shared - imported - fields - caught - {"_"}
        result = self.generic_visit(node)
        self._names = set()
        return result

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Another name of a local variable."""
        if node.id not in self._names:
            return node
        self.count += 1
        return ast.copy_location(ast.Name(f"{node.id}_renamed", node.ctx), node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """b if not c else a."""
        self.generic_visit(node)
        self.count += 1
        return ast.copy_location(ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.orelse, node.body), node)


def rewrite(path: Path) -> int:
    """Rewrite a module, without its comments and in another format; returns how much was changed."""
    rewriting = Rewriting()
    tree = rewriting.visit(ast.parse(path.read_text(encoding="utf-8")))
    path.write_text(ast.unparse(ast.fix_missing_locations(tree)) + "\n", encoding="utf-8")
    return rewriting.count


def copied(folder: Path) -> Path:
    """This project's code and what it reads."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "results" / "paper", folder / "results" / "paper")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_names_of_variables_move_the_digest(copied_code: Path) -> None:
    before = project_digest()
    path = copied_code / "benchmark/metrics/frechet.py"
    path.write_text(ast.unparse(ast.parse(path.read_text())))
    assert project_digest() == before
    assert rewrite(path) > 5
    assert project_digest() != before


@pytest.mark.gate
def test_code_that_is_written_otherwise_passes_the_probes(tmp_path: Path) -> None:
    """Each rewritten module is a clean change; all are made at once, and held to the stored probes."""
    project = copied(tmp_path / "project")
    paths = [
        path
        for name in REWRITTEN
        for path in ([project / name] if name.endswith(".py") else sorted((project / name).rglob("*.py")))
    ]
    changes = {path: rewrite(path) for path in paths}
    assert sum(count > 0 for count in changes.values()) > 50
    reference = {**json.loads(STORED.read_text(encoding="utf-8")), "runs": {}}
    (project / "probes.json").write_text(json.dumps(reference))
    shutil.copytree(STORED.with_suffix(""), project / "probes")
    command = [sys.executable, "-m", "benchmark.regress", "--against", "probes.json", "--quiet"]
    done = subprocess.run(
        [*command, "--json", "found.json", "--jobs", "1"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads((project / "found.json").read_text())
    verdicts = {level["level"]: level["verdict"] for level in found["levels"]}
    assert verdicts == {"keys": "different", "losses": "pass", "scores": "pass"}
