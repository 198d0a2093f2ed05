"""Photographs with OpenFace's files: gain, off-axis and landmark error are scored from the values in these files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark import run
from benchmark.data.faceset import FaceSet
from benchmark.protocol import ACTION_UNITS
from benchmark.report.results import SuiteResults, load_results
from benchmark.stages.score import PER_EDIT
from benchmark.training.reader import Reader
from tests.block_features import blocks_as_features
from tests.data.openface_files import row, write
from tests.photo_folders import portrait, rafd_name, rendered
from tests.pipeline.test_pipeline import configure, report_of

SIZE, WIDTH, HEIGHT = 32, 96, 144
SHOWN = ("angry", "happy", "neutral", "surprised")


@dataclass(frozen=True)
class Scored:
    """A run, and what OpenFace's files say: by person and expression, action units and landmarks at 32 px."""

    results: SuiteResults
    out: Path
    units: dict[tuple[str, str], np.ndarray]
    landmarks: dict[tuple[str, str], np.ndarray]

    def of(self, faces: FaceSet, rows: np.ndarray, said: dict[tuple[str, str], np.ndarray]) -> np.ndarray:
        """What the files say of pictures; NaN where there is none."""
        table = faces.table.iloc[rows]
        empty = np.full_like(next(iter(said.values())), np.nan)
        return np.stack([said.get(key, empty) for key in zip(table["identity"], table["expression"], strict=True)])


def write_photographs(folder: Path, skipped: tuple[str, str]) -> tuple[dict[tuple[str, str], np.ndarray], ...]:
    """Portraits as RaFD's, each but one with a CSV beside it. Returns its action units and landmarks at 32 px."""
    folder.mkdir()
    table = pd.read_parquet(Path(__file__).parents[2] / "benchmark/data/rendered/faces-64.parquet")
    units, landmarks = {}, {}
    for face in rendered(range(5), (90,), SHOWN):
        name = rafd_name(face)
        portrait(face.picture, WIDTH, HEIGHT).save(folder / name, quality=95)
        key = (name.split("_")[1], face.expression)
        if key == skipped:
            continue
        chosen = (table["identity"].astype(int) == face.identity) & (table["expression"] == face.expression)
        shown = table[chosen & (table["camera"] == 90)].iloc[0]
        said = np.array([round(float(shown[unit]) * 0.9, 2) for unit in ACTION_UNITS])
        points = (face.landmarks + 0.5) * (WIDTH / 64) - 0.5 + (0, (HEIGHT - WIDTH) / 2)
        write(folder / name.replace(".jpg", ".csv"), [row(points, said.tolist(), confidence=0.98, face=0)])
        units[key] = said
        landmarks[key] = (points - (0, (HEIGHT - WIDTH) / 2) + 0.5) * (SIZE / WIDTH) - 0.5
    return units, landmarks


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    folder = tmp_path_factory.mktemp("photographs")
    call = configure(folder)
    profile = folder / "tiny.yaml"
    changed = {"reader_pictures": 1200, "targets_per_source": 3}
    profile.write_text(yaml.safe_dump({**yaml.safe_load(profile.read_text()), **changed}))
    units, landmarks = write_photographs(folder / "rafd", ("03", "happy"))
    call += ["--data", f"rafd:{folder / 'rafd'},faces=none", "--out", str(folder / "out"), "--jobs", "1"]
    with blocks_as_features():
        assert run.main(call) == 0
    return Scored(load_results(report_of(folder / "out") / "results.json"), folder / "out", units, landmarks)


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


@pytest.mark.parametrize("name", ["d-t", "truth F"])
def test_they_are_those_computed_by_hand(scored: Scored, name: str) -> None:
    faces = FaceSet.load(only(scored.out / "faces", "*"))
    edits = (
        only(scored.out / "synth", "synthesize-tests-*-0-t-*")
        if name == "d-t"
        else only(scored.out / "corner", "corner-truth-*")
    )
    images, table = np.load(edits / "edited.npy"), pd.read_parquet(edits / "edits.parquet")
    reader = Reader.load(only(scored.out / "reader", "*"), "cpu")
    source, truth = table["source"].to_numpy(), table["truth"].to_numpy()
    read = reader.read(images)
    before, right = (reader.read(np.asarray(faces.images[rows])).units for rows in (source, truth))
    true = scored.of(faces, truth, scored.units) - scored.of(faces, source, scored.units)
    points = scored.of(faces, truth, scored.landmarks)
    scores = only(scored.out / "scores", "*-0-t-*" if name == "d-t" else "*corner-truth-*")
    per_edit = pd.read_parquet(scores / PER_EDIT)
    known = np.isfinite(true).all(1)
    assert 0 < known.sum() < len(known), "some edits are from or to the picture without a file"

    still = np.abs(true) < 0.5
    change = np.abs(read.units - before)
    off_axis = np.array([each[rest].mean() if rest.any() else np.nan for each, rest in zip(change, still, strict=True)])
    np.testing.assert_allclose(per_edit["off_axis"], np.where(known, off_axis, np.nan), rtol=1e-4)

    apart = np.linalg.norm(points[:, 36] - points[:, 45], axis=1)
    error = 100 * np.linalg.norm(read.landmarks - points, axis=2).mean(1) / apart
    np.testing.assert_allclose(per_edit["landmark_error"], error, rtol=1e-3)
    assert np.isnan(error).sum() == (faces.table["expression"].iloc[truth[np.isnan(error)]] == "happy").sum() > 0

    gains = {}
    for person in np.unique(faces.table["identity"].iloc[source]):
        mine = known & (faces.table["identity"].iloc[source] == person).to_numpy()
        along, whole = (np.sum((units - before)[mine] * true[mine]) for units in (read.units, right))
        assert whole > 0.1 * np.sum(true[mine] ** 2)
        gains[person] = along / whole
        assert per_edit["gain"][mine].mean() == pytest.approx(gains[person], rel=1e-3)
    assert per_edit["gain"].isna().tolist() == (~known).tolist()
    result = next(each for each in scored.results.all_rows if each.id == name).seeds[0]
    assert result.by_identity["gain"] == pytest.approx(gains, rel=1e-3)
    if name != "d-t":
        assert gains == pytest.approx(dict.fromkeys(gains, 1.0))


def test_the_readers_error_is_against_openface(scored: Scored) -> None:
    faces = FaceSet.load(only(scored.out / "faces", "*"))
    rows = faces.rows("F", "test")
    read = Reader.load(only(scored.out / "reader", "*"), "cpu").read(np.asarray(faces.images[rows]))
    error = np.nanmean(np.abs(read.units - scored.of(faces, rows, scored.units)), axis=0)
    assert list(scored.results.readers["F"].units.values()) == pytest.approx(error.tolist(), rel=1e-3)
    assert scored.results.readers["F"].images == len(rows)
