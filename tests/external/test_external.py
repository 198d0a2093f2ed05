"""Results made elsewhere: the list is the harness's own, its own edits score its own numbers, and wrong folders are
named file by file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmark import compare, edits, run, score
from benchmark.data.edit_lists import EditList
from benchmark.data.faceset import FaceSet
from benchmark.data.photo import read_pixels
from benchmark.protocol import ACTION_UNITS, EDIT_SEED, EXPRESSIONS, Subset
from tests.block_features import blocks_as_features
from tests.photo_folders import write_table

METHOD = "tests.dummy:Dummy"
SLUGS: dict[Subset, str] = {"F": "f", "F&P": "fp"}


@dataclass(frozen=True)
class House:
    """A suite that has been run, its list of edits, and its own edits as files."""

    call: list[str]
    out: Path
    listing: Path
    submitted: Path
    faces: FaceSet

    def score(self, results: Path, *options: str, name: str = "twin") -> int:
        return score.main(
            ["--edits", str(self.listing), "--results", str(results), "--name", name, "--store", str(self.out),
             "--threads", "1", "--quiet", *options]
        )  # fmt: skip

    def sheet(self, subset: Subset) -> list[dict[str, str]]:
        with (self.listing / f"edits-{SLUGS[subset]}.csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def edits(self, subset: Subset) -> pd.DataFrame:
        return EditList(subset, EDIT_SEED, 1).make(self.faces)

    def manifest(self, pattern: str) -> dict[str, Any]:
        (path,) = self.out.glob(f"{pattern}/manifest.json")
        return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module", autouse=True)
def _quick_features() -> Iterator[None]:
    with blocks_as_features():
        yield


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path], _quick_features: None) -> House:
    folder = tmp_path_factory.mktemp("house")
    rows = [
        {"id": "d-fp", "label": "Dummy (T)", "method": METHOD, "guide": "T", "data": "F&P"},
        {"id": "d-f", "label": "Dummy (T)", "method": METHOD, "guide": "T", "data": "F"},
    ]
    profile = {
        "title": "tiny", "notice": "Seconds only.", "size": 32, "width": 1.0, "features": "efficientnet-lite0",
        "judge_epochs": 1, "reader_pictures": 64, "checkpoint_every": 9, "log_every": 1, "iterations": {"default": 2},
        "targets_per_source": 1, "allow_small": True,
    }  # fmt: skip
    (folder / "pair.yaml").write_text(yaml.safe_dump({"title": "Both subsets", "rows": rows}))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(profile))
    faces = make_faces(identities=4, cameras=(90, 135))
    call = ["--suite", str(folder / "pair.yaml"), "--profile", str(folder / "tiny.yaml"), "--data", f"rendered:{faces}"]
    out, listing, submitted = folder / "runs", folder / "list", folder / "submitted"
    assert run.main([*call, "--threads", "1", "--quiet", "--out", str(out)]) == 0
    assert edits.main([*call, "--quiet", "--store", str(out), "--out", str(listing)]) == 0
    (prepared,) = (out / "faces").iterdir()
    result = House(call, out, listing, submitted, FaceSet.load(prepared))
    submitted.mkdir()
    for subset in SLUGS:
        (synth,) = (out / "synth").glob(f"synthesize-tests-*-{SLUGS[subset]}-seed-0-t-*")
        for row, image in zip(result.sheet(subset), np.load(synth / "edited.npy"), strict=True):
            Image.fromarray(image).save(submitted / row["file"])
    return result


def numbers(row: dict[str, str], names: list[str]) -> np.ndarray:
    return np.array([row[name] or "nan" for name in names], np.float32)


def contents(folder: Path) -> dict[Path, int]:
    return {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts
    }


# ---------------------------------------------------------------------------------------------- the list
def test_the_list_says_first_what_it_is(house: House) -> None:
    text = (house.listing / "README.txt").read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith("48 edits of facial expressions")
    assert "python -m benchmark.score --edits THIS_FOLDER --results YOUR_FOLDER --name NAME" in text


@pytest.mark.parametrize("subset", SLUGS)
def test_the_list_is_what_the_harness_asks_its_own_methods_for(house: House, subset: Subset) -> None:
    wanted, faces = house.edits(subset), house.faces
    sheet = house.sheet(subset)
    assert len(sheet) == len(wanted) == {"F": 16, "F&P": 32}[subset]
    points = [f"source_{axis}{number}" for number in range(68) for axis in "xy"]
    for row, (_, edit) in zip(sheet, wanted.iterrows(), strict=True):
        source, reference = int(edit["source"]), int(edit["reference"])
        assert np.array_equal(np.asarray(Image.open(house.listing / row["source"])), faces.images[source])
        assert np.array_equal(np.asarray(Image.open(house.listing / row["reference"])), faces.images[reference])
        assert (row["target"], int(row["seed"])) == (edit["target"], edit["seed"])
        assert EXPRESSIONS[int(row["target_label"])] == row["target"]
        assert EXPRESSIONS[int(row["source_label"])] == row["source_expression"] == edit["source_expression"]
        assert np.array_equal(numbers(row, [f"source_{unit}" for unit in ACTION_UNITS]), faces.units[source])
        assert np.array_equal(numbers(row, [f"reference_{unit}" for unit in ACTION_UNITS]), faces.units[reference])
        assert np.array_equal(numbers(row, points), faces.landmarks[source].ravel())


def test_no_column_and_no_name_leads_to_the_true_picture(house: House) -> None:
    assert all(re.fullmatch(r"[0-9a-f]{16}\.png", path.name) for path in (house.listing / "pictures").iterdir())
    row = house.sheet("F&P")[0]
    assert not {"truth", "identity", "camera", "source_id"} & set(row)
    assert not any("r00" in value for value in row.values())


def test_each_picture_is_there_once_and_each_file_name_is_safe_everywhere(house: House) -> None:
    used = {row[side] for subset in SLUGS for row in house.sheet(subset) for side in ("source", "reference")}
    assert used == {f"pictures/{path.name}" for path in (house.listing / "pictures").iterdir()}
    # Both cameras of the made-up set show the same: 32 faces are 16 pictures, and their edits 48 files all the same.
    assert len({np.asarray(Image.open(house.listing / name)).tobytes() for name in used}) == len(used) == 16
    names = [row["file"] for subset in SLUGS for row in house.sheet(subset)]
    assert len(set(names)) == len(names) == 48
    assert all(re.fullmatch(r"(f|fp)-\d{5}-[a-z]+\.png", name) for name in names)


def test_the_training_pictures_are_those_of_the_protocol(house: House) -> None:
    with (house.listing / "train.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    faces = house.faces
    wanted = faces.rows("F&P", "train")
    assert len(rows) == len(wanted) == 32
    assert not {row["identity"] for row in rows} & set(faces.identities("test"))
    for row, index in zip(rows, wanted, strict=True):
        assert np.array_equal(np.asarray(Image.open(house.listing / row["file"])), faces.images[index])
        face = faces.table.iloc[index]
        assert (row["expression"], int(row["camera"]), row["gaze"]) == (
            face["expression"],
            face["camera"],
            face["gaze"],
        )
        assert EXPRESSIONS[int(row["label"])] == row["expression"]
        assert np.array_equal(numbers(row, list(ACTION_UNITS)), faces.units[index])
        assert numbers(row, ["x30", "y30"]) == pytest.approx(faces.landmarks[index][30])


def test_units_and_landmarks_that_nobody_knows_are_empty(tmp_path: Path, house: House) -> None:
    data = f"folder:{write_table(tmp_path / 'mine')},faces=none"
    suite = tmp_path / "frontal.yaml"
    rows = [{"id": "d-f", "label": "D", "method": METHOD, "guide": "T", "data": "F"}]
    suite.write_text(yaml.safe_dump({"title": "F", "rows": rows}))
    call = ["--suite", str(suite), "--profile", house.call[3], "--data", data, "--quiet"]
    where = ["--store", str(tmp_path / "runs"), "--out", str(tmp_path / "list")]
    assert edits.main([*call, *where, "--without-training"]) == 0
    with (tmp_path / "list" / "edits-f.csv").open(encoding="utf-8", newline="") as stream:
        row = next(csv.DictReader(stream))
    assert row["source_AU01_r"] == row["reference_AU45_r"] == row["source_x0"] == ""
    assert sorted(path.name for path in (tmp_path / "list").iterdir()) == [
        "README.txt", "edits-f.csv", "edits.json", "pictures"
    ]  # fmt: skip


def test_a_list_is_written_once(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    call = [*house.call, "--quiet", "--store", str(house.out), "--out"]
    before = contents(house.listing)
    assert edits.main([*call, str(house.listing)]) == 0
    assert "holds this list already" in capfd.readouterr().out
    assert contents(house.listing) == before
    assert edits.main([*call, str(house.listing), "--without-training"]) == 2
    assert "holds another list" in capfd.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    assert edits.main([*call, str(tmp_path / "mine")]) == 2
    assert "is no list of edits" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    monkeypatch.setattr("benchmark.external.session.make_missing", None)  # nothing is prepared for what cannot be
    for wrong, said in (("mine", "is no list of edits"), ("mine/thesis.txt", "is a file, not a folder")):
        assert edits.main([*call, str(tmp_path / wrong)]) == 2
        assert said in capfd.readouterr().err
    monkeypatch.undo()
    copy = shutil.copytree(house.listing, tmp_path / "copy")
    next((copy / "pictures").iterdir()).unlink()
    assert edits.main([*call, str(copy)]) == 2
    assert "1 of its pictures are missing" in capfd.readouterr().err


def test_a_list_is_written_whole_or_not_at_all(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(self: Path, *_arguments: object, **_options: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    call = [*house.call, "--quiet", "--store", str(house.out), "--out", str(tmp_path / "list")]
    assert edits.main(call) == 2
    assert "cannot be written (No space left on device)" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- the row
def test_the_harnesses_own_edits_score_its_own_numbers_to_the_bit(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    assert house.score(house.submitted, "--json") == 0
    result = json.loads(capfd.readouterr().out)
    assert [row["subset"] for row in result["rows"]] == ["F&P", "F"]
    assert (result["schema"], result["name"], result["absent"], result["extra"]) == (3, "twin", [], 0)
    for row in result["rows"]:
        slug = SLUGS[row["subset"]]
        own = house.manifest(f"scores/*dummy-{slug}-seed*")
        assert row["scores"] == own["facts"]
        assert row["keys"]["judge"] == own["inputs"]["judge"]
        assert row["keys"]["real"] == own["inputs"]["real"]
        mine, theirs = (
            pd.read_parquet(next((house.out / "scores").glob(pattern)) / "per-edit.parquet")
            for pattern in (f"*twin-{slug}-*", f"*dummy-{slug}-seed*")
        )
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    assert {metric["key"] for metric in result["metrics"]} == result["rows"][0]["scores"]["metrics"].keys()
    assert result["report"] == str(next((house.out / "reports").iterdir()))


def test_the_printed_json_is_compared_with_the_suites_own_row(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert house.score(house.submitted, "--json") == 0
    printed = tmp_path / "twin.json"
    printed.write_text(capfd.readouterr().out, encoding="utf-8")
    report = next((house.out / "reports").iterdir())
    assert compare.main([f"{printed}:twin F&P", f"{report}:d-fp", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["comparisons"]
    assert all(each["difference"] == 0 and each["better"] == "" for each in found["comparisons"])
    assert {"ca", "psnr_true", "expression"} <= {each["metric"] for each in found["comparisons"]}
    assert compare.main([f"{printed}:twin F&P", f"{report}:d-f"]) == 2
    assert "are of other subsets" in capfd.readouterr().err
    assert compare.main([f"{printed}:nobody", f"{report}:d-f"]) == 2
    assert "unknown row 'nobody'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"schema": 3', '"schema": 2', "has schema 2 and this version reads 3"),
        ('"size": 32', '"size": "32"', "size must be"),
        ('"readings": "', '"other": "', "lacks the key of its judge or its readings"),
    ],
)
def test_a_damaged_json_is_one_line(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str], old: str, new: str, error: str
) -> None:
    assert house.score(house.submitted, "--json") == 0
    text = capfd.readouterr().out
    assert old in text
    (tmp_path / "twin.json").write_text(text.replace(old, new), encoding="utf-8")
    report = next((house.out / "reports").iterdir())
    assert compare.main([f"{tmp_path / 'twin.json'}:twin F&P", f"{report}:d-fp"]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert error in said


def test_the_table_has_the_row_beside_the_suites_own(
    house: House, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert house.score(house.submitted) == 0
    shown = capfd.readouterr().out
    main = shown.partition("Beyond the paper")[0]
    lines = {label: [line for line in main.splitlines() if line.startswith(label)] for label in ("Dummy (T)", "twin¹")}
    assert len(lines["Dummy (T)"]) == len(lines["twin¹"]) == 2
    for own, other in zip(lines["Dummy (T)"], lines["twin¹"], strict=True):
        assert own.split()[2:] == other.split()[1:]
    assert "¹  Made elsewhere" in main
    assert "Read CA beside the judge's accuracy" in main


def test_rows_whose_edits_are_gone_stand_beside_it(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As those of stored results, which have scores and no edits."""
    store = shutil.copytree(house.out, tmp_path / "runs")
    shutil.rmtree(store / "synth")
    assert house.score(house.submitted, "--store", str(store)) == 0
    main = capfd.readouterr().out.partition("Beyond the paper")[0]
    assert len([line for line in main.splitlines() if line.startswith("Dummy (T)")]) == 2


def test_the_second_call_makes_nothing(
    house: House, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house.score(house.submitted, "--json") == 0
    first, before = capfd.readouterr().out, contents(house.out)
    monkeypatch.setattr("benchmark.stages.score.Score.run", None)
    monkeypatch.setattr("benchmark.external.stage.ExternalEdits.run", None)
    assert house.score(house.submitted, "--json") == 0
    assert capfd.readouterr().out == first
    assert contents(house.out) == before


def test_one_subset_makes_one_row_and_a_store_without_anything_gets_what_it_lacks(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "frontal"
    folder.mkdir()
    for row in house.sheet("F"):
        shutil.copy(house.submitted / row["file"], folder)
    (folder / "notes.txt").write_text("what I did")
    assert house.score(folder, "--json", "--store", str(tmp_path / "runs")) == 0
    captured = capfd.readouterr()
    result = json.loads(captured.out)
    assert [row["subset"] for row in result["rows"]] == ["F"]
    assert (result["absent"], result["extra"], result["report"]) == (["F&P"], 1, "")
    assert "note: none of the 32 pictures of F&P is there" in captured.err
    assert "not asked for: notes.txt" in captured.err
    own = house.manifest("scores/*dummy-f-seed*")
    assert result["rows"][0]["scores"] == own["facts"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")) == [
        "cache", "external", "faces", "features", "judge", "reader", "readings", "scores"
    ]  # fmt: skip


def test_one_other_pixel_is_another_row(house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(house.submitted, tmp_path / "submitted")
    name = house.sheet("F")[3]["file"]
    pixels = np.array(Image.open(folder / name))
    pixels[5, 5, 1] ^= 128
    Image.fromarray(pixels).save(folder / name)
    assert house.score(folder, "--json", name="other [/b] one") == 0
    result = json.loads(capfd.readouterr().out)
    own = {subset: house.manifest(f"scores/*dummy-{slug}-seed*")["facts"] for subset, slug in SLUGS.items()}
    posed, frontal = result["rows"]
    assert posed["scores"] == own["F&P"]
    assert frontal["scores"]["metrics"]["psnr_src"] != own["F"]["metrics"]["psnr_src"]


def test_rows_of_another_judge_do_not_stand_beside_it(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    longer = shutil.copytree(house.listing, tmp_path / "list")
    text = (longer / "edits.json").read_text(encoding="utf-8")
    (longer / "edits.json").write_text(text.replace('"judge_epochs": 1', '"judge_epochs": 2'), encoding="utf-8")
    assert house.score(house.submitted, "--edits", str(longer)) == 0
    shown = capfd.readouterr().out
    assert "twin¹" in shown
    assert "Dummy" not in shown
    assert "training seed" not in shown
    assert "2 other identities are there to be trained on" in " ".join(shown.split())


# ---------------------------------------------------------------------------------------------- wrong results
def resized(path: Path) -> None:
    Image.open(path).resize((64, 64)).save(path)


def jpeg(path: Path) -> None:
    Image.open(path).save(path, "JPEG", quality=95)


def renamed(path: Path) -> None:
    path.rename(path.with_suffix(".jpg"))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:150])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def deep(path: Path) -> None:
    Image.fromarray(np.full((32, 32), 40000, np.uint16)).save(path)


def transparent(path: Path) -> None:
    picture = Image.open(path).convert("RGBA")
    picture.putpixel((3, 3), (0, 0, 0, 254))
    picture.save(path)


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).save(path, exif=exif)


def animated(path: Path) -> None:
    picture = Image.open(path).convert("RGB")
    picture.save(path, save_all=True, append_images=[Image.new("RGB", (32, 32))])


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "missing: NAME\n"),
        (renamed, "missing: NAME (STEM.jpg is there: the name must be exact, and the format PNG)\n"),
        (resized, "wrong: NAME is 64 x 64 px, not 32 x 32\n"),
        (jpeg, "wrong: NAME is no PNG file (other formats may have lost what is measured)\n"),
        (truncated, "wrong: NAME cannot be read"),
        (empty, "wrong: NAME is no PNG file"),
        (deep, "wrong: NAME has 16 bits a channel, not 8\n"),
        (transparent, "wrong: NAME has transparent pixels\n"),
        (turned, "wrong: NAME is turned by its EXIF orientation: turn the pixels instead\n"),
        (animated, "wrong: NAME is an animation\n"),
        (folder_in_its_place, "wrong: NAME is no file\n"),
        (pipe, "wrong: NAME is no file\n"),
    ],
)
def test_a_wrong_picture_is_named_and_nothing_is_scored(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], None], message: str
) -> None:
    folder = shutil.copytree(house.submitted, tmp_path / "submitted")
    name = house.sheet("F&P")[7]["file"]
    spoil(folder / name)
    before = contents(house.out)
    assert house.score(folder) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert message.replace("NAME", name).replace("STEM", name.removesuffix(".png")) in captured.err
    assert captured.err.splitlines()[-1].startswith(f"error: {folder}: of ")
    assert sum(line.startswith("error: ") for line in captured.err.splitlines()) == 1
    assert "nothing was scored" in captured.err
    assert "Traceback" not in captured.err
    assert contents(house.out) == before


def test_many_missing_ones_are_counted(house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    shutil.copy(house.submitted / house.sheet("F&P")[0]["file"], folder)
    assert house.score(folder) == 2
    lines = capfd.readouterr().err.splitlines()
    assert sum(line.startswith("missing: fp-") for line in lines) == 20
    assert "missing: 11 more" in lines
    assert lines[-1] == f"error: {folder}: of 32 pictures 31 are missing: nothing was scored"


@pytest.mark.parametrize("mode", ["RGBA", "P", "palette with opaque alpha"])
def test_the_same_colours_in_other_words_are_the_same_pixels(tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 6, (32, 32, 1), np.uint8) * np.array([40, 20, 10], np.uint8)
    picture = Image.fromarray(pixels)
    options: dict[str, Any] = {"transparency": 200} if mode.startswith("palette") else {}
    picture = picture.convert("RGBA") if mode == "RGBA" else picture.quantize(16)
    picture.save(tmp_path / "a.png", **options)
    assert np.array_equal(read_pixels(tmp_path / "a.png", 32), pixels)


# ---------------------------------------------------------------------------------------------- wrong calls
def test_a_list_that_was_changed_is_refused(house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(house.listing, tmp_path / "list")
    call = ["--results", str(house.submitted), "--name", "x", "--store", str(house.out), "--quiet", "--edits"]
    sheet = (copy / "edits-fp.csv").read_text(encoding="utf-8")
    (copy / "edits-fp.csv").write_text(sheet.replace("fp-00002-", "fp-00003-"), encoding="utf-8")
    assert score.main([*call, str(copy)]) == 2
    assert "edits-fp.csv is not the file that edits.json records (another SHA-256)" in capfd.readouterr().err
    text = (house.listing / "edits.json").read_text(encoding="utf-8")
    for old, new, message in (
        ('"schema": 1', '"schema": 9', "has schema 9, and this version reads 1"),
        ('"faces": "', '"faces": "0', "is not the one that the list was written for"),
        ('"key": "', '"key": "0', "asks for other edits than this version"),
        ('"pictures"', '"picture"', "is damaged"),
        ('"judge_epochs": 1', '"judge_epochs": "1"', "is damaged"),
        ("{", "", "cannot be read"),
    ):
        broken = shutil.copytree(house.listing, tmp_path / "broken", dirs_exist_ok=True)
        (broken / "edits.json").write_text(text.replace(old, new, 1), encoding="utf-8")
        assert score.main([*call, str(broken)]) == 2
        captured = capfd.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1


Rows = list[list[str]]
CSV_DAMAGES: dict[str, Callable[[Rows], Rows]] = {
    "cut": lambda rows: rows[:-3],
    "doubled": lambda rows: [*rows, *rows[1:]],
    "one doubled for another": lambda rows: [*rows[:2], rows[1], *rows[3:]],
    "swapped": lambda rows: [rows[0], *rows[:0:-1]],
    "sources swapped": lambda rows: [rows[0], *([r[0], rows[-k][1], *r[2:]] for k, r in enumerate(rows[1:], 1))],
    "seed changed": lambda rows: [rows[0], [*rows[1][:7], "5", *rows[1][8:]], *rows[2:]],
    "column missing": lambda rows: [row[1:] for row in rows],
    "another column missing": lambda rows: [[*row[:4], *row[5:]] for row in rows],
    "empty": lambda rows: [],
    "other names": lambda rows: [rows[0], *([f"../{r[0]}", *r[1:]] for r in rows[1:])],
}


@pytest.mark.parametrize("damage", [*CSV_DAMAGES, "encoding", "NUL", "a pipe", "elsewhere"])
def test_a_list_whose_sheet_and_hash_were_changed_together_is_refused(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str], damage: str
) -> None:
    copy = shutil.copytree(house.listing, tmp_path / "list")
    path, listing = copy / "edits-fp.csv", json.loads((copy / "edits.json").read_text(encoding="utf-8"))
    content = path.read_bytes()
    if damage in CSV_DAMAGES:
        stream = io.StringIO()
        rows = CSV_DAMAGES[damage](list(csv.reader(io.StringIO(content.decode()))))
        csv.writer(stream, lineterminator="\n").writerows(rows)
        content = stream.getvalue().encode()
        listing["sheets"]["F&P"]["edits"] = max(0, len(rows) - 1)
    elif damage == "encoding":
        content = content.decode().encode("utf-16")
    elif damage == "NUL":
        content = content.replace(b"-00002-", b"-0\x00002-")
    path.unlink()
    if damage == "a pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    listing["sheets"]["F&P"]["sha256"] = hashlib.sha256(content).hexdigest()
    if damage == "elsewhere":
        listing["sheets"]["F&P"]["file"] = "../../list/edits-fp.csv"
    (copy / "edits.json").write_text(json.dumps(listing), encoding="utf-8")
    before = set(house.out.rglob("scores/*"))
    call = [
        "--results",
        str(house.submitted),
        "--name",
        "x",
        "--store",
        str(house.out),
        "--quiet",
        "--edits",
        str(copy),
    ]
    assert score.main(call) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("error: ")
    assert "write the list again" in captured.err
    assert "Traceback" not in captured.err
    assert set(house.out.rglob("scores/*")) == before


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("title", 7, "title must be text, not 7"),
        ("paper", "../..", "'../..'"),
        ("size", 10**9, "size must be at most"),
        ("size", float("nan"), "size must be"),
        ("seed", -1, "seed must be at least 0"),
        ("targets", ["bored"], "target 1 must match"),
        ("sheets", {}, "sheets"),
        ("sheets", {"F": 3}, "sheets.F"),
        ("training", "yes", "training"),
        ("more", 1, "no field 'more'"),
        ("schema", "one", "schema must be"),
    ],
)
def test_a_damaged_listing_is_one_line(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str], field: str, value: object, message: str
) -> None:
    copy = shutil.copytree(house.listing, tmp_path / "list")
    listing = json.loads((copy / "edits.json").read_text(encoding="utf-8")) | {field: value}
    (copy / "edits.json").write_text(json.dumps(listing), encoding="utf-8")
    call = [
        "--results",
        str(house.submitted),
        "--name",
        "x",
        "--store",
        str(house.out),
        "--quiet",
        "--edits",
        str(copy),
    ]
    assert score.main(call) == 2
    captured = capfd.readouterr()
    assert message in captured.err
    assert "write the list again" in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.timeout(60)
def test_a_listing_that_is_no_file_or_nested_without_end_is_one_line(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "list"
    folder.mkdir()
    path = folder / "edits.json"
    call = [
        "--results",
        str(house.submitted),
        "--name",
        "x",
        "--store",
        str(house.out),
        "--quiet",
        "--edits",
        str(folder),
    ]
    for make, message in (
        (lambda: os.mkfifo(path), "it is a named pipe, not a file"),
        (lambda: path.symlink_to("/dev/zero"), "it is a device, not a file"),
        (lambda: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda: path.write_text("[" * 200_000), "is damaged"),
        (lambda: path.write_bytes(b"\xff\xfe{"), "is damaged"),
    ):
        make()
        assert score.main(call) == 2
        error = capfd.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        path.unlink()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--edits, --results and --name make a row of a table; --real and --fake compare two folders"),
        (["--real", "a"], "the following arguments are required: --fake"),
        (["--edits", "a", "--name", "b"], "the following arguments are required: --results"),
        (["--edits", "a", "--fake", "b"], "--edits and --fake belong to two kinds of call"),
        (["--real", "a", "--fake", "b", "--name", "c"], "--name and --real belong to two kinds of call"),
        (["--real", "a", "--fake", "b", "--out", "c"], "--store and --real belong to two kinds of call"),
        (["--real", "a", "--fake", "b", "--network", "c.pt"], "--network and --real belong to two kinds of call"),
        (["--edits", "LIST", "--results", "SUBMITTED", "--name", "b", "--network", "c.pt"], "network c.pt is missing"),
        (["--edits", "nowhere", "--results", "a", "--name", "b"], "nowhere holds no list of edits (no edits.json)"),
        (["--edits", "LIST", "--results", "nowhere", "--name", "b"], "--results nowhere is missing"),
        (["--edits", "LIST", "--results", "LIST", "--name", "b"], "has none of the 48 pictures that are asked for"),
        (["--edits", "LIST", "--results", "LIST", "--name", " "], "--name must be 1 to 40 characters"),
        (["--edits", "LIST", "--results", "LIST", "--name", "a\nb"], "--name must be 1 to 40 characters"),
        (["--edits", "LIST", "--results", "SUBMITTED", "--name", "b", "--data", "rafd:nowhere"], "no such folder"),
        (
            ["--edits", "LIST", "--results", "SUBMITTED", "--name", "b", "--threads", "0"],
            "--threads must be at least 1",
        ),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    options: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    places = {"LIST": str(house.listing), "SUBMITTED": str(house.submitted)}
    try:
        status = score.main([places.get(option, option) for option in options])
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err
