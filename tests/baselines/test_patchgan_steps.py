"""The fast steps of StarGAN, GANimation and EF-GAN against the plain ones: the same losses, gradients and weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from baselines.efgan import EFGAN, EFGANSettings
from baselines.ganimation import GANimation, GANimationSettings
from baselines.stargan import StarGAN, StarGANSettings
from benchmark.interface import FaceSource, Method, Progress, Shape, Target, Update
from tests.baselines.steps import faces
from tests.plain.compare import assert_same_step, same_weights, trained
from tests.plain.efgan import PlainEFGAN
from tests.plain.exact_faces import ExactFaces
from tests.plain.ganimation import PlainGANimation
from tests.plain.stargan import PlainStarGAN

EXACT, SINGLE = 1e-10, 1e-4


@dataclass(frozen=True)
class Case:
    """A fast method, its reference and settings. iterations: of 10, those that are compared."""

    fast: type[Method]
    plain: type[Method]
    settings: Any
    changes: dict[str, Any] = field(default_factory=dict)
    iterations: tuple[int, ...] = (0, 4)

    def pair(self, size: int = 32, seed: int = 0, **changes: Any) -> tuple[Method, Method]:
        torch.manual_seed(seed)
        chosen = replace(self.settings, **{**self.changes, **changes})
        fast, plain = self.fast(chosen, Shape(size)), self.plain(chosen, Shape(size))
        shaken(fast, seed)
        return fast, plain


TINY: dict[str, Any] = {"width": 0.0625, "residual_blocks": 1, "batch_size": 3}
STAR, ANIMATED, CASCADE = StarGANSettings(**TINY), GANimationSettings(**TINY), EFGANSettings(**TINY, stages=2)
CASES = {
    "stargan": Case(StarGAN, PlainStarGAN, STAR),
    "stargan, other weights": Case(
        StarGAN,
        PlainStarGAN,
        STAR,
        {"classification_weight": 0.3, "reconstruction_weight": 2.0, "penalty_weight": 3.0, "discriminator_steps": 1},
    ),
    "ganimation": Case(GANimation, PlainGANimation, ANIMATED),
    "ganimation, together": Case(GANimation, PlainGANimation, ANIMATED, {"penalty_update": "together"}),
    "ganimation, other weights": Case(
        GANimation,
        PlainGANimation,
        ANIMATED,
        {
            "adversarial_weight": 0.7,
            "unit_weight": 2.0,
            "attention_weight": 3.0,
            "unit_noise": 0.5,
            "discriminator_steps": 1,
        },
    ),
    "efgan": Case(EFGAN, PlainEFGAN, CASCADE, iterations=(0, 4, 9)),
    "efgan, together": Case(EFGAN, PlainEFGAN, CASCADE, {"penalty_update": "together"}, (4, 9)),
    "efgan, correction": Case(
        EFGAN,
        PlainEFGAN,
        CASCADE,
        {"refiner": "correction", "discriminator_steps": 1, "first_stage_share": 0.2},
        (1, 2),
    ),
    "efgan, refined images alone": Case(EFGAN, PlainEFGAN, CASCADE, {"initial_weight": 0.0, "stages": 3}, (0, 4, 9)),
    "efgan, one stage": Case(EFGAN, PlainEFGAN, CASCADE, {"stages": 1}, (4, 9)),
}
METHODS = ("stargan", "ganimation", "efgan")
every_case = pytest.mark.parametrize("name", CASES)
every_method = pytest.mark.parametrize("name", METHODS)


def shaken(method: Method, seed: int) -> None:
    """Weights at the scale at which every layer keeps its input's, and no norm or bias at the 1 or 0 of its start.
    Colours and masks stay calm: a cascade of saturated ones multiplies every rounding.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in method.named_parameters():
            drawn = torch.randn(p.shape, generator=generator, dtype=p.dtype)
            gain = 0.5 if name.endswith(("colour.weight", "mask.weight", "head.weight")) else 2**0.5
            p.copy_(p + 0.1 * drawn if p.dim() == 1 else drawn * gain / p[0].numel() ** 0.5)


@every_case
def test_the_step_is_the_plain_one_to_the_tenth_digit(name: str) -> None:
    case = CASES[name]
    fast, plain = case.pair()
    for iteration in case.iterations:
        source = lambda at=iteration: ExactFaces(32, at)  # noqa: E731
        assert_same_step(fast.double(), plain.double(), source, Progress(iteration, 10), EXACT)


@settings(max_examples=8, deadline=None)
@given(
    name=st.sampled_from(METHODS),
    size=st.sampled_from([16, 24, 64]),
    seed=st.integers(0, 999),
    batch=st.integers(1, 3),
    blocks=st.integers(0, 2),
)
def test_of_any_size_and_seed(name: str, size: int, seed: int, batch: int, blocks: int) -> None:
    fast, plain = CASES[name].pair(size, seed, batch_size=batch, residual_blocks=blocks)
    assert_same_step(fast.double(), plain.double(), lambda: ExactFaces(size, seed), Progress(4, 10), EXACT)


@pytest.mark.parametrize(("name", "iterations"), [("stargan", (0, 4)), ("ganimation", (0, 4)), ("efgan", (0, 5))])
def test_in_single_precision(name: str, iterations: tuple[int, ...]) -> None:
    """But for some batches, in which an input of a ReLU is 0 to rounding: it then takes the other slope.

    Of EF-GAN the discriminator alone: four and eight networks in a row multiply a rounding until slopes change, so its
    generator is held to double precision (test_rounding.py).
    """
    agreeing = 0
    for seed in range(6):
        fast, plain = CASES[name].pair(32, seed, width=0.125, residual_blocks=2)
        with contextlib.suppress(AssertionError):
            for iteration in iterations:
                assert_same_step(fast, plain, lambda: faces(size=32, seed=seed), Progress(iteration, 10), SINGLE)  # noqa: B023
            agreeing += 1
    assert agreeing >= 4


@every_method
def test_wide_layers_on_small_maps(name: str) -> None:
    """Widths at which the deep layers are computed as matrix products."""
    fast, plain = CASES[name].pair(32, width=0.5, residual_blocks=1, batch_size=2)
    assert_same_step(fast.double(), plain.double(), lambda: ExactFaces(32, 0), Progress(4, 10), EXACT)


@pytest.mark.parametrize("name", ["stargan, other weights", "ganimation", "efgan, correction"])
def test_some_iterations_end_in_the_same_weights(name: str) -> None:
    """So does Adam, which steps a parameter whose gradient is 0 on its momentum, and none that has no gradient."""
    fast, plain = CASES[name].pair(discriminator_steps=2, batch_size=2)
    same_weights(fast.double(), plain.double())
    actual, wanted = (trained(method, ExactFaces(32, 0), 4) for method in (fast, plain))
    assert actual.keys() == wanted.keys()
    for key, weight in wanted.items():
        torch.testing.assert_close(actual[key], weight, rtol=1e-7, atol=1e-7, msg=key)


# ------------------------------------------------------------------------------------------ steps that are not theirs
def scaled(method: Method, optimizer: str, factor: float) -> None:
    inner = method.training_step

    def changed(faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        return inner(faces, lambda name, loss: update(name, factor * loss if name == optimizer else loss), progress)

    method.training_step = changed  # type: ignore[method-assign]


def without_a_tap(method: Method) -> None:
    first = next(p for name, p in method.named_parameters() if name.endswith("trunk.0.weight"))
    first.register_hook(lambda gradient: gradient * (torch.arange(7).to(gradient) > 0))


WRONG: dict[str, Callable[[Method], Any]] = {
    "a thousandth more of D's loss": lambda method: scaled(method, "discriminator", 1.001),
    "a thousandth less of G's loss": lambda method: scaled(method, "generator", 0.999),
    "a column of the first kernel is not trained": without_a_tap,
}


@every_method
@pytest.mark.parametrize("mistake", WRONG)
def test_another_step_is_refused(name: str, mistake: str) -> None:
    fast, plain = CASES[name].pair()
    WRONG[mistake](fast)
    with pytest.raises(AssertionError, match="is off by"):
        assert_same_step(fast.double(), plain.double(), lambda: ExactFaces(32, 0), Progress(4, 10), SINGLE)


@every_method
@torch.no_grad()
def test_edits_are_the_plain_ones(name: str) -> None:
    fast, plain = CASES[name].pair()
    same_weights(fast.double().eval(), plain.double())
    sources = ExactFaces(32, 0).draw(3)
    (guide,) = fast.guides
    target = Target(guide, torch.tensor([1, 7, 1]), [3, 4, 5], units=5 * torch.rand(3, 17, dtype=torch.float64))
    torch.testing.assert_close(fast.edit(sources, target), plain.edit(sources, target), rtol=1e-10, atol=1e-10)
