"""GANimation against the published implementation's numbers, against its losses written naively, and closed forms."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.ganimation import GANimation, GANimationSettings
from baselines.ganimation.losses import (
    GeneratorLosses,
    discriminator_losses,
    generator_losses,
    gradient_penalty,
    roughness,
)
from baselines.ganimation.method import draw_targets
from baselines.ganimation.networks import animate, blend, published_names
from benchmark.core.errors import UserError
from benchmark.interface import Augmentation, Faces, Progress, Shape, Target
from benchmark.published import load_published
from benchmark.training.sampling import TrainingFaces, TrainingSet
from tests.baselines.steps import Steps, faces
from tests.parity.vectors import TOLERANCE, Vectors, count, shapes, weights

SMALL = GANimationSettings(width=0.0625, batch_size=8, residual_blocks=2)


@pytest.fixture(scope="module")
def published() -> GANimation:
    method = GANimation(GANimationSettings(), Shape(128))
    load_published(method.generator, weights("ganimation_generator"), published_names(method.generator))
    load_published(method.discriminator, weights("ganimation_discriminator"), published_names(method.discriminator))
    return method


def small(size: int = 32, **changes: Any) -> GANimation:
    torch.manual_seed(0)
    return GANimation(replace(SMALL, **changes), Shape(size))


def lively(size: int = 32, **changes: Any) -> GANimation:
    """With weights far from the published N(0, 0.02), whose attention is 0.5 everywhere and whose scores are 0."""
    method = small(size, **changes)
    for layer in method.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(layer.weight)
    return method


def test_parameters_are_the_published_ones(published: GANimation) -> None:
    for name, expected in (("generator", 8_471_296), ("discriminator", 44_860_352)):
        network = getattr(published, name)
        assert list(published_names(network)) == list(shapes(f"ganimation_{name}"))
        assert sum(p.numel() for p in network.parameters()) == count(f"ganimation_{name}") == expected


@torch.no_grad()
def test_networks_give_the_published_outputs(published: GANimation) -> None:
    generated, judged = Vectors("ganimation_generator"), Vectors("ganimation_discriminator")
    images, units = generated.image, generated["in_au"]
    colours, attention = published.generator(images, units)
    assert generated.error("color", colours) < TOLERANCE
    assert generated.error("attention", attention) < TOLERANCE
    assert generated.error("y", animate(published.generator, images, units).image) < TOLERANCE
    # The blend that the paper first printed makes other pictures.
    assert generated.error("y", (1 - attention) * images + attention * colours) > 0.1
    scores, estimates = published.discriminator(judged.image)
    assert judged.error("prob", scores) < TOLERANCE
    assert judged.error("au", estimates) < TOLERANCE


@pytest.mark.parametrize("precision", [torch.float64, torch.float32])
def test_losses_give_the_published_values(published: GANimation, precision: torch.dtype) -> None:
    published, vectors = copy.deepcopy(published).to(precision), Vectors("ganimation_losses")
    images, units, targets, mix = (
        numbers.to(precision)
        for numbers in (vectors.image, *(vectors[f"in_{name}"] for name in ("au_org", "au_trg", "alpha")))
    )
    with torch.no_grad():
        edit = animate(published.generator, images, targets)
        back = animate(published.generator, edit.image, units)
        of_generator = generator_losses(published.discriminator, images, targets, edit, back)
    of_discriminator = discriminator_losses(published.discriminator, images, units, edit.image)
    # As published: 4000 of a mean divided by the batch size once more, 1e-5 of a sum over batch and pixels.
    of_units, of_steps = 4000 / 2, 1e-5 * 2 * 128 * 127
    ours = {
        "d_real": of_discriminator.real,
        "d_fake": of_discriminator.fake,
        "d_cond": of_units * of_discriminator.units,
        "d_gp": 10 * gradient_penalty(published.discriminator, images, edit.image, mix),
        "g_fake": of_generator.fake,
        "g_cond": of_units * of_generator.units,
        "g_cyc": 10 * of_generator.cycle,
        "g_mask_1": 0.1 * edit.attention.mean(),
        "g_mask_2": 0.1 * back.attention.mean(),
        "g_smooth_1": of_steps * roughness(edit.attention),
        "g_smooth_2": of_steps * roughness(back.attention),
        "g_total": of_generator.total(replace(published.settings, unit_weight=of_units, smoothness_weight=of_steps)),
    }
    # Means of scores of both signs, and the penalty, enlarge float32's rounding by what it is on each processor.
    enlarged = {"d_real", "d_fake", "d_gp", "g_fake"} if precision is torch.float32 else set()
    for name in ours.keys() - enlarged:
        assert vectors.error(name, ours[name]) < TOLERANCE, name
    # The share of the real image in the mixtures, not of the edit.
    swapped = 10 * gradient_penalty(published.discriminator, images, edit.image, 1 - mix)
    assert vectors.error("d_gp", swapped) > 0.01


def naive_losses(
    method: GANimation, images: Tensor, units: Tensor, targets: Tensor, mix: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """L_D without the penalty, the penalty, and L_G, with the published reductions: one network call per term."""
    generator, discriminator, batch = method.generator, method.discriminator, len(images)

    def edited(pictures: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        planes = wanted.unsqueeze(2).unsqueeze(3).repeat(1, 1, *pictures.shape[2:])
        features = generator.trunk(torch.cat((pictures, planes), 1))
        mask, colour = torch.sigmoid(generator.mask(features)), torch.tanh(generator.colour(features))
        return mask * pictures + (1 - mask) * colour, mask

    def smooth(mask: Tensor) -> Tensor:
        across = (mask[:, :, :, :-1] - mask[:, :, :, 1:]).abs().sum()
        return across + (mask[:, :, :-1, :] - mask[:, :, 1:, :]).abs().sum()

    fakes = edited(images, targets)[0].detach()
    of_discriminator = -discriminator(images)[0].mean() + discriminator(fakes)[0].mean()
    of_discriminator = of_discriminator + 4000 * ((discriminator(images)[1] - units) ** 2).mean() / batch

    penalty = torch.zeros(())
    for i in range(batch):
        between = (mix[i] * images[i : i + 1] + (1 - mix[i]) * fakes[i : i + 1]).requires_grad_()
        scores = discriminator(between)[0]
        (gradient,) = torch.autograd.grad(scores, between, torch.ones_like(scores), create_graph=True)
        penalty = penalty + 10 * ((gradient**2).sum().sqrt() - 1) ** 2 / batch

    there, mask = edited(images, targets)
    back, mask_back = edited(there, units)
    of_generator = -discriminator(there)[0].mean() + 4000 * ((discriminator(there)[1] - targets) ** 2).mean() / batch
    of_generator = of_generator + 10 * (back - images).abs().mean()
    of_generator = (
        of_generator + 0.1 * mask.mean() + 0.1 * mask_back.mean() + 1e-5 * smooth(mask) + 1e-5 * smooth(mask_back)
    )
    return of_discriminator, penalty, of_generator


@pytest.mark.parametrize(("batch", "size"), [(1, 32), (3, 64)])
def test_losses_are_the_naive_ones(batch: int, size: int) -> None:
    """Mixtures inside (0, 1), units below 0 and above 1, a unit kept as it is, pictures of -1 and 1 alone."""
    method = lively(size).double()
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(batch, 3, size, size, generator=generator).double() * 2 - 1
    images[0] = images[0].sign()
    units = torch.rand(batch, 17, generator=generator).double()
    targets = torch.rand(batch, 17, generator=generator).double() * 1.6 - 0.3
    targets[-1, :5] = units[-1, :5]
    mix = torch.rand(batch, 1, 1, 1, generator=generator).double()
    settings = replace(SMALL, unit_weight=4000 / batch, smoothness_weight=1e-5 * batch * size * (size - 1))

    with torch.no_grad():
        fakes = animate(method.generator, images, targets).image
    edit = animate(method.generator, images, targets)
    back = animate(method.generator, edit.image, units)
    ours = (
        discriminator_losses(method.discriminator, images, units, fakes).total(settings),
        10 * gradient_penalty(method.discriminator, images, fakes, mix),
        generator_losses(method.discriminator, images, targets, edit, back).total(settings),
    )
    networks = (method.discriminator, method.discriminator, method.generator)
    for mine, naive, network in zip(ours, naive_losses(method, images, units, targets, mix), networks, strict=True):
        torch.testing.assert_close(mine, naive, rtol=1e-9, atol=0)
        parameters = list(network.parameters())
        expected = torch.autograd.grad(naive, parameters, retain_graph=True, allow_unused=True)
        scale = max(float(gradient.abs().max()) for gradient in expected if gradient is not None)
        gradients = torch.autograd.grad(mine, parameters, retain_graph=True, allow_unused=True)
        for one, other in zip(gradients, expected, strict=True):
            assert one is not None or other is None
            if one is not None:  # of the penalty by a bias: 0
                wanted = torch.zeros_like(one) if other is None else other
                torch.testing.assert_close(one, wanted, rtol=1e-7, atol=1e-10 * scale)


def test_at_the_published_batch_the_weights_are_the_published_ones() -> None:
    """25 images of 128 x 128: the published sums weigh what our means do; at another batch they do not."""
    settings = GANimationSettings()
    generator = torch.Generator().manual_seed(0)
    for batch, agrees in ((25, True), (8, False)):
        mask = torch.rand(batch, 1, 128, 128, generator=generator, dtype=torch.float64)
        sums = (mask[..., 1:] - mask[..., :-1]).abs().sum() + (mask[..., 1:, :] - mask[..., :-1, :]).abs().sum()
        ours = settings.smoothness_weight * roughness(mask)
        assert (float(1e-5 * sums) == pytest.approx(float(ours), rel=1e-9)) == agrees
        assert (4000 / batch == settings.unit_weight) == agrees


def test_an_attention_of_one_copies_the_input() -> None:
    images, colours = torch.rand(2, 2, 3, 8, 8) * 2 - 1
    ones = torch.ones(2, 1, 8, 8)
    assert torch.equal(blend(images, colours, ones), images)
    assert torch.equal(blend(images, colours, 0 * ones), colours)
    # The paper's first printed sign: an attention of one paints anew.
    assert torch.equal((1 - ones) * images + ones * colours, colours)

    method, sources = small().eval(), faces().draw(2)
    target = Target("R", sources.labels, [0, 1], units=torch.rand(2, 17) * 5)
    with torch.no_grad():
        # The trunk ends in a ReLU: large weights of one sign saturate the mask.
        method.generator.mask.weight.fill_(1e4)
        assert torch.equal(method.edit(sources, target), sources.images)
        method.generator.mask.weight.fill_(-1e4)
        colour = method.generator(sources.images, target.units / 5)[0]  # type: ignore[operator]
        torch.testing.assert_close(method.edit(sources, target), colour)


def test_an_edit_has_the_target_s_units_alone() -> None:
    method, sources = lively().eval(), faces().draw(3)
    units = torch.rand(3, 17) * 5
    with torch.no_grad():
        edited = method.edit(sources, Target("R", sources.labels, [0, 1, 2], units=units))
        other = method.edit(
            Faces.of(sources.images), Target("R", sources.labels + 1, [7, 8, 9], -sources.images, units=units)
        )
        assert torch.equal(edited, other)
        assert torch.equal(edited, animate(method.generator, sources.images, units / 5).image)
        changed = method.edit(sources, Target("R", sources.labels, [0, 1, 2], units=units.flip(1)))
    assert (edited - changed).abs().max() > 1e-3


@pytest.mark.parametrize("units", [None, torch.full((2, 17), torch.nan)])
def test_a_target_without_units_is_refused(units: Tensor | None) -> None:
    with pytest.raises(UserError, match="action units"):
        small().edit(faces().draw(2), Target("R", torch.tensor([1, 2]), [0, 1], units=units))


@pytest.mark.parametrize(("form", "updates"), [("apart", 10), ("together", 5)])
def test_an_iteration_updates_the_discriminator_twice_and_every_fifth_the_generator(form: str, updates: int) -> None:
    steps = Steps(small(penalty_update=form), faces())
    logs = [steps.step() for _ in range(5)]
    assert steps.updates == {"discriminator": updates, "generator": 1}
    assert all("discriminator/penalty" in log for log in logs)
    assert [("generator/cycle" in log, "attention/mean" in log) for log in logs] == [(False, False)] * 4 + [
        (True, True)
    ]
    assert logs[4]["attention/mean"] == pytest.approx(0.5, abs=0.1)
    assert logs[4]["attention/least"] < logs[4]["attention/mean"]
    assert all(parameter.requires_grad for parameter in steps.method.parameters())


def test_an_iteration_is_that_of_the_published_trainer() -> None:
    """WGAN and unit terms, an Adam step; the penalty at the discriminator that came of it, another; the generator."""
    settings = replace(SMALL, unit_weight=4000 / 8, smoothness_weight=1e-5 * 8 * 32 * 31, discriminator_steps=1)
    ours, naive = lively(**vars(settings)), lively()
    together = lively(**vars(replace(settings, penalty_update="together")))
    log = Steps(ours, faces()).step()
    Steps(together, faces()).step()

    source = faces()
    batch = source.draw(8)
    units, targets = batch.units / 5, draw_targets(source, 8, 0.1)
    mix = torch.rand(8, 1, 1, 1, generator=source.generator)
    optimizer = torch.optim.Adam(naive.discriminator.parameters(), 1e-4, (0.5, 0.999))
    for term in (0, 1):
        optimizer.zero_grad()
        naive_losses(naive, batch.images, units, targets, mix)[term].backward()
        optimizer.step()

    def differing(method: GANimation) -> float:
        pairs = zip(method.discriminator.parameters(), naive.discriminator.parameters(), strict=True)
        return float(torch.cat([((one - other).abs() > 1e-6).flatten() for one, other in pairs]).float().mean())

    # Adam's first step is the gradient's sign: where that is rounding, so is the step.
    assert differing(ours) < 0.01
    assert differing(together) > 0.5

    terms = {
        name: torch.tensor(log[f"generator/{name}"]) for name in ("fake", "units", "cycle", "attention", "smoothness")
    }
    expected = naive_losses(naive, batch.images, units, targets, mix)[2]
    assert float(GeneratorLosses(**terms).total(ours.settings)) == pytest.approx(float(expected.detach()), rel=1e-3)
    with torch.no_grad():
        there = animate(naive.generator, batch.images, targets).image
        back = animate(naive.generator, there, units).image
        repeated = animate(naive.generator, there, targets).image
    assert log["generator/cycle"] == pytest.approx(float((back - batch.images).abs().mean()), rel=1e-5)
    assert log["generator/cycle"] != pytest.approx(float((repeated - batch.images).abs().mean()), rel=1e-5)


def known(units: np.ndarray) -> TrainingFaces:
    data = TrainingSet(np.zeros((len(units), 8, 8, 3), np.uint8), np.zeros(len(units), np.int64), units)
    return TrainingFaces(data, Augmentation(), 0, torch.device("cpu"))


def test_targets_are_others_units_with_noise_unclipped() -> None:
    inputs = np.array([[0.0] * 17, [5.0] * 17], np.float32)
    drawn = draw_targets(known(inputs), 400, 0.1)
    low, high = drawn[drawn[:, 0] < 0.5], drawn[drawn[:, 0] > 0.5]
    assert len(low) + len(high) == 400
    assert 120 < len(low) < 280
    for noise in (low, high - 1):
        assert -0.1 <= float(noise.min()) < -0.098
        assert 0.098 < float(noise.max()) <= 0.1001
        assert float(noise.mean()) == pytest.approx(0, abs=3e-3)
        assert float(noise.std()) == pytest.approx(0.1 / 3**0.5, rel=0.02)
        assert float(torch.corrcoef(noise.T).fill_diagonal_(0).abs().max()) < 0.35  # each unit its own
    every = np.random.default_rng(0).uniform(0, 5, (7, 17)).astype(np.float32)
    rows = {tuple(row) for row in (torch.from_numpy(every) / 5).tolist()}
    assert {tuple(row) for row in draw_targets(known(every), 200, 0.0).tolist()} == rows


@pytest.mark.parametrize("iterations", [30, 3000])
def test_the_rate_is_flat_and_then_falls_to_zero(iterations: int) -> None:
    method = small()
    factors = [method.learning_rate_factor("generator", Progress(i, iterations)) for i in range(iterations + 1)]
    flat = 2 * iterations // 3
    assert factors[: flat + 1] == [1.0] * (flat + 1)
    assert factors[flat:] == pytest.approx(list(np.linspace(1, 0, iterations - flat + 1)))
    # Epoch by epoch (30 of them) the published rate: a tenth less after every epoch beyond the twentieth.
    published = [1.0] * 21 + [1 - 0.1 * k for k in range(1, 11)]
    assert factors[:: iterations // 30] == pytest.approx(published)
    assert method.learning_rate_factor("discriminator", Progress(0, 1)) == 1.0
    assert small(flat_share=1.0).learning_rate_factor("generator", Progress(29, 30)) == 1.0


def test_saturated_attention_is_reported() -> None:
    method = small()
    assert method.warnings({"attention/mean": 0.6, "attention/least": 0.5}) == []
    assert method.warnings({}) == []
    assert "copies of their sources" in method.warnings({"attention/mean": 0.97, "attention/least": 0.92})[0]
    assert "nothing of the source" in method.warnings({"attention/mean": 0.01, "attention/least": 0.0})[0]


def test_attention_to_a_small_part_of_the_face_is_not_saturated() -> None:
    """Brows and mouth are a few percent of the pixels: a mask that opens there alone has a mean of 0.97."""
    mask = torch.full((2, 1, 64, 64), 0.99)
    mask[:, :, 40:48, 24:40] = 0.1
    log = {"attention/mean": mask.mean().item(), "attention/least": mask.amin((1, 2, 3)).mean().item()}
    assert log["attention/mean"] > 0.95
    assert small().warnings(log) == []


def test_initialisation_is_normal_with_biases_of_zero() -> None:
    torch.manual_seed(0)
    method = GANimation(replace(SMALL, width=0.25), Shape(64))
    drawn = []
    for layer in method.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            drawn.append(layer.weight.detach().flatten())
            assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.15)
            assert layer.bias is None or not layer.bias.any()
        elif isinstance(layer, nn.InstanceNorm2d):
            assert bool((layer.weight == 1).all())
            assert not layer.bias.any()
    assert float(torch.cat(drawn).std()) == pytest.approx(0.02, rel=0.01)
    assert float(torch.cat(drawn).mean()) == pytest.approx(0, abs=1e-4)


def test_output_gain_calms_the_colours_alone() -> None:
    def weights(gain: float) -> dict[str, Tensor]:
        torch.manual_seed(0)
        return dict(GANimation(replace(SMALL, output_gain=gain), Shape(32)).named_parameters())

    plain = weights(1.0)
    for name, weight in weights(0.1).items():
        assert torch.equal(weight, 0.1 * plain[name] if name == "generator.colour.weight" else plain[name]), name


@pytest.mark.parametrize(("size", "map_size"), [(32, 2), (96, 3), (128, 2), (256, 4)])
def test_shapes_at_every_size(size: int, map_size: int) -> None:
    method = small(size)
    images, units = torch.zeros(1, 3, size, size), torch.zeros(1, 17)
    scores, estimates = method.discriminator(images)
    assert scores.shape == (1, 1, map_size, map_size)
    assert estimates.shape == (1, 17)
    colours, attention = method.generator(images, units)
    assert (colours.shape, attention.shape) == ((1, 3, size, size), (1, 1, size, size))


def test_training_on_fixed_faces_lowers_the_cycle() -> None:
    steps = Steps(small(discriminator_steps=1, learning_rate=2e-3, residual_blocks=1), faces(count=8))
    values = [steps.step()["generator/cycle"] for _ in range(20)]
    assert sum(values[-3:]) < 0.9 * sum(values[:3])
