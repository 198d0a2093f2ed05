"""Folders of photographs as they are delivered, made of the committed rendered faces."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.data.framing import Square
from benchmark.data.photo import cut_square, read_upright
from benchmark.data.rendered_set import COMMITTED
from benchmark.protocol import EXPRESSIONS

GROUPS = ("Caucasian_female", "Caucasian_male", "Kid_female", "Moroccan_male")
CFEE_CODES = {"neutral": 1, "happy": 2, "sad": 3, "fearful": 4, "angry": 5, "surprised": 6, "disgusted": 7}


@dataclass(frozen=True)
class Rendered:
    """A rendered face: its 64 x 64 picture and its landmarks."""

    identity: int
    expression: str
    camera: int
    picture: Image.Image
    landmarks: np.ndarray


@cache
def _table() -> pd.DataFrame:
    return pd.read_parquet(COMMITTED)


def rendered(
    people: Sequence[int], cameras: Sequence[int], expressions: Sequence[str] = EXPRESSIONS
) -> Iterator[Rendered]:
    """Some of the committed faces."""
    table = _table()
    numbers = table["identity"].astype(int)
    wanted = numbers.isin(people) & table["camera"].isin(cameras) & table["expression"].isin(expressions)
    for row in table[wanted].itertuples():
        with Image.open(io.BytesIO(row.image)) as opened:
            picture = opened.convert("RGB")
        yield Rendered(int(row.identity), row.expression, row.camera, picture, np.array(row.landmarks).reshape(68, 2))


def portrait(face: Image.Image, width: int, height: int) -> Image.Image:
    """A face in the middle of a picture that may be longer one way, as the photographer's is."""
    side = min(width, height)
    square = np.asarray(face.resize((side, side), Image.Resampling.BICUBIC))
    above, left = (height - side) // 2, (width - side) // 2
    margins = ((above, height - side - above), (left, width - side - left), (0, 0))
    return Image.fromarray(np.pad(square, margins, mode="edge"))


def rafd_name(face: Rendered, gaze: str = "frontal", suffix: str = ".jpg") -> str:
    """As RaFD names it; persons are numbered from 1."""
    group = GROUPS[face.identity % len(GROUPS)]
    return f"Rafd{face.camera:03d}_{face.identity + 1:02d}_{group}_{face.expression}_{gaze}{suffix}"


def write_rafd(
    folder: Path, people: Sequence[int] = range(6), cameras: Sequence[int] = (90,), size: tuple[int, int] = (170, 256),
    expressions: Sequence[str] = EXPRESSIONS,
) -> Path:  # fmt: skip
    """Portraits, a folder for each camera."""
    for face in rendered(people, cameras, expressions):
        path = folder / f"{face.camera:03d}" / rafd_name(face)
        path.parent.mkdir(parents=True, exist_ok=True)
        portrait(face.picture, *size).save(path, quality=92)
    return folder


def write_cfee(folder: Path, people: Sequence[int] = range(6), size: tuple[int, int] = (340, 256)) -> Path:
    """Landscapes in folders of four classes, and a compound expression of each person."""
    for face in rendered(people, (90,), list(CFEE_CODES)):
        code, frame = CFEE_CODES[face.expression], 1000 + 31 * face.identity
        for label in (code, 10) if face.expression == "fearful" else (code,):
            first = (label - 1) // 4 * 4 + 1
            place = folder / "CFEE_Database_230" / f"{first:02d}-{first + 3:02d}" / f"Images{first // 4 + 1}"
            place.mkdir(parents=True, exist_ok=True)
            name = f"{label:02d}_{101 + face.identity}_{frame + label}.jpg"
            portrait(face.picture, *size).save(place / name, quality=92 if label == code else 91)
    (folder / "CFEE_Database_230" / "AU_annotation_all_subjects.xls").write_bytes(b"not read")
    return folder


def write_table(
    folder: Path, people: Sequence[int] = range(6), size: int = 200, landmarks: bool = False, words: str = "happiness"
) -> Path:
    """Squares and a table; `words` is what it calls "happy"."""
    (folder / "pictures").mkdir(parents=True)
    rows = []
    for face in rendered(people, (90,)):
        name = f"pictures/p{face.identity} {face.expression}.png"
        portrait(face.picture, size, size).save(folder / name)
        word = words if face.expression == "happy" else face.expression
        row: dict[str, object] = {"path": name, " identity": f"p{face.identity}", "expression": word}
        if landmarks:
            points = (face.landmarks + 0.5) * (size / 64) - 0.5
            row |= {f" {axis}_{n}": points[n, k] for k, axis in enumerate("xy") for n in range(68)}
        rows.append(row)
    with (folder / "faces.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def read_square(path: Path, size: int) -> np.ndarray:
    """size x size x 3 uint8: the centred square, as pictures without faces are cut."""
    picture = read_upright(path)
    return cut_square(picture, Square.centred(*picture.size), size)
