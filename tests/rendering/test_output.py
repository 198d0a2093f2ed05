"""The folder of a set: resuming, refusing, packing; and the command's errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark import render
from benchmark.core.errors import UserError
from benchmark.rendering import output, workers
from benchmark.rendering.shots import SetSettings, ShotName, ShotRenderer

SMALL = SetSettings(identities=1, size=32, cameras=(90,), gazes=("frontal",), seed=5)


@contextmanager
def rendered_by(renderer: ShotRenderer) -> Iterator[None]:
    """Sets are rendered by the shared renderer, in this process."""
    before = renderer.settings
    renderer.settings = SMALL
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "ShotRenderer", lambda settings: renderer)
        yield
    renderer.settings = before


@pytest.fixture
def quick(renderer: ShotRenderer) -> Iterator[None]:
    with rendered_by(renderer):
        yield


@pytest.fixture(scope="module")
def whole(renderer: ShotRenderer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished set."""
    folder = tmp_path_factory.mktemp("sets") / "whole"
    calls: list[tuple[int, int]] = []
    with rendered_by(renderer):
        table = output.render_set(SMALL, folder, 1, lambda done, total: calls.append((done, total)))
    assert (calls[0], calls[-1], len(table)) == ((0, 8), (8, 8), 8)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, the hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class CutError(Exception):
    """Simulates a kill."""


@pytest.mark.usefixtures("quick")
def test_a_set_that_was_cut_off_ends_in_the_same_bytes(tmp_path: Path, whole: Path) -> None:
    cut = tmp_path / "cut"

    def stop(done: int, total: int) -> None:
        if done >= 5:
            raise CutError

    with pytest.raises(CutError):
        output.render_set(SMALL, cut, 1, stop)
    assert not (cut / "faces.parquet").exists()
    # What a kill can leave: a picture without its record, a record without its picture, a temporary file.
    (cut / workers.PARTIAL_FOLDER / ShotName(0, "angry", "frontal").record).unlink()
    (cut / "000_disgusted_090_frontal.png").unlink()
    again: list[int] = []
    output.render_set(SMALL, cut, 1, lambda done, total: again.append(done))
    assert again[0] == 3
    assert contents(cut) == contents(whole)
    before = {path: path.stat().st_mtime_ns for path in cut.iterdir()}
    output.render_set(SMALL, cut, 1)
    assert {path: path.stat().st_mtime_ns for path in cut.iterdir()} == before, "a finished set is left alone"


def test_two_worker_processes_make_the_same_bytes_as_none(tmp_path: Path, whole: Path) -> None:
    output.render_set(SMALL, tmp_path, 2)
    assert contents(tmp_path) == contents(whole)


@pytest.mark.usefixtures("quick")
def test_a_set_whose_table_is_damaged_is_made_again(tmp_path: Path, whole: Path) -> None:
    damaged = Path(shutil.copytree(whole, tmp_path / "damaged"))
    table = bytearray((damaged / output.TABLE_FILE).read_bytes())
    table[len(table) // 2] ^= 1
    (damaged / output.TABLE_FILE).write_bytes(table)
    output.render_set(SMALL, damaged, 1)
    assert contents(damaged) == contents(whole)


def test_packing_is_lossless_and_hashed(tmp_path: Path, whole: Path) -> None:
    import hashlib
    import io

    from PIL import Image

    digest = output.pack(whole, tmp_path / "faces.parquet")
    assert digest == hashlib.sha256((tmp_path / "faces.parquet").read_bytes()).hexdigest()
    assert (tmp_path / "faces.sha256").read_text() == f"{digest}  faces.parquet\n"
    table = pd.read_parquet(tmp_path / "faces.parquet")
    for name, image in zip(table["face_id"], table["image"], strict=True):
        with Image.open(io.BytesIO(image)) as packed, Image.open(whole / f"{name}.png") as stored:
            assert np.array_equal(np.asarray(packed), np.asarray(stored))


def test_a_contact_sheet_shows_every_expression(tmp_path: Path, whole: Path) -> None:
    from PIL import Image

    from benchmark.rendering.sheet import contact_sheet

    contact_sheet(whole, tmp_path / "sheet.png", tile=32)
    with (
        Image.open(tmp_path / "sheet.png") as sheet,
        Image.open(whole / "000_happy_090_frontal.png") as face,
    ):
        pixels = np.asarray(sheet)
        assert sheet.size == (8 * 34 - 2, 22 + 34 - 2)
        assert np.array_equal(pixels[22 : 22 + 32, 4 * 34 : 4 * 34 + 32], np.asarray(face))
    with pytest.raises(UserError, match="no picture 009_angry"):
        contact_sheet(whole, tmp_path / "other.png", ["009"])


def prepared(folder: Path, settings: dict[str, Any] | str) -> Path:
    """A folder with a settings file."""
    folder.mkdir()
    text = settings if isinstance(settings, str) else json.dumps(settings)
    (folder / output.SETTINGS_FILE).write_text(text)
    return folder


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    other = prepared(tmp_path / "other", replace(SMALL, seed=6).record())
    before = contents(other)
    with pytest.raises(UserError, match=r"other settings \(seed\)"):
        output.render_set(SMALL, other, 1)
    assert contents(other) == before
    with pytest.raises(UserError, match="cannot be read"):
        output.render_set(SMALL, prepared(tmp_path / "damaged", "{"), 1)
    with pytest.raises(UserError, match=r"other settings"):
        output.render_set(SMALL, prepared(tmp_path / "list", "[]"), 1)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        output.render_set(SMALL, strange, 1)
    with pytest.raises(UserError, match="is a file"):
        output.render_set(SMALL, strange / "thesis.txt", 1)


def test_too_little_disk_is_reported_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match="MB free"):
        output.render_set(SMALL, tmp_path / "set", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--identities", "0"], "--identities 0 is outside 1 to 1000"),
        (["--identities", "many"], "invalid int value"),
        (["--size", "8"], "--size 8 is outside 16 to 1024"),
        (["--cameras", "045,91"], "unknown camera '91'"),
        (["--gazes", "frontl"], "did you mean 'frontal'?"),
        (["--workers", "0"], "--workers 0 is outside"),
        (["--seed", "-1"], "--seed -1 is outside"),
        (["--idenities", "3"], "unknown argument '--idenities'; did you mean '--identities'?"),
        (["--pack", "/nowhere/at/all/f.parquet"], "the folder of /nowhere/at/all/f.parquet does not exist"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    try:
        status = render.main([*arguments, "--out", str(out)])
    except SystemExit as leave:
        status = int(str(leave.code))
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert not out.exists()


def test_portions_cover_every_shot_once() -> None:
    shots = output._shots(replace(SMALL, identities=3))
    for count in (1, 2, 3, 7, 64):
        portions = workers._portions(shots, count)
        assert sorted(map(repr, (shot for portion in portions for shot in portion))) == sorted(map(repr, shots))
        assert all(len({shot.identity for shot in portion}) == 1 for portion in portions)
        assert len(portions) >= min(count, len(shots))
