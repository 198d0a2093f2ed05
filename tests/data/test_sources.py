"""Data sets: RaFD's names, photographs of all kinds, folders of rendered faces, content hashes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.data.photo import read_square
from benchmark.data.rafd import RaFDName
from benchmark.data.source import content_hash, open_source
from benchmark.errors import UserError
from tests.face_folders import write_rafd


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Rafd090_01_Caucasian_female_angry_frontal.jpg", RaFDName("01", "caucasian-female", "angry", 90, "frontal")),
        ("Rafd045_73_Moroccan_male_surprised_left.JPG", RaFDName("73", "moroccan-male", "surprised", 45, "left")),
        ("rafd180_5_Kid_female_contemptuous_right.jpeg", RaFDName("05", "kid-female", "contemptuous", 180, "right")),
        ("Rafd100_01_Caucasian_female_angry_frontal.jpg", None),
        ("Rafd090_01_Caucasian_female_bored_frontal.jpg", None),
        ("holiday.jpg", None),
    ],
)
def test_rafd_names(name: str, parts: RaFDName | None) -> None:
    assert RaFDName.parse(name) == parts


def test_rafd_folder(tmp_path: Path) -> None:
    write_rafd(tmp_path / "rafd")
    (tmp_path / "rafd" / "notes.txt").write_text("not a picture")
    faces = open_source(f"rafd:{tmp_path / 'rafd'}", tmp_path / "cache").load(32, lambda count: None)
    assert faces.images.shape == (48, 32, 32, 3)
    assert len(faces.identities("test")) == 2
    assert len(faces.identities("train")) == 4
    assert {int(image.mean()) for image in faces.images[:, :, :, 0][faces.table["identity"] == "03"]} <= {59, 60, 61}
    assert bool(np.isnan(faces.landmarks).all())


def test_all_broken_pictures_are_counted_in_one_line(tmp_path: Path) -> None:
    write_rafd(tmp_path / "rafd")
    for path in list((tmp_path / "rafd" / "01").iterdir())[:5]:
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"5 of 48 pictures cannot be read: .* and 2 more") as error:
        open_source(f"rafd:{tmp_path / 'rafd'}", tmp_path / "cache").load(32, lambda count: None)
    assert "\n" not in str(error.value)


def test_empty_missing_and_twofold(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no picture named as RaFD"):
        open_source(f"rafd:{tmp_path / 'empty'}", tmp_path).files()
    with pytest.raises(UserError, match="no such folder"):
        open_source(f"rafd:{tmp_path / 'nowhere'}", tmp_path)
    with pytest.raises(UserError, match="needs the folder"):
        open_source("rafd", tmp_path)
    with pytest.raises(UserError, match="unknown data set 'rafdd'; did you mean 'rafd'"):
        open_source("rafdd", tmp_path)
    write_rafd(tmp_path / "twice")
    first = next((tmp_path / "twice" / "01").iterdir())
    (tmp_path / "twice" / first.name).write_bytes(first.read_bytes())
    with pytest.raises(UserError, match="two files show the same face"):
        open_source(f"rafd:{tmp_path / 'twice'}", tmp_path).files()


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
    with pytest.raises(UserError, match="holds no finished rendered set"):
        open_source(f"rendered:{folder}", tmp_path).files()


def test_a_damaged_committed_set_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmark.data import rendered_set

    raw = bytearray(rendered_set.COMMITTED.read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "faces-64.parquet").write_bytes(raw)
    monkeypatch.setattr(rendered_set, "COMMITTED", tmp_path / "faces-64.parquet")
    with pytest.raises(UserError, match=r"the rendered set is damaged .* restore .* from git"):
        open_source("rendered", tmp_path).load(64, lambda count: None)


def test_content_hash_sees_content_and_names_but_not_the_place(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        for name, text in (("x", "one"), ("y", "two")):
            (tmp_path / place / name).write_text(text)

    def key(place: str) -> str:
        return content_hash(sorted((tmp_path / place).iterdir()), tmp_path / place, tmp_path / "cache")

    first = key("a")
    assert key("b") == first
    (tmp_path / "b" / "y").write_text("three")
    assert key("b") != first
    status = (tmp_path / "a" / "x").stat()
    (tmp_path / "a" / "x").write_text("0ne")
    os.utime(tmp_path / "a" / "x", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert key("a") != first
    (tmp_path / "cache" / "content-hashes.json").write_text("not json")
    assert key("a") != first
