"""Artifacts: keys, completeness, damage, locks."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core import artifacts, hashes
from benchmark.core.artifacts import MANIFEST, Damaged, Manifest, Recipe, Store, canonical, replacing_folder
from benchmark.core.errors import UserError

RECIPE = Recipe("train", "train mtss F&P seed 0", {"a": 1, "b": [1, 2]}, {"faces": "k"}, 1, ("x.txt",))


def make(store: Store, recipe: Recipe = RECIPE, text: str = "content") -> Path:
    with store.making(recipe) as folder:
        (folder / "x.txt").write_text(text)
        (folder / "scratch").mkdir()
        (folder / "scratch" / "y").write_text("left behind")
        return store.finish(recipe, folder, ["x.txt"], {"n": 400.3}, 2.0, {"command": "c"}).folder


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
        max_size=6,
    )
)
def test_equal_values_give_equal_text_whatever_their_order(value: dict[str, object]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))
    assert json.loads(canonical(value)) == value


@pytest.mark.parametrize(
    "other",
    [
        Recipe("judge", RECIPE.name, RECIPE.settings, RECIPE.inputs, 1),
        Recipe("train", RECIPE.name, {"a": 2, "b": [1, 2]}, RECIPE.inputs, 1),
        Recipe("train", RECIPE.name, RECIPE.settings, {"faces": "l"}, 1),
        Recipe("train", RECIPE.name, RECIPE.settings, RECIPE.inputs, 2),
    ],
)
def test_the_key_is_all_that_decides_the_content(other: Recipe) -> None:
    assert other.key != RECIPE.key


def test_the_name_is_for_people() -> None:
    assert Recipe("train", "another name", {"b": [1, 2], "a": 1}, RECIPE.inputs, 1).key == RECIPE.key
    assert RECIPE.folder == f"train/train-mtss-fp-seed-0-{RECIPE.key[:12]}"


def test_a_name_of_any_length_is_a_folder(tmp_path: Path) -> None:
    long = Recipe("train", "train " + " ".join(f"setting_{n}=0.{n}" for n in range(60)), {}, {}, 1, RECIPE.files)
    assert long.folder.endswith(long.key[:12])
    assert make(Store(tmp_path), long).is_dir()
    assert Store(tmp_path).find(long) is not None


def test_an_artifact_of_another_store_is_taken_over_whole(tmp_path: Path) -> None:
    mine, theirs = Store(tmp_path / "mine"), Store(tmp_path / "theirs")
    make(theirs)
    artifact = theirs.find(RECIPE)
    assert artifact is not None
    adopted = mine.adopt(artifact, RECIPE)
    assert adopted.manifest == artifact.manifest
    assert (adopted.folder / "x.txt").read_bytes() == (artifact.folder / "x.txt").read_bytes()
    (artifact.folder / "x.txt").write_text("other")
    assert mine.adopt(artifact, RECIPE).manifest == adopted.manifest  # it has its own already
    with pytest.raises(Damaged):
        Store(tmp_path / "third").adopt(artifact, RECIPE)


def test_a_finished_artifact_has_its_files_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find(RECIPE) is None
    folder = make(store)
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "x.txt"]
    actual = Store(tmp_path).find(RECIPE)
    assert actual is not None
    assert actual.manifest.facts == {"n": 400.3}
    assert actual.manifest.settings == RECIPE.settings
    assert not store.begun(RECIPE)


def test_whoever_made_an_artifact_reads_it_as_all_others_do(tmp_path: Path) -> None:
    """Tables are made of it: the order of names may not depend on the process that made it."""
    store = Store(tmp_path)
    with store.making(RECIPE) as folder:
        (folder / "x.txt").write_text("x")
        result = store.finish(RECIPE, folder, ["x.txt"], {"updates": {"z": 1, "a": 2}, "pair": (1, 2)}, 2.0, {})
    actual = Store(tmp_path).find(RECIPE)
    assert actual is not None
    assert repr(result.manifest) == repr(actual.manifest)


def test_an_interrupted_artifact_does_not_count_but_keeps_what_it_has(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.making(RECIPE) as folder:
        (folder / "state").write_text("half")
    assert store.find(RECIPE) is None
    assert store.begun(RECIPE)
    with store.making(RECIPE) as again:
        assert (again / "state").read_text() == "half"


def flip_text(folder: Path) -> None:
    (folder / "x.txt").write_text("c0ntent")


def cut(folder: Path) -> None:
    (folder / "x.txt").write_text("cont")


def remove_file(folder: Path) -> None:
    (folder / "x.txt").unlink()


def folder_for_a_file(folder: Path) -> None:
    remove_file(folder)
    (folder / "x.txt").mkdir()


def pipe_for_a_file(folder: Path) -> None:
    remove_file(folder)
    os.mkfifo(folder / "x.txt")


def remove_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def other_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"key": 1}')


def empty_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("")


def folder_for_a_manifest(folder: Path) -> None:
    remove_manifest(folder)
    (folder / MANIFEST).mkdir()


def pipe_for_a_manifest(folder: Path) -> None:
    remove_manifest(folder)
    os.mkfifo(folder / MANIFEST)


def deep_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"a":' * 10**5)


def other_key(folder: Path) -> None:
    rewrite(folder, key="0" * 64)


def other_fact(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    assert '"n": 400.3' in text
    (folder / MANIFEST).write_text(text.replace('"n": 400.3', '"n": 500.3'))


def foreign_file(folder: Path) -> None:
    """A manifest that is whole by its own hash."""
    rewrite(folder, files={"../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}})


def no_file(folder: Path) -> None:
    rewrite(folder, files={})


def earlier_format(folder: Path) -> None:
    text = json.loads((folder / MANIFEST).read_text())
    del text["format"], text["sha256"]
    (folder / MANIFEST).write_text(json.dumps(text))


def file_for_the_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


def link_to_nowhere(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


def rewrite(folder: Path, **changes: Any) -> None:
    """Another manifest with a hash of itself."""
    text = json.loads((folder / MANIFEST).read_text()) | changes
    written = {name: value for name, value in text.items() if name not in ("format", "sha256")}
    digest = hashlib.sha256(json.dumps(written, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(text | {"sha256": digest}))


DAMAGES = [
    flip_text, cut, remove_file, folder_for_a_file, pipe_for_a_file, remove_manifest, other_manifest, empty_manifest,
    folder_for_a_manifest, pipe_for_a_manifest, deep_manifest, other_key, other_fact, foreign_file, no_file,
    earlier_format, file_for_the_folder, link_to_nowhere,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_line_and_set_aside(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = make(Store(tmp_path))
    damage(folder)
    with pytest.raises(Damaged, match=r"is damaged \(.*\); the command that made it sets it aside") as error:
        Store(tmp_path).find(RECIPE)
    assert "\n" not in str(error.value)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    if damage is not no_file:  # what a stage needs, its recipe alone knows
        assert Store(tmp_path).damaged({RECIPE.key: RECIPE.folder}) == [RECIPE.key]
    told: list[str] = []
    store = Store(tmp_path)
    assert store.find_or_set_aside(RECIPE, told.append) is None
    (line,) = told
    assert line.startswith(f"{folder} was damaged (")
    assert line.endswith(f"set aside as {folder.name}.damaged, and made anew")
    assert not os.path.lexists(folder)
    assert os.path.lexists(f"{folder}.damaged")
    assert make(store) == folder
    assert Store(tmp_path).find_or_set_aside(RECIPE, told.append) is not None
    assert len(list(store.manifests(RECIPE.kind))) == len(told) == 1


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    """One bit of each byte of a manifest. What still is a manifest says the same."""
    path = make(Store(tmp_path)) / MANIFEST
    content = path.read_bytes()
    whole = Manifest.read(path)
    for index in range(len(content)):
        for bit in (1 << index % 7, 32):  # 32: small letters for large ones, and white space
            path.write_bytes(content[:index] + bytes([content[index] ^ bit]) + content[index + 1 :])
            with suppress(ValueError):
                assert Manifest.read(path) == whole


def test_what_is_set_aside_keeps_its_name(tmp_path: Path) -> None:
    for _ in range(3):
        flip_text(make(Store(tmp_path)))
        assert Store(tmp_path).find_or_set_aside(RECIPE, lambda _: None) is None
    name = Path(RECIPE.folder).name
    kept = sorted(path.name for path in (tmp_path / "train").iterdir())
    assert kept == [f"{name}.2.damaged", f"{name}.3.damaged", f"{name}.damaged"]


def test_damage_to_what_is_remembered_of_files_is_no_damage(tmp_path: Path) -> None:
    make(Store(tmp_path))
    wait = hashes.SETTLED
    hashes.SETTLED = -(10**12)
    try:
        assert Store(tmp_path).damaged({RECIPE.key: RECIPE.folder}) == []
    finally:
        hashes.SETTLED = wait
    cache = tmp_path / "cache" / "checked-files.json"
    known = {name: ["0" * 64, *kept[1:]] for name, kept in json.loads(cache.read_text()).items()}
    assert known
    cache.write_text(json.dumps(known))
    assert Store(tmp_path).damaged({RECIPE.key: RECIPE.folder}) == []


def test_a_manifest_of_an_earlier_format_still_names_its_files(tmp_path: Path) -> None:
    folder = make(Store(tmp_path))
    whole = Manifest.read(folder / MANIFEST)
    earlier_format(folder)
    with pytest.raises(ValueError, match="earlier version"):
        Manifest.read(folder / MANIFEST)
    assert Manifest.read(folder / MANIFEST, older=True) == whole


def test_a_stage_that_fails_before_it_begins_leaves_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(UserError, match="wrong input"), store.making(RECIPE):
        raise UserError("wrong input")
    assert not list((tmp_path / "train").iterdir())


def test_two_at_once_are_refused_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "PATIENCE", 0.3)
    told: list[str] = []
    with Store(tmp_path).making(RECIPE):
        second = Store(tmp_path).making(RECIPE, told.append)
        with pytest.raises(UserError, match="another process is at work"):
            second.__enter__()
    assert told == [f"{RECIPE.name}: waiting until another process, which is at work on it, ends"]
    make(Store(tmp_path))


def test_one_waits_for_another_that_ends(tmp_path: Path) -> None:
    """As the same command does right after kill -9, while the workers of the first still save their states."""
    first = Store(tmp_path).making(RECIPE)
    first.__enter__()
    timer = threading.Timer(0.5, first.__exit__, (None, None, None))
    timer.start()
    make(Store(tmp_path))
    timer.join()


def test_a_file_where_the_work_is_done_is_moved_away(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / f"{RECIPE.folder}.partial").write_text("")
    make(Store(tmp_path))


def test_a_folder_is_replaced_whole_and_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "reports" / "a"
    for text in ("first", "second"):
        with replacing_folder(out, "--to") as partial:
            (partial / text).touch()
            assert [path.name for path in out.glob("*")] == ([] if text == "first" else ["first"])
    for error in (UserError("stop"), OSError(28, "No space left on device")):
        with pytest.raises(UserError, match=r"stop|--to .*a cannot be written"), replacing_folder(out, "--to"):
            raise error
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
        "reports",
        "reports/a",
        "reports/a/second",
    ]


@pytest.mark.parametrize("renames", [0, 1])
def test_a_folder_whose_replacement_was_killed_is_there_on_the_next_call(
    tmp_path: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before one of its two renames, without a chance to clean up."""
    out = tmp_path / "a"
    out.mkdir()
    (out / "old").touch()
    rename, done = Path.rename, []

    def killed(self: Path, target: Path) -> Path:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt), replacing_folder(out, "--to") as partial:
            (partial / "new").touch()
    assert list(tmp_path.rglob("old"))
    with pytest.raises(UserError), replacing_folder(out, "--to"):
        raise UserError("stop")
    assert list(tmp_path.rglob("*")) == [out, out / "old"]
