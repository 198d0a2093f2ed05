"""Cascade EF-GAN. No published number exists to hold it to: closed forms, exact pixels, known-wrong variants."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from torch import Tensor, nn

from baselines.efgan import EFGAN, EFGANSettings, networks
from baselines.efgan import method as method_module
from baselines.efgan.crops import POINTS, REGIONS, Window, crop_size, stitch, window, windows
from baselines.efgan.losses import generator_losses
from baselines.efgan.method import attention_log
from baselines.efgan.networks import BRANCHES, Cascade, Edit, ExpressionTransformer, Initial, Refiner, Stage, path
from baselines.ganimation import networks as ganimation
from baselines.ganimation.method import draw_targets
from benchmark.core.errors import UserError
from benchmark.core.progress import Reporter
from benchmark.interface import Faces, Progress, Shape, Target
from benchmark.settings import make_settings
from benchmark.training import trainer as trainer_module
from benchmark.training.sampling import TrainingSet
from benchmark.training.trainer import STATE, WEIGHTS, Budget, Trainer
from tests.baselines.steps import Steps, faces

SMALL = EFGANSettings(width=0.0625, residual_blocks=1, batch_size=4, discriminator_steps=1)
SIZE = 32


def small(**changes: Any) -> EFGAN:
    torch.manual_seed(0)
    return EFGAN(dataclasses.replace(SMALL, **changes), Shape(SIZE))


def face_landmarks(size: int, count: int = 1) -> Tensor:
    """Plausible ones: eyes above, nose in the middle, mouth below; each face a little to the right of the last."""
    points = torch.full((count, 68, 2), size / 2)
    for region, (centre, spread) in {"eyes": (0.4, 0.18), "nose": (0.55, 0.05), "mouth": (0.72, 0.1)}.items():
        selected = points[:, POINTS[region]]  # type: ignore[index]
        selected[..., 0] = size * (0.5 + spread * torch.linspace(-1, 1, selected.shape[1]))
        selected[..., 1] = size * centre
    return points + torch.arange(count)[:, None, None]


def regions(landmarks: Tensor) -> tuple[Window, ...]:
    """The windows in pictures of 32 px: 12 x 24, 12 x 12 and 12 x 16."""
    return windows(landmarks, [crop_size(SMALL, region, SIZE) for region in REGIONS], SIZE)


def some_faces(count: int, size: int = SIZE) -> Faces:
    drawn = faces(size).draw(count)
    return dataclasses.replace(drawn, landmarks=face_landmarks(size, count))


# ------------------------------------------------------------------------------------------------------- networks
def test_parameters_at_full_size() -> None:
    with torch.device("meta"):
        method = EFGAN(EFGANSettings(), Shape(128))
    counts = {
        name: sum(p.numel() for p in network.parameters())
        for name, network in {
            "stage": method.generator.stages[0],
            "branch": method.generator.stages[2].transformer.branches["mouth"],  # type: ignore[union-attr,index]
            "refiner": method.generator.stages[1].refiner,
            "generator": method.generator,
            "discriminator": method.discriminator,
        }.items()
    }
    assert counts == {
        "stage": 42_309_440,
        "branch": 8_471_296,
        "refiner": 8_424_256,
        "generator": 3 * 42_309_440,
        "discriminator": 44_860_352,
    }


class Painter(nn.Module):
    """A branch that paints one colour with one attention."""

    def __init__(self, colour: float, attention: float) -> None:
        super().__init__()
        self.colour, self.attention = colour, attention

    def forward(self, images: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(images, self.colour), torch.full_like(images[:, :1], self.attention)


def painted(attention: float) -> Initial:
    """A transformer whose branches paint 0.1, 0.2, 0.3, 0.4 with one attention, on faces whose crops overlap."""
    transformer = ExpressionTransformer(SMALL, 17)
    for index, name in enumerate(BRANCHES, 1):
        transformer.branches[name] = Painter(index / 10, attention)
    batch = some_faces(2)
    initial: Initial = transformer(batch.images, batch.units, regions(batch.landmarks))
    return initial


def test_without_attention_the_input_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    images = some_faces(2).images
    kept = painted(0.0)
    assert torch.equal(kept.whole, images)
    assert torch.equal(kept.stitched, images)
    monkeypatch.setattr(networks, "blend", ganimation.blend)  # the sign of GANimation's mask
    wrong = painted(0.0)
    assert not torch.equal(wrong.whole, images)
    assert not torch.equal(wrong.stitched, images)


def test_full_attention_paints_and_half_mixes() -> None:
    images = some_faces(2).images
    assert painted(1.0).whole.unique().tolist() == pytest.approx([0.1])
    torch.testing.assert_close(painted(0.5).whole, 0.5 * images + 0.05)


def test_the_refiner_sees_both_images_and_the_windows_stay() -> None:
    torch.manual_seed(0)
    stage, batch = Stage(SMALL, 17), some_faces(2)
    where = regions(batch.landmarks)
    edit: Edit = stage(batch.images, batch.units, where)
    assert torch.equal(edit.image, stage.refiner(edit.initial.stitched, edit.initial.whole))
    assert not torch.allclose(edit.image, stage.refiner(edit.initial.whole, edit.initial.stitched), atol=1e-4)
    assert [mask.shape[2:] for mask in edit.initial.attention] == [(32, 32), (12, 24), (12, 12), (12, 16)]


def test_the_stitched_image_comes_first() -> None:
    """The order is of no consequence, and fixed: a checkpoint is of no use in the other one."""
    torch.manual_seed(0)
    stage, batch = Stage(SMALL, 17), some_faces(1)
    where = regions(batch.landmarks)
    with torch.no_grad():
        stage.refiner.trunk[0].weight[:, 3:] = 0
        edit = stage(batch.images, batch.units / 5, where)
        blind = stage.refiner(edit.initial.stitched, torch.rand_like(batch.images))
        assert torch.equal(edit.image, blind)
        assert not torch.equal(edit.image, stage.refiner(edit.initial.whole, edit.initial.stitched))


def test_a_correction_begins_with_the_mean_of_both() -> None:
    refiner = Refiner(dataclasses.replace(SMALL, refiner="correction"))
    nn.init.zeros_(refiner.colour.weight)
    first, second = some_faces(2).images.split(1)
    assert torch.equal(refiner(first, second), (first + second) / 2)


def test_local_branches_change_their_windows_alone() -> None:
    torch.manual_seed(0)
    batch = some_faces(2)
    where = regions(batch.landmarks)
    stitched = ExpressionTransformer(SMALL, 17)(batch.images, batch.units, where).stitched
    inside = torch.stack([w.inside() for w in where]).sum(0).expand_as(stitched) > 0
    assert torch.equal(stitched[~inside], batch.images[~inside])
    assert (stitched - batch.images)[inside].abs().min() > 0


def test_every_stage_starts_where_the_one_before_ended() -> None:
    torch.manual_seed(0)
    cascade, batch = Cascade(SMALL, 17), some_faces(2)
    where = regions(batch.landmarks)
    target = torch.rand(2, 17)
    edits = cascade(batch.images, batch.units / 5, target, where)
    halfway = path(batch.units / 5, target, 3)[1]
    assert torch.equal(edits[1].image, cascade.stages[1](edits[0].image, halfway, where).image)
    (alone,) = cascade(batch.images, batch.units / 5, target, where, 1)
    assert torch.equal(alone.image, cascade.stages[0](batch.images, target, where).image)


def test_units_on_the_way() -> None:
    source, target = torch.tensor([[0.0, 1.0, 0.3]]), torch.tensor([[0.9, 0.4, 0.3]])
    steps = path(source, target, 3)
    torch.testing.assert_close(torch.cat(steps), torch.tensor([[0.3, 0.8, 0.3], [0.6, 0.6, 0.3], [0.9, 0.4, 0.3]]))
    assert torch.equal(steps[-1], target)
    assert torch.equal(path(source, target, 1)[0], target)


UNITS = st.lists(st.floats(0, 1, width=32), min_size=17, max_size=17)


@given(UNITS, UNITS, st.integers(1, 5))
@budget(deadline=None, max_examples=50)
def test_units_on_the_way_stay_in_range(source: list[float], target: list[float], steps: int) -> None:
    for units in path(torch.tensor([source]), torch.tensor([target]), steps):
        assert units.min() >= 0
        assert units.max() <= 1


# ---------------------------------------------------------------------------------------------------------- crops
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (128, [(40, 96), (48, 48), (40, 64)]),
        (64, [(20, 48), (24, 24), (20, 32)]),
        (32, [(12, 24), (12, 12), (12, 16)]),
        (16, [(8, 12), (8, 8), (8, 8)]),
    ],
)
def test_crop_sizes_follow_the_picture(size: int, expected: list[tuple[int, int]]) -> None:
    assert [crop_size(EFGANSettings(), region, size) for region in REGIONS] == expected


@pytest.mark.parametrize("bad", [(40,), (0, 96), (40, 129)])
def test_an_invalid_crop_is_refused(bad: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="eyes must be a height and a width between 1 and 128"):
        small(eyes=bad)


def test_crops_are_the_right_pixels() -> None:
    images = torch.rand(2, 3, 32, 32)
    points = torch.tensor([[[10.0, 8.0], [14.0, 12.0]], [[20.5, 16.0], [20.5, 17.0]]])  # centres (12, 10), (20.5, 16.5)
    actual = window(points, 5, 4, 32).cut(images)
    # Five rows round 10 are 8-12; four columns round 12 are 11-14 or 10-13, whichever is rounded to.
    assert torch.equal(actual[0], images[0, :, 8:13, 11:15])
    assert torch.equal(actual[1], images[1, :, 15:20, 19:23])


def test_the_mouth_is_where_the_mouth_is() -> None:
    """Each region is found by its own points of the 68, and by no others."""
    for region, (first, last) in {"eyes": (36, 47), "nose": (27, 35), "mouth": (48, 67)}.items():
        landmarks = torch.zeros(1, 68, 2)
        landmarks[:, first : last + 1] = torch.tensor([20.0, 12.0])
        rows = {name: w.rows[0].sum(0) for name, w in zip(REGIONS, regions(landmarks), strict=True)}
        places = {name: float((row * torch.arange(32)).sum() / row.sum()) for name, row in rows.items()}
        for name, middle in places.items():
            expected = 12.5 if name == region else 5.5  # twelve rows round 12, or moved inside from round 0
            assert middle == expected


def test_what_is_cut_fits_where_it_came_from() -> None:
    batch = some_faces(3)
    where = regions(batch.landmarks)
    assert (torch.stack([w.inside() for w in where]).sum(0) > 1).any()  # they overlap
    assert torch.equal(stitch(batch.images, [w.cut(batch.images) for w in where], where), batch.images)
    for w in where:
        crop = w.cut(batch.images)
        assert torch.equal(w.cut(w.paste(crop)), crop)
        assert torch.equal(w.paste(crop), batch.images * w.inside())


def test_overlapping_crops_are_averaged() -> None:
    batch = some_faces(1)
    where = regions(batch.landmarks)
    crops = [torch.full_like(w.cut(batch.images), value) for w, value in zip(where, (3.0, 6.0, 9.0), strict=True)]
    stitched = stitch(batch.images, crops, where)
    eyes, nose, mouth = (w.inside().bool().expand_as(stitched) for w in where)
    assert set(stitched[eyes & ~nose & ~mouth].tolist()) == {3.0}
    assert set(stitched[eyes & nose & ~mouth].tolist()) == {4.5}
    assert set(stitched[nose & mouth & ~eyes].tolist()) == {7.5}


def test_gradients_pass_a_crop_to_its_own_pixels() -> None:
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64).requires_grad_()
    where = regions(face_landmarks(32, 2).double())
    for w in where:
        weights = torch.rand_like(w.cut(images))
        (gradient,) = torch.autograd.grad((w.cut(images) * weights).sum(), images)
        assert torch.equal(gradient, w.paste(weights))
    crop = torch.rand_like(where[0].cut(images)).requires_grad_()
    weights = torch.rand_like(images)
    (gradient,) = torch.autograd.grad((where[0].paste(crop) * weights).sum(), crop)
    assert torch.equal(gradient, where[0].cut(weights))


PLACES = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=1, max_size=4)


@given(PLACES, st.integers(1, 8), st.integers(1, 8))
@budget(deadline=None, max_examples=100)
def test_crops_stay_inside(places: list[tuple[float, float]], high: int, wide: int) -> None:
    height, width, size = 4 * high, 4 * wide, 32
    actual: Window = window(torch.tensor(places, dtype=torch.float64)[:, None], height, width, size)
    for selection, length in ((actual.rows, height), (actual.columns, width)):
        assert selection.shape == (len(places), length, size)
        assert torch.equal(selection.sum(2), torch.ones(len(places), length))  # every pixel is one of the picture's
        first = selection[:, 0].argmax(1)
        assert torch.equal(selection.argmax(2), first[:, None] + torch.arange(length))
    # As near to the landmarks as the border allows.
    for position, rows, columns in zip(places, actual.rows, actual.columns, strict=True):
        for centre, selection, length in ((position[1], rows, height), (position[0], columns, width)):
            middle = float(selection[0].argmax()) + (length - 1) / 2
            nearest = min(max(centre, (length - 1) / 2), size - 1 - (length - 1) / 2)
            assert abs(middle - nearest) <= 0.5 + 1e-6


# --------------------------------------------------------------------------------------------------------- losses
class Average(nn.Module):
    """Scores an image by its mean, and estimates no unit at all."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images.mean((1, 2, 3)).reshape(-1, 1, 1, 1), images.new_zeros(len(images), 2)


def flat(colour: float, before: float, attention: float) -> Edit:
    masks = tuple(torch.full((2, 1, 4 * (index + 1), 4), attention) for index in range(4))
    image = torch.full((2, 3, 4, 4), colour)
    return Edit(image, Initial(torch.full_like(image, before), image, masks))


def test_losses_of_flat_edits() -> None:
    images, units, targets = torch.zeros(2, 3, 4, 4), torch.zeros(2, 2), torch.ones(2, 2)
    forth = [flat(0.1, 0.5, 0.25), flat(0.3, 0.7, 0.75)]
    back = [flat(9.0, 9.0, 0.5), flat(0.2, 9.0, 1.0)]
    losses = generator_losses(Average(), images, units, targets, forth, back, EFGANSettings())  # type: ignore[arg-type]
    assert losses.fake == pytest.approx(-0.2)  # mean of 0.1 and 0.3
    assert losses.initial == pytest.approx(-0.6)
    assert losses.units == pytest.approx((0.5**2 + 1) / 2)  # halfway, and the whole way
    assert losses.cycle == pytest.approx(0.2)
    assert losses.attention == pytest.approx(4 * (0.25 + 0.75 + 0.5 + 1.0) / 2)
    assert losses.smoothness == 0
    expected = -0.2 + 160 * 0.625 + 10 * 0.2 + 0.1 * 5 + 0.1 * -0.6
    assert losses.objective(EFGANSettings()) == pytest.approx(expected)


def test_losses_do_not_depend_on_a_repeated_batch() -> None:
    method, batch = small(), some_faces(3)
    targets = torch.rand(3, 17)

    def terms(times: int) -> list[float]:
        images, units, goals = (t.repeat(times, *[1] * (t.dim() - 1)) for t in (batch.images, batch.units / 5, targets))
        where = regions(batch.landmarks.repeat(times, 1, 1))
        with torch.no_grad():
            edits = method.generator(images, units, goals, where)
            back = method.generator(edits[-1].image, goals, units, where)
            losses = generator_losses(method.discriminator, images, units, goals, edits, back, SMALL)
        return [float(term) for term in vars(losses).values()]

    assert terms(3) == pytest.approx(terms(1), rel=1e-4)


# ------------------------------------------------------------------------------------------------------- training
class Phases(Steps):
    """Steps of a training of 10 iterations, whose cascade begins at 5."""

    def step(self) -> dict[str, float]:
        losses = self.method.training_step(self.source, self.update, Progress(self.iterations, 10))
        self.iterations += 1
        return {name: float(value) for name, value in losses.items()}

    def given(self, name: str) -> set[str]:
        """Parameters with a gradient that is not zero everywhere at the latest update of `name`."""
        return {key for key, gradient in self.gradients[name].items() if gradient is not None and gradient.any()}


def test_each_phase_trains_its_own_parameters() -> None:
    method = small(penalty_update="together")
    phases = Phases(method, faces(SIZE))
    later = {name: p.detach().clone() for name, p in method.generator.stages[1:].named_parameters()}
    for _ in range(5):
        log = phases.step()
    names = {name for name, _ in method.named_parameters()}
    first = {name for name in names if name.startswith("generator.stages.0.")}
    judging = {name for name in names if name.startswith("discriminator.")}
    assert phases.given("generator") == first
    assert phases.given("discriminator") == judging
    assert all(torch.equal(p, later[name]) for name, p in method.generator.stages[1:].named_parameters())
    phases.step()
    assert phases.given("cascade") == names - judging
    assert phases.given("discriminator") == judging
    assert phases.updates == {"discriminator": 6, "generator": 5, "cascade": 1}
    branches = ("global", "eyes", "nose", "mouth")
    assert {f"{key}/{name}" for key in ("attention", "greatest_attention") for name in branches} < set(log)
    assert all(p.requires_grad for p in method.parameters())


def test_at_the_switch_all_stages_are_the_first() -> None:
    method = small()
    phases = Phases(method, faces(SIZE))
    for _ in range(5):
        phases.step()
    first, second = method.generator.stages[0], method.generator.stages[1]
    before = {name: p.detach().clone() for name, p in first.named_parameters()}
    assert not torch.equal(first.refiner.colour.weight, second.refiner.colour.weight)  # type: ignore[union-attr]
    seen: list[bool] = []

    def watched(name: str, loss: Tensor) -> None:
        seen.extend(
            torch.equal(p, before[key]) for stage in method.generator.stages for key, p in stage.named_parameters()
        )
        phases.update(name, loss)

    method.training_step(phases.source, watched, Progress(5, 10))
    assert len(seen) == 3 * 3 * len(before)  # at three updates (discriminator, penalty, cascade), all of three stages
    assert all(seen)
    assert not torch.equal(first.refiner.colour.weight, second.refiner.colour.weight)  # type: ignore[union-attr]


def test_an_iteration_goes_to_the_targets_and_back_on_units_of_0_to_1() -> None:
    method = small(initial_deviation=0.2)
    before = copy.deepcopy(method)
    steps = Steps(method, faces(SIZE), iterations=600)  # of 1000: the cascade
    log = steps.step()

    source = faces(SIZE)
    batch = source.draw(4)
    units, where = batch.units / 5, regions(batch.landmarks)
    targets = draw_targets(source, 4, 0.1)
    with torch.no_grad():
        estimates = before.discriminator(batch.images)[1]
        there = before.generator(batch.images, units, targets, where)[-1].image
        back, stuck = (before.generator(there, *way, where)[-1].image for way in ((targets, units), (units, targets)))
    assert log["discriminator/units"] == pytest.approx(float((estimates - units).square().mean()), rel=1e-4)
    assert log["generator/cycle"] == pytest.approx(float((back - batch.images).abs().mean()), rel=1e-5)
    assert log["generator/cycle"] != pytest.approx(float((stuck - batch.images).abs().mean()), rel=1e-4)


@pytest.mark.parametrize(("weight", "shown"), [(0.0, 1), (0.1, 2)])
def test_the_discriminator_judges_every_stage(monkeypatch: pytest.MonkeyPatch, weight: float, shown: int) -> None:
    method = small(initial_weight=weight)
    phases = Phases(method, faces(SIZE))
    seen: list[int] = []
    real_update = method_module.update_discriminator

    def watched(discriminator: Any, images: Tensor, units: Tensor, fakes: Tensor, mix: Tensor, *rest: Any) -> Any:
        different = len({tuple(fake.flatten().tolist()) for fake in fakes})
        assert not fakes.requires_grad
        assert (len(images), len(units), len(mix)) == (4, 4, len(fakes))
        seen.append(different)
        return real_update(discriminator, images, units, fakes, mix, *rest)

    monkeypatch.setattr(method_module, "update_discriminator", watched)
    for _ in range(6):
        log = phases.step()
    assert seen == [4 * shown] * 5 + [12 * shown]
    assert (log["generator/initial"] == 0) == (weight == 0)


def test_the_generator_is_updated_every_nth_time() -> None:
    method = small(discriminator_steps=2)
    phases = Phases(method, faces(SIZE))
    logs = [phases.step() for _ in range(8)]
    assert phases.updates == {"discriminator": 16, "generator": 2, "cascade": 2}
    assert ["generator/cycle" in log for log in logs] == [False, True] * 4


def test_a_single_stage_is_the_plain_model() -> None:
    method = small(stages=1)
    phases = Phases(method, faces(SIZE))
    for _ in range(7):
        phases.step()
    assert set(phases.updates) == {"discriminator", "generator"}
    assert method.learning_rate_factor("generator", Progress(5, 10)) == 0.5


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("term", ["cycle", "units"])
def test_updates_lower_the_term_that_they_are_for(stages: int, term: str) -> None:
    """On fixed faces and targets, before a discriminator that is held still and whose estimates depend on the image."""
    method = small(learning_rate=5e-3, stages=2, refiner="correction")
    for p in method.discriminator.parameters():
        if p.dim() > 1:
            nn.init.kaiming_normal_(p)
    optimizer = method.optimizers()["generator" if stages == 1 else "cascade"]
    batch, targets = some_faces(4), torch.rand(4, 17, generator=torch.Generator().manual_seed(1))
    where, units = regions(batch.landmarks), batch.units / 5
    values = []
    for _ in range(10):
        edits = method.generator(batch.images, units, targets, where, stages)
        back = method.generator(edits[-1].image, targets, units, where, stages)
        losses = generator_losses(method.discriminator, batch.images, units, targets, edits, back, method.settings)
        optimizer.zero_grad()
        getattr(losses, term).backward()
        optimizer.step()
        values.append(float(getattr(losses, term).detach()))
    assert values[-1] < 0.8 * values[0]


def test_the_rate_falls_in_each_phase() -> None:
    method = small()
    rates = [method.learning_rate_factor("cascade", Progress(i, 10)) for i in range(10)]
    assert rates == pytest.approx([1, 0.8, 0.6, 0.4, 0.2] * 2)
    whole = small(decay="whole", flat_share=0.5)
    rates = [whole.learning_rate_factor("cascade", Progress(i, 10)) for i in range(10)]
    assert rates == pytest.approx([1] * 6 + [0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize(("share", "iterations", "expected"), [(0.5, 10, 5), (0.0, 10, 0), (0.99, 10, 9), (0.5, 1, 0)])
def test_the_cascade_always_begins(share: float, iterations: int, expected: int) -> None:
    assert small(first_stage_share=share).switch(iterations) == expected


@pytest.mark.parametrize("wrong", [{"stages": 0}, {"first_stage_share": 1.0}, {"first_stage_share": -0.1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(wrong))} must be"):
        small(**wrong)


def test_settings_come_back_from_json() -> None:
    assert make_settings(EFGANSettings, {"mouth": [40, 64], "width": 1}, "here") == EFGANSettings()
    with pytest.raises(UserError, match="must be a list"):
        make_settings(EFGANSettings, {"mouth": 40}, "here")


def test_saturated_attention_is_reported() -> None:
    method = small()

    def said(name: str, *values: float) -> list[str]:
        return method.warnings({f"{name}/{branch}": value for branch, value in zip(BRANCHES, values, strict=True)})

    assert said("attention", 0.3, 0.001, 0.5, 0.9) == []
    assert said("attention", 0.01, 0.001, 0.019, 0.0) == []
    assert said("greatest_attention", 0.05, 0.05, 0.05, 0.12) == []
    assert method.warnings({"generator/cycle": 1.0}) == []
    (copies,) = said("greatest_attention", 0.05, 0.09, 0.05, 0.01)
    assert "copies of their sources" in copies
    nose, mouth = said("attention", 0.5, 0.5, 0.96, 0.99)
    assert "attention of the nose branch is saturated" in nose
    assert said("attention", 0.5, 0.5, 0.5, 0.99) == [mouth]


def test_attention_to_a_small_part_of_the_face_does_not_vanish() -> None:
    """Lips and brows are a few percent of the pixels: masks that open there alone have means of 0.01."""
    mask = torch.full((2, 1, 64, 64), 0.001)
    mask[:, :, 40:44, 24:40] = 0.9
    edit = Edit(mask, Initial(mask, mask, (mask,) * 4))
    log = {name: value.item() for name, value in attention_log([edit, edit]).items()}
    assert log["attention/mouth"] < 0.02
    assert log["greatest_attention/mouth"] == pytest.approx(0.9)
    assert small().warnings(log) == []
    copies = attention_log([Edit(mask, Initial(mask, mask, (mask / 10,) * 4))])
    assert "copies" in small().warnings({name: value.item() for name, value in copies.items()})[0]


# --------------------------------------------------------------------------------------------------- exact resume
def trainer(folder: Path) -> Trainer:
    folder.mkdir()
    rng = np.random.default_rng(0)
    data = TrainingSet(
        rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8),
        np.arange(12) % 8,
        rng.uniform(0, 5, (12, 17)).astype(np.float32),
        rng.uniform(4, 28, (12, 68, 2)).astype(np.float32),
    )
    settings = dataclasses.replace(SMALL, width=0.03125, batch_size=2, discriminator_steps=2)
    return Trainer(EFGAN, settings, Shape(32), data, Budget(8, 2, 3), 3, "cpu", folder, threads=1)


def train(training: Trainer) -> tuple[bytes, Any]:
    with Reporter(quiet=True).bar("", 1) as bar:
        training.run(bar, lambda text: None)
    training.write_result()
    return (training.folder / WEIGHTS).read_bytes(), training.losses()


@pytest.fixture
def determinism() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("determinism")
def test_a_cut_anywhere_round_the_switch_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = trainer(tmp_path / "whole")
    states = []
    save = training.save

    def kept() -> None:
        save()
        states.append((training.folder / STATE).read_bytes())

    monkeypatch.setattr(trainer_module, "SAVING", float("inf"))  # at every look
    monkeypatch.setattr(training, "save", kept)
    weights, losses = train(training)
    assert torch.are_deterministic_algorithms_enabled()
    assert training.position.updates == {"generator": 2, "cascade": 2, "discriminator": 16}
    for cut, state in zip((2, 4, 6), states, strict=False):  # before, at and after the switch at 4
        again = trainer(tmp_path / f"cut-{cut}")
        (again.folder / STATE).write_bytes(state)
        assert again.resume()
        assert again.position.iteration == cut
        resumed, history = train(again)
        assert resumed == weights
        assert history.equals(losses)

    again = trainer(tmp_path / "forgotten")
    (again.folder / STATE).write_bytes(states[1])
    again.resume()
    monkeypatch.setattr(Cascade, "spread", lambda self: None)  # as if the copy were kept in mind and not in the state
    assert train(again)[0] != weights


# ---------------------------------------------------------------------------------------------------------- edits
def target(units: Tensor | None) -> Target:
    count = 3 if units is None else len(units)
    return Target("R", torch.zeros(count, dtype=torch.int64), list(range(count)), None, units)


def test_an_edit_starts_at_the_sources_units() -> None:
    method = small(initial_deviation=0.2)
    sources, wanted = some_faces(2), 5 * torch.rand(2, 17)
    with torch.no_grad():
        edited = method.edit(sources, target(wanted))
        way = (sources.units / 5, wanted / 5)
        expected = method.generator(sources.images, *way, regions(sources.landmarks))[-1].image
        elsewhere = method.generator(sources.images, 5 * way[0], way[1], regions(sources.landmarks))[-1].image
    torch.testing.assert_close(edited, expected)
    assert float((edited - elsewhere).abs().max()) > 0.01


def test_an_edit_does_not_depend_on_its_batch() -> None:
    method, sources = small().eval(), some_faces(3)
    wanted = torch.rand(3, 17) * 5
    with torch.no_grad():
        together = method.edit(sources, target(wanted))
        alone = torch.cat(
            [
                method.edit(Faces(*(known[i : i + 1] for known in vars(sources).values())), target(wanted[i : i + 1]))
                for i in range(3)
            ]
        )
        others = method.edit(sources, target(wanted.flip(0)))
        moved = method.edit(dataclasses.replace(sources, units=sources.units.flip(0)), target(wanted))
    assert together.shape == (3, 3, SIZE, SIZE)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=5e-5)
    assert (together - others)[0].abs().max() > 1e-4
    assert (together - moved)[0].abs().max() > 1e-5  # the way to the target begins at the source's units


@pytest.mark.parametrize(("field", "label"), [("units", "action units"), ("landmarks", "landmarks")])
def test_unknown_sources_are_reported_in_one_line(field: str, label: str) -> None:
    sources = some_faces(3)
    values = getattr(sources, field).clone()
    values[1, 2] = torch.nan
    with pytest.raises(UserError, match=rf"needs the {label} of every face it edits, and 1 of 3 have none$") as error:
        small().edit(dataclasses.replace(sources, **{field: values}), target(torch.rand(3, 17)))
    assert "\n" not in str(error.value)


def test_unknown_targets_are_reported() -> None:
    with pytest.raises(UserError, match="those of the reference are not known"):
        small().edit(some_faces(3), target(None))
