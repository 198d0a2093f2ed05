"""Artifacts: keys, completeness, damage, locks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.artifacts import MANIFEST, Recipe, Store, canonical
from benchmark.core.errors import UserError

RECIPE = Recipe("train", "train mtss F&P seed 0", {"a": 1, "b": [1, 2]}, {"faces": "k"}, 1)


def make(store: Store, recipe: Recipe = RECIPE, text: str = "content") -> Path:
    with store.making(recipe) as folder:
        (folder / "x.txt").write_text(text)
        (folder / "scratch").mkdir()
        (folder / "scratch" / "y").write_text("left behind")
        return store.finish(recipe, folder, ["x.txt"], {"n": 1}, 2.0, {"command": "c"}).folder


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


def test_a_finished_artifact_has_its_files_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find(RECIPE) is None
    folder = make(store)
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "x.txt"]
    found = Store(tmp_path).find(RECIPE)
    assert found is not None
    assert found.manifest.facts == {"n": 1}
    assert found.manifest.settings == RECIPE.settings
    assert not store.begun(RECIPE)


def test_whoever_made_an_artifact_reads_it_as_all_others_do(tmp_path: Path) -> None:
    """Tables are made of it: the order of names may not depend on the process that made it."""
    store = Store(tmp_path)
    with store.making(RECIPE) as folder:
        (folder / "x.txt").write_text("x")
        made = store.finish(RECIPE, folder, ["x.txt"], {"updates": {"z": 1, "a": 2}, "pair": (1, 2)}, 2.0, {})
    found = Store(tmp_path).find(RECIPE)
    assert found is not None
    assert repr(made.manifest) == repr(found.manifest)


def test_an_interrupted_artifact_does_not_count_but_keeps_what_it_has(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.making(RECIPE) as folder:
        (folder / "state").write_text("half")
    assert store.find(RECIPE) is None
    assert store.begun(RECIPE)
    with store.making(RECIPE) as again:
        assert (again / "state").read_text() == "half"


def damage_text(folder: Path) -> None:
    (folder / "x.txt").write_text("c0ntent")


def damage_length(folder: Path) -> None:
    (folder / "x.txt").write_text("cont")


def remove_file(folder: Path) -> None:
    (folder / "x.txt").unlink()


def damage_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"key": 1}')


def empty_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("")


def strange_manifest(folder: Path) -> None:
    text = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**text, "key": "0" * 64}))


@pytest.mark.parametrize(
    "damage", [damage_text, damage_length, remove_file, damage_manifest, empty_manifest, strange_manifest]
)
def test_damage_is_one_line_that_says_what_to_do(tmp_path: Path, damage: object) -> None:
    folder = make(Store(tmp_path))
    damage(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=r"is damaged \(.*\): remove that folder") as error:
        Store(tmp_path).find(RECIPE)
    assert "\n" not in str(error.value)


def test_a_stage_that_fails_before_it_begins_leaves_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(UserError, match="wrong input"), store.making(RECIPE):
        raise UserError("wrong input")
    assert not list((tmp_path / "train").iterdir())


def test_a_folder_without_a_manifest_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / RECIPE.folder).mkdir(parents=True)
    with pytest.raises(UserError, match="so it is no artifact"):
        Store(tmp_path).find(RECIPE)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with Store(tmp_path).making(RECIPE):
        second = Store(tmp_path).making(RECIPE)
        with pytest.raises(UserError, match="another process is at work"):
            second.__enter__()
    make(Store(tmp_path))
