"""Who is tested on, and which edits are asked for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.data.edit_lists import EditList, pair_seed, why_no_edits
from benchmark.data.faceset import COLUMNS, FaceSet
from benchmark.data.rendered_set import TEST_FRACTION, Rendered
from benchmark.data.split import draw_test_identities, listed_test_identities, lowest_ranked
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS


def face_set(identities: int = 4, cameras: tuple[int, ...] = (45, 90, 135), test: int = 3) -> FaceSet:
    rows = [
        {
            "face_id": f"{number}_{expression}_{camera}",
            "identity": f"p{number}",
            "group": "all",
            "expression": expression,
            "camera": camera,
            "gaze": "frontal",
            "split": "test" if number < test else "train",
        }
        for number in range(identities)
        for expression in EXPRESSIONS
        for camera in cameras
    ]
    table = pd.DataFrame(rows).assign(**dict.fromkeys(ACTION_UNITS, 0.0))
    table = table.assign(
        landmarks=[np.full(136, np.nan, np.float32)] * len(rows), visible=[np.zeros(68, bool)] * len(rows)
    )
    return FaceSet(np.zeros((len(rows), 4, 4, 3), np.uint8), table[list(COLUMNS)])


groups = st.dictionaries(
    st.text("abcdef0123456789", min_size=1, max_size=6), st.sampled_from(["a", "b", "c"]), min_size=4, max_size=60
)


@given(groups, st.sampled_from([0.15, 0.25, 0.5]))
@settings(deadline=None)
def test_quota_is_proportional_and_stable(people: dict[str, str], fraction: float) -> None:
    test = draw_test_identities(people, fraction)
    wanted = max(2, round(len(people) * fraction))
    assert len(test) == len(set(test)) == wanted
    assert set(test) <= set(people)
    for group, size in Counter(people.values()).items():
        assert abs(sum(people[name] == group for name in test) - wanted * size / len(people)) < 1
    assert draw_test_identities(dict(reversed(people.items())), fraction) == test


def test_too_few_to_split() -> None:
    with pytest.raises(UserError, match="3 identities are too few"):
        draw_test_identities({"a": "x", "b": "x", "c": "x"}, 0.25)


def test_a_smaller_draw_is_part_of_a_larger_one() -> None:
    names = [f"p{number}" for number in range(20)]
    for count in range(1, 20):
        assert set(lowest_ranked(names, count)) < set(lowest_ranked(names, count + 1))
    assert lowest_ranked(names, None) == sorted(names)


def test_the_rendered_list_is_what_the_rule_draws(tmp_path: object) -> None:
    table = Rendered(None, tmp_path)._read()  # type: ignore[arg-type]
    listed = listed_test_identities("rendered")
    assert listed == draw_test_identities(dict(zip(table["identity"], table["group"], strict=True)), TEST_FRACTION)
    assert len(listed) == 20


def test_every_source_is_edited_to_every_other_expression() -> None:
    faces = face_set()
    edits = EditList("F&P", 0).make(faces)
    assert len(edits) == 3 * 8 * 3 * 7
    assert not (edits["target"] == edits["source_expression"]).any()
    assert (edits.groupby("source")["target"].nunique() == 7).all()
    assert len(EditList("F", 0).make(faces)) == 3 * 8 * 7


def test_references_show_the_target_on_another_test_identity_and_truths_on_the_same() -> None:
    faces = face_set()
    edits = EditList("F&P", 0).make(faces)
    source, reference, truth = (
        faces.table.iloc[edits[name]].reset_index(drop=True) for name in ("source", "reference", "truth")
    )
    assert (reference["expression"] == edits["target"]).all()
    assert (reference["identity"] != source["identity"]).all()
    assert (reference["split"] == "test").all()
    for column in ("identity", "camera", "gaze"):
        assert (truth[column] == source[column]).all()
    assert (truth["expression"] == edits["target"]).all()


def test_frontal_references_are_frontal() -> None:
    faces = face_set()
    edits = EditList("F", 0).make(faces)
    assert set(faces.table["camera"].iloc[edits["reference"]]) == {90}


def test_fewer_targets_are_a_part_and_pairs_keep_their_draw() -> None:
    faces = face_set()
    key = ["source_id", "target", "seed", "reference"]
    whole = {tuple(row) for row in EditList("F&P", 0).make(faces)[key].itertuples(index=False)}
    two = {tuple(row) for row in EditList("F&P", 0, 2).make(faces)[key].itertuples(index=False)}
    one = {tuple(row) for row in EditList("F&P", 0, 1).make(faces)[key].itertuples(index=False)}
    assert one < two < whole
    assert len(one) == 72


def test_the_seed_of_a_pair_depends_on_the_pair_alone() -> None:
    assert pair_seed(0, "a", "happy") == pair_seed(0, "a", "happy")
    assert len({pair_seed(seed, face, target) for seed in (0, 1) for face in "ab" for target in ("sad", "happy")}) == 8
    assert 0 <= pair_seed(0, "a", "happy") < 2**63


def test_truth_is_minus_one_where_the_set_has_none() -> None:
    faces = face_set()
    rows = ~((faces.table["identity"] == "p0") & (faces.table["expression"] == "sad") & (faces.table["camera"] == 90))
    fewer = FaceSet(faces.images[rows.to_numpy()], faces.table[rows].reset_index(drop=True))
    edits = EditList("F", 0).make(fewer)
    lost = edits["source_id"].str.startswith("0_") & (edits["target"] == "sad")
    assert (edits.loc[lost, "truth"] == -1).all()
    assert lost.sum() == 7
    assert (edits.loc[~lost, "truth"] >= 0).all()


def test_one_test_identity_has_no_reference() -> None:
    with pytest.raises(UserError, match="no second test identity"):
        EditList("F", 0).make(face_set(test=1))


def test_gallery_is_neutral_and_goes_round_the_cameras() -> None:
    faces = face_set()
    edits = EditList("F&P", 0, gallery=3).make(faces)
    shown = faces.table.iloc[list(dict.fromkeys(edits["source"]))]
    assert shown["camera"].tolist() == [90, 45, 135]
    assert set(shown["expression"]) == {"neutral"}
    assert shown["identity"].nunique() == 3
    assert len(edits) == 21


def kept(faces: FaceSet, rows: pd.Series[bool]) -> FaceSet:
    table = faces.table[rows].reset_index(drop=True)
    return FaceSet(faces.images[: len(table)], table)


def test_a_set_without_neutral_faces_that_look_ahead_is_shown_as_it_is() -> None:
    faces = face_set()
    moody = kept(faces, faces.table["expression"] != "neutral")
    aside = kept(faces, faces.table["gaze"] == "frontal")
    aside.table["gaze"] = "left"
    left = kept(faces, faces.table["camera"] == 135)
    for some, expressions in ((moody, {"angry"}), (aside, {"neutral"}), (left, {"neutral"})):
        edits = EditList("F&P", 0, gallery=3).make(some)
        shown = some.table.iloc[list(dict.fromkeys(edits["source"]))]
        assert shown["identity"].nunique() == len(shown) > 0
        assert set(shown["expression"]) == expressions
    happy = EditList("F&P", 0, gallery=3, targets=("angry",)).make(moody)
    assert "angry" not in set(happy["source_expression"])


def test_what_cannot_be_edited_is_known_before_training() -> None:
    faces = face_set(5, test=3)

    def without(gone: pd.Series[bool]) -> FaceSet:
        return kept(faces, ~gone)

    table = faces.table
    assert why_no_edits(faces, "F&P") == why_no_edits(faces, "F") == ""
    frontal = without(table["camera"] == 90)
    assert why_no_edits(frontal, "F&P") == ""
    assert why_no_edits(frontal, "F") == "0 train people have pictures of subset F, and two are needed"
    assert why_no_edits(face_set(4, test=3), "F") == "1 train person has pictures of subset F, and two are needed"
    one = without(table["expression"] != "sad")
    assert why_no_edits(one, "F") == "all train pictures of subset F show sad, and two expressions are needed"
    lonely = without(table["identity"].isin(["p0", "p1"]) & (table["expression"] == "happy"))
    assert "only one test person shows happy" in why_no_edits(lonely, "F")
    with pytest.raises(UserError, match="no second test identity shows 'happy'"):
        EditList("F", 0).make(lonely)
    assert why_no_edits(without(table["expression"] == "happy"), "F") == ""
