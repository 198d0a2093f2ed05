"""The reader: that it learns, passes over what is unknown, and resumes exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import RunFailed, UserError
from benchmark.protocol import ACTION_UNITS, LANDMARK_MIRROR, LANDMARKS
from benchmark.training import reader as module
from benchmark.training.reader import FURTHEST, WEIGHTS, Reader, ReaderSettings, reader_pictures, train_reader
from benchmark.training.sampling import TrainingSet
from tests.one_thread import one_thread  # noqa: F401 (fixture)

SIDE = 32
QUICK = ReaderSettings(pictures=64, side=SIDE, channels=4, batch=16)


def bars(count: int, seed: int) -> TrainingSet:
    """Noisy pictures with a bar: its brightness is all action units, its height that of all landmarks."""
    rng = np.random.default_rng(seed)
    units = np.repeat(rng.uniform(0, 5, (count, 1)), len(ACTION_UNITS), 1).astype(np.float32)
    units[:, -1] = 0
    tops = rng.integers(4, SIDE - 8, count)
    images = rng.normal(60, 5, (count, SIDE, SIDE, 3))
    landmarks = np.empty((count, LANDMARKS, 2), np.float32)
    places, mirror = np.arange(LANDMARKS), np.array(LANDMARK_MIRROR)
    landmarks[:, :, 0] = np.where(places == mirror, (SIDE - 1) / 2, np.where(places < mirror, 4, SIDE - 5))
    for index, (unit, top) in enumerate(zip(units[:, 0], tops, strict=True)):
        images[index, top : top + 4] = 100 + 30 * unit
        landmarks[index, :, 1] = top + 1.5
    images = np.clip(images, 0, 255).astype(np.uint8)
    return TrainingSet(images, np.zeros(count, np.int64), units, landmarks)


def weights_of(reader: Reader) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in reader.network.state_dict().items()}


def assert_same(a: Reader, b: Reader) -> None:
    ours, theirs = weights_of(a), weights_of(b)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_learns_what_can_be_learnt() -> None:
    settings = replace(QUICK, pictures=3000, channels=8, brightness=0.0, contrast=0.0)
    reader, others = train_reader(bars(200, 0), settings, 0), bars(60, 1)
    read = reader.read(others.images)
    assert others.units is not None
    assert others.landmarks is not None
    assert np.abs(read.units[:, 0] - others.units[:, 0]).mean() < 0.4
    assert np.abs(read.units[:, -1]).max() < 0.5  # which never moves
    assert np.abs(read.landmarks - others.landmarks).mean() < 1.0


def test_a_larger_picture_is_read_in_its_own_pixels() -> None:
    reader = train_reader(bars(40, 0), QUICK, 0)
    large = Reader(reader.network, 2 * SIDE, QUICK, True, True)
    images = bars(3, 1).images
    ours, theirs = reader.read(images), large.read(images.repeat(2, 1).repeat(2, 2))
    np.testing.assert_allclose(ours.units, theirs.units, atol=0.05)
    # The middle of pixel 0 of 32 is between pixels 0 and 1 of 64.
    np.testing.assert_allclose(2 * ours.landmarks + 0.5, theirs.landmarks, atol=0.2)


def test_what_is_unknown_is_passed_over_and_not_read() -> None:
    data = bars(40, 0)
    assert data.units is not None
    some = data.units.copy()
    some[::2] = np.nan
    reader = train_reader(replace(data, units=some, landmarks=None), QUICK, 0)
    read = reader.read(data.images)
    assert np.isfinite(read.units).all()
    assert np.isnan(read.landmarks).all()
    # Pictures of which nothing is known have no part in the loss: other values of theirs give the same weights.
    assert np.allclose(reader.network.mean[0].item(), np.nanmean(some[:, 0]))
    with pytest.raises(ValueError, match="no picture has"):
        train_reader(replace(data, units=None, landmarks=None), QUICK, 0)


def test_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    data, state = bars(40, 0), tmp_path / "state.safetensors"
    whole, done = train_reader(data, QUICK, 3), []

    def stop(count: int) -> None:
        done.append(count)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_reader(data, QUICK, 3, state, stop)
    resumed: list[int] = []
    assert_same(train_reader(data, QUICK, 3, state, resumed.append), whole)
    assert resumed[0] in (QUICK.batch, 2 * QUICK.batch)
    with pytest.raises(UserError, match="of a reader with other pictures or settings"):
        train_reader(data, QUICK, 4, state)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    data = bars(40, 0)
    reader = train_reader(data, QUICK, 0)
    reader.save(tmp_path)
    again = Reader.load(tmp_path)
    assert_same(reader, again)
    assert np.array_equal(reader.read(data.images).units, again.read(data.images).units)
    (tmp_path / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"holds no reader that can be read .*remove it and train it again"):
        Reader.load(tmp_path)


def test_wrong_input_is_reported() -> None:
    reader = train_reader(bars(40, 0), QUICK, 0)
    with pytest.raises(ValueError, match="the reader reads 32 x 32 "):
        reader.read(np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(RunFailed, match="not finite at step"):
        train_reader(bars(40, 0), replace(QUICK, pictures=640, learning_rate=1e30), 0)


def test_blends_are_between_two_pictures_of_a_person_and_beyond() -> None:
    data = bars(6, 0)
    assert data.units is not None
    assert data.landmarks is not None
    groups = np.array([0, 0, 0, 1, 1, 2])
    joined = reader_pictures(data, groups, SIDE, 0)
    assert joined.units is not None
    assert joined.landmarks is not None
    assert len(joined) == 6 + 5  # the last is alone
    np.testing.assert_array_equal(joined.images[:6], data.images)
    for blend in range(6, 11):
        second = blend - 6
        others = [row for row in np.flatnonzero(groups == groups[second]) if row != second]
        fits = []
        for first in others:
            step = data.units[second, 0] - data.units[first, 0]
            share = (joined.units[blend, 0] - data.units[first, 0]) / step
            picture = data.images[first] + share * (data.images[second].astype(float) - data.images[first])
            near = np.abs(np.clip(picture, 0, 255) - joined.images[blend]).max() <= 1
            fits.append(near and 0 <= share <= FURTHEST)
            if fits[-1]:
                points = data.landmarks[first] + share * (data.landmarks[second] - data.landmarks[first])
                np.testing.assert_allclose(joined.landmarks[blend], points, atol=1e-3)
        assert any(fits)


def test_pictures_are_resized_with_their_landmarks() -> None:
    data = bars(4, 0)
    assert data.landmarks is not None
    half = reader_pictures(data, np.arange(4), SIDE // 2, 0)
    assert half.images.shape == (4, SIDE // 2, SIDE // 2, 3)
    assert half.landmarks is not None
    np.testing.assert_allclose(half.landmarks, (data.landmarks + 0.5) / 2 - 0.5)
    np.testing.assert_array_equal(reader_pictures(data, np.arange(4), SIDE, 0).images, data.images)
