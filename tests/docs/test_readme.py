"""The README's promises: its commands parse, its files are there, and its example of a method is a method."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from benchmark.__main__ import COMMANDS
from benchmark.data.faceset import FaceSet
from benchmark.report.results import load_results
from tests.pipeline.test_pipeline import configure, report_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"python -m (benchmark\.\w+)([^`\n]*)")


def block(language: str) -> str:
    """The one fenced block in that language."""
    (actual,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(actual)


def test_the_example_of_a_method_runs_and_learns(tmp_path: Path, make_faces: Callable[..., Path]) -> None:
    (tmp_path / "meanface.py").write_text(block("python"), encoding="utf-8")
    table1 = (ROOT / "benchmark/config/suites/table1.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(table1 + block("yaml"), encoding="utf-8")
    profile = configure(tmp_path)[3]
    faces = make_faces(identities=5)
    command = [sys.executable, "-m", "benchmark.run", "--suite", "mine.yaml", "--methods", "meanface:MeanFace"]
    command += ["--profile", profile, "--data", f"rendered:{faces}", "--threads", "1", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runs = tmp_path / "runs"
    (row,) = load_results(report_of(runs) / "results.json").rows
    assert row.label == "Mean face (T)"
    # Whether a reader trained for a moment reads any change is chance.
    assert {key for key, value in row.seeds[0].metrics.items() if value is None} <= {"gain"}

    (weights,) = runs.glob("train/*/weights.safetensors")
    means = load_file(weights)["model.means"]
    (folder,) = (path.parent for path in runs.glob("faces/*/manifest.json"))
    loaded = FaceSet.load(folder)
    rows = loaded.rows("F&P", "train")
    true = loaded.images[rows].mean((0, 1, 2)) / 127.5 - 1
    before = np.abs(true).mean()  # it starts at zero
    assert np.abs(means.mean((0, 2, 3)) - true).mean() < 0.9 * before


@pytest.mark.parametrize(("name", "arguments"), [match.groups() for match in COMMAND.finditer(README)])
def test_every_command_is_one_and_takes_its_options(name: str, arguments: str) -> None:
    assert name.removeprefix("benchmark.") in COMMANDS
    options = {word for word in shlex.split(arguments) if word.startswith("--")}
    module = importlib.import_module(name)
    known = module.parser().format_help()
    assert all(option in known for option in options)


def test_every_command_is_in_the_readme() -> None:
    named = {match[1].removeprefix("benchmark.") for match in COMMAND.finditer(README)}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"[^\\]\]\(([^)#:]+)\)", README))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
