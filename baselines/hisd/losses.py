"""HiSD's losses, and the faces and classes they are computed on.

In what follows x is a source of class j, s its extracted style, s_trg the mapped style of class j_trg, x_trg the edit
and x_cyc the edit of the edit back to s. Scores are those of one class: N x 2, the discriminator's heads 0 (edited)
and 1 (cycled).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.hisd.blocks import of_class
from baselines.hisd.networks import Discriminator, Generator
from baselines.hisd.settings import ClassDraw
from benchmark.errors import UserError
from benchmark.interface import FaceSource


@dataclass(frozen=True)
class Sources:
    """images: N x 3 x S x S; labels: N, their classes."""

    images: Tensor
    labels: Tensor


def draw_sources(faces: FaceSource, count: int, classes: ClassDraw) -> Sources:
    """`count` faces: of one class drawn at random, or as they come."""
    if classes == "per-sample":
        batch = faces.draw(count)
    else:
        place = int(torch.randint(len(faces.classes), (), generator=faces.generator))
        batch = faces.draw_labelled([faces.classes[place]] * count)
    return Sources(batch.images, batch.labels)


def draw_targets(labels: Tensor, known: Sequence[int], classes: ClassDraw, generator: torch.Generator) -> Tensor:
    """Another class for each of `labels` (N), uniform over the rest of `known`; one for all where they share a class.

    Raises UserError where there is no other class.
    """
    if len(known) < 2:
        raise UserError(f"the training pictures show {len(known)} expression; to edit one into another takes two")
    count = len(labels) if classes == "per-sample" else 1
    steps = torch.randint(1, len(known), (count,), generator=generator).to(labels.device)
    table = torch.tensor(known, device=labels.device)
    places = (labels[:, None] == table).int().argmax(1)
    return table[(places + steps) % len(known)]


def draw_latents(count: int, dim: int, faces: FaceSource, like: Tensor) -> Tensor:
    """count x dim of N(0, 1)."""
    return torch.randn(count, dim, generator=faces.generator).to(like)


def of_label(scores: Tensor, labels: Tensor) -> Tensor:
    """Scores N x 2 x classes to those of each image's class, N x 2."""
    return of_class(scores.transpose(1, 2), labels)


def hinge_real(scores: Tensor) -> Tensor:
    """mean of max(0, 1 - D(x))."""
    return F.relu(1 - scores).mean()


def hinge_fake(scores: Tensor) -> Tensor:
    """mean of max(0, 1 + D(x))."""
    return F.relu(1 + scores).mean()


def r1_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """E ||d D(x) / d x||^2, without a factor of 1/2; scores: N, of real `images` (N x 3 x S x S, requires_grad)."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


@dataclass(frozen=True)
class Edits:
    """What the generator makes of a batch. Images N x 3 x S x S, styles N x style."""

    reconstructed: Tensor
    self_translated: Tensor
    translated: Tensor
    cycled: Tensor
    style: Tensor
    target_style: Tensor
    recovered_style: Tensor


def edit_paths(generator: Generator, images: Tensor, latents: Tensor, targets: Tensor) -> Edits:
    """The three paths: no translation, translation to the own style, translation to a target and back."""
    encoded = generator.encoder(images)
    style = generator.extractor(images)
    target_style = generator.mapper(latents, targets)
    own, other = generator.translator(encoded.repeat(2, 1, 1, 1), torch.cat([style, target_style])).chunk(2)
    reconstructed, self_translated, translated = generator.decoder(torch.cat([encoded, own, other])).chunk(3)
    cycled = generator.decoder(generator.translator(generator.encoder(translated), style))
    return Edits(
        reconstructed, self_translated, translated, cycled, style, target_style, generator.extractor(translated)
    )


@dataclass(frozen=True)
class GeneratorLosses:
    """Terms of the generator's objective, unweighted."""

    adversarial: Tensor
    style: Tensor
    reconstruction: Tensor


def generator_losses(
    discriminator: Discriminator, edits: Edits, sources: Sources, targets: Tensor, style_seen: bool
) -> GeneratorLosses:
    """The generator's losses on the edits of one batch.

    style_seen: the discriminator is given the style that an image was made with, or a real one's extracted style. Then
    the scores of real images depend on the extractor and are part of the loss; else they are constant and left out.
    """
    count = len(targets)
    styles = torch.cat([edits.target_style, edits.style]).detach() if style_seen else None
    scores = discriminator(torch.cat([edits.translated, edits.cycled]), styles)
    adversarial = (
        -of_label(scores[:count], targets)[:, 0].mean() - of_label(scores[count:], sources.labels)[:, 1].mean()
    )
    if style_seen:
        adversarial = adversarial + real_style_loss(discriminator, sources, edits.style)
    return GeneratorLosses(
        adversarial=adversarial,
        style=F.l1_loss(edits.recovered_style, edits.target_style),
        reconstruction=F.l1_loss(edits.reconstructed, sources.images)
        + F.l1_loss(edits.self_translated, sources.images)
        + F.l1_loss(edits.cycled, sources.images),
    )


def real_style_loss(discriminator: Discriminator, sources: Sources, style: Tensor) -> Tensor:
    """Sum over heads of mean D(x, s): lets the extractor make real pairs look made up. Its gradient reaches s alone."""
    with torch.no_grad():
        features = discriminator.features(sources.images)
    return of_label(discriminator.scores(features, style), sources.labels).mean(0).sum()


@dataclass(frozen=True)
class DiscriminatorLosses:
    """Terms of the discriminator's objective, unweighted, each summed over heads."""

    real: Tensor
    fake: Tensor
    penalty: Tensor


def discriminator_losses(
    discriminator: Discriminator, edits: Edits, sources: Sources, targets: Tensor, style_seen: bool
) -> DiscriminatorLosses:
    """Hinge loss of both heads and R1 of both. Nothing here reaches the generator."""
    count = len(targets)
    images = sources.images.detach().requires_grad_()
    style = edits.style.detach() if style_seen else None
    real = of_label(discriminator(images, style), sources.labels)
    styles = torch.cat([edits.target_style, edits.style]).detach() if style_seen else None
    fake = discriminator(torch.cat([edits.translated, edits.cycled]).detach(), styles)
    return DiscriminatorLosses(
        real=hinge_real(real[:, 0]) + hinge_real(real[:, 1]),
        fake=hinge_fake(of_label(fake[:count], targets)[:, 0])
        + hinge_fake(of_label(fake[count:], sources.labels)[:, 1]),
        penalty=r1_penalty(real[:, 0], images) + r1_penalty(real[:, 1], images),
    )
