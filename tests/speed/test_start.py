"""How soon a command is there: its help, and the second call of a suite that is finished."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark import run
from benchmark.__main__ import COMMANDS
from tests.pipeline.test_pipeline import ROOT, configure
from tests.speed.rows import give_row

Called = Callable[[], None]


def called(*arguments: str) -> Called:
    def call() -> None:
        subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)

    return call


@pytest.mark.parametrize("module", ["benchmark", *(f"benchmark.{command}" for command in COMMANDS)])
def test_help_within_three_tenths_of_a_second(benchmark: BenchmarkFixture, module: str) -> None:
    benchmark.pedantic(called(module, "--help"), rounds=5, warmup_rounds=1)
    give_row(benchmark, "start", f"`python -m {module} --help`", None, benchmark.stats["min"], "the fastest of 5")
    assert benchmark.stats["min"] < 0.3


def test_a_finished_suite_within_three_seconds(
    benchmark: BenchmarkFixture, tmp_path: Path, make_faces: Callable[..., Path]
) -> None:
    arguments = [*configure(tmp_path), "--data", f"rendered:{make_faces(identities=5)}", "--out", str(tmp_path / "out")]
    suite = yaml.safe_load((tmp_path / "dummies.yaml").read_text())
    row = {**suite["rows"][0], "method": "stargan"}
    (tmp_path / "dummies.yaml").write_text(yaml.safe_dump({**suite, "rows": [row]}))
    profile = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**profile, "width": 0.125, "overrides": {}}))
    assert run.main(arguments) == 0
    benchmark.pedantic(called("benchmark.run", *arguments), rounds=5, warmup_rounds=1)
    give_row(benchmark, "start", "a finished suite, called again", None, benchmark.stats["max"], "the slowest of 5")
    assert benchmark.stats["max"] < 3
