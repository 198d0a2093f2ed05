"""Importing one method imports no other."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmark.training.registry import METHODS

BUILT_ON = {"mtss": "hisd", "efgan": "ganimation"}
"""MTSS is HiSD with parts added, and EF-GAN's branches are GANimation generators."""


@pytest.mark.parametrize("name", METHODS)
def test_a_method_imports_no_other(name: str) -> None:
    modules = {other: path.split(":")[0] for other, path in METHODS.items()}
    foreign = [module for other, module in modules.items() if other not in (name, BUILT_ON.get(name))]
    code = f"import sys, {modules[name]}; print(*(m for m in {foreign} if m in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_an_import_of_another_would_be_seen() -> None:
    code = "import sys, models.mtss; print('baselines.hisd' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "True"
