"""The plain loader: the faces that the fast one draws from, by files and workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.interface import Augmentation
from benchmark.training.augmentation import mirrored
from benchmark.training.sampling import TrainingFaces, TrainingSet
from tests.plain.pictures import PictureFaces

COUNT, SIZE = 12, 16


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
    units = rng.uniform(0, 5, (COUNT, 17)).astype(np.float32)
    landmarks = rng.uniform(0, SIZE - 1, (COUNT, 68, 2)).astype(np.float32)
    return TrainingSet(images, np.arange(COUNT) % 3, units, landmarks)


@pytest.fixture
def plain(data: TrainingSet, tmp_path: Path) -> Iterator[PictureFaces]:
    result = PictureFaces(tmp_path / "pictures", data, Augmentation(), seed=0)
    yield result
    result.close()


def numbers(images: torch.Tensor, data: TrainingSet) -> list[int]:
    """Which picture each is."""
    levels = ((images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [int(np.flatnonzero((data.images == picture).all((1, 2, 3)))[0]) for picture in levels]


def test_it_draws_the_same_faces_as_the_fast_one(plain: PictureFaces, data: TrainingSet) -> None:
    fast = TrainingFaces(data, Augmentation(), 0, torch.device("cpu"))
    assert plain.classes == fast.classes
    by_number = {}
    for source in (fast, plain):
        drawn = [source.draw(4) for _ in range(3)]
        batch = [numbers(faces.images, data) for faces in drawn]
        assert sorted(number for chosen in batch for number in chosen) == list(range(COUNT))
        for faces, chosen in zip(drawn, batch, strict=True):
            for index, number in enumerate(chosen):
                values = [getattr(faces, name)[index] for name in ("images", "labels", "units", "landmarks")]
                for value, known in zip(values, by_number.setdefault(number, values), strict=True):
                    torch.testing.assert_close(value, known, atol=1e-6, rtol=0)


def test_labelled_draws_show_their_labels(plain: PictureFaces, data: TrainingSet) -> None:
    drawn = plain.draw_labelled(torch.tensor([2, 0, 2]))
    assert drawn.labels.tolist() == [2, 0, 2]
    assert [number % 3 for number in numbers(drawn.images, data)] == [2, 0, 2]
    with pytest.raises(KeyError):
        plain.draw_labelled([5])


def test_units_are_those_of_pictures(plain: PictureFaces, data: TrainingSet) -> None:
    assert data.units is not None
    known = {tuple(row) for row in data.units.tolist()}
    assert all(tuple(row) in known for row in plain.draw_units(20).tolist())


def test_flips_take_the_landmarks_along(data: TrainingSet, tmp_path: Path) -> None:
    plain = PictureFaces(tmp_path / "pictures", data, Augmentation(flip=True), seed=0)
    drawn = plain.draw(COUNT)
    plain.close()
    assert data.landmarks is not None
    points = torch.from_numpy(data.landmarks)
    twins, flips = mirrored(points, SIZE), 0
    for image, landmarks in zip(drawn.images, drawn.landmarks, strict=True):
        try:
            (number,), expected = numbers(image[None], data), points
        except IndexError:
            (number,), expected = numbers(image.flip(2)[None], data), twins
            flips += 1
        torch.testing.assert_close(landmarks, expected[number])
    assert 0 < flips < COUNT
