"""Batch augmentation against torchvision's, picture by picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as reference

from benchmark.interface import Augmentation
from benchmark.training import augmentation as ours
from benchmark.training.sampling import TrainingFaces, TrainingSet

Change = Callable[[torch.Tensor, torch.Tensor], None]


def pictures(seed: int, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def landmarks(count: int) -> torch.Tensor:
    return torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(9)) * 7


@given(st.integers(0, 10_000), st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_hue_is_torchvisions(seed: int, turns: list[float]) -> None:
    images = pictures(seed)
    images[0, :, :2] = 0.5  # grey has no hue
    images[1, 0, 3], images[1, 1, 4], images[1, 2, 5] = images[1, 1, 3], images[1, 2, 4], images[1, 0, 5]
    images[2, :, 6:] = (images[2, :, 6:] * 3).round() / 3  # ties, black and white
    expected = torch.stack([reference.adjust_hue(image, turn) for image, turn in zip(images, turns, strict=True)])
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 2e-6)):  # torchvision's rounding, and ours too
        shifted = images.to(dtype)
        ours.shift_hue_(shifted, torch.tensor(turns, dtype=dtype).reshape(-1, 1, 1, 1))
        torch.testing.assert_close(shifted, expected.to(dtype), atol=tolerance, rtol=0)


STEPS: dict[str, tuple[Change, Callable[[torch.Tensor, float], torch.Tensor]]] = {
    "brightness": (ours.brighten_, reference.adjust_brightness),
    "contrast": (ours.contrast_, reference.adjust_contrast),
    "saturation": (ours.saturate_, reference.adjust_saturation),
    "hue": (ours.shift_hue_, reference.adjust_hue),
}


@pytest.mark.parametrize("step", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("factor", [0.0, 0.5, 0.9, 1.0, 1.7])
def test_the_other_steps_are_torchvisions(step: str, factor: float) -> None:
    change, adjust = STEPS[step]
    images = pictures(1)
    expected = adjust(images, factor)
    change(images, torch.full((3, 1, 1, 1), factor))
    torch.testing.assert_close(images, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_is_what_torchvision_makes_picture_by_picture(seed: int) -> None:
    levels = torch.randint(0, 256, (5, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    how = Augmentation(flip=True, brightness=0.3, contrast=0.2, saturation=0.4, hue=0.1)
    result, flipped = ours.augment(levels, how, torch.Generator().manual_seed(seed))

    drawn = torch.rand(5 + 4 + 4 * 5, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(flipped, drawn[:5] < 0.5)
    expected = torch.where(flipped[:, None, None, None], levels.flip(3), levels) / 255
    for number in drawn[5:9].argsort().tolist():
        step = list(STEPS)[number]
        strength = getattr(how, step)
        shares = drawn[9:].view(4, 5)[number]
        factors = shares * 2 * strength - strength + (step != "hue")
        adjusted = [STEPS[step][1](image, float(factor)) for image, factor in zip(expected, factors, strict=True)]
        expected = torch.stack(adjusted)
    torch.testing.assert_close(result, expected * 2 - 1, atol=8e-6, rtol=0)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_a_picture_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    how = Augmentation(flip=True, brightness=0.3, contrast=0.2, saturation=0.4, hue=0.1)
    whole, _ = ours.augment(pictures(6, 7), how, torch.Generator().manual_seed(3))
    monkeypatch.setattr(ours, "AT_ONCE", 64)  # each picture by itself
    single, _ = ours.augment(pictures(6, 7), how, torch.Generator().manual_seed(3))
    assert torch.equal(single, whole)


@pytest.mark.parametrize("how", [Augmentation(), Augmentation(flip=True), Augmentation(brightness=0.0, hue=1e-9)])
def test_levels_are_scaled_as_torchvision_scales_them(how: Augmentation) -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    result, flipped = ours.augment(levels, how, torch.Generator().manual_seed(0))
    expected = reference.normalize(reference.to_dtype(levels, torch.float32, scale=True), [0.5] * 3, [0.5] * 3)
    expected = torch.where(flipped[:, None, None, None], expected.flip(3), expected)
    torch.testing.assert_close(result, expected, atol=2.5e-7, rtol=0)
    assert (result.min().item(), result.max().item()) == (-1, 1)


def test_what_is_augmented_is_left_as_it_was() -> None:
    images = pictures(7)
    ours.augment(images, Augmentation(brightness=0.5), torch.Generator().manual_seed(0))
    assert torch.equal(images, pictures(7))


def test_strengths_of_zero_change_nothing_and_draw_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = pictures(2)
    result, mirrored = ours.augment(images, Augmentation(), generator)
    assert torch.equal(result, (images - 0.5) * 2)
    assert not mirrored.any()
    assert torch.equal(generator.get_state(), before)


def test_flips_half_of_the_pictures_each_as_a_whole() -> None:
    images = pictures(3, 400)
    result, mirrored = ours.augment(images, Augmentation(flip=True), torch.Generator().manual_seed(1))
    plain = (images - 0.5) * 2
    flipped = (result == plain.flip(3)).flatten(1).all(1)
    kept = (result == plain).flatten(1).all(1)
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
    result, _ = ours.augment(images, Augmentation(brightness=0.3), torch.Generator().manual_seed(2))
    assert len({round(float(image.sum()), 4) for image in result}) == 6


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


def test_a_set_is_some_rows_of_a_map(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    rows = np.array([3, 5, 8, 13, 21, 28, 29])
    labels = rows % 4
    how = Augmentation(flip=True, hue=0.1)

    def draws(data: TrainingSet) -> list[torch.Tensor]:
        source = TrainingFaces(data, how, 1, torch.device("cpu"))
        return [source.draw(5).images, source.draw_labelled([1, 3, 0, 1]).images, source.draw(5).images]

    whole, part = TrainingSet(images[rows], labels), TrainingSet(mapped, labels, rows=rows)
    assert len(part) == 7
    for copied, taken in zip(draws(whole), draws(part), strict=True):
        assert torch.equal(copied, taken)


def test_draws_go_on_from_a_kept_state() -> None:
    source, other = faces(), faces(seed=5)
    source.draw(3)
    other.restore(source.state())
    for drawn in (lambda one: one.draw(4), lambda one: one.draw_labelled([2, 1]), lambda one: one.draw(9)):
        assert torch.equal(drawn(source).images, drawn(other).images)


def test_what_is_made_ahead_changes_nothing_else() -> None:
    source = faces()
    source.draw(3)
    before = source.generator.get_state()
    drawn = shown(source.draw(3).images)
    assert torch.equal(source.generator.get_state(), before)
    torch.rand(5, generator=source.generator)  # what a method draws for itself
    other = faces()
    other.draw(3)
    assert shown(other.draw(3).images) == drawn
    assert shown(other.draw(3).images) == shown(source.draw(3).images)


def test_another_count_than_what_was_made_ahead() -> None:
    """Nothing is passed over: ten pictures come once each, however they are asked for."""
    source = faces()
    assert sorted(shown(torch.cat([source.draw(count).images for count in (3, 1, 2, 2, 1, 1)]))) == list(range(10))
    alone = faces()
    whole = shown(alone.draw(6).images)
    parted = faces()
    assert shown(torch.cat([parted.draw(2).images, parted.draw(3).images, parted.draw(1).images])) == whole


def test_a_fault_in_the_thread_is_raised_in_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    source = faces()
    source.draw(2)
    monkeypatch.setattr(TrainingSet, "take", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        [source.draw(2) for _ in range(2)]  # one may have been made before


def test_the_thread_leaves_the_number_of_threads_alone() -> None:
    before = torch.get_num_threads()
    faces().draw(2)
    assert torch.get_num_threads() == before


def test_all_pictures_of_a_label_come_equally_often() -> None:
    drawn = shown(faces(9).draw_labelled([1] * 3000).images)
    assert set(drawn) == {1, 4, 7}
    assert all(900 < drawn.count(value) < 1100 for value in (1, 4, 7))


def test_labelled_draws_show_their_labels() -> None:
    drawn = faces().draw_labelled([2, 0, 1, 2])
    assert drawn.labels.tolist() == [2, 0, 1, 2]
    assert [value % 3 for value in shown(drawn.images)] == [2, 0, 1, 2]
    for unknown in (7, -1):
        with pytest.raises(KeyError):
            faces().draw_labelled([0, unknown])
        with pytest.raises(KeyError):
            faces().draw_labelled(torch.tensor([0, unknown]))


def test_the_range_is_minus_one_to_one() -> None:
    images = np.array([0, 255], np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    source = TrainingFaces(TrainingSet(images, np.zeros(2, np.int64)), Augmentation(), 0, torch.device("cpu"))
    assert sorted(source.draw(2).images[:, 0, 0, 0].tolist()) == [-1.0, 1.0]
