"""Batch augmentation against torchvision's, picture by picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as reference

from benchmark.data import augment as ours
from benchmark.data.sampling import TrainingFaces, TrainingSet
from benchmark.interface import Augmentation


def pictures(seed: int, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def landmarks(count: int) -> torch.Tensor:
    return torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(9)) * 7


@given(st.integers(0, 10_000), st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_hue_is_torchvisions(seed: int, turns: list[float]) -> None:
    images = pictures(seed)
    images[0, :, :2] = 0.5  # grey has no hue
    shifted = ours.shift_hue(images, torch.tensor(turns).reshape(-1, 1, 1, 1))
    expected = torch.stack([reference.adjust_hue(image, turn) for image, turn in zip(images, turns, strict=True)])
    torch.testing.assert_close(shifted, expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.9, 1.0, 1.7])
def test_contrast_and_saturation_are_torchvisions(factor: float) -> None:
    images = pictures(1)
    factors = torch.full((3, 1, 1, 1), factor)
    mean = ours.grey(images).mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(
        ours.blend(images, mean, factors), reference.adjust_contrast(images, factor), atol=2e-6, rtol=0
    )
    torch.testing.assert_close(
        ours.blend(images, ours.grey(images), factors), reference.adjust_saturation(images, factor), atol=2e-6, rtol=0
    )


def test_strengths_of_zero_change_nothing_and_draw_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = pictures(2)
    made, mirrored = ours.augment(images, Augmentation(), generator)
    assert torch.equal(made, images)
    assert not mirrored.any()
    assert torch.equal(generator.get_state(), before)


def test_flips_half_of_the_pictures_each_as_a_whole() -> None:
    images = pictures(3, 400)
    made, mirrored = ours.augment(images, Augmentation(flip=True), torch.Generator().manual_seed(1))
    flipped = (made == images.flip(3)).flatten(1).all(1)
    kept = (made == images).flatten(1).all(1)
    assert bool((flipped ^ kept).all())
    assert 160 < int(flipped.sum()) < 240
    assert torch.equal(mirrored, flipped)


def test_landmarks_are_mirrored_with_their_picture() -> None:
    images = np.zeros((40, 8, 8, 3), np.uint8)
    images[:, :, 0] = 255  # a bright edge on the left says which picture was mirrored
    points = landmarks(40)
    data = TrainingSet(images, np.zeros(40, np.int64), None, points.numpy())
    drawn = TrainingFaces(data, Augmentation(flip=True), 5, torch.device("cpu")).draw(40)
    flipped = drawn.images[:, 0, 0, 0] < 0
    assert 10 < int(flipped.sum()) < 30
    twins = ours.mirrored(points, 8)
    for face, mirror in zip(drawn.landmarks, flipped.tolist(), strict=True):
        assert any(torch.equal(face, known) for known in (twins if mirror else points))


def test_a_mirrored_landmark_lies_on_the_same_pixel() -> None:
    points = landmarks(1)
    twin = ours.mirrored(points, 8)
    left, right = 36, 45  # the outer corners of the eyes
    assert twin[0, left].tolist() == [7 - points[0, right, 0].item(), points[0, right, 1].item()]
    torch.testing.assert_close(ours.mirrored(twin, 8), points)


def test_every_picture_gets_factors_of_its_own() -> None:
    images = pictures(4, 1).repeat(6, 1, 1, 1)
    made = ours.jitter(images, Augmentation(brightness=0.3), torch.Generator().manual_seed(2))
    assert len({round(float(image.sum()), 4) for image in made}) == 6


def faces(count: int = 10, seed: int = 0) -> TrainingFaces:
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    labels = np.arange(count) % 3
    return TrainingFaces(TrainingSet(images, labels), Augmentation(), seed, torch.device("cpu"))


def shown(images: torch.Tensor) -> list[int]:
    return ((images[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_every_picture_comes_once_before_any_comes_again() -> None:
    source = faces()
    drawn = [value for _ in range(10) for value in shown(source.draw(3).images)]
    assert sorted(drawn[:10]) == sorted(drawn[10:20]) == sorted(drawn[20:30]) == list(range(10))
    assert drawn[:10] != drawn[10:20]


def test_labelled_draws_show_their_labels() -> None:
    drawn = faces().draw_labelled([2, 0, 1, 2])
    assert drawn.labels.tolist() == [2, 0, 1, 2]
    assert [value % 3 for value in shown(drawn.images)] == [2, 0, 1, 2]
    with pytest.raises(KeyError):
        faces().draw_labelled([7])


def test_the_range_is_minus_one_to_one() -> None:
    images = np.array([0, 255], np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    source = TrainingFaces(TrainingSet(images, np.zeros(2, np.int64)), Augmentation(), 0, torch.device("cpu"))
    assert sorted(source.draw(2).images[:, 0, 0, 0].tolist()) == [-1.0, 1.0]
