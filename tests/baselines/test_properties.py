"""What holds for every method, whatever it computes. A new method is one line in `CASES`.

All in float64, where a property holds to the last digits or not at all. At the end, methods that break each property.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from baselines.ganimation import GANimation
from baselines.stargan import StarGAN
from benchmark.interface import Faces, FaceSource, Method, Progress, Shape, Target
from benchmark.protocol import Guide
from benchmark.settings import make_settings
from benchmark.training.registry import METHODS, find_method
from tests.baselines.steps import faces

SIZE, ITERATIONS, TOLERANCE = 32, 1000, 1e-8


@dataclass(frozen=True)
class Case:
    """A method with settings of its own. steps: iterations of 1000 in which, together, every optimiser is stepped.
    latent: its label-guided edits depend on the seed.
    """

    method: str | type[Method]
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: Sequence[int] = (0,)
    latent: bool = False

    def build(self, batch: int = 2, seed: int = 0) -> Method:
        torch.manual_seed(seed)
        kind = find_method(self.method) if isinstance(self.method, str) else self.method
        settings = {"width": 0.0625, "batch_size": batch, **self.settings}
        return kind(make_settings(kind.Settings, settings, "test"), Shape(SIZE)).double()


CALM = {"projection_gain": 0.1, "projection_bias": 0.0, "feature_gain": 0.2, "output_gain": 0.2, "translator_blocks": 2}
BASELINE = {"supervision": False, "reference_path": False, "content": "none", "style_in_discriminator": True}
CASES = {
    "stargan": Case("stargan", {"residual_blocks": 1}, steps=[4]),
    "ganimation": Case("ganimation", {"residual_blocks": 1}, steps=[4]),
    "ganimation, one step": Case("ganimation", {"residual_blocks": 1, "penalty_update": "together"}, steps=[4]),
    "efgan": Case("efgan", {"residual_blocks": 1, "discriminator_steps": 1, "stages": 2}, steps=[0, 600]),
    "hisd": Case("hisd", CALM, latent=True),
    "hisd, style hidden": Case("hisd", {**CALM, "style_in_discriminator": False}, latent=True),
    "mtss": Case("mtss", CALM, latent=True),
    "mtss, skip": Case("mtss", {**CALM, "content": "skip"}, latent=True),
    "mtss, no content": Case("mtss", {**CALM, "content": "none"}, latent=True),
    "mtss, reference path alone": Case("mtss", {**CALM, "content": "none", "supervision": False}, latent=True),
    "mtss, as hisd": Case("mtss", {**CALM, **BASELINE}, latent=True),
    "mtss, logarithms": Case("mtss", {**CALM, "adversarial": "log", "consistency_content": "recomputed"}, latent=True),
}
every_method = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def test_no_method_is_left_out() -> None:
    assert {case.method for case in CASES.values()} == set(METHODS)


class Source:
    """Faces in float64, each batch `times` times over."""

    def __init__(self, times: int = 1) -> None:
        self._inner, self._times = faces(SIZE), times
        self.generator, self.classes = self._inner.generator, self._inner.classes

    def _repeat(self, batch: Faces) -> Faces:
        values = {
            name: torch.cat([value.double() if value.is_floating_point() else value] * self._times)
            for name, value in vars(batch).items()
        }
        return Faces(**values)

    def draw(self, count: int) -> Faces:
        return self._repeat(self._inner.draw(count // self._times))

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        wanted = torch.as_tensor(labels)
        first = wanted[: len(wanted) // self._times]
        assert torch.equal(wanted, first.repeat(self._times))
        return self._repeat(self._inner.draw_labelled(first))

    def draw_units(self, count: int) -> Tensor:
        return self._inner.draw_units(count // self._times).double().repeat(self._times, 1)


@dataclass
class Trial:
    """A training step on the same faces every time. Only updates of the optimisers in `stepped` change the weights."""

    method: Method
    iteration: int
    source: FaceSource = field(default_factory=Source)
    stepped: frozenset[str] = frozenset()
    losses: dict[str, list[float]] = field(default_factory=dict)
    gradients: dict[str, list[dict[str, Tensor]]] = field(default_factory=dict)
    logged: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._optimizers = self.method.optimizers()
        log = self.method.training_step(self.source, self._update, Progress(self.iteration, ITERATIONS))
        self.logged = {name: float(value) for name, value in log.items()}

    def _update(self, optimizer: str, loss: Tensor) -> None:
        self.method.zero_grad(set_to_none=True)
        loss.backward()
        gradients = {
            key: parameter.grad.clone()
            for key, parameter in self.method.named_parameters()
            if parameter.grad is not None
        }
        self.losses.setdefault(optimizer, []).append(float(loss.detach()))
        self.gradients.setdefault(optimizer, []).append(gradients)
        if optimizer in self.stepped:
            self._optimizers[optimizer].step()


# ------------------------------------------------------------------------------------ a batch and the same repeated
@pytest.fixture
def repeated_draws(monkeypatch: pytest.MonkeyPatch) -> Callable[[Source, int, int], None]:
    """Makes what a training step itself draws from its source's generator repeat as the faces do."""

    def repeat(source: Source, count: int, times: int) -> None:
        def patched(name: str, size_at: int) -> None:
            original = getattr(torch, name)

            def draw(*arguments: Any, generator: torch.Generator | None = None, **more: Any) -> Tensor:
                inputs = arguments[size_at] if isinstance(arguments[size_at], Sequence) else arguments[size_at:]
                if generator is not source.generator or not inputs or not inputs[0] or inputs[0] % (count * times):
                    drawn: Tensor = original(*arguments, generator=generator, **more)
                    return drawn
                groups = inputs[0] // (count * times)
                once = original(*arguments[:size_at], (groups * count, *inputs[1:]), generator=generator, **more)
                return torch.cat([group.repeat(times, *[1] * (once.ndim - 1)) for group in once.chunk(groups)])

            monkeypatch.setattr(torch, name, draw)

        for name, size_at in {"rand": 0, "randn": 0, "randint": -1}.items():
            patched(name, size_at)
        permute = torch.randperm

        def randperm(length: int, generator: torch.Generator | None = None) -> Tensor:
            if generator is not source.generator or length != count * times:
                return permute(length, generator=generator)
            once = permute(count, generator=generator)
            return torch.cat([once + count * turn for turn in range(times)])

        monkeypatch.setattr(torch, "randperm", randperm)

    return repeat


def check_repetition(case: Case, repeated_draws: Callable[[Source, int, int], None]) -> None:
    """Three times the same batch: the same losses, those of the log and those back-propagated, and gradients."""
    count, times = 2, 3
    for iteration in case.steps:
        once = Trial(case.build(count), iteration)
        source = Source(times)
        repeated_draws(source, count, times)
        thrice = Trial(case.build(count * times), iteration, source)
        assert thrice.logged == pytest.approx(once.logged, rel=TOLERANCE, abs=TOLERANCE)
        assert thrice.losses.keys() == once.losses.keys()
        for name, losses in once.losses.items():
            assert thrice.losses[name] == pytest.approx(losses, rel=TOLERANCE, abs=TOLERANCE), name
            for ours, theirs in zip(thrice.gradients[name], once.gradients[name], strict=True):
                scale = max(float(gradient.abs().max()) for gradient in theirs.values())
                for key, gradient in theirs.items():
                    torch.testing.assert_close(ours[key], gradient, rtol=TOLERANCE, atol=TOLERANCE * scale, msg=key)


@every_method
def test_losses_do_not_change_when_the_batch_is_repeated(
    case: Case, repeated_draws: Callable[[Source, int, int], None]
) -> None:
    check_repetition(case, repeated_draws)


# ------------------------------------------------------------------------------------------------ one training step
def check_descent(case: Case) -> None:
    """An update of one optimiser, nothing else changed, lowers the sum of the losses that it is stepped on."""
    method = case.build()
    for iteration in case.steps:
        for name, before in Trial(method, iteration).losses.items():
            changed = copy.deepcopy(method)
            Trial(changed, iteration, stepped=frozenset([name]))
            after = Trial(changed, iteration).losses[name]
            assert sum(after) < sum(before), name


@every_method
def test_a_step_lowers_the_loss_it_is_made_on(case: Case) -> None:
    check_descent(case)


def check_gradients(case: Case) -> None:
    """Some optimiser trains every parameter; each loss reaches all that its optimiser trains, and nothing else.

    But for the mapper's heads of classes that are not in the batch, which have no gradient at all.
    """
    method, seen = case.build(batch=4), set()
    trained = {
        name: {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for name, optimizer in method.optimizers().items()
    }
    assert {id(parameter) for parameter in method.parameters()} == set().union(*trained.values())
    for iteration in case.steps:
        for name, updates in Trial(method, iteration).gradients.items():
            seen.add(name)
            reached = {key for gradients in updates for key, gradient in gradients.items() if gradient.any()}
            expected = {key for key, value in method.named_parameters() if id(value) in trained[name]}
            left_out = expected - set().union(*updates)
            assert all(key.startswith("generator.mapper.heads.") for key in left_out), name
            assert reached == expected - left_out, name
            assert any(key.startswith("generator.mapper.heads.") for key in reached) or not left_out, name
        assert all(parameter.requires_grad for parameter in method.parameters())
    assert seen == set(trained)


@every_method
def test_gradients_reach_what_is_trained_and_nothing_else(case: Case) -> None:
    check_gradients(case)


def weights_after(case: Case) -> dict[str, Tensor]:
    method = case.build()
    for iteration in case.steps:
        Trial(method, iteration, stepped=frozenset(method.optimizers()))
    return method.state_dict()


@every_method
def test_the_same_seed_gives_the_same_weights(case: Case) -> None:
    once, again = weights_after(case), weights_after(case)
    assert once.keys() == again.keys()
    assert all(torch.equal(once[name], again[name]) for name in once)
    first, other = case.build(seed=0).state_dict(), case.build(seed=1).state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert any(not torch.equal(first[name], once[name]) for name in first)


# --------------------------------------------------------------------------------------------------------- one edit
def check_edits(case: Case) -> None:
    """An edit is a function of its own source, target and (where the method has a latent) seed."""
    method, source = case.build().eval(), Source()
    sources, references = source.draw(3), source.draw(3)
    assert sources.labels.tolist() != references.labels.tolist()

    def edit(guide: Guide, rows: Sequence[int], seeds: Sequence[int], turn: int = 0) -> Tensor:
        of = [(row + turn) % 3 for row in rows]
        target = Target(guide, references.labels[of], [seeds[row] for row in rows])
        if guide == "R":
            target = dataclasses.replace(target, references=references.images[of], units=references.units[of])
        with torch.no_grad():
            return method.edit(Faces(**{name: value[list(rows)] for name, value in vars(sources).items()}), target)

    for guide in method.guides:
        seeds = [11, 12, 13]
        together = edit(guide, [0, 1, 2], seeds)
        assert together.shape == sources.images.shape
        for rows in ([0], [1], [2], [2, 0]):
            torch.testing.assert_close(edit(guide, rows, seeds), together[rows], rtol=TOLERANCE, atol=TOLERANCE)
        reseeded = edit(guide, [0, 1, 2], [21, 22, 23])
        assert torch.equal(reseeded, together) is not (case.latent and guide == "T")
        moved = (edit(guide, [0, 1, 2], seeds, turn=1) - together).abs().flatten(1).amax(1)
        assert bool((moved > 1e-4).all()), f"{guide}: another target makes no difference"


@every_method
def test_an_edit_does_not_depend_on_its_batch(case: Case) -> None:
    check_edits(case)


# ------------------------------------------------------------------------------------------- methods that break them
class Forgetful(StarGAN):
    """Leaves the generator's last layer out of its optimiser."""

    def optimizers(self) -> Mapping[str, Optimizer]:
        return {**super().optimizers(), "generator": self._adam(self.generator.trunk)}


class Ascending(GANimation):
    """Climbs."""

    def optimizers(self) -> Mapping[str, Optimizer]:
        optimizers = super().optimizers()
        optimizers["discriminator"].param_groups[0]["maximize"] = True
        return optimizers


class Thawed(StarGAN):
    """Trains its generator on the discriminator's loss as well."""

    def optimizers(self) -> Mapping[str, Optimizer]:
        return {name: self._adam(self) for name in ("generator", "discriminator")}


class Averaging(StarGAN):
    """Takes the batch's mean off its edits."""

    def edit(self, sources: Faces, target: Target) -> Tensor:
        edited = super().edit(sources, target)
        return edited - edited.mean(0, keepdim=True)


class Stubborn(StarGAN):
    """Makes everybody happy."""

    def edit(self, sources: Faces, target: Target) -> Tensor:
        return super().edit(sources, dataclasses.replace(target, labels=torch.full_like(target.labels, 4)))


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (check_gradients, Forgetful),
        (check_gradients, Thawed),
        (check_descent, Ascending),
        (check_edits, Averaging),
        (check_edits, Stubborn),
    ],
)
def test_a_broken_method_is_found_out(check: Callable[[Case], None], broken: type[Method]) -> None:
    with pytest.raises(AssertionError):
        check(Case(broken, {"residual_blocks": 1}, steps=[4]))


@pytest.mark.parametrize("term", ["units", "smoothness"])
def test_ganimation_s_published_reductions_depend_on_the_batch(
    term: str, repeated_draws: Callable[[Source, int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mean divided by the batch size once more; a sum over batch and pixels."""

    def mse_over_batch(estimates: Tensor, units: Tensor) -> Tensor:
        return (estimates - units).square().mean() / len(units)

    def summed(attention: Tensor) -> Tensor:
        return attention.diff(dim=3).abs().sum() + attention.diff(dim=2).abs().sum()

    if term == "units":
        monkeypatch.setattr(nn.functional, "mse_loss", mse_over_batch)
    else:
        monkeypatch.setattr("baselines.ganimation.losses.roughness", summed)
    with pytest.raises(AssertionError):
        check_repetition(CASES["ganimation"], repeated_draws)
