"""Checkpoints: what is refused of `checkpoint.json` and of weights, in one line and before memory is allocated."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from baselines.stargan import StarGAN, StarGANSettings
from benchmark.core.artifacts import MANIFEST, File, Manifest
from benchmark.core.errors import UserError
from benchmark.core.hashes import sha256_of
from benchmark.data.framing import FacePosition, Framing
from benchmark.editing.editor import Editor
from benchmark.interface import Shape
from benchmark.stages.checkpoints import CHECKPOINT, WEIGHTS, load_checkpoint, open_checkpoint
from benchmark.training import checkpoint

SIZE = 32
PLACE = {"x": 0.5, "y": 0.5, "side": 0.5}
MOST_BYTES = 200_000_000
"""Of memory that a refusal may take."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of a narrow StarGAN."""
    torch.manual_seed(0)
    settings = StarGANSettings(width=0.0625, residual_blocks=1)
    method = StarGAN(settings, Shape(SIZE))
    checkpoint.save_tensors(tmp_path / WEIGHTS, checkpoint.prefixed("model", method.state_dict()), {})
    text = {
        "method": "stargan",
        "settings": dataclasses.asdict(settings),
        "shape": dataclasses.asdict(Shape(SIZE)),
        "framing": {"mean": PLACE, "lowest": None, "highest": None},
        "final_losses": {"generator": float("nan")},
    }
    (tmp_path / CHECKPOINT).write_text(json.dumps(text))
    return tmp_path


@pytest.fixture(autouse=True)
def _in_time_and_memory() -> Iterator[None]:
    """A refusal takes neither minutes nor gigabytes."""

    def late(*_: object) -> None:
        raise TimeoutError("a refusal took longer than a minute")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < MOST_BYTES


def refusal(folder: Path) -> str:
    """The one line that a load fails with."""
    with pytest.raises(UserError) as error:
        load_checkpoint(folder, "cpu")
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 600
    assert str(folder) in line
    return line


def change(folder: Path, **changes: Any) -> None:
    text = json.loads((folder / CHECKPOINT).read_text())
    (folder / CHECKPOINT).write_text(json.dumps({**text, **changes}))


def settings(**changes: Any) -> dict[str, Any]:
    return {"settings": {**dataclasses.asdict(StarGANSettings(width=0.0625, residual_blocks=1)), **changes}}


def test_a_whole_one_is_loaded(folder: Path) -> None:
    assert isinstance(load_checkpoint(folder, "cpu"), StarGAN)
    assert open_checkpoint(folder).framing == Framing(FacePosition(0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": "128"}, "damaged: shape"),
        ({"shape": {"size": "32"}}, "damaged: shape.size"),
        ({"shape": {"size": 0}}, "damaged: shape.size"),
        ({"shape": {"size": 10**9}}, "damaged: shape.size"),
        ({"shape": {"size": SIZE, "classes": 10**15}}, "damaged: shape.classes"),
        ({"shape": {"size": SIZE, "classes": -8}}, "damaged: shape.classes"),
        ({"shape": {"size": SIZE, "units": 1.5}}, "damaged: shape.units"),
        ({"method": 3}, "damaged: method"),
        ({"method": ""}, "damaged: method"),
        ({"method": ":"}, ":"),
        ({"method": "..x"}, "..x"),
        ({"method": "x:" + "y" * 10**5}, "damaged: method"),
        ({"method": "os:getcwd"}, "is not a Method"),
        ({"settings": []}, "damaged: settings"),
        (settings(width=float("nan")), "damaged: settings"),
        (settings(width=float("inf")), "damaged: settings"),
        (settings(width=-1.0), CHECKPOINT),
        (settings(width=1e9), CHECKPOINT),
        (settings(width=1e300), CHECKPOINT),
        (settings(residual_blocks=10**5), "layers"),
        (settings(residual_blocks=10**9), "residual_blocks must be at most 100,000"),
        (settings(residual_blocks=10**40), CHECKPOINT),
        (settings(width="wide"), "width"),
        (settings(width=["w" * 10**6]), "width"),
        ({"absent": 3}, "damaged: absent"),
        ({"absent": "discriminator"}, "damaged: absent"),
        ({"absent": [["generator"]]}, "damaged: absent 1"),
        ({"absent": ["generator"]}, "edits need its generator"),
        ({"absent": ["g" * 10**6]}, "edits need its ggg"),
        ({"absent": ["discriminator"]}, "do not fit"),
        ({"framing": 3}, "damaged: framing"),
        ({"framing": {"mean": {**PLACE, "x": float("nan")}}}, "damaged: framing.mean.x"),
        ({"framing": {"mean": {**PLACE, "side": 1e30}}}, "damaged: framing.mean.side"),
        ({"framing": {"mean": {**PLACE, "side": 1e-9}}}, "damaged: framing.mean.side"),
        ({"framing": {"mean": PLACE, "lowest": {**PLACE, "y": -1e9}}}, "damaged: framing.lowest.y"),
        ({"framing": {"mean": PLACE, "highest": [1, 2]}}, "damaged: framing.highest"),
        ({"iterations": "many"}, "damaged: iterations"),
        ({"iterations": -1}, "damaged: iterations"),
        ({"updates": {"g": "x"}}, "damaged: updates.g"),
        ({"parameters": None}, "damaged: parameters"),
        ({"imported": True}, "does not say from where"),
        ({"imported": True, "origin": {"code": "x"}}, "damaged: origin: 'files' is missing"),
        ({"files": {WEIGHTS: {"bytes": 1, "sha256": "\x1b[2J" * 20}}}, "sha256 must match"),
    ],
)
def test_numbers_and_names_beyond_reason(folder: Path, changes: dict[str, Any], message: str) -> None:
    change(folder, **changes)
    line = refusal(folder)
    assert message in line
    assert line.isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe{}", b'{"method": "stargan"}', b"[" * 10**6, b'{"a":' * 10**5,
        b'{"method": "stargan", "settings": {}, "shape": {"size": ' + b"9" * 5000 + b"}}",
        b'{"method": "stargan", "settings": {"width": ' + b"9" * 5000 + b'}, "shape": {"size": 32}}',
        b'{"method": "stargan", "settings": {"width": ' + b"[" * 150 + b"]" * 150 + b'}, "shape": {"size": 32}}',
        b" " * (5 << 20),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_checkpoint_json(folder: Path, content: bytes) -> None:
    (folder / CHECKPOINT).write_bytes(content)
    assert CHECKPOINT in refusal(folder)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def looped(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def nothing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("name", [CHECKPOINT, WEIGHTS])
@pytest.mark.parametrize("make", [pipe, zeros, looped, folder_instead, nothing])
def test_only_regular_files_are_opened(folder: Path, name: str, make: Callable[[Path], None]) -> None:
    make(folder / name)
    assert name in refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    tensors = load_file(folder / WEIGHTS)
    name = sorted(name for name in tensors if "generator" in name)[3]
    tensors[name].view(-1)[-1] = value
    save_file(tensors, folder / WEIGHTS, {"fesbench": "{}"})
    assert f"'{name.removeprefix('model.')}' holds numbers that are not finite" in refusal(folder)


def test_weights_of_another_shape_are_refused_before_they_are_read(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    save_file({**tensors, "model.generator.more": torch.zeros(3)}, folder / WEIGHTS, {"fesbench": "{}"})
    assert "1 tensors do not fit, 'model.generator.more' for one" in refusal(folder)
    change(folder, **settings(width=0.125))
    assert "tensors do not fit" in refusal(folder)


@pytest.mark.parametrize("name", [CHECKPOINT, WEIGHTS])
def test_an_editor_opens_no_checkpoint_that_differs_from_its_record(folder: Path, name: str) -> None:
    files = {path.name: File(path.stat().st_size, sha256_of(path)) for path in folder.iterdir()}
    manifest = Manifest("k", "train", "n", {}, {}, 1, files, {}, 0, {})
    (folder / MANIFEST).write_text(manifest.dump())
    Editor(folder, "cpu")
    content = bytearray((folder / name).read_bytes())
    place = content.rindex(b"0.5") + 2 if name == CHECKPOINT else len(content) - 1
    content[place] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"is damaged: {name} is not what was written there"):
        Editor(folder, "cpu")
