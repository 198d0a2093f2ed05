"""Tight boxes and their resampling, against Pillow and by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from benchmark.metrics.crop import MARGIN, crop, tight_box


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), dtype=np.uint8)


def landmarks(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    points = np.random.default_rng(0).uniform((left, top), (right, bottom), (1, 68, 2))
    points[0, 0], points[0, 1] = (left, top), (right, bottom)
    return points


def test_box_is_a_square_round_the_landmarks() -> None:
    box = tight_box(landmarks(20, 18, 40, 48), size=64)[0]
    side = 30 * (1 + 2 * MARGIN)
    np.testing.assert_allclose(box, [30 - side / 2, 33 - side / 2, 30 + side / 2, 33 + side / 2])


def test_box_is_moved_inside_and_never_larger_than_the_picture() -> None:
    np.testing.assert_allclose(tight_box(landmarks(0, 10, 20, 30), size=64, margin=0.1)[0], [-0.5, 8, 23.5, 32])
    np.testing.assert_allclose(tight_box(landmarks(-30, -30, 90, 90), size=64)[0], [-0.5, -0.5, 63.5, 63.5])


def test_unknown_landmarks_have_no_box() -> None:
    points = np.concatenate([landmarks(20, 20, 40, 40)] * 2)
    points[1, 30] = np.nan
    boxes = tight_box(points, size=64)
    assert np.isfinite(boxes[0]).all()
    assert np.isnan(boxes[1]).all()
    with pytest.raises(ValueError, match="landmarks out"):
        crop(np.zeros((2, 64, 64, 3), np.uint8), boxes, 64)


def test_the_whole_picture_at_its_own_size_is_itself() -> None:
    image = picture(24, 24)
    np.testing.assert_array_equal(crop(image, np.array([[-0.5, -0.5, 23.5, 23.5]]), 24), image)


def test_whole_pixels_are_copied_and_the_edge_is_repeated_outside() -> None:
    image = picture(16, 16)
    cut = crop(image, np.array([[-4.5, 3.5, 7.5, 15.5]]), 12)
    np.testing.assert_array_equal(cut[0], np.pad(image[0], ((0, 0), (4, 0), (0, 0)), mode="edge")[4:16, :12])


def test_a_box_wholly_outside_shows_the_edge() -> None:
    image = picture(16, 16)
    cut = crop(image, np.array([[40.5, -0.5, 56.5, 15.5]]), 16)
    np.testing.assert_array_equal(cut[0], np.repeat(image[0, :, -1:], 16, axis=1))


@pytest.mark.parametrize("box", [(3.2, 5.7, 40.1, 42.6), (10.0, 12.5, 25.5, 28.0), (-0.5, -0.5, 63.5, 63.5)])
def test_agrees_with_pillow_inside_the_picture(box: tuple[float, float, float, float]) -> None:
    """Pillow counts from the corner of the first pixel and rounds between its two passes: a level of difference is
    its."""
    smooth = np.asarray(Image.fromarray(picture(8, 8)[0]).resize((64, 64), Image.Resampling.BICUBIC))[None]
    left, top, right, bottom = (edge + 0.5 for edge in box)
    expected = Image.fromarray(smooth[0]).resize((32, 32), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    difference = crop(smooth, np.array([box]), 32)[0].astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1
    assert np.abs(difference).mean() < 0.3


@given(
    left=st.floats(-20, 40),
    top=st.floats(-20, 40),
    side=st.floats(1.0, 60),
    size=st.integers(1, 48),
    level=st.integers(0, 255),
)
def test_flat_pictures_stay_flat(left: float, top: float, side: float, size: int, level: int) -> None:
    image = np.full((1, 32, 32, 3), level, np.uint8)
    assert (crop(image, np.array([[left, top, left + side, top + side]]), size) == level).all()


def test_a_picture_is_cut_the_same_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.concatenate([picture(32, 32, seed) for seed in range(5)])
    boxes = np.array([[1.3 * i - 3, i, 1.3 * i + 17, i + 20.0] for i in range(5)])
    together = crop(images, boxes, 24)
    for index in range(5):
        np.testing.assert_array_equal(crop(images[index : index + 1], boxes[index : index + 1], 24)[0], together[index])
    monkeypatch.setattr("benchmark.metrics.crop.CHUNK", 2)
    np.testing.assert_array_equal(crop(images, boxes, 24), together)
