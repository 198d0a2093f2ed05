"""What the names of RaFD, CFEE and a table say, and what is said of those that say nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.data.cfee import CFEE
from benchmark.data.folder import Folder
from benchmark.data.photos.index import PhotoIndex
from benchmark.data.rafd import RaFD, RaFDName
from benchmark.data.registry import open_source
from benchmark.data.spelling import OTHER_WORDS, expression_of
from benchmark.data.split import listed_test_identities
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from tests.photo_folders import write_cfee, write_rafd, write_table


def reasons(index: PhotoIndex) -> dict[str, tuple[str, str]]:
    return {one.path: (one.reason, one.detail) for one in index.aside}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Rafd090_01_Caucasian_female_angry_frontal.jpg", RaFDName("01", "caucasian-female", "angry", 90, "frontal")),
        ("Rafd045_73_Moroccan_male_surprise_left.JPG", RaFDName("73", "moroccan-male", "surprised", 45, "left")),
        ("rafd180_5_Kid_female_Contempt_right.jpeg", RaFDName("05", "kid-female", "contemptuous", 180, "right")),
    ],
)
def test_rafd_names(name: str, parts: RaFDName) -> None:
    assert RaFDName.parse(name) == parts


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Rafd100_01_Caucasian_female_angry_frontal.jpg", "camera 100 is none of 000, 045, 090, 135, 180"),
        ("Rafd090_01_Caucasian_female_hapy_frontal.jpg", "unknown expression 'hapy'; did you mean 'happy'"),
        ("Rafd090_01_Caucasian_female_angry_frontal (1).jpg", "is not named as RaFD names its pictures"),
        ("holiday.jpg", "is not named as RaFD names its pictures"),
    ],
)
def test_names_that_are_not_rafds(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("(", r"\(").replace(")", r"\)")):
        RaFDName.parse(name)


def test_every_spelling_is_one_expressions() -> None:
    words = [word for name in EXPRESSIONS for word in (name, *OTHER_WORDS[name])]
    assert len(words) == len(set(words))
    assert {expression_of(f" {word.upper()} ") for word in words} == set(EXPRESSIONS)
    assert expression_of("bored") is None


def test_rafd_nested_and_flat_are_one_data_set(tmp_path: Path) -> None:
    write_rafd(tmp_path / "nested", range(2), (45, 90))
    (tmp_path / "flat").mkdir()
    for path in (tmp_path / "nested").rglob("*.jpg"):
        (tmp_path / "flat" / path.name.replace(".jpg", ".JPG").replace("_surprised_", "_surprise_")).write_bytes(
            path.read_bytes()
        )
    nested, flat = (RaFD.index_folder(tmp_path / name) for name in ("nested", "flat"))
    assert [photo.face_id for photo in nested.photos] == [photo.face_id for photo in flat.photos]
    assert len(nested.photos) == 32
    assert nested.photos[0].face_id == "01_angry_045_frontal"


def test_what_is_not_rafds_is_set_aside_and_said(tmp_path: Path) -> None:
    root = write_rafd(tmp_path, range(2))
    good = root / "090" / "Rafd090_01_Caucasian_female_angry_frontal.jpg"
    (root / "copy").mkdir()
    (root / "copy" / good.name).write_bytes(good.read_bytes())
    (root / "090" / "Rafd090_01_Kid_male_happy_frontal.jpg").write_bytes(b"a person of another group")
    (root / "holiday.png").write_bytes(b"")
    (root / "notes.txt").write_text("not a picture")
    (root / "._hidden.jpg").write_text("a system's own")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / good.name).write_text("a system's own")
    indexed = RaFD.index_folder(root)
    assert len(indexed.photos) == 16
    assert indexed.others == 1
    message = reasons(indexed)
    assert message.keys() == {f"copy/{good.name}", "090/Rafd090_01_Kid_male_happy_frontal.jpg", "holiday.png"}
    assert message[f"copy/{good.name}"] == ("twofold", f"shows what 090/{good.name} shows")
    assert message["090/Rafd090_01_Kid_male_happy_frontal.jpg"] == (
        "misnamed", "most pictures of person 01 say caucasian-female, this one says kid-male"
    )  # fmt: skip


def test_links_that_lead_back_are_walked_once(tmp_path: Path) -> None:
    root = write_rafd(tmp_path, range(2))
    (root / "090" / "back").symlink_to(root)
    (root / "again").symlink_to(root / "090")
    indexed = RaFD.index_folder(root)
    assert (len(indexed.photos), indexed.aside) == (16, ())


def test_odd_files_are_no_pictures_and_odd_names_are_reported(tmp_path: Path) -> None:
    root = write_rafd(tmp_path, range(1))
    os.mkfifo(root / "Rafd090_02_Caucasian_male_happy_frontal.jpg")
    (Path(os.fsdecode(os.fsencode(root) + b"/J\xf6rg.jpg"))).write_bytes(b"x")
    indexed = RaFD.index_folder(root)
    assert len(indexed.photos) == 8
    (root / "red\x1b[31m\n.jpg").write_bytes(b"x")
    assert [one.path for one in RaFD.index_folder(root).aside] == ["J\\xf6rg.jpg", "red\\x1b[31m\\n.jpg"]
    source = open_source(f"rafd:{root}", tmp_path / "cache")
    assert len(source.content_key()) == 64


def test_a_folder_may_be_named_like_an_option(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "Ra,v=2", range(1))
    source = open_source(f"rafd:{root}", tmp_path / "cache")
    assert source.folder == root
    assert open_source(source.spec, tmp_path / "cache").folder == root


@pytest.mark.parametrize("name", ["~nobodyhere/x", "a" * 300])
def test_names_of_no_folder_are_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        open_source(f"rafd:{name}", tmp_path)
    assert "\n" not in str(error.value)


def test_people_and_groups_are_left_out(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(6))

    def source(options: str) -> RaFD:
        result = open_source(f"rafd:{root}{options}", tmp_path / "cache")
        assert isinstance(result, RaFD)
        return result

    whole, without = source(""), source(",leave-out=kid+05")
    assert {photo.identity for photo in whole.index.photos} == {f"{number:02d}" for number in range(1, 7)}
    assert {photo.identity for photo in without.index.photos} == {"01", "02", "04", "06"}
    assert without.index.left_out == {"people left out": 16}
    assert "without 05 and kid" in without.describe()
    assert whole.split_settings() != without.split_settings()
    assert whole.content_key() != without.content_key()
    with pytest.raises(UserError, match="leave-out=99: nobody of that name or group"):
        source(",leave-out=99").files()


def test_cfee_has_seven_of_the_eight(tmp_path: Path) -> None:
    root = write_cfee(tmp_path, range(3))
    folder = root / "CFEE_Database_230" / "01-04" / "Images1"
    (folder / "77_101_1.jpg").write_bytes(b"")
    (folder / "02_101_1.txt").write_text("no picture")
    indexed = CFEE.index_folder(root)
    assert {photo.expression for photo in indexed.photos} == set(EXPRESSIONS) - {"contemptuous"}
    assert len(indexed.photos) == 21
    assert indexed.left_out == {"compound expressions": 3}
    assert reasons(indexed) == {"CFEE_Database_230/01-04/Images1/77_101_1.jpg": ("misnamed", "no class 77")}
    assert {(photo.camera, photo.gaze) for photo in indexed.photos} == {(90, "frontal")}
    happy = next(photo for photo in indexed.photos if photo.expression == "happy" and photo.identity == "101")
    assert happy.path.name == "02_101_1002.jpg"


def test_a_table_is_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("1.png", "2.png", "3.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "a" / name)
    header = ["Expression", " path", "identity", "camera", "gaze", *(f" {unit}" for unit in ACTION_UNITS)]
    units = ",".join(str(index / 4) for index in range(17))
    lines = [
        ",".join(header),
        f"joy,a/1.png,ann,045,LEFT,{units}",
        f"smirk,a/2.png,ann,090,frontal,{units}",
        f"sad,a/nothing.png,ann,090,frontal,{units}",
        f"sad,../a/2.png,ann,090,frontal,{units}",
        f"sad,a/2.png,ann,30,frontal,{units}",
        f"sad,a/2.png,ann,90,frontal,{units.replace('0.25', '7')}",
        f"fear,a\\2.png,bob,,,{',' * 16}",
    ]
    (tmp_path / "faces.csv").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    indexed = Folder.index_folder(tmp_path)
    first, second = indexed.photos
    assert (first.face_id, first.identity, first.expression, first.camera, first.gaze) == (
        "a__1", "ann", "happy", 45, "left"
    )  # fmt: skip
    assert first.units is not None
    np.testing.assert_allclose(first.units, np.arange(17) / 4)
    assert (second.expression, second.camera, second.gaze, second.units) == ("fearful", 90, "frontal", None)
    assert indexed.left_out == {"pictures that the table does not name": 1}
    details = [one.detail for one in indexed.aside]
    assert [one.reason for one in indexed.aside] == ["misnamed", "misnamed", "misnamed", "misnamed", "missing"]
    for detail, part in zip(
        details,
        ["line 3: unknown expression 'smirk'", "lies outside", "camera '30'", "AU02_r is 7", "line 4 names it"],
        strict=True,
    ):
        assert part in detail


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "is empty"),
        ({"a.txt": "x"}, "holds no picture named as RaFD names them"),
        ({"holiday.jpg": "x"}, "holiday.jpg: is not named as RaFD names its pictures"),
        ({"02_101_2.jpg": "x"}, "holds CFEE, not RaFD: --data cfee:"),
        ({"faces.parquet": "x"}, "holds a rendered set, not RaFD: --data rendered:"),
    ],
)
def test_a_folder_of_something_else_is_one_line(tmp_path: Path, files: dict[str, str], why: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text)
    with pytest.raises(UserError, match=why) as error:
        open_source(f"rafd:{root}", tmp_path / "cache").files()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({}, "there is no CSV file with the columns path,identity,expression"),
        ({"a.csv": "path,identity\n1.png,x\n"}, "a.csv has no column 'expression'"),
        ({"a.csv": "path,identity,expresion\n1,2,3\n"}, "no column 'expression'; did you mean 'expresion'"),
        ({"a.csv": "path;identity;expression\n"}, "a.csv has values separated by semicolons: save it with commas"),
        ({"a.csv": "path,identity,expression\n1,2\n"}, "a.csv, line 2: 2 values for 3 columns"),
        (
            {"a.csv": "path,identity,expression\n", "b.csv": "path,identity,expression\n"},
            "several tables: a.csv and",
        ),
        ({"a.csv": "path,identity,expression,AU01_r\n"}, "column AU02_r and 15 more are missing beside the others"),
    ],
)
def test_tables_with_faults_are_one_line(tmp_path: Path, tables: dict[str, str], why: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name, text in tables.items():
        (root / name).write_text(text)
    with pytest.raises(UserError, match=why):
        open_source(f"folder:{root}", tmp_path / "cache").files()


def test_the_repositorys_splits() -> None:
    rafd, cfee = listed_test_identities("rafd"), listed_test_identities("cfee")
    assert rafd is not None
    assert cfee is not None
    people = {f"{number:02d}" for number in range(1, 74)} - {"06", "13", "17", "34", "62", "66"}
    assert len(people) == 67
    assert set(rafd) <= people
    assert (len(rafd), len(set(rafd)), len(set(cfee))) == (10, 10, 100)
    assert all(len(name) == 3 and name.isdecimal() for name in cfee)


def test_the_list_is_used_where_its_people_are_there(tmp_path: Path) -> None:
    listed = listed_test_identities("rafd")
    assert listed is not None
    source = open_source(f"rafd:{write_rafd(tmp_path / 'a', (0, 1))}", tmp_path)
    assert isinstance(source, RaFD)
    groups = dict.fromkeys([*listed[:3], "01", "02"], "x")
    assert source.split(groups) == (listed[:3], "")
    drawn, why = source.split(dict.fromkeys(["01", "02", "04", "07", *listed[:1]], "x"))
    assert len(drawn) == 2
    assert "of the repository's list, 1 are in this folder" in why


def test_a_table_needs_no_names(tmp_path: Path) -> None:
    indexed = Folder.index_folder(write_table(tmp_path / "mine", range(2), landmarks=True))
    assert len(indexed.photos) == 16
    assert indexed.photos[0].landmarks is not None
    assert indexed.photos[0].landmarks.shape == (68, 2)


def table_of(root: Path, lines: list[str], files: tuple[str, ...]) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)
    (root / "faces.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def test_paths_that_are_nearly_alike_are_different_faces(tmp_path: Path) -> None:
    files = ("p1 happy.png", "p1_happy.png", "a.jpg", "a.png", "x/y.png", "x__y.png", "b.png")
    lines = ["path,identity,expression", *(f"{name},ann,happy" for name in files)]
    indexed = Folder.index_folder(table_of(tmp_path, lines, files))
    assert indexed.aside == ()
    names = {photo.path.name if photo.path.parent == tmp_path else "y": photo.face_id for photo in indexed.photos}
    assert len(set(names.values())) == 7
    assert names["b.png"] == "b"
    assert names["a.jpg"].startswith("a-")
    # Whatever else is in the folder, and wherever it lies.
    (tmp_path / "elsewhere").mkdir()
    again = Folder.index_folder(table_of(tmp_path / "elsewhere", lines, files))
    assert {photo.face_id for photo in again.photos} == set(names.values())


def test_lines_that_contradict_each_other_leave_the_picture_out(tmp_path: Path) -> None:
    lines = ["path,identity,expression", "", "1.png,ann,happy", "2.png,ann,sad", "1.png,ann,sad", "2.png,ann,sadness"]
    indexed = Folder.index_folder(table_of(tmp_path, lines, ("1.png", "2.png")))
    assert [photo.face_id for photo in indexed.photos] == ["2"]
    assert reasons(indexed) == {
        "1.png": ("misnamed", "faces.csv, line 3 and faces.csv, line 5 say different things of it"),
        "2.png": ("twofold", "faces.csv, line 4 names it, and faces.csv, line 6"),
    }


def test_a_group_that_is_given_for_some_is_that_of_all(tmp_path: Path) -> None:
    lines = ["path,identity,expression,group", "1.png,ann,happy,old", "2.png,ann,sad,", "3.png,ann,angry,",
             "4.png,bob,sad,"]  # fmt: skip
    indexed = Folder.index_folder(table_of(tmp_path, lines, ("1.png", "2.png", "3.png", "4.png")))
    assert indexed.aside == ()
    assert [photo.group for photo in indexed.photos] == ["old", "old", "old", "folder"]


def test_a_table_of_nothing_is_one_line(tmp_path: Path) -> None:
    long = "n" * 300
    for lines, why in (
        (["path,identity,expression"], "has a header and no line below it"),
        (["path,identity,expression", f"{long}.png,ann,sad"], r"no line of .* line 2: 'nnn.*' is too long"),
        (["path,identity,expression", "gone.png,ann,sad"], r"gone.png: .*line 2 names it \(1 lines\)"),
        (["path,identity,expression", "1.png,ann,none"], "unknown expression 'none'"),
    ):
        with pytest.raises(UserError, match=why) as error:
            open_source(f"folder:{table_of(tmp_path, lines, ('1.png',))}", tmp_path / "cache").files()
        assert "\n" not in str(error.value)
    (tmp_path / "faces.csv").write_bytes("path,identity,expression\n1.png,J\u00f6rg,sad\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"faces.csv is no CSV file in UTF-8 \(byte 32\): save it as 'CSV UTF-8'"):
        Folder.index_folder(tmp_path)


def test_a_folder_without_a_table_that_is_another_set_is_reported(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(1))
    with pytest.raises(UserError, match="has no table, and holds RaFD: --data rafd:"):
        open_source(f"folder:{root}", tmp_path / "cache")


def test_half_downloads_and_pictures_nobody_reads_are_reported(tmp_path: Path) -> None:
    root = write_rafd(tmp_path, range(1))
    name = "Rafd090_02_Caucasian_male_happy_frontal"
    for suffix in ("", ".jpg.part", ".csv", ".txt"):
        (root / f"{name}{suffix}").write_bytes(b"x")
    (root / f"{name}.heic").write_bytes(b"x")
    index = RaFD.index_folder(root)
    assert {path for path, (reason, _) in reasons(index).items() if reason == "misnamed"} == {
        name,
        f"{name}.jpg.part",
    }
    assert "half a download" in reasons(index)[name][1]
    assert f"{name}.heic" in {photo.path.name for photo in index.photos}  # which is then broken, and said
    assert index.others == 1  # the text; the CSV is taken for OpenFace's
    (tmp_path / "cfee").mkdir()
    (tmp_path / "cfee" / "02_110_2555.jpg.part").write_bytes(b"x")
    assert reasons(CFEE.index_folder(tmp_path / "cfee"))["02_110_2555.jpg.part"][0] == "misnamed"


def test_a_person_of_two_groups_equally_often_has_no_group(tmp_path: Path) -> None:
    root = write_rafd(tmp_path, range(2))
    for path in sorted((root / "090").glob("Rafd090_01_*"))[:4]:
        path.rename(path.with_name(path.name.replace("Caucasian_female", "Moroccan_male")))
    indexed = RaFD.index_folder(root)
    assert {photo.identity for photo in indexed.photos} == {"02"}
    assert len(indexed.aside) == 8
    assert {detail for _, detail in reasons(indexed).values()} == {
        "of person 01 as many pictures say caucasian-female and moroccan-male: nobody can tell which is right"
    }


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (",leave-out=kid,leave-out=01", "leave-out is there twice"),
        (",faces=none,faces=dlib", "faces is there twice"),
        (",leave-out=", "a value must follow leave-out="),
        (",leave-out=kid+", "leave-out=kid+: names with a + between them, none of them empty"),
    ],
)
def test_options_that_say_nothing_or_two_things_are_one_line(tmp_path: Path, options: str, why: str) -> None:
    with pytest.raises(UserError, match=re.escape(why)):
        open_source(f"rafd:{write_rafd(tmp_path, range(1))}{options}", tmp_path / "cache")


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        (["1.png,ann,happy", "2.png,ann,none"], (1, {}, 0)),  # what a line names is no stranger
        (["1.png,ann,happy", "faces.csv,ann,sad"], (2, {"pictures that the table does not name": 1}, 0)),
        (["1.png,ann,happy"], (1, {"pictures that the table does not name": 1}, 0)),
    ],
)
def test_every_file_of_a_folder_is_counted_once(
    tmp_path: Path, lines: list[str], counts: tuple[int, dict[str, int], int]
) -> None:
    indexed = Folder.index_folder(table_of(tmp_path, ["path,identity,expression", *lines], ("1.png", "2.png")))
    assert (len(indexed.photos), dict(indexed.left_out), indexed.others) == counts


def test_a_hidden_table_is_none(tmp_path: Path) -> None:
    root = table_of(tmp_path, ["path,identity,expression", "1.png,ann,happy"], ("1.png",))
    (root / ".faces.csv").write_text("path,identity,expression\n1.png,bob,sad\n")
    (indexed,) = Folder.index_folder(root).photos
    assert indexed.identity == "ann"


@pytest.mark.parametrize("path", [".", "./", "\u82b1" * 100 + ".png"])
def test_names_that_no_file_can_have_are_set_aside(tmp_path: Path, path: str) -> None:
    lines = ["path,identity,expression", "1.png,ann,happy", f"{path},ann,sad"]
    indexed = Folder.index_folder(table_of(tmp_path, lines, ("1.png",)))
    assert len(indexed.photos) == 1
    ((reason, detail),) = reasons(indexed).values()
    assert reason == "misnamed"
    assert "line 3" in detail


def test_columns_that_differ_in_capitals_only_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "faces.csv").write_text("path,identity,expression,Path\na.png,ann,sad,b.png\n")
    with pytest.raises(UserError, match="has two columns 'path' and 'Path': keep one"):
        Folder.index_folder(tmp_path)


def test_other_data_sets_are_named_both_ways(tmp_path: Path) -> None:
    mine = write_table(tmp_path / "mine", range(2))
    rafd = write_rafd(tmp_path / "rafd", range(1))
    for name, title in (("rafd", ", not RaFD"), ("cfee", ", not CFEE"), ("rendered", "")):
        with pytest.raises(UserError, match=f"pictures with a table{title}: --data folder:{mine}"):
            open_source(f"{name}:{mine}", tmp_path / "cache").files()
    with pytest.raises(UserError, match=f"is no rendered set: it holds RaFD: --data rafd:{rafd}"):
        open_source(f"rendered:{rafd}", tmp_path / "cache").files()
    with pytest.raises(UserError, match="it is a file, not a folder"):
        open_source(f"folder:{mine / 'faces.csv'}", tmp_path / "cache")


def test_a_file_that_is_repaired_is_another(tmp_path: Path) -> None:
    """Of the same size, with the time that it had, as rsync leaves it; and one that could not be read before."""
    root = write_rafd(tmp_path / "rafd", range(1))
    cache, first = tmp_path / "cache", next((root / "090").iterdir())
    good, times = first.read_bytes(), first.stat()
    before = open_source(f"rafd:{root}", cache).content_key()
    first.write_bytes(good[: len(good) // 2] + bytes(len(good) - len(good) // 2))
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    damaged = open_source(f"rafd:{root}", cache).content_key()
    copy = first.with_name("copy")
    copy.write_bytes(good)
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    copy.replace(first)
    assert damaged != before == open_source(f"rafd:{root}", cache).content_key()


def test_openface_writes_one_folder_for_a_nested_set(tmp_path: Path) -> None:
    root = write_rafd(tmp_path / "rafd", range(1))
    (root / "processed").mkdir()
    for path in (root / "090").iterdir():
        (root / "processed" / f"{path.stem}.CSV").write_text("x")
    indexed = RaFD.index_folder(root)
    assert {photo.openface.path for photo in indexed.photos if photo.openface} == set((root / "processed").iterdir())
    assert indexed.others == 0
