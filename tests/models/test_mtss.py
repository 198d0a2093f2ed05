"""MTSS against the published networks' numbers, against its properties, and with all parts off against HiSD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.hisd import HiSD, HiSDSettings
from baselines.hisd.batch import Sources
from baselines.hisd.losses import discriminator_losses as hisd_discriminator_losses
from baselines.hisd.losses import edit_paths as hisd_edit_paths
from baselines.hisd.losses import generator_losses as hisd_generator_losses
from benchmark.interface import Shape
from benchmark.published import load_published, parameter
from models.mtss import MTSS, MTSSSettings
from models.mtss.generator import UNUSED, published_names
from models.mtss.losses import GeneratorLosses, discriminator_losses, generator_losses, log_fake, log_real
from models.mtss.paths import Batch, Edits, ReferenceEdits, edit_paths
from models.mtss.sdu import SDU, Disentangled, orthogonality, shared_style
from models.mtss.sse import Classifier, style_supervision
from tests.baselines.steps import Steps, faces
from tests.parity.vectors import TOLERANCE, Vectors, count, shapes, weights

CALM = {"projection_gain": 0.1, "projection_bias": 0.0, "feature_gain": 0.2, "output_gain": 0.2}
SMALL = MTSSSettings(width=0.0625, batch_size=4, translator_blocks=2, **CALM)  # type: ignore[arg-type]

VARIANTS: dict[str, dict[str, Any]] = {
    "B": {"supervision": False, "reference_path": False, "content": "none", "style_in_discriminator": True},
    "B, style hidden": {"supervision": False, "reference_path": False, "content": "none"},
    "B + reference": {"supervision": False, "content": "none"},
    "B + SSE": {"content": "none"},
    "B + SSE + SC": {"content": "skip"},
    "B + SSE + SDU": {},
}


@pytest.fixture(scope="module")
def published() -> Iterator[MTSS]:
    method = MTSS(MTSSSettings(), Shape(128))
    load_published(method.generator, weights("mtss_generator"), published_names(method.generator), UNUSED)
    load_published(method.discriminator, weights("mtss_discriminator"), published_names(method.discriminator))
    return method


def small(**changes: Any) -> MTSS:
    torch.manual_seed(0)
    return MTSS(replace(SMALL, **changes), Shape(32))


def batch_of(method: MTSS) -> Batch:
    return method.draw(faces())


def test_parameters_are_the_published_ones_but_the_unused(published: MTSS) -> None:
    listed = shapes("mtss_generator")
    names = published_names(published.generator)
    unused = set(listed) - set(names)
    assert set(names) < set(listed)
    assert unused < set(UNUSED)
    assert sum(torch.Size(listed[name]).numel() for name in unused) == 98_816
    assert sum(parameter(published.generator, ours).numel() for ours in names.values()) == 48_412_875
    assert sum(p.numel() for p in published.generator.parameters()) == 48_412_875 == count("mtss_generator") - 98_816
    assert published.generator.classifier is not None
    assert published.generator.sdu is not None
    assert sum(p.numel() for p in published.generator.classifier.parameters()) == 33_928
    assert sum(p.numel() for p in published.generator.sdu.parameters()) == 3_393_344 - 98_816
    assert set(published_names(published.discriminator)) == set(shapes("mtss_discriminator"))
    assert sum(p.numel() for p in published.discriminator.parameters()) == 40_548_448


@pytest.mark.parametrize(
    ("variant", "expected"), [("B", 45_002_243), ("B + SSE", 45_036_171), ("B + SSE + SC", 45_118_347)]
)
def test_variants_have_the_parameters_of_the_paper_s_rows(variant: str, expected: int) -> None:
    with torch.device("meta"):
        generator = MTSS(MTSSSettings(**VARIANTS[variant]), Shape(128)).generator
    assert sum(p.numel() for p in generator.parameters()) == expected


@torch.no_grad()
def test_networks_give_the_published_outputs(published: MTSS) -> None:
    vectors, generator = Vectors("mtss_generator"), published.generator
    source = generator.encode(vectors.image)
    content = generator.content_of(source.f_s, source.f_r)
    mapped = generator.mapper(vectors["in_z"], torch.tensor([3, 3]))
    translated = generator.translator(source.encoded, mapped)
    assert content.parts is not None
    assert generator.classifier is not None
    of_feature = generator.style_of_feature(content.parts.style)
    outputs = {
        "encode": source.encoded,
        "extract": source.style,
        "f_style": content.parts.style,
        "f_content": content.joins,
        "map_attribute_3": mapped,
        "translate": translated,
        "decode": generator.decoder(translated, content.joins),
        "classify_extract": generator.classifier(source.style),
        "extract_from_f_style": of_feature,
        "classify_f_style": generator.classifier(of_feature),
    }
    for name, ours in outputs.items():
        assert ours is not None
        assert vectors.error(name, ours) < TOLERANCE, name
    logits = published.discriminator(vectors.image, None)
    assert Vectors("mtss_discriminator").error("logits", logits) < TOLERANCE


@torch.no_grad()
def test_another_covariance_is_not_the_published_one(published: MTSS, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper says covariance; with the mean removed, or on the other side, results differ."""
    vectors, generator = Vectors("mtss_generator"), published.generator
    source = generator.encode(vectors.image)
    assert generator.sdu is not None

    def centred(hat_s: Tensor, hat_r: Tensor) -> Tensor:
        return shared_style(hat_s, hat_r - hat_r.mean((2, 3), keepdim=True))

    def swapped(hat_s: Tensor, hat_r: Tensor) -> Tensor:
        return shared_style(hat_r, hat_s)

    for wrong in (centred, swapped):
        monkeypatch.setattr("models.mtss.sdu.shared_style", wrong)
        assert vectors.error("f_style", generator.sdu(source.f_s, source.f_r).style) > 0.01


def test_shared_style_is_the_second_moment_times_the_source() -> None:
    hat_s, hat_r = torch.randn(2, 2, 3, 4, 5, dtype=torch.float64)
    ours = shared_style(hat_s, hat_r)
    for n in range(2):
        r, s = hat_r[n].reshape(3, 20), hat_s[n].reshape(3, 20)
        torch.testing.assert_close(ours[n].reshape(3, 20), (r @ r.T / 20) @ s)


def test_the_unit_splits_without_rest_and_leaves_the_extractor_alone() -> None:
    torch.manual_seed(0)
    unit = SDU(8, 32)
    f_s, f_r = torch.randn(2, 2, 8, 6, 6).unbind()
    f_s.requires_grad_()
    f_r.requires_grad_()
    parts = unit(f_s, f_r)
    torch.testing.assert_close(parts.style + parts.content, f_s)
    assert float(parts.style.detach().abs().max()) < 1
    parts.style.sum().backward()
    assert f_r.grad is None
    assert f_s.grad is not None
    assert bool(f_s.grad.any())


@torch.no_grad()
def test_the_style_of_a_feature_depends_on_that_feature_alone() -> None:
    generator = small().generator
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(
        generator.style_of_feature(generator.extractor.shallow(images)), generator.extractor(images)
    )
    source = generator.encode(images)
    content = generator.content_of(source.f_s, source.f_r)
    assert content.parts is not None
    feature = content.parts.style[:1].expand(4, -1, -1, -1)
    styles = generator.style_of_feature(feature)
    torch.testing.assert_close(styles, styles[:1].expand_as(styles))


@pytest.mark.parametrize(("initialisation", "low", "high"), [("default", 0.0, 0.1), ("kaiming", 0.9, 1.0)])
@torch.no_grad()
def test_kaiming_saturates_the_unit(initialisation: str, low: float, high: float) -> None:
    torch.manual_seed(0)
    settings = MTSSSettings(width=0.5, sdu_initialisation=initialisation)  # type: ignore[arg-type]
    generator = MTSS(settings, Shape(32)).generator
    source = generator.encode(faces().draw(4).images)
    content = generator.content_of(source.f_s, source.f_r)
    assert content.parts is not None
    assert low < float(content.parts.style.abs().mean()) < high


def test_orthogonality_in_its_three_readings() -> None:
    parts = Disentangled(torch.full((2, 3, 4, 5), -0.5), torch.full((2, 3, 4, 5), 2.0))
    assert float(orthogonality(parts, "mean")) == pytest.approx(1)
    assert float(orthogonality(parts, "channel-sum")) == pytest.approx(3)
    assert float(orthogonality(parts, "sum")) == pytest.approx(60)


def test_style_supervision_is_the_cross_entropy() -> None:
    classifier = Classifier(4, 3, 5)
    style, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 4, 0])
    logits = classifier.head(torch.relu(classifier.hidden(style)))
    expected = -logits.log_softmax(1)[torch.arange(6), labels].mean()
    torch.testing.assert_close(style_supervision(classifier, style, labels), expected)


def test_logarithms_of_equation_5() -> None:
    scores = torch.tensor([-3.0, 0.0, 2.0])
    probability = torch.sigmoid(scores)
    torch.testing.assert_close(log_real(scores), -probability.log().mean())
    torch.testing.assert_close(log_fake(scores), -(1 - probability).log().mean())


def test_equation_7_weighs_every_term() -> None:
    names = list(vars(GeneratorLosses(*(torch.zeros(()),) * 3)))
    weights_of = {
        "adversarial": "adversarial_weight",
        "cycle": "reconstruction_weight",
        "style": "style_weight",
        "consistency": "reconstruction_weight",
        "mapped_class": "classification_weight",
        "reference_class": "classification_weight",
        "feature_class": "classification_weight",
        "orthogonality": "orthogonality_weight",
    }
    assert set(names) == set(weights_of)
    for number, name in enumerate(names):
        terms = GeneratorLosses(**{other: torch.tensor(float(other == name)) for other in names})
        settings = replace(SMALL, **{weights_of[name]: 2.0 + number})
        assert float(terms.total(settings)) == 2.0 + number
    published = GeneratorLosses(**dict.fromkeys(names, torch.ones(())))
    assert float(published.total(MTSSSettings())) == pytest.approx(7.001)


def test_with_all_parts_off_it_is_hisd() -> None:
    method = small(**VARIANTS["B"], classes="per-batch")
    torch.manual_seed(0)
    shared = {name: value for name, value in vars(method.settings).items() if name in vars(HiSDSettings())}
    hisd = HiSD(HiSDSettings(**shared), Shape(32))
    assert all(torch.equal(ours, method.state_dict()[name]) for name, ours in hisd.state_dict().items())
    assert hisd.state_dict().keys() == method.state_dict().keys()
    ours, theirs = Steps(method, faces()), Steps(hisd, faces())
    for _ in range(3):
        mine, published = ours.step(), theirs.step()
        assert mine["generator/adversarial"] == pytest.approx(published["generator/adversarial"], rel=1e-4)
        assert mine["generator/cycle"] == pytest.approx(published["generator/reconstruction"], rel=1e-4)
        assert mine["discriminator/penalty"] == pytest.approx(published["discriminator/penalty"], rel=1e-4)
        assert mine["discriminator/fake"] == pytest.approx(published["discriminator/fake"], rel=1e-4)


def naive_edits(method: MTSS, batch: Batch) -> Edits:
    """The paths one by one, in the paper's symbols, by calls that share nothing."""
    generator = method.generator
    assert batch.references is not None
    assert batch.reference_labels is not None

    def content(image: Tensor) -> Disentangled:
        parts = generator.content_of(generator.encoder.shallow(image), generator.extractor.shallow(image)).parts
        assert parts is not None
        return parts

    def synthesise(image: Tensor, style: Tensor, f_co: Tensor) -> Tensor:
        edited: Tensor = generator.decoder(generator.translator(generator.encoder(image), style), f_co)
        return edited

    x_s, f_co = batch.images, content(batch.images).content
    st_s, st_1 = generator.extractor(x_s), generator.extractor(batch.references)
    st_2 = generator.mapper(batch.latents, batch.mapped_labels)
    x_t1, x_t2 = synthesise(x_s, st_1, f_co), synthesise(x_s, st_2, f_co)
    again = f_co if method.settings.consistency_content == "source" else content(x_t1).content
    return Edits(
        reconstructed=generator.decoder(generator.encoder(x_s), f_co),
        self_translated=synthesise(x_s, st_s, f_co),
        cycled=synthesise(x_t2, st_s, content(x_t2).content),
        style=st_s,
        edited=x_t2,
        mapped_style=st_2,
        recovered_style=generator.extractor(x_t2),
        parts=content(x_s),
        reference=ReferenceEdits(
            batch.reference_labels, x_t1, st_1, generator.extractor(x_t1), synthesise(x_t1, st_2, again)
        ),
    )


@pytest.mark.parametrize("consistency", ["source", "recomputed"])
def test_the_batched_step_has_the_naive_step_s_gradients(consistency: str) -> None:
    method = small(consistency_content=consistency)
    batch = batch_of(method)
    parameters = list(method.generator.parameters())
    gradients = []
    for edits in (naive_edits(method, batch), edit_paths(method.generator, batch, consistency)):  # type: ignore[arg-type]
        losses = generator_losses(method.generator, method.discriminator, batch, edits, method.settings)
        gradients.append(torch.autograd.grad(losses.total(method.settings), parameters, allow_unused=True))
    scale = max(float(gradient.abs().max()) for gradient in gradients[0] if gradient is not None)
    for naive, ours in zip(*gradients, strict=True):
        assert (naive is None) == (ours is None)
        if ours is not None:
            torch.testing.assert_close(ours, naive, rtol=1e-3, atol=1e-5 * scale)


def test_the_cycle_gets_no_content_from_the_source() -> None:
    """Reusing the source's content would leak the answer, and is another image."""
    method = small()
    batch = batch_of(method)
    with torch.no_grad():
        edits = edit_paths(method.generator, batch, "source")
        assert edits.parts is not None
        generator = method.generator
        leaking = generator.decoder(
            generator.translator(generator.encoder(edits.edited), edits.style), edits.parts.content
        )
        other = edit_paths(method.generator, batch, "recomputed")
    assert F.l1_loss(leaking, edits.cycled) > 1e-3
    torch.testing.assert_close(other.cycled, edits.cycled, rtol=1e-4, atol=1e-5)
    assert edits.reference is not None
    assert other.reference is not None
    assert F.l1_loss(other.reference.consistent, edits.reference.consistent) > 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_part_that_is_off_has_no_loss(variant: str) -> None:
    steps = Steps(small(**VARIANTS[variant]), faces())
    losses = steps.step()
    settings = steps.method.settings
    assert ("generator/mapped_class" in losses) == settings.supervision
    assert ("generator/consistency" in losses) == settings.reference_path
    assert ("sdu/style_magnitude" in losses) == (settings.content == "disentangled")


def exact(batch: Batch) -> Batch:
    return Batch(
        **{
            name: value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
            for name, value in vars(batch).items()
        }
    )


def test_the_objective_is_the_naive_one() -> None:
    """Eq. (7) with the cross entropies, face by face, on edits made one by one; value and gradients."""
    method = small().double()
    batch, classifier = exact(batch_of(method)), method.generator.classifier
    edits = naive_edits(method, batch)
    reference, parts = edits.reference, edits.parts
    assert classifier is not None
    assert reference is not None
    assert parts is not None
    of_feature = method.generator.style_of_feature(parts.style)

    def l1(ours: Tensor, wanted: Tensor) -> Tensor:
        return (ours - wanted).abs().mean()

    def entropy(style: Tensor, label: Tensor) -> Tensor:
        return -classifier(style[None])[0].softmax(0)[label].log()

    naive = torch.zeros((), dtype=torch.float64)
    for i, (y_s, y_1, y_2) in enumerate(zip(batch.labels, reference.labels, batch.mapped_labels, strict=True)):
        x, x_1, x_2, st_1, st_2 = (
            batch.images[i],
            reference.edited[i],
            edits.edited[i],
            reference.style[i],
            edits.mapped_style[i],
        )
        for image, head, label in ((x_1, 0, y_1), (x_2, 0, y_2), (edits.cycled[i], 1, y_s)):
            naive = naive - method.discriminator(image[None], None)[0, head, label]
        for image in (edits.reconstructed[i], edits.self_translated[i], edits.cycled[i]):
            naive = naive + l1(image, x)
        naive = naive + l1(reference.consistent[i], x_2)
        naive = naive + l1(edits.recovered_style[i], st_2) + l1(reference.recovered_style[i], st_1.detach())
        naive = naive + entropy(st_1, y_1) + entropy(st_2, y_2) + entropy(of_feature[i], y_s)
        naive = naive + 0.001 * (parts.content[i] * parts.style[i]).abs().sum(0).mean()
    naive = naive / len(batch.labels)

    fast = edit_paths(method.generator, batch, "source")
    ours = generator_losses(method.generator, method.discriminator, batch, fast, method.settings).total(method.settings)
    torch.testing.assert_close(ours, naive, rtol=1e-9, atol=0)
    drawn = set(batch.mapped_labels.tolist())
    used = [
        p for name, p in method.generator.named_parameters()
        if not name.startswith("mapper.heads.") or int(name.split(".")[2]) in drawn
    ]  # fmt: skip
    gradients = (torch.autograd.grad(loss, used) for loss in (ours, naive))
    for mine, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("form", ["hinge", "log"])
def test_the_batched_discriminator_is_the_naive_one(form: str) -> None:
    """Image by image: the source on both heads with R1, both edits on head 0 by their target, the cycle on head 1."""
    method = small().double()
    batch = exact(batch_of(method))
    edits = edit_paths(method.generator, batch, "source")
    assert edits.reference is not None
    score_of_real = {"hinge": lambda d: (1 - d).clamp(min=0), "log": lambda d: -d.sigmoid().log()}[form]
    score_of_fake = {"hinge": lambda d: (1 + d).clamp(min=0), "log": lambda d: -(1 - d.sigmoid()).log()}[form]
    naive = torch.zeros((), dtype=torch.float64)
    for i, label in enumerate(batch.labels.tolist()):
        for head in (0, 1):
            x = batch.images[i : i + 1].clone().requires_grad_()
            real = method.discriminator(x, None)[0, head, label]
            naive = naive + score_of_real(real) + torch.autograd.grad(real, x, create_graph=True)[0].square().sum()
        for images, labels, head in (
            (edits.edited, batch.mapped_labels, 0),
            (edits.reference.edited, edits.reference.labels, 0),
            (edits.cycled, batch.labels, 1),
        ):
            naive = naive + score_of_fake(method.discriminator(images[i : i + 1].detach(), None)[0, head, labels[i]])
    settings = replace(method.settings, adversarial=form)
    ours = discriminator_losses(method.discriminator, batch, edits, settings).total(settings)
    torch.testing.assert_close(ours, naive / len(batch.labels), rtol=1e-9, atol=0)


def test_the_discriminator_ignores_the_style() -> None:
    method = small()
    batch = batch_of(method)
    edits = edit_paths(method.generator, batch, "source")
    other = replace(edits, style=edits.style + 1, mapped_style=edits.mapped_style - 1)
    ours, same = (discriminator_losses(method.discriminator, batch, fake, method.settings) for fake in (edits, other))
    assert {name: float(term.detach()) for name, term in vars(ours).items()} == {
        name: float(term.detach()) for name, term in vars(same).items()
    }
    seen = discriminator_losses(
        method.discriminator, batch, other, replace(method.settings, style_in_discriminator=True)
    )
    assert float(seen.fake.detach()) != float(ours.fake.detach())


def test_the_discriminator_learns_to_tell_real_from_edited() -> None:
    method = small()
    batch = batch_of(method)
    with torch.no_grad():
        edits = edit_paths(method.generator, batch, "source")
    optimizer = torch.optim.Adam(method.discriminator.parameters(), 1e-3, (0.0, 0.99))
    values = []
    for _ in range(15):
        losses = discriminator_losses(method.discriminator, batch, edits, method.settings)
        optimizer.zero_grad()
        losses.total(method.settings).backward()
        optimizer.step()
        values.append(float((losses.real + losses.fake).detach()))
    assert values[-1] < 0.7 * values[0]


def test_training_on_fixed_faces_lowers_what_it_should() -> None:
    method = small(adversarial_weight=0.0, learning_rate=2e-3, mapper_learning_rate=2e-3)
    steps = Steps(method, faces(count=8))
    logs = [steps.step() for _ in range(40)]
    for name, share in (("cycle", 0.8), ("mapped_class", 0.8)):
        values = [log[f"generator/{name}"] for log in logs]
        assert sum(values[-3:]) < share * sum(values[:3]), name


def test_sources_and_targets() -> None:
    method, source = small(batch_size=64), faces()
    batch = method.draw(source)
    assert batch.reference_labels is not None
    assert not (batch.labels == batch.mapped_labels).any()
    assert not (batch.labels == batch.reference_labels).any()
    assert 0 < int((batch.mapped_labels == batch.reference_labels).sum()) < 32
    assert len(set(batch.labels.tolist())) == 8


def test_hisd_s_losses_are_these_without_reference_and_content() -> None:
    """The same edits give HiSD's functions and MTSS's the same numbers, with the style seen and hidden."""
    method = small(**VARIANTS["B"])
    batch = batch_of(method)
    sources = Sources(batch.images, batch.labels)
    for seen in (True, False):
        settings = replace(method.settings, style_in_discriminator=seen)
        ours = edit_paths(method.generator, batch, "source")
        theirs = hisd_edit_paths(method.generator, batch.images, batch.latents, batch.mapped_labels)
        drawn = (theirs, sources, batch.mapped_labels, seen)
        mine = generator_losses(method.generator, method.discriminator, batch, ours, settings)
        hisd = hisd_generator_losses(method.discriminator, *drawn)
        torch.testing.assert_close(mine.adversarial, hisd.adversarial, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mine.cycle, hisd.reconstruction, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mine.style, hisd.style, rtol=1e-4, atol=1e-5)
        one = discriminator_losses(method.discriminator, batch, ours, settings)
        two = hisd_discriminator_losses(method.discriminator, *drawn)
        torch.testing.assert_close(one.real + one.fake, two.real + two.fake, rtol=1e-4, atol=1e-5)


def test_a_saturated_unit_is_reported() -> None:
    method = small()
    assert method.warnings({"sdu/style_magnitude": 0.4}) == []
    assert "saturated" in method.warnings({"sdu/style_magnitude": 0.97})[0]
    assert method.warnings({}) == []
