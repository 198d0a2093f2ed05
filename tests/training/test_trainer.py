"""The training loop: exact resume from any cut, the stop at NaN, the average, what is counted."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from benchmark.core.cli import Interrupted
from benchmark.core.errors import RunFailed, UserError
from benchmark.core.progress import Reporter
from benchmark.interface import FaceSource, Progress, Shape, Update
from benchmark.training import checkpoint
from benchmark.training.sampling import TrainingSet
from benchmark.training.trainer import STATE, WEIGHTS, Budget, Trainer, load_for_editing
from tests.dummy import Dummy, DummySettings

SHAPE = Shape(32)


def data() -> TrainingSet:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    return TrainingSet(images, np.arange(24) % 8)


class ChannelsLast(Dummy):
    """Its weights lie in memory in another order than their indices say."""

    def __init__(self, settings: DummySettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.to(memory_format=torch.channels_last)


class Fused(ChannelsLast):
    def optimizers(self) -> Mapping[str, Optimizer]:
        return {"colours": Adam(self.parameters(), self.settings.learning_rate, fused=True)}


class Heads(Dummy):
    """A head for each expression; those not drawn have no gradient, and the optimiser no state for them until then."""

    def __init__(self, settings: DummySettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.heads = nn.ModuleList(nn.Linear(3, 1) for _ in range(shape.classes))

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        batch = faces.draw(1)
        head = self.heads[int(batch.labels)]
        loss = head(batch.images.mean((2, 3))).square().mean()
        update("colours", loss)
        return {"distance": loss.detach()}


def trainer(
    folder: Path,
    settings: DummySettings | None = None,
    seed: int = 3,
    iterations: int = 11,
    method: type[Dummy] = Dummy,
) -> Trainer:
    folder.mkdir(exist_ok=True)
    budget = Budget(iterations, checkpoint_every=4, log_every=3)
    return Trainer(method, settings or DummySettings(), SHAPE, data(), budget, seed, "cpu", folder, threads=1)


def train(training: Trainer) -> None:
    with Reporter(quiet=True).bar("", 1) as bar:
        training.run(bar, lambda text: None)


def finished(folder: Path, **arguments: Any) -> tuple[bytes, Any]:
    training = trainer(folder, **arguments)
    training.resume()
    train(training)
    training.write_result()
    return (folder / WEIGHTS).read_bytes(), training.losses()


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    first, losses = finished(tmp_path / "a")
    second, again = finished(tmp_path / "b")
    other, _ = finished(tmp_path / "c", seed=4)
    assert first == second
    assert losses.equals(again)
    assert first != other


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("cut", [0, 3, 4, 9])
def test_a_run_stopped_by_a_signal_ends_as_one_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int, signum: signal.Signals
) -> None:
    settings = DummySettings(kill_at=cut)
    monkeypatch.setenv("DUMMY_KILL_MARK", str(tmp_path / "never" / "mark"))
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    monkeypatch.setattr(Path, "touch", lambda self: None)
    monkeypatch.setenv("DUMMY_KILL_SIGNAL", str(int(signum)))
    expected, losses = finished(tmp_path / "whole", settings=settings)
    monkeypatch.undo()

    monkeypatch.setenv("DUMMY_KILL_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("DUMMY_KILL_SIGNAL", str(int(signum)))
    with pytest.raises(Interrupted) as stop:
        finished(tmp_path / "cut", settings=settings)
    assert stop.value.signum == signum
    torch.rand(7)  # whatever else draws random numbers in between
    weights, resumed = finished(tmp_path / "cut", settings=settings)
    assert weights == expected
    assert resumed.equals(losses)


@pytest.mark.parametrize("method", [Dummy, ChannelsLast, Fused, Heads])
def test_a_run_killed_between_states_ends_as_one_left_alone(tmp_path: Path, method: type[Dummy]) -> None:
    expected, losses = finished(tmp_path / "whole", method=method)
    training = trainer(tmp_path / "killed", method=method)
    kept = []
    real_save = training.save

    def save() -> None:
        real_save()
        kept.append((tmp_path / "killed" / STATE).read_bytes())

    training.save = save  # type: ignore[method-assign]
    train(training)
    (tmp_path / "killed" / STATE).write_bytes(kept[0])  # as kill -9 leaves it at iteration 5, 6 or 7
    weights, resumed = finished(tmp_path / "killed", method=method)
    assert weights == expected
    assert resumed.equals(losses)


def test_moments_come_back_in_the_order_of_their_parameters(tmp_path: Path) -> None:
    train(trainer(tmp_path, iterations=4, method=Fused))
    training = trainer(tmp_path, method=Fused)
    assert training.resume()
    states = training._raw["colours"].state
    assert len(states) == 3
    for parameter, state in states.items():
        assert state["exp_avg"].stride() == state["exp_avg_sq"].stride() == parameter.stride()
        assert state["step"].item() == 4
    assert training.method.mix.weight.stride() == (27, 1, 9, 3)  # type: ignore[union-attr,operator]


def test_what_had_no_gradient_yet_has_no_state_after_a_resume(tmp_path: Path) -> None:
    """Else Adam would count a head's steps from the first iteration, and move a head that was never drawn."""
    whole, cut = trainer(tmp_path / "whole", method=Heads, iterations=4), trainer(tmp_path / "cut", method=Heads)
    train(whole)
    cut.budget = whole.budget
    train(cut)
    resumed = trainer(tmp_path / "cut", method=Heads)
    assert resumed.resume()

    def steps(training: Trainer) -> list[float]:
        state = training._raw["colours"].state
        return [float(state[p]["step"]) if p in state else 0.0 for p in training.method.heads.parameters()]  # type: ignore[union-attr,operator]

    assert steps(resumed) == steps(whole)
    assert sum(steps(whole)) == 2 * 4
    assert 0.0 in steps(whole)


def test_fused_steps_are_the_plain_ones(tmp_path: Path) -> None:
    for name, method in (("plain", ChannelsLast), ("fused", Fused)):
        finished(tmp_path / name, method=method)
    plain, _ = checkpoint.load_tensors(tmp_path / "plain" / WEIGHTS)
    fused, _ = checkpoint.load_tensors(tmp_path / "fused" / WEIGHTS)
    torch.testing.assert_close(fused, plain, atol=1e-5, rtol=1e-5)


def test_forgetting_the_random_state_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = finished(tmp_path / "whole")
    training = trainer(tmp_path / "cut", iterations=11)
    training.budget = Budget(8, 4, 3)
    train(training)
    monkeypatch.setattr(checkpoint, "restore_random", lambda tensors: None)
    wrong, _ = finished(tmp_path / "cut")
    assert wrong != expected


def test_nan_stops_with_the_last_good_state_kept(tmp_path: Path) -> None:
    training = trainer(tmp_path / "nan", DummySettings(poison_at=6))
    with pytest.raises(
        RunFailed, match=r"loss 'distance' is nan at iteration 8; the last good state is kept in .*state"
    ):
        train(training)
    good = trainer(tmp_path / "nan", DummySettings(poison_at=6))
    assert good.resume()
    assert good.position.iteration == 4
    assert all(torch.isfinite(p).all() for p in good.method.parameters())


def test_average_follows_its_closed_form(tmp_path: Path) -> None:
    training = trainer(tmp_path / "ema", iterations=5)
    expected = training.method.mix.weight.detach().clone()  # type: ignore[union-attr,operator]
    step = training._step
    seen = []

    def watched() -> Any:
        losses = step()
        seen.append(training.method.mix.weight.detach().clone())  # type: ignore[union-attr,operator]
        return losses

    training._step = watched  # type: ignore[method-assign]
    train(training)
    for weight in seen:
        expected = 0.9 * expected + 0.1 * weight
    training.write_result()
    method = Dummy(DummySettings(), SHAPE)
    load_for_editing(method, tmp_path / "ema" / WEIGHTS)
    torch.testing.assert_close(method.mix.weight.detach(), expected)
    assert not torch.equal(method.mix.weight, seen[-1])


def test_counts_and_history(tmp_path: Path) -> None:
    training = trainer(tmp_path / "count")
    train(training)
    assert training.position.updates == {"colours": 11}
    assert training.position.images == 11 * 8
    assert training.losses()["iteration"].tolist() == [3, 6, 9, 11]
    assert training.parameters() == {"colours": 24, "mix": 84}


def test_schedule_is_applied_from_the_initial_rate(tmp_path: Path) -> None:
    training = trainer(tmp_path / "rate", iterations=10)
    train(training)
    assert training._raw["colours"].param_groups[0]["lr"] == pytest.approx(0.05 * (1 - 9 / 10))


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:99], lambda raw: raw[:-1], lambda raw: b"\0" * 50, lambda raw: b""]
)
def test_a_damaged_state_is_set_aside_and_the_training_begins_anew(tmp_path: Path, damage: Any) -> None:
    expected, _ = finished(tmp_path / "whole")
    train(trainer(tmp_path / "bad", iterations=4))
    path = tmp_path / "bad" / STATE
    path.write_bytes(damage(path.read_bytes()))
    told: list[str] = []
    training = trainer(tmp_path / "bad")
    assert not training.resume(told.append)
    (line,) = told
    assert line.startswith(f"the saved state {path} is damaged (")
    assert line.endswith(f"set aside as {STATE}.damaged, and the training begins anew")
    assert "\n" not in line
    train(training)
    training.write_result()
    assert (tmp_path / "bad" / WEIGHTS).read_bytes() == expected


def test_every_bit_of_a_state_counts(tmp_path: Path) -> None:
    """One bit of each byte, head, text and tensors."""
    path = tmp_path / STATE
    checkpoint.save_tensors(path, {"a": torch.arange(3.0), "b": torch.ones(2, 2)}, {"iteration": 3}, sealed=True)
    content = path.read_bytes()
    tensors, text = checkpoint.load_state(path, pytest.fail) or ({}, {})
    assert (tensors["a"].tolist(), text) == ([0.0, 1.0, 2.0], {"iteration": 3})
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ (1 << index % 8)]) + content[index + 1 :])
        assert checkpoint.load_state(path, lambda _: None) is None
        (tmp_path / f"{STATE}.damaged").unlink()


def test_a_full_disk_keeps_the_last_good_state(tmp_path: Path) -> None:
    path = tmp_path / STATE
    checkpoint.save_tensors(path, {"a": torch.zeros(1000)}, {}, sealed=True)
    kept, limit = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limit[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*state\.safetensors\.tmp'"):
            checkpoint.save_tensors(path, {"a": torch.ones(1000)}, {}, sealed=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(STATE, kept)]


def test_a_missing_file_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"weights.safetensors is missing: its folder is no whole checkpoint"):
        checkpoint.load_tensors(tmp_path / "weights.safetensors")


def test_all_random_states_come_back() -> None:
    import random

    random.gauss(0, 1)  # leaves a cached second value
    np.random.default_rng()
    state = checkpoint.random_tensors()

    def draw() -> tuple[object, ...]:
        old = np.random.standard_normal(3).tolist()  # noqa: NPY002 - the global generator is what is tested
        return random.gauss(0, 1), random.random(), old, torch.rand(3).tolist()

    expected = draw()
    checkpoint.restore_random(state)
    assert draw() == expected
