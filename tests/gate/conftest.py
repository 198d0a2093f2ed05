"""What tests of the gate share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copied_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of two packages, which the project's digest is taken of."""
    for package in ("benchmark/metrics", "baselines/layers"):
        shutil.copytree(ROOT / package, tmp_path / package)
    monkeypatch.setattr("benchmark.core.source_code.HARNESS_FOLDER", tmp_path / "benchmark")
    return tmp_path
