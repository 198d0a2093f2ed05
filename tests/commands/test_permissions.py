"""What may not be read is told as that: it is neither missing nor damaged, and nothing is set aside for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from benchmark.config.loading import find
from benchmark.core.artifacts import MANIFEST, Store
from benchmark.core.errors import UserError
from benchmark.report.row_lookup import result_files
from benchmark.stages.checkpoints import open_checkpoint
from benchmark.training import checkpoint
from tests.core.test_artifacts import RECIPE, make

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="fesbench-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Nobody but root may read a path, and root is somebody else meanwhile."""
    mode, user = path.stat().st_mode, os.geteuid()
    path.chmod(0)
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(mode)


@pytest.mark.parametrize("name", [MANIFEST, "x.txt", ""])
def test_an_artifact_is_left_where_it_is(folder: Path, name: str) -> None:
    """It may be whole, and making it anew may take days."""
    artifact = make(Store(folder))
    store = Store(folder)
    with closed(artifact / name), pytest.raises(PermissionError, match=rf"Permission denied: '{artifact}"):
        store.find_or_set_aside(RECIPE, pytest.fail)
    assert Store(folder).find(RECIPE) is not None


def test_the_state_of_a_training_is_left_where_it_is(folder: Path) -> None:
    path = folder / "state.safetensors"
    checkpoint.save_tensors(path, {"a": torch.arange(3.0)}, {"iteration": 3}, sealed=True)
    with closed(path), pytest.raises(PermissionError, match=str(path)):
        checkpoint.load_state(path, pytest.fail)
    assert checkpoint.load_state(path, pytest.fail) is not None


def test_others_may_read_weights_as_the_umask_says(folder: Path) -> None:
    """safetensors gives the owner alone access, and a store may be several people's."""
    checkpoint.write_safetensors(folder / "a.safetensors", {"a": torch.arange(3.0)})
    (folder / "b").touch()
    assert (folder / "a.safetensors").stat().st_mode == (folder / "b").stat().st_mode


def test_a_profile_in_a_closed_folder_is_not_called_missing(folder: Path) -> None:
    (folder / "in").mkdir()
    path = folder / "in" / "mine.yaml"
    path.write_text("title: mine\n")
    with closed(folder / "in"), pytest.raises(UserError, match=f"^profile file {path} cannot be read: check the perm"):
        find("profile", folder, str(path))
    with pytest.raises(UserError, match="does not exist"):
        find("profile", folder, f"{path}.yaml")


def test_a_report_is_not_passed_over(folder: Path) -> None:
    report = folder / "runs" / "reports" / "r"
    report.mkdir(parents=True)
    (report / "results.json").touch()
    with closed(report):
        assert result_files(folder / "runs") == [report / "results.json"]  # which is then told as not readable
    with closed(report.parent), pytest.raises(PermissionError, match=str(report.parent)):
        result_files(folder / "runs")


@pytest.mark.parametrize(
    ("name", "read", "message"),
    [
        ("", open_checkpoint, r"checkpoint\.json cannot be read \(Permission denied\)$"),
        ("checkpoint.json", open_checkpoint, r"checkpoint\.json cannot be read \(Permission denied\)$"),
        (
            "weights.safetensors",
            lambda path: open_checkpoint(path).check_weights(),
            r"weights\.safetensors cannot be read \(Permission denied\)$",
        ),
    ],
)
def test_a_checkpoint_is_neither_missing_nor_damaged(
    folder: Path, name: str, read: Callable[[Path], object], message: str
) -> None:
    path = folder / "checkpoint"
    path.mkdir()
    text = '{"method": "tests.dummy:Dummy", "settings": {}, "shape": {"size": 32}}'
    (path / "checkpoint.json").write_text(text)
    (path / "weights.safetensors").write_bytes(b"")
    with closed(path / name), pytest.raises(UserError, match=message):
        read(path)
