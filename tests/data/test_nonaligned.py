"""Pictures that are not aligned: who has them, on which side of the split, and which edits are made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import UserError
from benchmark.data.edit_lists import EditList
from benchmark.data.faceset import COLUMNS, FaceSet
from benchmark.data.registry import open_source
from benchmark.data.rendered_set import NON_ALIGNED, NonAligned
from benchmark.data.source import DataSource
from benchmark.protocol import ACTION_UNITS
from benchmark.rendering.placement import FAR_FIELD, TILT, draw_framing
from tests.photo_folders import write_cfee

ALL = ("aligned", "off", "far")


def load(source: DataSource) -> FaceSet:
    return source.load(32, lambda count: None)


@pytest.fixture(scope="module")
def folder(make_faces: Callable[..., Path]) -> Path:
    return make_faces(identities=8, cameras=(90, 135), placements=ALL)


@pytest.fixture(scope="module")
def faces(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceSet:
    return load(open_source(f"rendered:{folder}", tmp_path_factory.mktemp("cache")).uncropped())


# ---------------------------------------------------------------------------------------------- sources
def test_a_folder_of_both_is_two_sets_with_one_split(
    folder: Path, faces: FaceSet, make_faces: Callable[..., Path], tmp_path: Path
) -> None:
    source = open_source(f"rendered:{folder}", tmp_path)
    aligned = load(source)
    assert len(aligned.table) == source.count() == 8 * 8 * 2
    assert list(aligned.table.columns) == list(COLUMNS)
    assert set(aligned.placements) == {"aligned"}
    assert len(faces.table) == source.uncropped().count() == 2 * 8 * 8 * 2
    assert pd.Series(faces.placements).value_counts().to_dict() == {"off": 128, "far": 128}
    for split in ("train", "test"):
        assert aligned.identities(split) == faces.identities(split)
    assert source.content_key() != source.uncropped().content_key()
    only_aligned = make_faces(identities=8, cameras=(90, 135))
    alone = load(open_source(f"rendered:{only_aligned}", tmp_path))
    assert np.array_equal(alone.images, aligned.images)
    pd.testing.assert_frame_equal(alone.table, aligned.table)
    off = faces.table.index[faces.table["face_id"] == "r000_happy_090_frontal_off"][0]
    plain = aligned.table.index[aligned.table["face_id"] == "r000_happy_090_frontal"][0]
    assert np.array_equal(faces.images[off], np.roll(aligned.images[plain], 3, 0)), "each row has its own picture"
    assert faces.landmarks[off] == pytest.approx(aligned.landmarks[plain] + [0, 3])


def test_a_change_of_one_side_is_no_change_of_the_other(make_faces: Callable[..., Path], tmp_path: Path) -> None:
    where = make_faces(identities=4, placements=ALL)
    source = open_source(f"rendered:{where}", tmp_path)
    before = source.content_key(), source.uncropped().content_key()
    path = where / "r000_happy_090_frontal_far.png"
    path.write_bytes((where / "r001_happy_090_frontal_far.png").read_bytes())
    after = source.content_key(), source.uncropped().content_key()
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_who_has_none_says_what_to_do(make_faces: Callable[..., Path], tmp_path: Path) -> None:
    plain, only = make_faces(identities=4), make_faces(identities=4, placements=("off",))
    with pytest.raises(UserError, match=r"has no non-aligned pictures: render .* --placements all"):
        open_source(f"rendered:{plain}", tmp_path).uncropped()
    with pytest.raises(UserError, match=r"has no aligned pictures, and those are what models are trained on"):
        open_source(f"rendered:{only}", tmp_path).content_key()

    class Plain(NonAligned):
        name = "plain"
        uncropped = DataSource.uncropped

    with pytest.raises(UserError, match="data set plain has no non-aligned pictures: choose another with --data"):
        Plain(None, tmp_path).uncropped()


def test_photographs_have_whole_pictures(tmp_path: Path) -> None:
    write_cfee(tmp_path / "cfee", range(2))
    source = open_source(f"cfee:{tmp_path / 'cfee'},faces=none", tmp_path)
    assert source.uncropped().split_settings() != source.split_settings()


# ---------------------------------------------------------------------------------------------- the committed set
@pytest.fixture(scope="module")
def committed() -> pd.DataFrame:
    return pd.read_parquet(NON_ALIGNED)


@pytest.fixture(scope="module")
def upright() -> pd.DataFrame:
    return pd.read_parquet(NON_ALIGNED.with_name("faces-64.parquet")).set_index("face_id")


def test_the_committed_set_is_of_the_test_people_alone(committed: pd.DataFrame, tmp_path: Path) -> None:
    source = open_source("rendered", tmp_path).uncropped()
    assert isinstance(source, NonAligned)
    prepared = source.load(64, lambda count: None)
    assert prepared.identities("train") == []
    assert prepared.identities("test") == open_source("rendered", tmp_path).split_settings()["test"][:10]
    assert source.content_key() == NON_ALIGNED.with_suffix(".sha256").read_text().split()[0]
    assert (prepared.table["face_id"] == committed["face_id"]).all()
    assert committed.groupby(["identity", "expression", "camera", "placement"]).size().eq(1).all()
    assert len(committed) == 10 * 8 * 3 * 3
    assert set(committed["placement"]) == {"off", "tilted", "far"}
    assert prepared.images.std(axis=(1, 2, 3)).min() > 20


def test_its_people_and_moments_are_those_of_the_aligned_set(committed: pd.DataFrame, upright: pd.DataFrame) -> None:
    twin = upright.loc[committed["face_id"].str.rpartition("_")[0]]
    for column in ("identity", "group", "expression", "camera", "gaze", *ACTION_UNITS):
        assert (twin[column].to_numpy() == committed[column].to_numpy()).all(), column


def test_its_landmarks_are_the_aligned_ones_seen_otherwise(committed: pd.DataFrame, upright: pd.DataFrame) -> None:
    """A rolled camera turns them about the middle of the picture; others shift and shrink them, but for perspective."""
    for row in committed.itertuples():
        before = np.stack(upright.at[row.face_id.rpartition("_")[0], "landmarks"]).reshape(68, 2) - 31.5
        here = np.stack(row.landmarks).reshape(68, 2) - 31.5
        framing = draw_framing(row.placement, 0, int(row.identity), row.camera, "frontal")
        if row.placement == "tilted":
            assert TILT[0] <= abs(framing.roll) <= TILT[1]
            angle = np.radians(framing.roll)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            assert here == pytest.approx(before @ turn.T, abs=1e-4)
        else:
            shift = 64 * np.array([framing.right, framing.down])
            assert np.abs(here - before / framing.field - shift).max() < 1.6
            assert np.abs((here - before / framing.field - shift).mean(0)).max() < 0.8
        if row.placement == "far":
            sizes = np.ptp(here, axis=0) / np.ptp(before, axis=0)
            assert 0.97 / FAR_FIELD[1] < sizes.min() <= sizes.max() < 1.03 / FAR_FIELD[0]
        if row.placement == "off":
            assert np.hypot(*(here.mean(0) - before.mean(0) / framing.field)) > 0.16 * 64
        inside = ((here + 31.5 >= -0.5) & (here + 31.5 < 63.5)).all(1)
        seen = upright.at[row.face_id.rpartition("_")[0], "visible"]
        assert (np.asarray(row.visible) == (np.asarray(seen) & inside)).all()


def test_a_damaged_set_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    raw = bytearray(NON_ALIGNED.read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / NON_ALIGNED.name).write_bytes(raw)
    (tmp_path / "nonaligned-64.sha256").write_text(NON_ALIGNED.with_suffix(".sha256").read_text())
    monkeypatch.setattr("benchmark.data.rendered_set.NON_ALIGNED", tmp_path / NON_ALIGNED.name)
    with pytest.raises(UserError, match=r"nonaligned-64.parquet is damaged: .* restore it from git"):
        NonAligned(None, tmp_path).load(64, lambda count: None)


# ---------------------------------------------------------------------------------------------- edits
def test_edits_to_happy_have_the_true_picture_of_the_same_placement(faces: FaceSet) -> None:
    edits = EditList("F&P", 0, targets=("happy",)).make(faces)
    table = faces.table.assign(placement=faces.placements)
    assert set(edits["target"]) == {"happy"}
    assert len(edits) == 2 * 7 * 2 * 2, "two people, seven other expressions, two cameras, two placements"
    source, reference, truth = (
        table.iloc[edits[name]].reset_index(drop=True) for name in ("source", "reference", "truth")
    )
    for column in ("identity", "camera", "gaze", "placement"):
        assert (truth[column] == source[column]).all(), column
    assert (truth["expression"] == "happy").all()
    assert (edits["truth"] >= 0).all()
    assert (reference["identity"] != source["identity"]).all()
    assert not (source["expression"] == "happy").any()


def test_targets_are_a_part_of_all_edits(faces: FaceSet) -> None:
    key = ["source_id", "target", "seed", "reference", "truth"]
    whole = EditList("F&P", 0).make(faces)[key]
    some = EditList("F&P", 0, targets=("happy", "sad")).make(faces)[key]
    expected = whole[whole["target"].isin(["happy", "sad"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)
    one = EditList("F&P", 0, 1, targets=("happy", "sad")).make(faces)
    assert one["source_id"].is_unique
    assert set(one["target"]) == {"happy", "sad"}


def test_recipes_have_a_word_on_targets_only_where_there_are_any() -> None:
    assert EditList("F", 0, 2).settings == {"subset": "F", "seed": 0, "targets_per_source": 2, "gallery": None}
    assert EditList("F", 0, targets=("happy",)).settings["targets"] == ["happy"]


def test_no_picture_of_a_target_is_reported(faces: FaceSet) -> None:
    rows = (faces.table["expression"] != "sad").to_numpy()
    fewer = FaceSet(faces.images[rows], faces.table[rows].reset_index(drop=True))
    with pytest.raises(UserError, match=r"no test picture of subset F has another expression to be edited to \(sad\)"):
        EditList("F", 0, targets=("sad",)).make(fewer)


def test_the_gallery_goes_round_placements_and_cameras(tmp_path: Path) -> None:
    prepared = NonAligned(None, tmp_path).load(64, lambda count: None)
    edits = EditList("F&P", 0, gallery=9, targets=("happy",)).make(prepared)
    shown = prepared.table.iloc[edits["source"]]
    assert len(edits) == 9
    assert shown["identity"].is_unique
    assert shown[["camera", "placement"]].drop_duplicates().shape == (9, 2), "each placement before each camera"
    assert shown["camera"].tolist() == [90] * 3 + [45] * 3 + [135] * 3
    assert set(shown["expression"]) == {"neutral"}
    neutral = EditList("F", 0, gallery=2, targets=("neutral",)).make(prepared)
    assert set(neutral["source_expression"]) == {"happy"}
