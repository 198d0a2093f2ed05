"""`benchmark.train`: only trainings, until a time, and on from there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from benchmark import train
from benchmark.core.artifacts import MANIFEST, Manifest
from benchmark.core.errors import UserError
from benchmark.train import seconds_until
from tests.one_thread import one_thread  # noqa: F401 (fixture)

METHOD = "tests.dummy:Dummy"
NAMES = [f"train {METHOD} F seed {seed}" for seed in (0, 1)]


@pytest.fixture
def arguments(tmp_path: Path, make_faces: Callable[..., Path]) -> list[str]:
    """Two suites that share their trainings."""
    profile = {
        "title": "tiny", "notice": "Seconds only.", "size": 32, "width": 1.0, "features": "efficientnet-lite0",
        "judge_epochs": 1, "checkpoint_every": 2, "log_every": 1, "iterations": {"default": 6},
        "targets_per_source": 1, "allow_small": True, "stored_weights": "float16",
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(profile))
    (tmp_path / "none").mkdir()
    for guide in "TR":
        rows = [{"id": "d", "label": "Dummy", "method": METHOD, "guide": guide, "data": "F"}]
        (tmp_path / f"{guide}.yaml").write_text(yaml.safe_dump({"title": "Dummies", "rows": rows}))
    return [
        "--suite", f"{tmp_path / 'T.yaml'},{tmp_path / 'R.yaml'}", "--profile", str(tmp_path / "tiny.yaml"), "--data",
        f"rendered:{make_faces(identities=5)}", "--seeds", "0,1", "--threads", "1", "--jobs", "1", "--quiet", "--json",
        "--reference", str(tmp_path / "none"),
    ]  # fmt: skip


def test_a_training_that_is_cut_by_the_clock_goes_on_to_the_same_weights(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    monkeypatch.setenv("DUMMY_PAUSE", "0.6")
    started = time.monotonic()
    assert train.main([*arguments, "--out", str(cut), "--until", "+0.02"]) == 0
    assert time.monotonic() - started < 20
    made = json.loads(capsys.readouterr().out)
    assert made["finished"] == []
    assert sorted(made["begun"] + made["waiting"]) == NAMES
    monkeypatch.setenv("DUMMY_PAUSE", "0")
    for out in (cut, whole):
        assert train.main([*arguments, "--out", str(out)]) == 0
        made = json.loads(capsys.readouterr().out)
        assert made == {"finished": NAMES, "begun": [], "waiting": [], "stored": []}
    files = sorted(path.relative_to(whole) for path in whole.glob("*/*/weights.safetensors"))
    assert len(files) == 4
    for path in files:
        assert (cut / path).read_bytes() == (whole / path).read_bytes()
    assert sorted(path.name for path in whole.iterdir() if path.is_dir() and path.name[0] != ".") == [
        "cache", "faces", "record", "train", "weights",
    ]  # fmt: skip
    manifest = Manifest.read(next(whole.glob("train/*")) / MANIFEST)
    assert manifest.settings["device"] == manifest.made["device"] == "cpu"
    assert train.main([*arguments, "--out", str(tmp_path / "third"), "--reference", str(whole)]) == 0
    assert json.loads(capsys.readouterr().out)["stored"] == NAMES
    assert not (tmp_path / "third" / "train").exists()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("+9", 540), ("+0.5", 30), ("14:30", 1800), ("13:59", 86400 - 60), ("14:00", 86400), ("9:05", 19 * 3600 + 300)],
)
def test_until_when(text: str, seconds: float) -> None:
    assert seconds_until(text, datetime(2030, 1, 1, 14, 0)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "14", "24:00", "14:60", "+", "-5", "+1e3", "noon", "+0", "+0.0", "\uff11\uff14:00"]
)
def test_no_time(text: str) -> None:
    with pytest.raises(UserError, match="a time as 14:00, or minutes as"):
        seconds_until(text, datetime(2030, 1, 1, 14, 0))
