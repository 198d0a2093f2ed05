"""Data sets: their names and options, pictures of all kinds, folders of rendered faces, content hashes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.data.registry import open_source
from benchmark.data.source import content_hash
from tests.photo_folders import read_square, write_rafd


def test_names_and_options_of_data_sets(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_source(f"rafd:{tmp_path / 'nowhere'}", tmp_path)
    with pytest.raises(UserError, match="needs the folder"):
        open_source("rafd", tmp_path)
    with pytest.raises(UserError, match="a folder must follow the colon"):
        open_source("rafd:", tmp_path)
    with pytest.raises(UserError, match="unknown data set 'rafdd'; did you mean 'rafd'"):
        open_source("rafdd", tmp_path)
    with pytest.raises(UserError, match="unknown option 'leave-ut' of --data rafd; did you mean 'leave-out'"):
        open_source(f"rafd:{tmp_path},leave-ut=kid", tmp_path)
    with pytest.raises(UserError, match="unknown option 'faces' of --data rendered"):
        open_source(f"rendered:{tmp_path},faces=none", tmp_path)
    with pytest.raises(UserError, match="unknown faces 'openface'"):
        open_source(f"rafd:{tmp_path},faces=openface", tmp_path)


def test_a_specification_is_made_again_of_its_source(tmp_path: Path) -> None:
    folder = write_rafd(tmp_path / "with, comma=and more", range(3))
    spec = f"rafd:{folder},faces=none,leave-out=01+02"
    source = open_source(spec, tmp_path)
    assert source.folder == folder
    assert source.spec == spec
    assert open_source("rendered", tmp_path).spec == "rendered"


def test_portrait_is_cut_to_its_centred_square(tmp_path: Path) -> None:
    picture = np.zeros((90, 60, 3), np.uint8)
    picture[15:75] = (10, 200, 30)
    Image.fromarray(picture).save(tmp_path / "p.png")
    assert np.array_equal(np.unique(read_square(tmp_path / "p.png", 30).reshape(-1, 3), axis=0), [[10, 200, 30]])


def test_exif_alpha_and_grey(tmp_path: Path) -> None:
    upright = np.zeros((32, 32, 3), np.uint8)
    upright[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    Image.fromarray(upright[::-1].copy()).save(tmp_path / "turned.png", exif=exif)
    assert read_square(tmp_path / "turned.png", 32)[2, 2].tolist() == [255, 255, 255]
    Image.new("RGBA", (32, 32), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_square(tmp_path / "clear.png", 32)[0, 0].tolist() == [255, 255, 255]
    Image.new("L", (32, 32), 77).save(tmp_path / "grey.png")
    assert read_square(tmp_path / "grey.png", 32)[0, 0].tolist() == [77, 77, 77]


def test_rendered_folder_scales_its_landmarks(make_faces: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_faces(identities=4, size=64)
    whole = open_source(f"rendered:{folder}", tmp_path).load(64, lambda count: None)
    half = open_source(f"rendered:{folder}", tmp_path).load(32, lambda count: None)
    assert half.images.shape[1:] == (32, 32, 3)
    np.testing.assert_allclose(half.landmarks, (whole.landmarks + 0.5) / 2 - 0.5, atol=1e-5)
    expected = whole.images.reshape(-1, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(half.images - expected).max() <= 0.5
    with pytest.raises(
        UserError, match=r"is 64 x 64 px, and the profile needs 128 px: render a set with .* --size 128"
    ):
        open_source(f"rendered:{folder}", tmp_path).load(128, lambda count: None)


def test_rendered_folder_with_faults(make_faces: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_faces(identities=4)
    face = pd.read_parquet(folder / "faces.parquet")["face_id"][3]
    (folder / f"{face}.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=f"picture {face} cannot be read"):
        open_source(f"rendered:{folder}", tmp_path).load(32, lambda count: None)
    (folder / "faces.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(UserError, match="is damaged"):
        open_source(f"rendered:{folder}", tmp_path).load(32, lambda count: None)
    (folder / "faces.parquet").unlink()
    with pytest.raises(UserError, match=r"holds no rendered set .*benchmark.render makes one"):
        open_source(f"rendered:{folder}", tmp_path).files()
    (folder / "settings.json").touch()  # a set's first file
    with pytest.raises(UserError, match="holds no finished rendered set"):
        open_source(f"rendered:{folder}", tmp_path).files()


def test_a_damaged_committed_set_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmark.data import rendered_set

    raw = bytearray(rendered_set.COMMITTED.read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "faces-64.parquet").write_bytes(raw)
    (tmp_path / "faces-64.sha256").write_bytes(rendered_set.COMMITTED.with_suffix(".sha256").read_bytes())
    monkeypatch.setattr(rendered_set, "COMMITTED", tmp_path / "faces-64.parquet")
    with pytest.raises(UserError, match=r"faces-64.parquet is damaged: its SHA-256 is not .*; restore it from git"):
        open_source("rendered", tmp_path).load(64, lambda count: None)


def test_content_hash_sees_content_and_names_but_not_the_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name, text in (("x", "one"), ("y", "two")):
            (tmp_path / folder / name).write_text(text)

    def key(folder: str) -> str:
        return content_hash(sorted((tmp_path / folder).iterdir()), tmp_path / folder, tmp_path / "cache")

    first = key("a")
    assert key("b") == first
    (tmp_path / "b" / "y").write_text("three")
    assert key("b") != first
    status = (tmp_path / "a" / "x").stat()
    (tmp_path / "a" / "x").write_text("0ne")
    os.utime(tmp_path / "a" / "x", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert key("a") != first
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "content-hashes.json").write_text("not json")
    assert key("a") != first
