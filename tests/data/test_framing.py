"""The face of any picture comes to lie where the training pictures have it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.data.framing import RAFD, FacePosition, Framing, Square, face_square, frame, square_for
from benchmark.data.photo import cut_square

MARKS = np.array([[-0.5, -0.35], [0.5, -0.35], [0.0, 0.5], [0.0, 0.1]])
"""Four discs on a face whose landmarks' square has its middle at 0, 0 and a side of 1."""
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], float)


def landmarks_at(x: float, y: float, side: float) -> np.ndarray:
    """68 landmarks (centres at integers) whose square has its middle and side there, in pixels from the corner."""
    shape = np.random.default_rng(3).uniform(-0.5, 0.5, (68, 2)) * [1, 0.8]
    shape[0], shape[16], shape[8], shape[19] = (-0.5, 0), (0.5, 0), (0, 0.4), (0, -0.4)
    return shape * side + [x, y] - 0.5


def photograph(width: int, height: int, x: float, y: float, side: float) -> Image.Image:
    """Black, with the face's discs, their edges smooth, at any sub-pixel place."""
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    picture = np.zeros((height, width, 3))
    for mark, colour in zip(MARKS, COLOURS, strict=True):
        far = np.hypot(across - x - mark[0] * side, down - y - mark[1] * side)
        cover = np.clip(0.07 * side - far + 0.5, 0, 1)[..., None]
        picture = picture * (1 - cover) + colour * cover
    return Image.fromarray(picture.round().astype(np.uint8))


def centroids(image: np.ndarray) -> np.ndarray:
    """Where each disc is, in pixels from the corner: 4 x 2."""
    collected = []
    unit = COLOURS / np.linalg.norm(COLOURS, axis=1, keepdims=True)
    levels = image.astype(float)
    nearest = (levels @ unit.T).argmax(-1)
    bright = levels.max(-1)
    for index in range(len(COLOURS)):
        weight = np.where(nearest == index, bright, 0) + 1e-9
        down, across = np.indices(weight.shape) + 0.5
        collected.append([(across * weight).sum() / weight.sum(), (down * weight).sum() / weight.sum()])
    return np.array(collected)


@settings(max_examples=40, deadline=None)
@example(width=90, height=90, side=56.0, x=0.5, y=0.64, mean=FacePosition(0.5, 0.5, 0.5))
@given(
    width=st.integers(90, 420),
    height=st.integers(90, 420),
    side=st.floats(30, 260),
    x=st.floats(0.35, 0.65),
    y=st.floats(0.35, 0.65),
    mean=st.builds(FacePosition, st.floats(0.4, 0.6), st.floats(0.45, 0.6), st.floats(0.45, 0.65)),
)
def test_a_face_of_any_size_anywhere_lands_on_the_same_place(
    width: int, height: int, side: float, x: float, y: float, mean: FacePosition
) -> None:
    """Within half a pixel of 64, also where the square reaches outside the picture."""
    side = min(side, 0.62 * min(width, height))  # the discs themselves are in the picture
    x, y = x * width, y * height
    margin = 0.57 * side + 1.5  # to a disc's rim and a pixel beyond: what is outside repeats the edge
    x, y = np.clip(x, margin, width - margin), np.clip(y, margin, height - margin)
    square = square_for(landmarks_at(x, y, side), Framing(mean))
    actual = centroids(cut_square(photograph(width, height, x, y, side), square, 64))
    expected = 64 * (MARKS * mean.side + [mean.x, mean.y])
    assert np.abs(actual - expected).max() < 0.5


@given(
    st.floats(-50, 2000), st.floats(-50, 2000), st.floats(1, 3000),
    st.builds(FacePosition, st.floats(0.2, 0.8), st.floats(0.2, 0.8), st.floats(0.2, 0.9)),
)  # fmt: skip
def test_the_square_inverts_the_framing(x: float, y: float, side: float, mean: FacePosition) -> None:
    points = landmarks_at(x, y, side)
    square = square_for(points, Framing(mean))
    cut = square.moved(points, 64)
    assert np.allclose(np.array(face_square(cut)) / 64, [mean.x, mean.y, mean.side], atol=1e-6)


def test_the_mean_the_range_and_faces_without_landmarks() -> None:
    faces = np.stack([landmarks_at(30, 40, 32), landmarks_at(34, 36, 40), np.full((68, 2), np.nan)])
    framing = Framing.measured(faces, 64)
    assert framing is not None
    assert framing.mean == FacePosition(0.5, 0.59375, 0.5625)
    assert (framing.lowest, framing.highest) == (
        FacePosition(30 / 64, 36 / 64, 0.5),
        FacePosition(34 / 64, 40 / 64, 40 / 64),
    )
    assert Framing.from_json(json.loads(json.dumps(framing.as_json()))) == framing
    assert Framing.measured(faces[2:], 64) is None
    assert Framing.from_json(None) is None
    assert Framing.from_json({"mean": {"x": 0.5, "y": 0.5, "side": 0.5}}) == Framing(FacePosition(0.5, 0.5, 0.5))


GOOD = {"x": 0.5, "y": 0.5, "side": 0.5}


@pytest.mark.parametrize(
    "fields",
    [
        [], {"mean": 1}, {"mean": {"x": 1, "y": 1}}, {"mean": {"x": 0, "y": 0, "side": 0}}, {"mean": {**GOOD, "z": 1}},
        *({"mean": {**GOOD, "side": value}} for value in (math.nan, math.inf, -0.5, 1e-9, 1e9, "0.5", True, None)),
        *({"mean": {**GOOD, "x": value}} for value in (math.nan, -math.inf, 1e300)),
        *({"mean": GOOD, end: {**GOOD, "y": value}} for end in ("lowest", "highest") for value in (math.nan, 1e9, "a")),
    ],
)  # fmt: skip
def test_nonsense_is_no_framing(fields: object) -> None:
    with pytest.raises(ValueError, match="no framing"):
        Framing.from_json(fields)  # type: ignore[arg-type]


def test_which_pictures_are_cut_how() -> None:
    framing = Framing(FacePosition(0.5, 0.6, 0.5), FacePosition(0.4, 0.5, 0.4), FacePosition(0.6, 0.7, 0.6))
    assert frame(None, 640, 480, framing).square == Square(80, 0, 480)
    assert frame(None, 481, 640, framing).square == Square(0, 79, 481)
    assert frame(None, 640, 480, framing).how == "centre"
    inside = frame(landmarks_at(130, 150, 110), 256, 256, framing)
    assert (inside.how, inside.square) == ("whole", Square(0, 0, 256))
    small = frame(landmarks_at(130, 150, 40), 256, 256, framing)
    assert small.how == "landmarks"
    assert small.square.box() == pytest.approx((90, 102, 170, 182))
    wide = frame(landmarks_at(130, 150, 110), 300, 256, framing)
    assert wide.how == "landmarks"
    assert frame(landmarks_at(130, 150, 110), 256, 256, Framing(framing.mean)).how == "landmarks"


@pytest.mark.parametrize("face", [(400, 100, 50), (100, -3, 50), (128, 128, 500)])
def test_landmarks_of_another_picture_are_refused(face: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="its landmarks do not lie in it"):
        frame(landmarks_at(*face), 256, 256, RAFD)


def test_landmarks_in_one_point_are_refused() -> None:
    with pytest.raises(ValueError, match="all its landmarks are one point"):
        frame(np.full((68, 2), 20.0), 256, 256, RAFD)


def test_outside_the_picture_its_edge_is_repeated() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    cut = cut_square(Image.fromarray(picture), Square(-6, -4, 32), 32)
    np.testing.assert_array_equal(cut, np.pad(picture, ((4, 8), (6, 0), (0, 0)), mode="edge")[:, :32])
    assert Square(-6, -4, 32).outside(30, 20) == 8
    assert Square(0, 0, 20).outside(30, 20) == 0
