"""The set that the repository holds. Nothing here needs anny or Mitsuba."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.metrics.crop import tight_box
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from benchmark.rendering.facs import PROTOTYPES

FILE = Path(__file__).parents[2] / "benchmark" / "data" / "rendered" / "faces-64.parquet"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """The face table with its column `image`."""
    return pd.read_parquet(FILE)


def test_the_file_is_the_one_that_was_committed() -> None:
    digest, name = FILE.with_suffix(".sha256").read_text().split()
    assert name == FILE.name
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == digest
    assert FILE.stat().st_size < 9_000_000


def test_it_is_complete(table: pd.DataFrame) -> None:
    assert len(table) == 1920
    assert table["face_id"].is_unique
    assert table.groupby(["identity", "expression", "camera"]).size().eq(1).all()
    assert table["identity"].nunique() == 80
    assert set(table["expression"]) == set(EXPRESSIONS)
    assert sorted(table["camera"].unique()) == [45, 90, 135]
    assert set(table["gaze"]) == {"frontal"}
    groups = table.drop_duplicates("identity")["group"].value_counts()
    assert len(groups) == 6
    assert groups.between(13, 14).all()


def test_pictures_are_64_px_and_lossless(table: pd.DataFrame) -> None:
    for content in table["image"]:
        assert content[:4] == b"RIFF"
        assert content[12:16] == b"VP8L", "lossless WebP"
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.size, picture.mode) == ((64, 64), "RGB")


def test_action_units_are_the_expressions(table: pd.DataFrame) -> None:
    units = table[list(ACTION_UNITS)]
    assert (units.dtypes == np.float32).all()
    for expression, rows in table.groupby("expression"):
        wanted = {unit.name: (unit.low, unit.high) for unit in PROTOTYPES[str(expression)]}
        for name in ACTION_UNITS:
            low, high = wanted.get(name, (0.0, 0.0))
            assert rows[name].between(low - 1e-6, high + 1e-6).all(), (expression, name)
    assert units.groupby([table["identity"], table["expression"]]).nunique().le(1).all().all(), "cameras fire together"


def test_landmarks_lie_in_the_pictures(table: pd.DataFrame) -> None:
    points = np.stack(table["landmarks"].to_list()).reshape(-1, 68, 2)
    visible = np.stack(table["visible"].to_list())
    assert np.isfinite(points).all()
    assert points[visible].min() > -1
    assert points[visible].max() < 65
    frontal = (table["camera"] == 90).to_numpy()
    assert visible[frontal][:, 27:].mean() > 0.98, "hair hides parts of jaws and brows only"
    assert visible[frontal].mean() > 0.92
    assert np.abs(points[frontal][:, 27:31, 0].mean(1) - 31.5).max() < 4
    for camera, far in ((45, slice(42, 48)), (135, slice(36, 42))):
        side = (table["camera"] == camera).to_numpy()
        near = slice(36, 42) if camera == 45 else slice(42, 48)
        assert visible[side][:, near].mean() > visible[side][:, far].mean()


def test_the_face_fills_the_picture_at_every_camera(table: pd.DataFrame) -> None:
    """From the brows to the chin is seven tenths of the height; the tight crop is smaller than the picture."""
    points = np.stack(table["landmarks"].to_list()).reshape(-1, 68, 2)
    height = (points[:, 8, 1] - points[:, 17:27, 1].min(1)) / 64
    centre = ((points.min(1) + points.max(1)) / 2 + 0.5) / 64
    sides = tight_box(points, 64)[:, 2:] - tight_box(points, 64)[:, :2]
    for camera, rows in table.groupby("camera").indices.items():
        assert 0.68 < height[rows].mean() < 0.72, camera
        assert 0.60 < height[rows].min() < height[rows].max() < 0.84, camera
        assert np.abs(centre[rows].mean(0) - 0.5).max() < 0.05, camera
        assert 0.80 < (sides[rows] / 64).mean() < 0.90, camera


def test_it_loads_without_the_renderers_packages() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('anny', 'mitsuba', 'drjit', 'trimesh')));"
        f"import benchmark.render, benchmark.rendering.sheet, pandas; print(len(pandas.read_parquet({str(FILE)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=FILE.parents[3], check=True)
    assert done.stdout.strip() == "1920"
