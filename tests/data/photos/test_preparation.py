"""Preparing photographs: pixels, what is set aside, what stands in, cuts and workers that change nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.data.faceset import FaceSet
from benchmark.data.framing import RAFD, face_square
from benchmark.data.photo import read_upright
from benchmark.data.photos import preparation
from benchmark.data.photos import source as photographs
from benchmark.data.photos.set_aside import ASIDE
from benchmark.data.rafd import RaFD
from benchmark.data.registry import open_source
from benchmark.data.source import DataSource
from tests.data.openface_files import row, write
from tests.photo_folders import portrait, rafd_name, read_square, rendered, write_cfee, write_rafd, write_table

Prepare = Callable[..., tuple[FaceSet, dict[str, object], Path]]


def prepare(source: DataSource, folder: Path, size: int = 64, workers: int = 1) -> tuple[FaceSet, dict[str, object]]:
    folder.mkdir(parents=True, exist_ok=True)
    advanced: list[int] = []
    result = source.prepare(size, folder, workers, advanced.append)
    assert sum(advanced) == source.count()
    assert sorted(path.name for path in folder.iterdir()) == sorted(result.files)
    return FaceSet.load(folder), dict(result.facts)


def aside(folder: Path) -> dict[str, tuple[str, str]]:
    table = pd.read_csv(folder / ASIDE, dtype=str)
    return {row.path: (row.reason, row.detail) for row in table.itertuples()}


def test_pixels_are_those_of_one_picture_after_the_other(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(4), (45, 90), expressions=("happy", "sad", "angry", "neutral"))
    faces, _ = prepare(open_source(f"rafd:{root}", tmp_path / "cache"), tmp_path / "out", workers=3)
    assert len(faces.table) == 32
    for number in range(0, 32, 5):
        expected = read_square(root / faces.table["file"].iloc[number], 64)
        np.testing.assert_array_equal(faces.images[number], expected)


def test_landmarks_are_in_the_prepared_pictures(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", (0, 5, 9, 12), (90,))
    faces, _ = prepare(open_source(f"rafd:{root}", tmp_path / "cache"), tmp_path / "out")
    true = {f"{face.identity + 1:02d}_{face.expression}_090_frontal": face for face in rendered((0, 5, 9, 12), (90,))}
    for number, name in enumerate(faces.table["face_id"]):
        expected = true[name].landmarks
        eyes = np.linalg.norm(expected[36:42].mean(0) - expected[42:48].mean(0))
        error = np.linalg.norm(faces.landmarks_of(number)[17:] - expected[17:], axis=1).mean()
        assert error < 0.12 * eyes, name


def test_faults_are_set_aside_each_with_its_reason(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(4))
    files = sorted((root / "090").iterdir())
    broken, cut, empty, tiny, grey, blank, first, second = files[:8]
    broken.write_bytes(b"\xff\xd8 no more of a picture")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    empty.write_bytes(b"")
    Image.new("RGB", (40, 60), (200, 30, 30)).save(tiny)
    Image.open(grey).convert("L").save(grey)
    Image.new("RGB", (170, 256), (120, 160, 40)).save(blank)
    second.write_bytes(first.read_bytes())
    (root / "holiday.jpg").write_bytes(files[9].read_bytes())
    source = open_source(f"rafd:{root}", tmp_path / "cache")
    faces, facts = prepare(source, tmp_path / "out")
    message = aside(tmp_path / "out")
    names = {path.name: f"090/{path.name}" for path in files}
    assert {names[broken.name]: "broken", names[cut.name]: "truncated", names[empty.name]: "truncated",
            names[tiny.name]: "tiny", names[grey.name]: "grey", names[first.name]: "duplicate",
            names[second.name]: "duplicate", "holiday.jpg": "misnamed"}.items() <= {
        path: reason for path, (reason, _) in message.items()
    }.items()  # fmt: skip
    assert message[names[tiny.name]][1] == "40 x 60 px, and 64 px are asked for"
    assert second.name in message[names[first.name]][1]
    assert "nobody can tell which is right" in message[names[first.name]][1]
    assert len(message) == 8
    assert len(faces.table) == 32 - 7
    # A face that was not found has another in its place: frontal faces of one camera lie alike.
    assert faces.table.set_index("file")["landmarks_by"][names[blank.name]] == "the camera's mean"
    assert facts["aside"] == {"broken": 1, "truncated": 2, "tiny": 1, "grey": 1, "duplicate": 2, "misnamed": 1}
    assert any("8 files were set aside: 1 misnamed, 2 duplicate" in note for note in facts["notes"])  # type: ignore[attr-defined]


def test_links_to_nowhere_are_broken(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(4), expressions=("happy", "sad"))
    first = next((root / "090").iterdir())
    first.unlink()
    first.symlink_to(tmp_path / "nowhere.jpg")
    faces, _ = prepare(open_source(f"rafd:{root}", tmp_path / "cache"), tmp_path / "out")
    assert len(faces.table) == 7
    assert aside(tmp_path / "out") == {
        f"090/{first.name}": ("broken", "cannot be read (No such file or directory)")
    }  # fmt: skip


def test_a_copy_that_shows_the_same_is_left_out_once(tmp_path: Path) -> None:
    root = write_cfee(tmp_path / "cfee", range(4))
    first = next(root.rglob("02_101_*.jpg"))
    first.with_name("02_101_9999.jpg").write_bytes(first.read_bytes())
    faces, facts = prepare(open_source(f"cfee:{root}", tmp_path / "cache"), tmp_path / "out")
    assert facts["aside"] == {"duplicate": 1}
    assert len(faces.table) == 28


def test_grey_sets_are_kept(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(4), expressions=("happy", "sad"))
    for path in root.rglob("*.jpg"):
        Image.open(path).convert("L").save(path)
    faces, facts = prepare(open_source(f"rafd:{root}", tmp_path / "cache"), tmp_path / "out")
    assert len(faces.table) == 8
    assert any("8 pictures are grey: most of the set is" in note for note in facts["notes"])  # type: ignore[attr-defined]


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    """By their EXIF orientation, and by where the face is: the pixels are those of the upright ones."""
    root = write_rafd(tmp_path / "upright", range(4), expressions=("happy",))
    turned = tmp_path / "turned"
    turned.mkdir()
    for number, path in enumerate(sorted(root.rglob("*.jpg"))):
        picture = Image.open(path)
        name = turned / path.with_suffix(".png").name
        if number == 0:
            exif = Image.Exif()
            exif[0x0112] = 6  # shown turned by 270 degrees counterclockwise
            picture.rotate(90, expand=True).save(name, exif=exif)
        else:
            picture.rotate((0, 90, 180, 270)[number], expand=True).save(name)
    faces, facts = prepare(open_source(f"rafd:{turned}", tmp_path / "cache"), tmp_path / "out")
    assert facts["turned"] == 3
    assert faces.table["turned"].tolist() == [0, 270, 180, 90]
    for number, path in enumerate(sorted(root.rglob("*.jpg"))):
        np.testing.assert_array_equal(faces.images[number], read_square(path, 64))


def test_frames_are_alike_in_cfee_and_folders(tmp_path: Path) -> None:
    """Cut so that every face lies where RaFD's do, whatever the picture was like."""
    folder = tmp_path / "mine"
    (folder / "p").mkdir(parents=True)
    lines = ["path,identity,expression"]
    for number, face in enumerate(rendered(range(4), (90,), ("happy", "neutral"))):
        size = 150 + 40 * (number % 3)
        scene = Image.new("RGB", (500, 400), (180, 200, 190))
        scene.paste(face.picture.resize((size, size), Image.Resampling.BICUBIC), (40 * number, 10 * number))
        scene.save(folder / "p" / f"{number}.png")
        lines.append(f"p/{number}.png,{face.identity},{face.expression}")
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    faces, facts = prepare(open_source(f"folder:{folder}", tmp_path / "cache"), tmp_path / "out")
    assert facts["landmarks_by"] == {"dlib": 8}
    for number in range(8):
        x, y, side = face_square(faces.landmarks_of(number))
        np.testing.assert_allclose([x / 64, y / 64, side / 64], [RAFD.mean.x, RAFD.mean.y, RAFD.mean.side], atol=1e-4)


def test_profiles_without_a_face_are_kept_centred(tmp_path: Path) -> None:
    """No suite uses the cameras 000 and 180, and dlib sees no profiles."""
    root = write_table(tmp_path / "mine", range(4))
    table = pd.read_csv(root / "faces.csv").assign(camera=[0] * 8 + [90] * 24)
    table.to_csv(root / "faces.csv", index=False)
    for number, name in enumerate(table["path"][:8]):
        Image.new("RGB", (300, 200), (200, 20 * number, 40)).save(root / name)
    faces, facts = prepare(open_source(f"folder:{root}", tmp_path / "cache"), tmp_path / "out")
    assert facts["landmarks_by"] == {"dlib": 24, "nobody": 8}
    assert {tuple(square) for square in faces.table["square"][:8]} == {(50, 0, 250, 200)}


def test_a_tables_landmarks_are_taken_without_dlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_table(tmp_path / "mine", range(4), landmarks=True)

    def refuse() -> None:
        raise AssertionError("dlib was asked for")

    monkeypatch.setattr(preparation, "FaceDetector", refuse)
    source = open_source(f"folder:{root}", tmp_path / "cache")
    source.check()
    faces, facts = prepare(source, tmp_path / "out")
    assert facts["landmarks_by"] == {"the table": 32}
    assert source.knows == {"landmarks"}
    whole = faces.table["square"].map(list).tolist()
    for number, face in enumerate(rendered(range(4), (90,))):
        left, top, right, _ = whole[number]
        expected = ((face.landmarks + 0.5) * (200 / 64) - (left, top)) * (64 / (right - left)) - 0.5
        np.testing.assert_allclose(faces.landmarks_of(number), expected, atol=1e-2)


def test_openface_is_found_beside_the_pictures(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(4), expressions=("happy", "sad"))
    key = open_source(f"rafd:{root}", tmp_path / "cache").content_key()
    points = np.random.default_rng(0).uniform(60, 110, (68, 2)).round(1)
    for path in sorted((root / "090").glob("*_happy_*"))[:3]:
        write(root / "090" / "processed" / f"{path.stem}.csv", [row(points, [1.5] * 17, confidence=0.9)])
    source = open_source(f"rafd:{root}", tmp_path / "cache")
    assert source.content_key() != key
    faces, facts = prepare(source, tmp_path / "out")
    assert facts["units_by"] == {"mean of others": 5, "measured": 3}
    happy = faces.table["expression"].to_numpy() == "happy"
    np.testing.assert_array_equal(faces.units[happy], np.full((4, 17), 1.5, np.float32))
    assert facts["landmarks_by"] == {"OpenFace": 3, "dlib": 5}


def test_useless_files_of_openface_promise_no_units(tmp_path: Path) -> None:
    root = write_table(tmp_path / "mine", range(4), landmarks=True)
    folder = root / "pictures" / "p0 happy.csv"
    write(folder, [row(np.zeros((68, 2)), [1.0] * 17, confidence=0.9)], columns=("confidence", " AU12_r"))
    assert "units" not in open_source(f"folder:{root}", tmp_path / "cache").knows
    write(folder, [row(np.ones((68, 2)), [1.0] * 17, confidence=0.9)])
    assert "units" in open_source(f"folder:{root}", tmp_path / "cache").knows


def test_openface_alone_needs_no_dlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise UserError("no dlib")

    monkeypatch.setattr(preparation, "FaceDetector", refuse)
    monkeypatch.setattr(photographs, "needed_packages", refuse)
    root = write_rafd(tmp_path / "rafd", range(4), expressions=("happy", "sad"))
    points = np.random.default_rng(0).uniform(60, 110, (68, 2)).round(1)
    for path in sorted((root / "090").glob("*.jpg")):
        write(root / "090" / "openface" / f"{path.stem}.csv", [row(points, [1.5] * 17, confidence=0.9)])
    source = open_source(f"rafd:{root}", tmp_path / "cache")
    source.check()
    faces, facts = prepare(source, tmp_path / "out")
    assert (facts["landmarks_by"], facts["detector"], facts["others"]) == ({"OpenFace": 8}, {}, 0)
    np.testing.assert_allclose(faces.landmarks_of(0), (points + 0.5 - (0, 43)) * (64 / 170) - 0.5, atol=1e-4)
    next((root / "090" / "openface").iterdir()).unlink()
    with pytest.raises(UserError, match="no dlib"):
        open_source(f"rafd:{root}", tmp_path / "cache").check()


def test_what_is_wrong_with_openfaces_files_is_reported(tmp_path: Path) -> None:
    root = write_table(tmp_path / "mine", range(4), landmarks=True)
    write(root / "pictures" / "p0 happy.csv", [row(np.ones((68, 2)), [1.0] * 17)], columns=("confidence", " AU12_r"))
    _, facts = prepare(open_source(f"folder:{root}", tmp_path / "cache"), tmp_path / "out")
    note = "1 file was written by OpenFace and could not be used: benchmark.prepare names them."
    assert note in facts["notes"]  # type: ignore[operator]
    assert facts["useless"] == ["pictures/p0 happy.csv: column AU01_r and 15 more is missing"]
    assert not any("p0" in message for message in facts["notes"])  # type: ignore[attr-defined] # reports may go to a server


def test_small_faces_are_enlarged_up_to_twice_and_counted(tmp_path: Path) -> None:
    root = write_table(tmp_path / "mine", range(4), landmarks=True)
    table = pd.read_csv(root / "faces.csv", skipinitialspace=True)
    for number, factor in ((0, 0.2), (1, 0.4)):
        middle = {axis: table.loc[number, f"{axis}_30"] for axis in "xy"}
        for axis in "xy":
            names = [f"{axis}_{point}" for point in range(68)]
            table[names] = table[names].astype(float)
            table.loc[number, names] = (table.loc[number, names].astype(float) - middle[axis]) * factor + middle[axis]
    table.to_csv(root / "faces.csv", index=False)
    faces, facts = prepare(open_source(f"folder:{root}", tmp_path / "cache"), tmp_path / "out", size=128)
    [(path, (reason, detail))] = aside(tmp_path / "out").items()
    assert (path, reason) == (table.loc[0, "path"], "tiny")
    assert detail.endswith("128 px are asked for")
    assert len(faces.table) == 31
    assert any(note.startswith("Enlarged, because their faces are small: 1 of the pictures, 1.")
               for note in facts["notes"])  # type: ignore[attr-defined]  # fmt: skip


def test_whole_pictures_for_the_nonaligned_suite(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(4), expressions=("happy",))
    aligned = open_source(f"rafd:{root}", tmp_path / "cache")
    faces, _ = prepare(aligned.uncropped(), tmp_path / "out")
    cropped, _ = prepare(aligned, tmp_path / "cropped")
    picture = read_upright(root / faces.table["file"].iloc[0])
    assert list(faces.table["square"].iloc[0]) == [-43, 0, 213, 256]
    assert set(faces.placements) == {"uncropped"}
    assert set(cropped.placements) == {"aligned"}
    padded = np.pad(np.asarray(picture), ((0, 0), (43, 43), (0, 0)), mode="edge")
    expected = Image.fromarray(padded).resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(faces.images[0], np.asarray(expected))
    shrunk = (cropped.landmarks_of(0) + 0.5) * (170 / 256) + 64 * 43 / 256 - 0.5
    np.testing.assert_allclose(faces.landmarks_of(0), shrunk, atol=1e-3)


# ------------------------------------------------------------------------------------------------ cuts, workers, errors
def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_cut_preparation_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_rafd(tmp_path / "rafd", range(4), size=(171, 253))  # landmarks are no short decimals
    (root / "090" / "Rafd090_01_Caucasian_female_angry_frontal.jpg").write_bytes(b"\xff\xd8")
    source = open_source(f"rafd:{root}", tmp_path / "cache")
    prepare(source, tmp_path / "whole", workers=2)
    looked: list[str] = []
    inspect_photo = preparation.inspect_photo

    def counted(photo, options, detector):  # type: ignore[no-untyped-def]
        if len(looked) == 20:
            raise KeyboardInterrupt
        looked.append(photo.face_id)
        return inspect_photo(photo, options, detector)

    monkeypatch.setattr(preparation, "inspect_photo", counted)
    monkeypatch.setattr(preparation, "CHUNK", 4)
    (tmp_path / "cut").mkdir()
    with pytest.raises(KeyboardInterrupt):
        source.prepare(64, tmp_path / "cut", 1, lambda _: None)
    log = tmp_path / "cut" / "inspected.part.jsonl"
    kept = len(log.read_text().splitlines()) - 1
    assert 12 <= kept <= 20
    lines = log.read_text().splitlines(keepends=True)
    first, second = (json.loads(line)[0] for line in lines[1:3])
    lines[1] = lines[1].replace('"sha256": "', '"sha256": "0', 1)
    pixels = np.load(tmp_path / "cut" / "pixels.part.npy", mmap_mode="r+")
    pixels[second, 5, 5, 0] ^= 1
    pixels.flush()
    assert first != second
    log.write_text("".join(lines) + json.dumps([31, {"sha256": "half a line"}])[:-9])
    again: list[str] = []

    def noted(photo, options, detector):  # type: ignore[no-untyped-def]
        again.append(photo.face_id)
        return inspect_photo(photo, options, detector)

    monkeypatch.setattr(preparation, "inspect_photo", noted)
    prepare(source, tmp_path / "cut")
    assert len(again) == 32 - kept + 2, "the two that are not what was written"
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_what_was_begun_for_another_size_is_not_gone_on_with(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(4), expressions=("happy",))
    source = open_source(f"rafd:{root}", tmp_path / "cache")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "inspected.part.jsonl").write_text("[4, 32, 32, 3]\n")
    np.save(tmp_path / "out" / "pixels.part.npy", np.zeros((4, 32, 32, 3), np.uint8))
    faces, _ = prepare(source, tmp_path / "out")
    assert faces.images.shape == (4, 64, 64, 3)


def test_no_face_in_any_picture_is_one_line(tmp_path: Path) -> None:
    for face in rendered(range(4), (90,), ("happy",)):
        stream = io.BytesIO()
        portrait(face.picture, 170, 256).save(stream, "PNG")
        Image.new("RGB", (170, 256), (face.identity * 40, 120, 80)).save(tmp_path / rafd_name(face, suffix=".png"))
    source = open_source(f"rafd:{tmp_path}", tmp_path / "cache")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"no face was found in any of 4 pictures .*faces=none"):
        source.prepare(64, tmp_path / "out", 1, lambda _: None)
    without = open_source(f"rafd:{tmp_path},faces=none", tmp_path / "cache")
    faces, facts = prepare(without, tmp_path / "none")
    assert len(faces.table) == 4
    assert facts["landmarks_by"] == {"nobody": 4}
    assert bool(np.isnan(faces.landmarks).all())
    assert without.knows == {"units"}


def test_nothing_left_is_one_line(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(4), expressions=("happy",))
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"\xff\xd8")
    source = open_source(f"rafd:{root}", tmp_path / "cache")
    (tmp_path / "out").mkdir()
    with pytest.raises(
        UserError, match=r"none of the 4 pictures of .* can be used: 4 broken \(090/Rafd.*: .*; 090/.*; ...\)"
    ):
        source.prepare(64, tmp_path / "out", 1, lambda _: None)


def test_a_source_can_be_sent_to_another_process(tmp_path: Path) -> None:
    import pickle

    source = open_source(f"rafd:{write_rafd(tmp_path / 'rafd', range(4))}", tmp_path / "cache")
    source.files()
    again = pickle.loads(pickle.dumps(source))
    assert isinstance(again, RaFD)
    assert again.spec == source.spec
    assert again.files() == source.files()
