"""What all commands share: instant help, one-line errors, the list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch", "torchvision", "timm", "lightning_fabric", "pandas", "numpy", "scipy", "skimage", "mlflow", "matplotlib",
    "PIL", "rich", "anny", "mitsuba", "pydantic", "yaml",
}  # fmt: skip


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_list_is_complete() -> None:
    answer = call("benchmark")
    assert answer.returncode == 0
    modules = {path.stem for path in (ROOT / "benchmark").glob("*.py") if "def main(argv" in path.read_text()}
    assert modules == set(COMMANDS)
    assert all(f"python -m benchmark.{name}" in answer.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str) -> None:
    answer = call(f"benchmark.{command}", "--help")
    assert answer.returncode == 0
    assert f"python -m benchmark.{command} " in answer.stdout.split("examples:")[1]


@pytest.mark.parametrize("module", ["benchmark", *(f"benchmark.{command}" for command in COMMANDS)])
def test_help_imports_nothing_heavy(module: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert "benchmark" in imported or module == "benchmark"
    assert not HEAVY & imported


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_one_line_with_the_nearest(command: str) -> None:
    required = {
        "prepare": ["--data", "rendered"],
        "run": ["--suite", "table1"],
        "ablate": [],
        "train": [],
        "ui": [],
        "demo": [],
        "tune": [],
        "reference": [],
        "edits": ["--suite", "table1", "--out", "c"],
        "score": ["--real", "a", "--fake", "b"],
        "import_checkpoint": ["--method", "hisd", "--from", "a", "--out", "c"],
        "synthesize": ["--checkpoint", "a", "--source", "b", "--target", "all", "--out", "c"],
        "render": ["--out", "c"],
        "compare": ["a", "b"],
        "regress": ["--against", "a.json"],
        "verify": ["a"],
        "page": ["a.json"],
    }[command]
    option = {
        "prepare": "--profil",
        "run": "--profil",
        "ablate": "--profil",
        "train": "--profil",
        "ui": "--prot",
        "demo": "--prot",
        "tune": "--profil",
        "reference": "--profil",
        "edits": "--profil",
        "score": "--jsn",
        "import_checkpoint": "--siez",
        "synthesize": "--tagret",
        "render": "--identites",
        "page": "--metrc",
        "compare": "--metrc",
        "regress": "--margn",
        "verify": "--quik",
    }[command]
    answer = call(f"benchmark.{command}", *required, option, "1")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert f"unknown argument '{option}'; did you mean '--" in answer.stderr
