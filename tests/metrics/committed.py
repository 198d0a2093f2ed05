"""A few faces of the committed rendered set."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.data.faceset import FaceSet

FILE = Path(__file__).parents[2] / "benchmark/data/rendered/faces-64.parquet"


def committed_faces(people: int, expressions: tuple[str, ...], camera: int = 90) -> FaceSet:
    """The first people, all of them test identities."""
    table = pd.read_parquet(FILE)
    names = sorted(table["identity"].unique())[:people]
    chosen = table["identity"].isin(names) & table["expression"].isin(expressions) & (table["camera"] == camera)
    table = table[chosen].sort_values(["identity", "expression"]).reset_index(drop=True).assign(split="test")
    images = np.stack([np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for content in table.pop("image")])
    return FaceSet(images, table)
