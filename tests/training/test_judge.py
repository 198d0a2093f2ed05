"""The judge: that it learns, resumes exactly, and augments as it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark.core.errors import RunFailed, UserError
from benchmark.protocol import EXPRESSIONS
from benchmark.training import judge as module
from benchmark.training.judge import Judge, JudgeSettings, train_judge
from benchmark.training.sampling import TrainingSet
from tests.one_thread import one_thread  # noqa: F401 (fixture)

SIDE = 16
QUICK = JudgeSettings(epochs=2, batch=16, architecture="test_resnet")
"""timm's smallest, for all that does not depend on the network."""


def bars(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noisy pictures with a bar: its height in the picture and its colour are the class, symmetric as faces are."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 8
    images = rng.normal(110, 25, (count, SIDE, SIDE, 3))
    for image, label in zip(images, labels, strict=True):
        top = 1 + 4 * (label % 4)
        image[top : top + 3, 2:-2] += (90, -60, 0) if label < 4 else (-60, 0, 90)
    return np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.int64)


def weights_of(judge: Judge) -> dict[str, NDArray[np.float32]]:
    return {name: value.numpy() for name, value in judge.network.state_dict().items()}


def assert_same_weights(a: Judge, b: Judge) -> None:
    ours, theirs = weights_of(a), weights_of(b)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


@pytest.fixture(scope="module")
def trained() -> Judge:
    return train_judge(*bars(96, 0), QUICK, seed=1)


def test_learns_what_can_be_learnt() -> None:
    """With the published network."""
    images, labels = bars(192, 0)
    settings = JudgeSettings(epochs=8, shift=0.0, batch=24)
    others, answers = bars(80, 1)
    named = train_judge(images, labels, settings, seed=0).predict(others).argmax(1)
    assert (named == answers).mean() > 0.9


def test_probabilities_do_not_depend_on_company(trained: Judge) -> None:
    images, _ = bars(40, 2)
    together = trained.predict(images)
    assert together.shape == (40, len(EXPRESSIONS))
    np.testing.assert_allclose(together.sum(axis=1), 1.0, rtol=1e-5)
    alone = np.concatenate([trained.predict(images[i : i + 1]) for i in range(40)])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-6)
    done: list[int] = []
    trained.predict(images, done.append)
    assert done[-1] == 40


def test_one_seed_one_judge(trained: Judge) -> None:
    before = torch.get_rng_state()
    assert_same_weights(train_judge(*bars(96, 0), QUICK, seed=1), trained)
    assert torch.equal(torch.get_rng_state(), before)
    other = weights_of(train_judge(*bars(96, 0), QUICK, seed=2))
    assert any(not np.array_equal(value, other[name]) for name, value in weights_of(trained).items())


def test_rows_of_a_map_are_as_good_as_a_copy(trained: Judge) -> None:
    images, labels = bars(96, 0)
    among = np.zeros((200, SIDE, SIDE, 3), np.uint8)
    rows = np.sort(np.random.default_rng(0).permutation(200)[:96])
    among[rows] = images
    assert_same_weights(train_judge(among, labels, QUICK, seed=1, rows=rows), trained)
    with pytest.raises(ValueError, match="95 images and 96 labels"):
        train_judge(among, labels, QUICK, 1, rows=rows[:95])


@pytest.mark.parametrize(("inputs", "stride", "side"), [(64, 1, 2), (32, 2, 4), (32, 1, 1), (3, 2, 8), (64, 1, 8)])
def test_convolutions_of_small_maps_are_convolutions(inputs: int, stride: int, side: int) -> None:
    plain = torch.nn.Conv2d(inputs, 48, 3, stride, 1, bias=False).double().to(memory_format=torch.channels_last)
    fast = module._Conv2d(inputs, 48, 3, stride, 1, bias=False).double().to(memory_format=torch.channels_last)
    fast.load_state_dict(plain.state_dict())
    x = torch.randn(5, inputs, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    result = []
    for layer in (plain, fast):
        seen = x.clone().requires_grad_()
        out = layer(seen)
        out.sin().sum().backward()
        result.append((out.detach(), seen.grad, layer.weight.grad))
    for actual, wanted in zip(result[1], result[0], strict=True):
        assert actual is not None
        torch.testing.assert_close(actual, wanted, atol=1e-12, rtol=1e-12)


class PowerCutError(Exception):
    """The power goes off."""


@pytest.mark.parametrize("last", [1, 2])
def test_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)
    settings, state = replace(QUICK, epochs=3), tmp_path / "state.safetensors"
    undisturbed = train_judge(*bars(96, 0), settings, seed=1)
    seen: list[tuple[int, int]] = []

    def stop(done: int, of: int) -> None:
        seen.append((done, of))
        if done == last + 1:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train_judge(*bars(96, 0), settings, 1, state, stop)
    assert state.exists()
    resumed = train_judge(*bars(96, 0), settings, 1, state, lambda *at: seen.append(at))
    assert_same_weights(resumed, undisturbed)
    # The epoch in which it was stopped is done again, no other.
    assert seen == [(epoch, 3) for epoch in range(1, last + 2)] + [(epoch, 3) for epoch in range(last + 1, 4)]


def test_a_state_of_another_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)
    state = tmp_path / "state.safetensors"
    train_judge(*bars(32, 0), replace(QUICK, epochs=1), 0, state)
    for images, labels, settings, seed in [
        (*bars(32, 5), replace(QUICK, epochs=1), 0),
        (*bars(32, 0), replace(QUICK, epochs=2), 0),
        (*bars(32, 0), replace(QUICK, epochs=1), 1),
    ]:
        with pytest.raises(UserError, match="other pictures or settings"):
            train_judge(images, labels, settings, seed, state)


def test_a_damaged_state_is_set_aside(tmp_path: Path, trained: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)
    state, told = tmp_path / "state.safetensors", list[str]()
    train_judge(*bars(96, 0), QUICK, 1, state)
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    assert_same_weights(train_judge(*bars(96, 0), QUICK, 1, state, warn=told.append), trained)
    (line,) = told
    assert "is damaged (it is not what was written): set aside as state.safetensors.damaged" in line


def test_saved_and_loaded_is_the_same_judge(trained: Judge, tmp_path: Path) -> None:
    trained.save(tmp_path)
    loaded = Judge.load(tmp_path)
    images, _ = bars(8, 3)
    np.testing.assert_array_equal(loaded.predict(images), trained.predict(images))
    assert loaded.settings == trained.settings
    assert sorted(path.name for path in tmp_path.iterdir()) == ["judge.json", "judge.safetensors"]


@pytest.mark.parametrize("name", ["judge.json", "judge.safetensors"])
def test_damaged_folders_are_refused(trained: Judge, tmp_path: Path, name: str) -> None:
    trained.save(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="no judge that can be read") as raised:
        Judge.load(tmp_path)
    assert "\n" not in str(raised.value)
    path.unlink()
    with pytest.raises(UserError, match="no judge that can be read"):
        Judge.load(tmp_path)


def test_pictures_of_another_size_are_refused(trained: Judge) -> None:
    with pytest.raises(UserError, match="16 x 16"):
        trained.predict(np.zeros((1, 32, 32, 3), np.uint8))


def test_nothing_to_learn_from() -> None:
    images, labels = bars(8, 0)
    with pytest.raises(ValueError, match="labels"):
        train_judge(images, labels[:4], QUICK, 0)


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    with pytest.raises(RunFailed, match="learning rate"):
        train_judge(*bars(64, 0), replace(QUICK, epochs=4, learning_rate=1e25), 0)


def test_augmentation_shifts_flips_and_lights() -> None:
    images, labels = bars(64, 0)
    plain = replace(QUICK, shift=0.25, flip=False, brightness=0.0, contrast=0.0)
    training = module._Training(TrainingSet(images, labels), plain, 0, "cpu")
    levels = torch.from_numpy(images).permute(0, 3, 1, 2)
    batch = levels * (1 / 127.5) - 1
    seen = set()
    for image, shifted in zip(batch.numpy(), training._augmented(levels).numpy(), strict=True):
        padded = np.pad(image, ((0, 0), (4, 4), (4, 4)), mode="edge")
        places = [
            (y, x) for y in range(9) for x in range(9) if np.array_equal(padded[:, y : y + SIDE, x : x + SIDE], shifted)
        ]
        assert len(places) == 1
        seen |= set(places)
    assert len(seen) > 30
    data = TrainingSet(images, labels)
    flipping = module._Training(data, replace(plain, shift=0.0, flip=True), 0, "cpu")._augmented(levels)
    flipped = (flipping == batch.flip(3)).flatten(1).all(1)
    assert 16 < int(flipped.sum()) < 48
    assert torch.equal(flipping[~flipped], batch[~flipped])
    lit = module._Training(data, replace(plain, shift=0.0, brightness=0.3), 0, "cpu")._augmented(levels)
    ratio = ((lit + 1).sum((1, 2, 3)) / (batch + 1).sum((1, 2, 3))).numpy()
    assert 0.69 < ratio.min() < 0.85
    assert 1.1 < ratio.max() < 1.31


def test_the_rate_rises_then_falls_to_nothing() -> None:
    images, labels = bars(160, 0)
    settings = JudgeSettings(epochs=10, batch=16, warm_up=0.3)
    training = module._Training(TrainingSet(images, labels), settings, 0, "cpu")
    rates = [training._rate(step) for step in range(100)]
    assert int(np.argmax(rates)) == 29
    assert max(rates) == pytest.approx(settings.learning_rate)
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert rates[64] == pytest.approx(settings.learning_rate / 2, rel=0.05)
