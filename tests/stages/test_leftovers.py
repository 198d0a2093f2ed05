"""Damaged artifacts, and what interrupted stages have left: checked, and made anew where it is not what was written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.artifacts import Artifact, Store
from benchmark.core.environment import Environment
from benchmark.core.files import save_array
from benchmark.core.hashes import is_sealed, write_sealed, write_text
from benchmark.core.progress import Reporter
from benchmark.core.tracking import Tracker
from benchmark.pipeline.context import make_missing
from benchmark.stages.base import Context, Machine, NoFacts, Stage, StageResult, Work
from benchmark.stages.synthesize import DONE, EDITED, _open_images

SHAPE = (4, 2, 2, 3)


class Count(Stage[NoFacts]):
    """Counts how often it is run."""

    kind = "count"
    facts_type = NoFacts
    files = ("x.txt",)

    def __init__(self, name: str, *inputs: Stage) -> None:
        super().__init__(name, {"name": name}, {stage.name: stage for stage in inputs})
        self.runs = 0

    def work(self) -> Work:
        """None."""
        return Work("count", 1, 1)

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        """Read the inputs, write a file."""
        self.runs += 1
        for stage in self.inputs.values():
            assert (stage.folder(context) / "x.txt").read_text() == "content"
        (folder / "x.txt").write_text("content")
        return StageResult(NoFacts())


def test_a_damaged_artifact_is_set_aside_and_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Count("first")
    stages = [first, Count("second", first)]

    def make() -> list[int]:
        context = Context(
            Store(tmp_path), Reporter(quiet=True), Machine("cpu", 1), Environment("command", "cpu", 1), Tracker()
        )
        make_missing(stages, context)
        assert all(isinstance(stage.artifact(context), Artifact) for stage in stages)
        return [stage.runs for stage in stages]

    assert make() == make() == [1, 1]
    assert capsys.readouterr().err == ""
    (tmp_path / first.recipe.folder / "x.txt").write_text("c0ntent")
    assert make() == [2, 1]
    (line,) = capsys.readouterr().err.splitlines()
    name = Path(first.recipe.folder).name
    assert f"(x.txt is not what its manifest says): set aside as {name}.damaged, and made anew" in line
    assert make() == [2, 1]


def test_edits_of_an_interrupted_call_are_used_while_they_are_what_it_has_noted(tmp_path: Path) -> None:
    images, begun, digest = _open_images(tmp_path, SHAPE)
    assert begun == 0
    images[:2] = np.arange(24).reshape(2, 2, 2, 3)
    images.flush()
    digest.update(images[:2].tobytes())
    write_text(tmp_path / DONE, json.dumps({"done": 2, "sha256": digest.hexdigest()}))
    kept, noted = (tmp_path / EDITED).read_bytes(), (tmp_path / DONE).read_text()
    images, begun, digest = _open_images(tmp_path, SHAPE)
    assert begun == 2
    assert images[:2].ravel().tolist() == list(range(24))
    assert digest.hexdigest() == json.loads(noted)["sha256"]
    for change in (
        lambda: (tmp_path / EDITED).write_bytes(kept[:-30] + bytes([kept[-30] ^ 1]) + kept[-29:]),
        lambda: (tmp_path / EDITED).write_bytes(kept[:-40]),
        lambda: (tmp_path / EDITED).unlink(),
        lambda: (tmp_path / DONE).write_text(noted.replace('"done": 2', '"done": 3')),
        lambda: (tmp_path / DONE).write_text(noted.replace('"done": 2', '"done": "2"')),
        lambda: (tmp_path / DONE).write_text(noted[:-5]),
        lambda: (tmp_path / DONE).write_text('{"done": 2}'),
        lambda: (tmp_path / DONE).unlink(),
    ):
        (tmp_path / EDITED).write_bytes(kept)
        (tmp_path / DONE).write_text(noted)
        change()
        images, begun, _ = _open_images(tmp_path, SHAPE)
        assert (images.shape, begun) == (SHAPE, 0)
    (tmp_path / EDITED).write_bytes(kept)
    (tmp_path / DONE).write_text(noted)
    assert _open_images(tmp_path, (5, *SHAPE[1:]))[1] == 0


def test_a_sealed_file_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    assert not is_sealed(path)
    write_sealed(path, lambda stream: stream.write(b"content"))
    assert is_sealed(path)
    for index in range(7):
        path.write_bytes(b"content"[:index] + bytes([b"content"[index] ^ 4]) + b"content"[index + 1 :])
        assert not is_sealed(path)
    path.write_bytes(b"content")
    path.with_name("features.npy.sha256").unlink()
    assert not is_sealed(path)


ARRAYS = [np.arange(12.0).reshape(3, 4), np.zeros((2, 3), np.uint8)[:, ::2], np.asfortranarray(np.eye(3))]


@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_are_as_numpy_writes_them(tmp_path: Path, array: np.ndarray) -> None:
    save_array(tmp_path / "ours.npy", array)
    np.save(tmp_path / "theirs.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()
