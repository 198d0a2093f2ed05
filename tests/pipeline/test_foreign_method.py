"""A method from outside this repository: its code is part of its artifacts' keys."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmark import run
from tests.pipeline.test_pipeline import configure

SOURCE = """
from benchmark.interface import Method
from tests.dummy import Dummy, DummySettings
import my_helper

class Mine(Dummy):
    def edit(self, sources, target):
        return my_helper.shaded(super().edit(sources, target)){what}
"""
HELPER = "def shaded(images):\n    return images{what}\n"


@pytest.mark.usefixtures("block_features")
def test_the_same_command_makes_edits_of_an_edited_method_anew(
    tmp_path: Path, make_faces: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*configure(tmp_path), "--data", f"rendered:{make_faces(identities=5)}", "--out", str(tmp_path / "out")]
    row = {"id": "m-t", "label": "Mine (T)", "method": "my_method:Mine", "guide": "T", "data": "F"}
    (tmp_path / "dummies.yaml").write_text(yaml.safe_dump({"title": "Mine", "rows": [row]}))
    monkeypatch.syspath_prepend(tmp_path)

    def edits(method: str = "", helper: str = "") -> tuple[set[str], list[np.ndarray]]:
        """Folders of trainings, and the edits that this call made; both files are written and the suite is run."""
        (tmp_path / "my_method.py").write_text(SOURCE.format(what=method))
        (tmp_path / "my_helper.py").write_text(HELPER.format(what=helper))
        for name in ("my_method", "my_helper"):
            sys.modules.pop(name, None)
        before = set((tmp_path / "out").glob("synth/*"))
        assert run.main(arguments) == 0
        result = set((tmp_path / "out").glob("synth/*")) - before
        trainings = {path.name for path in (tmp_path / "out").glob("train/*")}
        return trainings, [np.load(path / "edited.npy") for path in result]

    trainings, first = edits()
    assert len(trainings) == 1
    assert all(images.max() > 0 for images in first)
    assert edits(method="  # nothing but a comment") == (trainings, [])
    for change in ({"method": " * 0 - 1"}, {"helper": " * 0 - 1"}):
        trainings_now, black = edits(**change)
        assert len(trainings_now - trainings) == 1
        assert black
        assert all(images.max() == 0 for images in black)
        trainings = trainings_now
    assert edits()[1] == []  # the first ones again
