"""A suite of faces that are not aligned: what it shares with one of aligned faces, what it edits, measures and says."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmark import edits, run, score
from benchmark.config.profiles import load_profile
from benchmark.config.suites import load_suite
from benchmark.data.alignment import align_faces, mean_landmarks
from benchmark.data.faceset import FaceSet
from benchmark.data.registry import open_source
from benchmark.pipeline.plan import Plan
from benchmark.pipeline.request import PlanRequest
from benchmark.protocol import EXPRESSIONS
from benchmark.report.results import load_results
from benchmark.stages.features import ExtractorChoice
from benchmark.stages.judge import load_judge
from tests.block_features import Blocks, blocks_as_features

METHOD = "tests.dummy:Dummy"
ROWS = [
    {"id": "d-t", "label": "Dummy (T)", "method": METHOD, "guide": "T", "data": "F&P"},
    {"id": "d-r", "label": "Dummy (R)", "method": METHOD, "guide": "R", "data": "F&P"},
]
PROFILE = {
    "title": "tiny", "notice": "Seconds only.", "size": 32, "width": 1.0, "features": "efficientnet-lite0",
    "judge_epochs": 1, "reader_pictures": 64, "checkpoint_every": 9, "log_every": 1, "iterations": {"default": 2},
    "targets_per_source": 2,
    "allow_small": True,
}  # fmt: skip
BEFORE = {
    "prepare rendered 64 px": "f161895eb41f",
    "judge F&P": "eecff607b811",
    "train mtss F&P seed 0": "a693062e6e9f",
    "features efficientnet-lite0 F": "e0798ba1e649",
    "synthesize mtss F&P seed 0 R": "0e3a7ca7280d",
    "score hisd F&P seed 0 T": "16330e49220c",
    "synthesize gallery stargan F&P seed 0 T": "79c6f70d0ce5",
    "table1 quick rendered": "ef821650171f",
}
"""Keys of Table 1: what changes nothing of its results leaves finished runs. Who raises a version, or changes the
profile, changes them."""


@dataclass(frozen=True)
class House:
    """Both suites, run in one store."""

    call: list[str]
    out: Path
    trained: list[str]
    """Names of all trainings and judges that were there before the non-aligned suite."""

    @property
    def report(self) -> Path:
        (actual,) = (self.out / "reports").glob("other-tiny-*")
        return actual

    def faces(self, name: str) -> FaceSet:
        (actual,) = (self.out / "faces").glob(f"prepare-{name}-32-px-*")
        return FaceSet.load(actual)


@pytest.fixture(scope="module", autouse=True)
def _quick_features() -> Iterator[None]:
    with blocks_as_features():
        yield


def trainings(out: Path) -> list[str]:
    return sorted(path.name for kind in ("train", "judge") for path in (out / kind).iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path], _quick_features: None) -> House:
    folder = tmp_path_factory.mktemp("house")
    (folder / "plain.yaml").write_text(yaml.safe_dump({"title": "Aligned", "rows": ROWS}))
    other = {"title": "Not aligned", "faces": "nonaligned", "targets": ["happy"], "rows": ROWS}
    (folder / "other.yaml").write_text(yaml.safe_dump(other))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(PROFILE))
    faces = make_faces(identities=8, cameras=(90, 135), placements=("aligned", "off", "far"))
    rest = ["--profile", str(folder / "tiny.yaml"), "--data", f"rendered:{faces}", "--quiet"]
    call, out = ["--suite", str(folder / "other.yaml"), *rest], folder / "runs"
    where = ["--threads", "1", "--jobs", "1", "--out", str(out)]
    assert run.main(["--suite", str(folder / "plain.yaml"), *rest, *where]) == 0
    before = trainings(out)
    assert run.main([*call, *where]) == 0
    return House(call, out, before)


def test_trainings_and_judge_are_those_of_the_aligned_suite(house: House) -> None:
    assert house.trained
    assert trainings(house.out) == house.trained


def test_only_happy_and_only_non_aligned_pictures_are_edited(house: House) -> None:
    faces = house.faces("rendered-nonaligned")
    assert set(faces.placements) == {"off", "far"}
    (synth,) = (house.out / "synth").glob("synthesize-tests-dummy-dummy-fp-seed-0-r-to-happy-*")
    result = pd.read_parquet(synth / "edits.parquet")
    assert len(result) == 2 * 7 * 2 * 2
    assert set(result["target"]) == {"happy"}
    truth, source = (faces.table.iloc[result[name]] for name in ("truth", "source"))
    assert (truth["placement"].to_numpy() == source["placement"].to_numpy()).all()
    per_edit = pd.read_parquet(next((house.out / "scores").glob("*-r-to-happy-*/per-edit.parquet")))
    first = np.load(synth / "edited.npy")[0].astype(float)
    true = faces.images[result["truth"].iloc[0]].astype(float)
    assert per_edit["psnr_true"].iloc[0] == pytest.approx(10 * np.log10(255**2 / np.square(first - true).mean()))


def test_distances_are_to_real_pictures_of_the_target(house: House) -> None:
    faces = house.faces("rendered-nonaligned")
    rows = [row for row in faces.rows("F&P", "test") if faces.table["expression"].iloc[row] == "happy"]
    assert len(rows) == 8
    (real,) = (house.out / "features").glob("*-happy-*")
    assert np.array_equal(np.load(real / "whole.npy"), Blocks().features(faces.images[rows], lambda _count: None))
    assert load_results(house.report / "results.json").test_images == {"F&P": 8}


def test_the_judges_accuracy_on_them_is_under_the_table(house: House) -> None:
    results = load_results(house.report / "results.json")
    (judge,) = (house.out / "judge").glob("judge-fp-*")
    faces = house.faces("rendered-nonaligned")
    test = faces.rows("F&P", "test")
    judge_of = load_judge(judge).predict
    places = mean_landmarks(house.faces("rendered"), "F&P")
    cameras = faces.table["camera"].to_numpy()[test]
    shown, known = align_faces(faces.images[test], faces.landmarks[test], cameras, places)
    assert known.all()
    right = judge_of(shown).argmax(1) == faces.labels[test]
    happy = faces.labels[test] == EXPRESSIONS.index("happy")
    reading = results.readings["F&P"]
    assert (reading.images, reading.target_images, reading.framed) == (64, 8, 64)
    assert reading.accuracy == pytest.approx(100 * right.mean())
    assert reading.target_accuracy == pytest.approx(100 * right[happy].mean())
    standing = judge_of(faces.images[test]).argmax(1) == faces.labels[test]
    assert reading.unframed_accuracy == pytest.approx(100 * standing.mean())
    (synth,) = (house.out / "synth").glob("synthesize-tests-dummy-dummy-fp-seed-0-r-to-happy-*")
    result = pd.read_parquet(next((house.out / "scores").glob("*-r-to-happy-*/per-edit.parquet")))
    source = result["source"].to_numpy()
    edited, _ = align_faces(
        np.load(synth / "edited.npy"), faces.landmarks[source], faces.table["camera"].to_numpy()[source], places
    )
    assert [EXPRESSIONS[label] for label in judge_of(edited).argmax(1)] == result["judged"].tolist()
    assert (results.faces, results.targets, results.data) == ("nonaligned", ("happy",), "rendered")
    page = (house.report / "table.md").read_text(encoding="utf-8")
    assert f"that show happy, {reading.target_accuracy:.2f} % of 8 (F&P)" in page.replace("\\", "").replace(
        "&amp;", "&"
    )
    assert f"{reading.accuracy:.2f} % of 64 (F&P) rightly, where chance is 12.5 %" in page.replace("&amp;", "&")
    assert "real pictures, not aligned" in (house.report / "extended.md").read_text(encoding="utf-8")


def test_one_figure_shows_all_rows(house: House) -> None:
    assert (house.report / "edits.png").is_file()
    assert not (house.report / "label-guided.png").exists()
    assert "edits.png" in (house.report / "report.md").read_text(encoding="utf-8")


def test_few_pictures_have_no_distance_unless_asked_for(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    strict = tmp_path / "strict.yaml"
    strict.write_text(yaml.safe_dump({**PROFILE, "allow_small": False}))
    call = [str(strict) if word.endswith("tiny.yaml") else word for word in house.call]
    assert run.main([*call, "--out", str(house.out), "--threads", "1", "--jobs", "1", "--json"]) == 0
    row = json.loads(capfd.readouterr().out)["rows"][0]["seeds"]["0"]
    assert row["metrics"]["fid"] is None
    assert row["reasons"]["fid"].startswith("8 pictures are fewer than 128")


def test_a_program_elsewhere_gets_the_same_edits_and_numbers(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listing, answer = tmp_path / "list", tmp_path / "answer"
    assert edits.main([*house.call, "--store", str(house.out), "--out", str(listing)]) == 0
    with (listing / "edits-fp.csv").open(encoding="utf-8", newline="") as stream:
        sheet = list(csv.DictReader(stream))
    assert {row["target"] for row in sheet} == {"happy"}
    assert len(sheet) == 56
    other, aligned = house.faces("rendered-nonaligned"), house.faces("rendered")
    shown = {np.asarray(Image.open(listing / row[side])).tobytes() for row in sheet for side in ("source", "reference")}
    assert shown <= {image.tobytes() for image in other.images}
    learned = {np.asarray(Image.open(path)).tobytes() for path in (listing / "training").iterdir()}
    assert learned == {aligned.images[row].tobytes() for row in aligned.rows("F&P", "train")}
    assert "are not aligned" in (listing / "README.txt").read_text(encoding="utf-8")

    answer.mkdir()
    (synth,) = (house.out / "synth").glob("synthesize-tests-*-t-to-happy-*")
    for row, image in zip(sheet, np.load(synth / "edited.npy"), strict=True):
        Image.fromarray(image).save(answer / row["file"])
    capfd.readouterr()
    call = ["--edits", str(listing), "--results", str(answer), "--name", "twin", "--store", str(house.out)]
    assert score.main([*call, "--threads", "1", "--quiet", "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    own = load_results(house.report / "results.json")
    assert result["rows"][0]["scores"]["metrics"] == own.rows[0].seeds[0].metrics
    assert result["rows"][0]["reading"]["target_accuracy"] == own.readings["F&P"].target_accuracy
    assert result["report"] == str(house.report)
    assert trainings(house.out) == house.trained


def test_a_set_without_such_pictures_is_one_line(
    house: House, tmp_path: Path, make_faces: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    plain = make_faces(identities=4, cameras=(90, 135))
    call = [f"rendered:{plain}" if word.startswith("rendered:") else word for word in house.call]
    for command, where in ((run, "--out"), (edits, "--store")):
        more = ["--out", str(tmp_path / "list")] if command is edits else []
        assert command.main([*call, where, str(tmp_path / "runs"), *more]) == 2
        errors = capfd.readouterr().err
        assert errors.count("\n") == 1
        assert "has no non-aligned pictures: render a set that has both" in errors


def test_the_suite_of_the_house_shares_with_table_1(tmp_path: Path) -> None:
    extractor = ExtractorChoice("efficientnet-lite0", "0" * 64, False)

    def keys(suite: str) -> dict[str, str]:
        source = open_source("rendered", tmp_path)
        nothing = tmp_path / "nothing-stored"  # stored results are a part of the report's key
        request = PlanRequest(
            load_suite(suite), load_profile("quick"), source, (0,), extractor, "cpu", reference=nothing
        )
        plan = Plan(request)
        return {stage.name: stage.recipe.key for stage in plan.stages}

    table1, other = keys("table1"), keys("nonaligned")
    assert {name: table1[name][:12] for name in BEFORE} == BEFORE
    shared = {name for name, key in other.items() if table1.get(name) == key}
    assert shared == {name for name in table1 if name.startswith(("train", "judge", "prepare", "reader"))}
    assert sum(name.startswith("train") for name in shared) == 6
    suite = load_suite("nonaligned")
    assert suite.rows == load_suite("table1").rows
    assert (suite.faces, suite.targets, suite.paper) == ("nonaligned", ("happy",), "")


def test_all_targets_are_no_targets(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"title": "t", "rows": ROWS, "targets": list(EXPRESSIONS)}))
    assert load_suite(str(path)).targets == ()
    path.write_text(yaml.safe_dump({"title": "t", "rows": ROWS, "targets": ["sad", "happy"]}))
    assert load_suite(str(path)).targets == ("happy", "sad"), "in the order of the protocol"
