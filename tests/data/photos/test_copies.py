"""The pictures that are prepared are those that were meant: no copies, no bystanders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmark.core.errors import UserError
from benchmark.data.faceset import FaceSet
from benchmark.data.registry import open_source
from tests.data.openface_files import row, write
from tests.photo_folders import portrait, rafd_name, read_square, rendered

PEOPLE = range(4)
SMALL, NEUTRAL = ("happy", "neutral"), ("neutral",)


def prepare(spec: str, tmp_path: Path) -> tuple[FaceSet, dict[str, Any], Any]:
    source = open_source(spec, tmp_path / "cache")
    folder = tmp_path / "out"
    folder.mkdir()
    facts = source.prepare(64, folder, 1, lambda _: None).facts
    return FaceSet.load(folder), dict(facts), source


def with_openface(root: Path, output: str) -> Path:
    """RaFD in class folders, and OpenFace's output beside them: tables, pictures with red dots, aligned faces."""
    for face in rendered(PEOPLE, (90,), SMALL):
        name = rafd_name(face)
        picture = portrait(face.picture, 170, 256)
        folder, out = root / "train" / face.expression, root / output
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name, quality=92)
        points = (face.landmarks + 0.5) * (170 / 64) + (0, (256 - 170) / 2) - 0.5
        write((out / name).with_suffix(".csv"), [row(points.round(1), [1.5] * 17, confidence=0.98, face=0)])
        drawn = picture.copy()
        for x, y in points:
            ImageDraw.Draw(drawn).ellipse((x - 2, y - 2, x + 2, y + 2), fill=(255, 0, 0))
        drawn.save(out / name, quality=92)
        aligned = out / f"{Path(name).stem}_aligned"
        aligned.mkdir()
        picture.resize((112, 112)).save(aligned / "face_det_000000.bmp")
    return root


@pytest.mark.parametrize("output", ["processed", "openface", "train/processed"])
def test_openfaces_own_folder_gives_tables_and_no_pictures(tmp_path: Path, output: str) -> None:
    root = with_openface(tmp_path / "set", output)
    faces, facts, source = prepare(f"rafd:{root}", tmp_path)
    assert len(faces.table) == 8
    assert faces.table["file"].str.startswith("train/").all()
    assert set(faces.table["landmarks_by"]) == {"OpenFace"}
    assert set(faces.units.ravel()) == {1.5}
    assert facts["left_out"] == {f"pictures in {output}/, a folder of copies by its name": 16}
    assert not source.index.aside
    expected = [read_square(root / file, 64) for file in faces.table["file"]]
    np.testing.assert_array_equal(faces.images, expected)


def test_a_folder_of_copies_alone_is_reported_and_can_be_asked_for(tmp_path: Path) -> None:
    root = with_openface(tmp_path / "set", "processed")
    shutil.rmtree(root / "train")
    with pytest.raises(UserError, match=r"holds no pictures but pictures in processed/.*: if those are meant, name"):
        open_source(f"rafd:{root}", tmp_path / "cache").files()
    assert len(open_source(f"rafd:{root / 'processed'}", tmp_path / "cache").files()) == 16  # with their tables


def test_pictures_that_a_table_names_are_sources_wherever_they_lie(tmp_path: Path) -> None:
    root = with_openface(tmp_path / "set", "aligned")
    names = sorted(path.name for path in (root / "aligned").glob("*.jpg"))
    lines = [f"aligned/{name},{name[8:10]},{name.split('_')[-2]}" for name in names]
    (root / "faces.csv").write_text("\n".join(["path,identity,expression", *lines]))
    faces, facts, _ = prepare(f"folder:{root}", tmp_path)
    assert len(faces.table) == 8
    assert facts["left_out"] == {
        "pictures in aligned/, a folder of copies by its name": 8,  # the aligned faces
        "pictures that the table does not name": 8,
    }


def test_two_pictures_of_one_face_with_other_content_are_reported(tmp_path: Path) -> None:
    root = with_openface(tmp_path / "set", "processed")
    (root / "processed").rename(root / "zz")  # a folder whose name says nothing
    same = root / "same"
    shutil.copytree(root / "train" / "happy", same)
    _, facts, _ = prepare(f"rafd:{root},faces=none", tmp_path)
    (note,) = [note for note in facts["notes"] if "DIFFERENT" in note]
    assert note == (
        "8 faces are there in two pictures of DIFFERENT content; those used are from same/ and not zz/ (4), "
        "train/neutral/ and not zz/ (4): move the folder away whose pictures are not meant."
    )


def test_the_person_is_prepared_and_not_the_bystander(tmp_path: Path) -> None:
    stranger = next(rendered([30], (90,), NEUTRAL))
    root = tmp_path / "set"
    root.mkdir()
    lines = ["path,identity,expression"]
    for face in rendered(PEOPLE, (90,), SMALL):
        picture = Image.new("RGB", (600, 400), (230, 230, 230))
        picture.paste(face.picture.resize((320, 320), Image.Resampling.BICUBIC), (40, 40))
        picture.paste(stranger.picture.resize((80, 80), Image.Resampling.BICUBIC), (500, 30))
        name = f"p{face.identity}_{face.expression}"
        picture.putpixel((0, 0), (face.identity, len(name), 1))
        picture.save(root / f"{name}.png")
        large, small = (face.landmarks + 0.5) * 5 - 0.5 + 40, (stranger.landmarks + 0.5) * 1.25 - 0.5 + (500, 30)
        people = [row(large, [1.0] * 17, confidence=0.975), row(small, [0.0] * 17, confidence=0.98)]
        write(root / f"{name}.csv", people)
        lines.append(f"{name}.png,p{face.identity},{face.expression}")
    (root / "faces.csv").write_text("\n".join(lines))
    faces, facts, _ = prepare(f"folder:{root}", tmp_path)
    assert set(faces.units.ravel()) == {1.0}
    assert all(left < 360 for left, *_ in faces.table["square"])
    (note,) = [note for note in facts["notes"] if "several faces" in note]
    assert note.startswith("In 8 pictures several faces were found; of those of comparable confidence the largest")
    assert "(p0_happy.png, p0_neutral.png, p1_happy.png, ...)" in note
