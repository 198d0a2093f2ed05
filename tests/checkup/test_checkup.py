"""`python -m benchmark.prepare`: what it says of a good set, of one with faults, and of none."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark import prepare
from tests.photo_folders import write_rafd, write_table


def said(capfd: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert prepare.main([*arguments, "--quiet"]) == status
    captured = capfd.readouterr()
    return captured.err if status else captured.out


@pytest.fixture(scope="module")
def rafd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people at two cameras, one picture missing, one broken, one misnamed."""
    root = write_rafd(tmp_path_factory.mktemp("photos") / "rafd", range(6), (45, 90))
    files = sorted((root / "090").iterdir())
    files[0].unlink()
    files[1].write_bytes(b"\xff\xd8 <script>alert(1)</script>")
    files[2].rename(files[2].with_name("Rafd090_01_Caucasian_female_<b>hapy_frontal.jpg"))
    return root


@pytest.fixture(scope="module")
def checkup(rafd: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    store = tmp_path_factory.mktemp("store")
    import contextlib

    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        assert prepare.main(["--data", f"rafd:{rafd}", "--store", str(store), "--json", "--quiet"]) == 0
    result: dict[str, Any] = json.loads(stream.getvalue())
    return result


def test_the_counts_are_those_of_the_folder(checkup: dict[str, Any]) -> None:
    assert checkup["pictures"] == 6 * 8 * 2 - 3
    assert checkup["counts"]["camera"] == {"000": 0, "045": 48, "090": 45, "135": 0, "180": 0}
    assert checkup["counts"]["gaze"] == {"frontal": 93, "left": 0, "right": 0}
    assert sum(checkup["counts"]["expression"].values()) == 93
    assert checkup["counts"]["expression"]["sad"] == 12
    assert (checkup["fullest"], checkup["incomplete"]) == (16, {"01": 13})
    assert {(entry["path"].rpartition("/")[2][:7], entry["reason"]) for entry in checkup["set_aside"]} == {
        ("Rafd090", "broken"), ("Rafd090", "misnamed")
    }  # fmt: skip
    assert checkup["aside"] == {"misnamed": 1, "broken": 1}
    assert checkup["people"] == {"01": 13, **{f"{number:02d}": 16 for number in range(2, 7)}}
    assert len(checkup["not_found"]) == sum(checkup["landmarks_by"].values()) - checkup["landmarks_by"]["dlib"] > 0
    assert set(checkup["not_found"].values()) <= {"another gaze", "mirrored pose", "the camera's mean"}
    assert all((Path(checkup["folder"]) / name).is_file() for name in checkup["not_found"])
    assert sorted(checkup["train"] + checkup["test"]) == [f"{number:02d}" for number in range(1, 7)]


def test_what_the_suites_lack_is_reported(checkup: dict[str, Any]) -> None:
    suite = checkup["suites"]["table1"]
    assert suite["missing"] == {}
    assert "F&P: no picture of camera 135" in suite["warnings"]
    assert any("real test pictures, and Fréchet distances want 128" in warning for warning in suite["warnings"])


def test_the_page_holds_its_pictures_and_escapes_names(checkup: dict[str, Any]) -> None:
    page = Path(checkup["page"]).read_text(encoding="utf-8")
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == page.count("<figure>")
    # 45 frontal pictures, and at most as many at camera 045 as are shown, with all whose faces another stands in for.
    assert 45 < len(pictures) <= 93
    for raw in pictures[:3]:
        with Image.open(io.BytesIO(base64.b64decode(raw))) as picture:
            assert picture.size == (224, 224)
    assert "<script" not in page
    assert "02: 16<br>03: 16" in page
    assert all(f"{name}: {by}" in page.replace("&#x27;", "'") for name, by in checkup["not_found"].items())
    assert "&lt;b&gt;hapy" in page
    assert not re.search(r"https?:", page), "nothing is loaded from elsewhere"  # base64 has no colon
    assert "unknown expression" in page or "is not named as RaFD" in page


def test_the_text_names_each_file_that_was_set_aside(
    rafd: Path, checkup: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    store = str(Path(checkup["page"]).parents[1])
    text = said(capfd, "--data", f"rafd:{rafd}", "--store", store)
    assert "93 pictures can be used, of 6 people" in text
    for entry in checkup["set_aside"]:
        assert f"{entry['reason']}: {entry['path']}" in text
    assert "suite table1: 8 of 8 rows can be measured" in text
    assert "ACTION UNITS ARE NOT MEASURED" in text
    assert f"to test on ({len(checkup['test'])} people): {' '.join(checkup['test'])}" in text


def test_a_stray_file_is_reported_of_a_prepared_set_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write_rafd(tmp_path / "rafd", range(5), expressions=("happy", "sad"))
    first = next((root / "090").iterdir())
    call = ["--data", f"rafd:{root}", "--store", str(tmp_path / "runs")]
    assert "set aside" not in said(capfd, *call)
    (root / "holiday.jpg").write_bytes(first.read_bytes())
    (root / "notes.txt").write_text("one")
    text = said(capfd, *call)
    assert "misnamed: holiday.jpg" in text
    assert "passed over: 1 other file (tables, documents)" in text
    assert len(list((tmp_path / "runs" / "faces").iterdir())) == 1


def test_what_cannot_be_edited_is_reported_before_any_work(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write_rafd(tmp_path / "rafd", range(5), expressions=("happy",))
    text = said(capfd, "--data", f"rafd:{root}", "--store", str(tmp_path / "runs"))
    assert "suite table1: 0 of 8 rows can be measured" in text
    assert "all train pictures of subset F&P show happy, and two expressions are needed" in text
    few = write_rafd(tmp_path / "few", range(3))
    error = said(capfd, "--data", f"rafd:{few}", "--store", str(tmp_path / "runs"), status=2)
    assert f"{few} has pictures of 3 people that can be used; 4 are needed" in error


def test_a_table_without_units_leaves_rows_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write_table(tmp_path / "mine", range(5), landmarks=True)
    text = said(capfd, "--data", f"folder:{root}", "--store", str(tmp_path / "runs"))
    assert "not GANima (R) (F&P): 'ganimation' needs action units, and folder has none" in text
    assert "suite table1: 6 of 8 rows can be measured" in text


def test_the_rendered_faces_have_a_check_up_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = said(capfd, "--data", "rendered", "--store", str(tmp_path / "runs"))
    assert "1,920 pictures can be used, of 80 people" in text
    assert "by person: 24 pictures each" in text
    assert "set aside" not in text


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("rafd", "needs the folder of its pictures"),
        ("rafd:{empty}", "is empty"),
        ("cfee:{rafd}", "holds RaFD, not CFEE: --data rafd:"),
        ("folder:{rafd}", "has no table, and holds RaFD: --data rafd:"),
        ("rafd:{rafd},leave-out=99", "nobody of that name or group"),
        ("rafd:{rafd},leaveout=kid", "unknown option .leaveout. of --data rafd; did you mean .leave-out."),
    ],
)
def test_what_is_wrong_is_one_line(
    data: str, why: str, rafd: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    spec = data.format(empty=tmp_path / "empty", rafd=rafd)
    error = said(capfd, "--data", spec, "--store", str(tmp_path / "runs"), status=2)
    assert re.search(why, error)
    assert error.count("\n") == 1


def test_all_that_is_set_aside_is_in_the_list_that_the_text_names(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also what came after the set was prepared."""
    root = write_rafd(tmp_path / "rafd", range(4), expressions=("happy", "sad"))
    call = ["--data", f"rafd:{root}", "--store", str(tmp_path / "runs")]
    said(capfd, *call)
    for number in range(15):
        (root / f"holiday-{number}.jpg").write_bytes(b"none of the set's")
    text = said(capfd, *call)
    (folder,) = re.findall(r"and 3 more: all are in (\S+)", text)
    with Path(folder).open(newline="") as stream:
        listed = list(csv.DictReader(stream))
    assert {row["path"] for row in listed} == {f"holiday-{number}.jpg" for number in range(15)}
    assert {row["reason"] for row in listed} == {"misnamed"}


def test_people_whose_pictures_are_all_set_aside_are_missed_with_the_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = write_rafd(tmp_path / "rafd", range(5), expressions=("happy", "sad"))
    for person in ("01", "02"):
        for path in root.rglob(f"Rafd090_{person}_*"):
            path.write_bytes(b"")
    error = said(capfd, "--data", f"rafd:{root}", "--store", str(tmp_path / "runs"), status=2)
    assert f"{root} has pictures of 3 people that can be used; 4 are needed" in error
    assert "(set aside: 4 truncated; the first: 090/Rafd090_01_" in error
    assert error.count("\n") == 1


def test_names_that_no_terminal_can_show_are_shown_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The folder's own name is no UTF-8; a person's would colour the terminal."""
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/J\xf6rg"))
    write_table(root, range(4), landmarks=True)
    table = root / "faces.csv"
    lines = table.read_text().replace(",p0,", ",\x1b[31mp0,")
    assert "\x1b" in lines
    table.write_text(lines)
    text = said(capfd, "--data", f"folder:{root}", "--store", str(tmp_path / "runs"))
    assert "J\\xf6rg" in text
    assert "\\x1b[31mp0" in text
    assert "\x1b" not in text
    report = json.loads(said(capfd, "--data", f"folder:{root}", "--store", str(tmp_path / "runs"), "--json"))
    assert report["folder"].endswith("J\\xf6rg")
    assert list((tmp_path / "runs" / "checkups").glob("*.tmp")) == []


def test_a_store_that_is_in_the_way_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkups").write_text("a file")
    error = said(capfd, "--data", "rendered", "--store", str(tmp_path), status=2)
    assert error == f"error: --store {tmp_path / 'checkups'} is a file, not a folder: choose another folder\n"


def test_files_of_openface_that_are_of_no_use_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write_table(tmp_path / "mine", range(4), landmarks=True)
    (root / "pictures" / "p0 happy.csv").write_text("confidence, AU12_r\n0.9,1.0\n")
    call = ["--data", f"folder:{root}", "--store", str(tmp_path / "runs")]
    assert "of no use: 1 file of OpenFace's\n  pictures/p0 happy.csv: column AU01_r" in said(capfd, *call)
    report = json.loads(said(capfd, *call, "--json"))
    assert report["useless"] == ["pictures/p0 happy.csv: column AU01_r and 15 more is missing"]
    assert "p0 happy.csv: column AU01_r" in Path(report["page"]).read_text()
