"""What all commands share: instant help, one-line errors, the list."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_list_is_complete() -> None:
    answer = call("benchmark")
    assert answer.returncode == 0
    modules = {path.stem for path in (ROOT / "benchmark").glob("*.py") if "def main(argv" in path.read_text()}
    assert modules == set(COMMANDS)
    assert all(f"python -m benchmark.{name}" in answer.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_instant_and_has_examples(command: str) -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        answer = call(f"benchmark.{command}", "--help")
        times.append(time.perf_counter() - start)
    assert answer.returncode == 0
    assert f"python -m benchmark.{command} " in answer.stdout.split("examples:")[1]
    assert min(times) < 0.5


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        f"import sys, benchmark.{command} as c\n"
        "try: c.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'mlflow', 'matplotlib', 'timm', 'anny', 'mitsuba', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_one_line_with_the_nearest(command: str) -> None:
    required = {
        "run": ["--suite", "table1"],
        "ablate": [],
        "edits": ["--suite", "table1", "--out", "c"],
        "score": ["--real", "a", "--fake", "b"],
        "import_checkpoint": ["--method", "hisd", "--from", "a", "--out", "c"],
        "synthesize": ["--checkpoint", "a", "--source", "b", "--target", "all", "--out", "c"],
        "render": ["--out", "c"],
    }[command]
    option = {
        "run": "--profil",
        "ablate": "--profil",
        "edits": "--profil",
        "score": "--jsn",
        "import_checkpoint": "--siez",
        "synthesize": "--tagret",
        "render": "--identites",
    }[command]
    answer = call(f"benchmark.{command}", *required, option, "1")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert f"unknown argument '{option}'; did you mean '--" in answer.stderr
