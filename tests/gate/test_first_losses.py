"""What the first losses note of a training, and that faults which a first step hides change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import Adam, Optimizer

from benchmark.gate.comparison import compare_probe, spread_of
from benchmark.gate.first_losses import ITERATIONS, LENGTH, PLACES, RecordingTrainer
from benchmark.gate.first_steps import STEPS, _Enough, _recording
from benchmark.gate.gate import LOSSES
from benchmark.gate.reference import Probe
from benchmark.gate.verdicts import overall
from benchmark.interface import Progress, Shape
from benchmark.training.judge import JudgeSettings, train_judge
from benchmark.training.registry import find_method
from benchmark.training.sampling import TrainingSet
from benchmark.training.supervised import one_cycle
from benchmark.training.trainer import Budget
from tests.dummy import Dummy, DummySettings


def recorded(folder: Path, method: type[Dummy] = Dummy) -> dict[str, list[float | None]]:
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    data = TrainingSet(images, np.arange(24) % 8)
    trainer = RecordingTrainer(method, DummySettings(), Shape(32), data, Budget(100, 100, 1), 0, "cpu", folder, 1)
    rows = trainer.record((0, 1))
    rows[0] |= trainer.schedules()
    rows[-1] |= trainer.clipped_norms(1)
    return {name: [row.get(name) for row in rows] for name in sorted({name for row in rows for name in row})}


def seen(stored: dict[str, list[float | None]], now: dict[str, list[float | None]]) -> set[str]:
    """The kinds of numbers that regress."""
    values = {"train": stored}
    probe = Probe([], values, spread_of(values, []), {"train": []})
    checks = compare_probe("losses", probe, {"train": now}, {}, LOSSES)
    return {check.quantity.partition(" ")[0] for check in checks if check.verdict == "regressed"}


def test_what_a_first_step_hides_is_noted(tmp_path: Path) -> None:
    numbers = recorded(tmp_path)
    assert numbers["lr colours 1"] == [pytest.approx(0.05), None]
    assert numbers["lr+ colours 1"] == [None, pytest.approx(0.05 * 0.99)]
    assert (numbers["betas.0 colours 1"][0], numbers["betas.1 colours 1"][0]) == (0.9, 0.999)
    # Of two steps an average that decays by 0.9 has followed about a tenth of each, a little more of the first.
    followed = numbers["followed+ mix"][1]
    assert followed is not None
    assert 0.1 < followed < 0.2
    assert numbers["clipped colours 1"][1] == pytest.approx(10.0, rel=1e-4)
    assert [numbers[f"schedule colours {share}"][0] for share in (0.0, 0.5, 0.75)] == [1.0, 0.5, 0.25]


def test_the_gradient_of_each_part_is_noted(tmp_path: Path) -> None:
    numbers = recorded(tmp_path)
    parts = [numbers[f"gradient colours 1 {part}"][0] for part in ("colours.weight", "mix.weight", "mix.bias")]
    whole = numbers["gradient colours 1"][0]
    assert whole is not None
    assert np.square(parts).sum() == pytest.approx(whole**2)
    assert "clipped colours 1" in numbers
    assert not [name for name in numbers if name.startswith("clipped colours 1 ")]


class FewColours(Dummy):
    """Its colours have the same values, and a hundredth of the gradient."""

    share = 0.01

    def _paint(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        colours = self.colours(labels)[:, :, None, None]
        return self.mix(images) + colours.detach().lerp(colours, self.share)


class FewerColours(FewColours):
    share = 0.005


def test_a_gradient_that_stops_short_of_a_small_part_is_seen_in_that_part_alone(tmp_path: Path) -> None:
    stored, now = recorded(tmp_path, FewColours), recorded(tmp_path, FewerColours)
    values = {"train": {name: [values[0]] for name, values in stored.items()}}
    probe = Probe([], values, spread_of(values, []), {"train": []})  # type: ignore[arg-type]
    here = {"train": {name: [values[0]] for name, values in now.items()}}
    checks = compare_probe("losses", probe, here, {}, LOSSES)  # type: ignore[arg-type]
    off = {check.quantity for check in checks if check.verdict == "regressed" and "gradient" in check.quantity}
    assert off == {"gradient colours 1 colours.weight"}


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_the_iteration_in_which_a_cascade_begins_is_run(share: float) -> None:
    """At 0.5 as its settings have it, at 0.75 as profiles do."""
    method = find_method("efgan")
    settings = dataclasses.replace(method.Settings(), width=1 / 64, first_stage_share=share)
    assert method(settings, Shape(32)).switch(LENGTH) in ITERATIONS  # type: ignore[operator]


def test_the_cycle_of_the_learning_rate_is_noted_beyond_the_first_steps() -> None:
    """Of judge and reader two steps are run, in which the rate still rises."""
    assert [one_cycle(share, 0.1) for share in PLACES] == pytest.approx(
        [0.0, *((1 + np.cos(np.pi * (np.array(PLACES[1:]) - 0.1) / 0.9)) / 2)]
    )


class OtherBetas(Dummy):
    def optimizers(self) -> Mapping[str, Optimizer]:
        return {"colours": Adam(self.parameters(), self.settings.learning_rate, betas=(0.9, 0.99))}


class SlowerAverage(Dummy):
    @property
    def average_decay(self) -> float:
        return 0.99


class FallsInStepsOfThousands(Dummy):
    """Over a hundred iterations it does not fall at all, as if there was no schedule."""

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        return 1 - progress.iteration // 1000 * 1000 / progress.iterations


class NeverFalls(Dummy):
    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        return 1.0


class LaterClip(Dummy):
    @property
    def clip_norm(self) -> float | None:
        return 100.0


@pytest.mark.parametrize(
    ("method", "kind"), [(OtherBetas, "betas.1"), (SlowerAverage, "followed+"), (LaterClip, "clipped")]
)
def test_they_change_with_it(tmp_path: Path, method: type[Dummy], kind: str) -> None:
    stored = recorded(tmp_path)
    assert not seen(stored, recorded(tmp_path))
    assert kind in seen(stored, recorded(tmp_path, method))


def test_a_schedule_that_a_short_training_never_reaches(tmp_path: Path) -> None:
    stored = recorded(tmp_path, FallsInStepsOfThousands)
    assert seen(stored, recorded(tmp_path, NeverFalls)) == {"schedule"}


def test_gradients_that_are_not_clipped_and_updates_that_were_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = recorded(tmp_path)
    step = Dummy.training_step
    with monkeypatch.context() as patch:
        patch.setattr("torch.nn.utils.clip_grad_norm_", lambda *_, **__: torch.zeros(()))
        assert "clipped" in seen(stored, recorded(tmp_path))

    def twice(self: Dummy, faces: object, update: object, progress: object) -> object:
        step(self, faces, update, progress)  # type: ignore[arg-type]
        return step(self, faces, update, progress)  # type: ignore[arg-type]

    monkeypatch.setattr(Dummy, "training_step", twice)
    assert "total" in seen(stored, recorded(tmp_path))


def test_a_new_loss_is_no_regression() -> None:
    values = {"train": {"loss a": [1.0], "total d 1": [1.0]}}
    probe = Probe([], values, spread_of(values, []), {"train": []})  # type: ignore[arg-type]
    for name, verdict in (("loss b", "pass"), ("total d 2", "regressed")):
        checks = compare_probe("losses", probe, {"train": {**values["train"], name: [2.0]}}, {}, LOSSES)  # type: ignore[dict-item]
        assert overall([check.verdict for check in checks]) == verdict


def test_the_first_steps_of_a_judge_are_those_of_its_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(40) % 8

    def steps(**settings: Any) -> dict[str, list[float | None]]:
        rows: list[dict[str, float]] = []
        with _recording(rows), pytest.raises(_Enough):
            train_judge(images, labels, JudgeSettings(epochs=2, batch=8, **settings), 0)
        assert len(rows) == STEPS
        return {name: [rows[0][name]] for name in rows[0]}

    stored = steps()
    assert not seen(stored, steps())
    for settings, kind in (
        ({"label_smoothing": 0.0}, "gradient"), ({"flip": False}, "gradient"), ({"learning_rate": 2e-3}, "lr"),
        ({"weight_decay": 0.0}, "weight_decay"), ({"warm_up": 0.5}, "lr"),
    ):  # fmt: skip
        assert kind in seen(stored, steps(**settings)), settings
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    optimizer.step()  # no hook is left that would stop it
