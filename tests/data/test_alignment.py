"""Faces brought to where the judge has learned them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.data.alignment import align_faces, mean_landmarks, similarity
from benchmark.data.faceset import FaceSet
from benchmark.data.registry import open_source

points = arrays(np.float64, (68, 2), elements=st.floats(-50, 50, width=32)).filter(lambda p: p.std(0).min() > 1)


@given(points, st.floats(-180, 180), st.floats(0.2, 5), st.tuples(st.floats(-60, 60), st.floats(-60, 60)))
@settings(deadline=None, max_examples=60)
def test_a_similarity_is_found_again(
    start: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]
) -> None:
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    actual, moved = similarity(start, start @ turn.T + shift)
    assert actual == pytest.approx(turn, abs=1e-6)
    assert moved == pytest.approx(shift, abs=1e-4)


@given(points)
@settings(deadline=None, max_examples=30)
def test_nothing_is_mirrored(start: np.ndarray) -> None:
    turn, _ = similarity(start, start * [-1, 1])
    assert np.linalg.det(turn) >= 0


def noise(seed: int = 0, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def face(size: int = 16) -> np.ndarray:
    return np.random.default_rng(1).uniform(3, size - 4, (68, 2))


def test_quarter_turns_and_whole_shifts_are_exact() -> None:
    there, mean_face = noise(), face()
    turned = np.rot90(there, -1)  # clockwise: (x, y) to (15 - y, x)
    moved = np.stack([15 - mean_face[:, 1], mean_face[:, 0]], 1)
    shifted = np.roll(there, (2, -3), (0, 1))
    images = np.stack([there, turned, shifted])
    landmarks = np.stack([mean_face, moved, mean_face + np.array([-3, 2])])
    out, known = align_faces(images, landmarks, np.array([90, 90, 90]), {90: mean_face})
    assert known.all()
    assert np.abs(out[0].astype(int) - there).max() <= 1
    assert np.abs(out[1].astype(int) - there).max() <= 1
    assert np.abs(out[2].astype(int) - there)[:-2, 3:].max() <= 1
    assert (out[2][:, :3] == out[2][:, 3:4]).mean() > 0.9, "repeated edge"


def test_without_landmarks_or_a_place_a_picture_stays() -> None:
    images, mean_face = np.stack([noise(0), noise(1), noise(2)]), face()
    landmarks = np.stack([np.full((68, 2), np.nan), mean_face + 2, mean_face + 2])
    out, known = align_faces(images, landmarks, np.array([90, 45, 90]), {90: mean_face})
    assert known.tolist() == [False, False, True]
    assert np.array_equal(out[:2], images[:2])
    assert not np.array_equal(out[2], images[2])
    same, none = align_faces(images, landmarks, np.array([90, 45, 90]), {})
    assert not none.any()
    assert np.array_equal(same, images)
    assert np.array_equal(images[2], noise(2)), "what is given is not written to"


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceSet, FaceSet]:
    """The aligned set and the other."""
    source = open_source("rendered", tmp_path_factory.mktemp("cache"))
    aligned, other = (one.load(64, lambda _count: None) for one in (source, source.uncropped()))
    return aligned, other


def test_places_are_means_of_the_people_trained_on(committed: tuple[FaceSet, FaceSet]) -> None:
    aligned, other = committed
    places = mean_landmarks(aligned, "F&P")
    assert set(places) == {45, 90, 135}
    rows = ((aligned.table["camera"] == 45) & (aligned.table["split"] == "train")).to_numpy()
    assert places[45] == pytest.approx(aligned.landmarks[rows].astype(float).mean(0))
    assert set(mean_landmarks(aligned, "F")) == {90}
    assert mean_landmarks(other, "F") == {}, "nobody in it is trained on"


def test_brought_faces_look_like_the_same_face_aligned(committed: tuple[FaceSet, FaceSet]) -> None:
    aligned, other = committed
    rows = np.flatnonzero((other.table["expression"] == "surprised").to_numpy())
    twins = aligned.table.reset_index().set_index("face_id")["index"]
    ids = other.table["face_id"].iloc[rows].str.rpartition("_")[0]
    twin = twins.loc[ids].to_numpy()
    places, cameras = mean_landmarks(aligned, "F&P"), other.table["camera"].to_numpy()[rows]
    true = align_faces(aligned.images[twin], aligned.landmarks[twin], cameras, places)[0].astype(float)
    out, known = align_faces(other.images[rows], other.landmarks[rows], cameras, places)
    assert known.all()
    face_only = np.s_[:, 16:52, 16:48]
    for placement in ("off", "tilted", "far"):
        mine = other.placements[rows] == placement
        before = np.abs(other.images[rows][mine] - true[mine])[face_only].mean()
        after = np.abs(out[mine] - true[mine])[face_only].mean()
        assert after < 0.4 * before, placement
