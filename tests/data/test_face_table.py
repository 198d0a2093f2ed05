"""A rendered set whose table is damaged is refused in one line, before anything is made of it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import UserError
from benchmark.data.face_table import KNOWN, NEEDED, parse_face_table, read_face_table
from benchmark.data.registry import open_source
from benchmark.rendering.output import write_table

Damage = Callable[[pd.DataFrame], pd.DataFrame]


def short(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(landmarks=[row[:-1] for row in table["landmarks"]])


def infinite(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(landmarks=[np.where(np.arange(136) == 7, np.inf, row) for row in table["landmarks"]])


DAMAGES: dict[str, Damage] = {
    "column gaze is missing": lambda table: table.drop(columns="gaze"),
    "column landmarks and 1 more is missing": lambda table: table.drop(columns=["landmarks", "visible"]),
    "column AU12_r has texts for numbers": lambda table: table.assign(AU12_r="much"),
    "has no finite number as AU12_r": lambda table: table.assign(AU12_r=np.nan),
    "has not 68 landmarks in finite numbers": short,
    "has not 68 landmarks in finite numbers ": infinite,
    "has not 68 landmarks in finite numbers  ": lambda table: table.assign(landmarks="none"),
    "has not 68 landmarks in finite numbers of up to 100,000": lambda table: table.assign(
        landmarks=[[1e6] * 136] * len(table)
    ),
    "has AU12_r outside 0 to 10": lambda table: table.assign(AU12_r=1e30),
    "has AU12_r outside 0 to 10 ": lambda table: table.assign(AU12_r=-0.5),
    "has not 68 values of visible": lambda table: table.assign(visible=None),
    "has expression 'bored'": lambda table: table.assign(expression="bored"),
    "has camera 'left'": lambda table: table.assign(camera="left"),
    "has gaze 7": lambda table: table.assign(gaze=7),
    "column identity has 3, which is no text": lambda table: table.assign(identity=3),
    "is there twice": lambda table: pd.concat([table, table]),
    "'../../secret' is no name of a face": lambda table: table.assign(face_id="../../secret"),
    "it has 0 rows": lambda table: table[:0],
}


@pytest.mark.parametrize("why", DAMAGES)
def test_a_damaged_table_is_one_line(make_faces: Callable[..., Path], tmp_path: Path, why: str) -> None:
    folder = make_faces(identities=4)
    DAMAGES[why](pd.read_parquet(folder / "faces.parquet")).to_parquet(folder / "faces.parquet")
    source = open_source(f"rendered:{folder}", tmp_path)
    for call in (source.count, source.describe, lambda: source.load(32, lambda count: None)):
        with pytest.raises(UserError) as error:
            call()
        assert f"{why.strip()}" in str(error.value)
        assert str(error.value).startswith(f"{folder / 'faces.parquet'} is damaged: ")
        assert "\n" not in str(error.value)


def test_a_table_cut_anywhere_is_one_line(make_faces: Callable[..., Path]) -> None:
    whole = (make_faces(identities=2) / "faces.parquet").read_bytes()
    assert len(parse_face_table(whole, NEEDED)) == 16
    rng = np.random.default_rng(0)
    for start in rng.integers(0, len(whole), 40):
        with pytest.raises(ValueError, match="Parquet"):
            parse_face_table(whole[:start], NEEDED)
    other = io.BytesIO()
    pd.DataFrame({"a": [1]}).to_parquet(other)
    with pytest.raises(ValueError, match="column face_id and 24 more is missing"):
        parse_face_table(other.getvalue(), NEEDED)


def test_a_table_with_any_bits_flipped_is_not_the_one_that_was_written(
    make_faces: Callable[..., Path], tmp_path: Path
) -> None:
    """Some flips are read as other numbers by Parquet, without a word."""
    folder = make_faces(identities=2)
    path = folder / "faces.parquet"
    write_table(pd.read_parquet(path), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    silent = 0
    for _ in range(100):
        content = bytearray(whole)
        for index in rng.integers(0, len(whole), rng.integers(1, 4)):
            content[index] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"not the one in faces\.sha256; the benchmark.render command"):
            open_source(f"rendered:{folder}", tmp_path).count()
        with pytest.raises(ValueError, match="SHA-256"):
            read_face_table(path, KNOWN)
        try:
            parse_face_table(bytes(content), NEEDED)
            silent += 1
        except ValueError:
            pass
    assert silent > 0
    path.write_bytes(whole)
    path.with_suffix(".sha256").unlink()  # a set of an earlier version
    assert open_source(f"rendered:{folder}", tmp_path).count() == 16


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["faces.parquet", "000_happy.png"])
def test_a_pipe_or_a_device_in_a_set_is_one_line(make_faces: Callable[..., Path], tmp_path: Path, name: str) -> None:
    folder = make_faces(identities=2)
    path = folder / name
    if name.endswith("png"):
        path = folder / f"{pd.read_parquet(folder / 'faces.parquet')['face_id'][3]}.png"
    path.unlink()
    for place, label in (("/dev/zero", "a device"), (tmp_path / "pipe", "a named pipe"), (tmp_path, "a folder")):
        if label == "a named pipe":
            os.mkfifo(place)
        path.unlink(missing_ok=True)
        path.symlink_to(place)
        source = open_source(f"rendered:{folder}", tmp_path / "cache")
        source.content_key()
        with pytest.raises(UserError, match=f"it is {label}, not a file"):
            source.load(32, lambda count: None)
