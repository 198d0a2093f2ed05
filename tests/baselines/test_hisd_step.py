"""HiSD's fast step against the published formulation: the same losses and the same gradients."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from baselines.hisd import HiSD, HiSDSettings
from benchmark.core.progress import Reporter
from benchmark.interface import Faces, Method, Progress, Shape, Target
from benchmark.training import trainer as trainer_module
from benchmark.training.sampling import TrainingSet
from benchmark.training.trainer import STATE, WEIGHTS, Budget, Trainer
from tests.plain.compare import assert_same_step, same_weights, step, trained
from tests.plain.exact_faces import ExactFaces, GrainyFaces
from tests.plain.hisd import PlainHiSD

TINY = HiSDSettings(width=0.0625, batch_size=3, translator_blocks=2)
CALM: dict[str, Any] = {"projection_gain": 0.1, "projection_bias": 0.0, "feature_gain": 0.2, "output_gain": 0.2}
START = Progress(0, 10)
SWITCHES: list[dict[str, Any]] = [
    {},
    {"style_in_discriminator": False},
    {"classes": "per-sample"},
    {"classes": "per-sample", "style_in_discriminator": False, "batch_size": 5, **CALM},
    {"adversarial_weight": 0.7, "style_weight": 0.3, "reconstruction_weight": 2.0, "penalty_weight": 0.5},
]


def shaken(method: Method, seed: int) -> None:
    """No parameter stays at the 0 or 1 that it started from."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in method.parameters():
            spread = 0.1 if p.dim() == 1 else 0.1 * float(p.std(unbiased=False))
            p.add_(spread * torch.randn(p.shape, generator=generator, dtype=p.dtype))


def pair(size: int = 16, seed: int = 0, **changes: Any) -> tuple[HiSD, PlainHiSD]:
    torch.manual_seed(seed)
    chosen = replace(TINY, **changes)
    fast, plain = HiSD(chosen, Shape(size)), PlainHiSD(chosen, Shape(size))
    shaken(fast, seed)
    return fast, plain


@pytest.mark.parametrize("changes", SWITCHES, ids=str)
def test_the_step_is_the_published_one_to_the_tenth_digit(changes: dict[str, Any]) -> None:
    fast, plain = pair(**changes)
    assert_same_step(fast.double(), plain.double(), lambda: ExactFaces(16, 0), START, 1e-10)


@settings(max_examples=6, deadline=None)
@given(size=st.sampled_from([8, 12, 32]), seed=st.integers(0, 999), batch=st.integers(1, 4))
def test_of_any_size_and_seed(size: int, seed: int, batch: int) -> None:
    fast, plain = pair(size, seed, batch_size=batch, **CALM)
    assert_same_step(fast.double(), plain.double(), lambda: ExactFaces(size, seed), START, 1e-10)


def test_in_single_precision() -> None:
    """But for some batches, in which an input of a LeakyReLU is 0 to rounding, and takes the other slope: deep in a
    network this small, that is a gradient's third digit.
    """
    agreeing = 0
    for seed in range(8):
        fast, plain = pair(32, seed, width=0.125, **CALM)
        with contextlib.suppress(AssertionError):
            assert_same_step(fast, plain, lambda: GrainyFaces(32, seed), START, 1e-4)  # noqa: B023
            agreeing += 1
    assert agreeing >= 4


def test_wide_layers_on_small_maps() -> None:
    """Widths at which the deep layers are computed as matrix products."""
    fast, plain = pair(32, width=0.5, batch_size=2, classes="per-sample", **CALM)
    assert_same_step(fast.double(), plain.double(), lambda: ExactFaces(32, 0), START, 1e-10)


class Flat(ExactFaces):
    """Pictures of one colour each, but for those whose level is None; in the given type."""

    def __init__(self, levels: Sequence[float | None], dtype: torch.dtype) -> None:
        super().__init__(32, 0)
        self._levels, self._dtype = levels, dtype

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        drawn = super().draw_labelled(labels)
        for image, level in zip(drawn.images, self._levels, strict=True):
            if level is not None:
                image.fill_(level)
        return replace(drawn, images=drawn.images.to(self._dtype))


@pytest.mark.parametrize("levels", [(-1.0,) * 3, (1.0,) * 3, (-1.0, None, None), (0.1,) * 3], ids=str)
def test_pictures_of_one_colour_have_the_published_gradients(levels: tuple[float | None, ...]) -> None:
    """Their norm, which a deviation of nothing but rounding made fifty times as large in single precision."""
    fast, plain = pair(32, width=0.125, **CALM)
    same_weights(fast, plain)

    def norm(method: Method, dtype: torch.dtype) -> float:
        of_generator = step(method.to(dtype), Flat(levels, dtype), START).updates[0][1]
        return float(torch.cat([gradient.double().flatten() for gradient in of_generator.values()]).norm())

    single = norm(fast, torch.float32)
    true = norm(plain, torch.float64)
    assert norm(fast, torch.float64) == pytest.approx(true, rel=1e-6)
    assert single == pytest.approx(true, rel=0.1)


def first_moves(stacked: bool) -> dict[int, float]:
    """How far each head's last bias moves, in units of the rate, when its class is first drawn, by iteration.

    stacked: undrawn heads have gradients of zero, as those of one parameter for all classes have.
    """
    method = pair(mapper_learning_rate=1e-3)[0].double()
    optimizers, source, seen, moves = method.optimizers(), ExactFaces(16, 0), set[int](), dict[int, float]()
    drawn: list[set[int]] = []
    method.generator.mapper.register_forward_pre_hook(lambda _, inputs: drawn.append(set(inputs[1].tolist())))

    def update(name: str, loss: Tensor) -> None:
        optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        if stacked:
            for p in method.generator.mapper.parameters():
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        optimizers[name].step()

    def biases() -> Tensor:
        return torch.stack([head[2].bias.detach() for head in method.generator.mapper.heads])  # type: ignore[index]

    for iteration in range(12):
        before = biases()
        method.training_step(source, update, Progress(iteration, 12))
        moved = (biases() - before).abs().amax(1) / 1e-3
        for label in drawn[-1] - seen:
            moves[iteration] = float(moved[label])
        seen |= drawn[-1]
        assert not any(moved[label] for label in range(8) if label not in seen)
    return moves


def test_a_head_first_drawn_later_takes_adam_s_first_step() -> None:
    """By its rate, at beta1 0. Stacked heads move sqrt((1 - 0.99^k) / 0.01) times as far at step k."""
    moves = first_moves(stacked=False)
    assert max(moves) > 3
    assert list(moves.values()) == pytest.approx([1] * len(moves), rel=1e-3)
    stacked = first_moves(stacked=True)
    assert stacked == pytest.approx({at: math.sqrt((1 - 0.99 ** (at + 1)) / 0.01) for at in moves}, rel=1e-2)


@pytest.mark.parametrize("classes", ["per-batch", "per-sample"])
def test_some_iterations_end_in_the_same_weights(classes: str) -> None:
    fast, plain = pair(classes=classes, mapper_learning_rate=1e-3, **CALM)
    same_weights(fast.double(), plain.double())
    actual, wanted = (trained(method, ExactFaces(16, 0), 6) for method in (fast, plain))
    for key, weight in wanted.items():
        torch.testing.assert_close(actual[key], weight, rtol=1e-7, atol=1e-7, msg=key)


class HalfPenalty(HiSD):
    """R1 with the factor of 1/2 of other papers."""

    def training_step(self, faces: Any, update: Any, progress: Progress) -> dict[str, Tensor]:
        def halved(optimizer: str, loss: Tensor) -> None:
            update(optimizer, loss / 2 if optimizer == "discriminator" else loss)

        return super().training_step(faces, halved, progress)


class WrongBranch(HiSD):
    """A residual sum at more than unchanged variance, at one place."""

    def training_step(self, faces: Any, update: Any, progress: Progress) -> dict[str, Tensor]:
        with torch.no_grad():
            self.generator.decoder.blocks[1].skip.weight.mul_(math.sqrt(2))
        return super().training_step(faces, update, progress)


@pytest.mark.parametrize("wrong", [HalfPenalty, WrongBranch])
def test_another_step_is_refused(wrong: type[HiSD]) -> None:
    fast, plain = wrong(TINY, Shape(16)), PlainHiSD(TINY, Shape(16))
    with pytest.raises(AssertionError, match="is off by"):
        assert_same_step(fast.double(), plain.double(), lambda: ExactFaces(16, 0), START, 1e-4)


@pytest.mark.parametrize("guide", ["T", "R"])
@torch.no_grad()
def test_edits_are_the_published_ones(guide: Any) -> None:
    fast, plain = pair(16)
    same_weights(fast.double(), plain.double())
    sources, references = torch.rand(2, 3, 3, 16, 16, dtype=torch.float64) * 2 - 1
    target = Target(guide, torch.tensor([1, 7, 1]), [3, 4, 5], references)
    ours, published = (method.edit(Faces.of(sources), target) for method in (fast, plain))
    torch.testing.assert_close(ours, published, rtol=1e-10, atol=1e-10)


# --------------------------------------------------------------------------------------------------------- exact resume
def trainer(folder: Path) -> Trainer:
    folder.mkdir()
    rng = np.random.default_rng(0)
    data = TrainingSet(rng.integers(0, 256, (16, 16, 16, 3), dtype=np.uint8), np.arange(16) % 8)
    chosen = replace(TINY, batch_size=2, mapper_learning_rate=1e-3, **CALM)
    return Trainer(HiSD, chosen, Shape(16), data, Budget(8, 2, 3), 3, "cpu", folder, threads=1)


def run(training: Trainer) -> bytes:
    with Reporter(quiet=True).bar("", 1) as bar:
        training.run(bar, lambda _: None)
    training.write_result()
    return (training.folder / WEIGHTS).read_bytes()


@pytest.fixture
def determinism() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("determinism")
def test_a_run_cut_before_all_heads_were_drawn_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optimiser's state has no entry for a head that was not drawn yet, and gets one when it is."""
    whole = trainer(tmp_path / "whole")
    states: dict[int, bytes] = {}
    save = whole.save

    def kept() -> None:
        save()
        states[whole.position.iteration] = (whole.folder / STATE).read_bytes()

    monkeypatch.setattr(trainer_module, "SAVING", float("inf"))  # at every look
    monkeypatch.setattr(whole, "save", kept)
    weights = run(whole)
    known = []
    for cut in (2, 4, 6):
        again = trainer(tmp_path / f"cut-{cut}")
        (again.folder / STATE).write_bytes(states[cut])
        assert again.resume()
        known.append(len(again._raw["generator"].state))
        assert run(again) == weights
    assert known[0] < known[-1] < len(list(whole.method.generator.parameters()))
