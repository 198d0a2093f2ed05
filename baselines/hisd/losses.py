"""HiSD's losses, and the faces and classes they are computed on.

In what follows x is a source of class j, s its extracted style, s_trg the mapped style of class j_trg, x_trg the edit
and x_cyc the edit of the edit back to s. The discriminator's head 0 judges edits, head 1 cycled images, each with one
score per class; what counts is that of the image's class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.hisd.critic import Opinion
from baselines.hisd.networks import HEADS, Discriminator, Generator
from baselines.hisd.settings import ClassDraw
from benchmark.core.errors import UserError
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


Score = Callable[[Tensor], Tensor]
"""From scores to losses of the same shape."""


def hinge_real(scores: Tensor) -> Tensor:
    """max(0, 1 - D(x))."""
    return F.relu(1 - scores)


def hinge_fake(scores: Tensor) -> Tensor:
    """max(0, 1 + D(x))."""
    return F.relu(1 + scores)


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
    own, other = generator.translator(encoded, torch.cat([style, target_style])).chunk(2)
    reconstructed, self_translated, translated = generator.decoder(torch.cat([encoded, own, other])).chunk(3)
    cycled = generator.decoder(generator.translator(generator.encoder(translated), style))
    return Edits(
        reconstructed, self_translated, translated, cycled, style, target_style, generator.extractor(translated)
    )


@dataclass(frozen=True)
class MadeUp:
    """Images (N x 3 x S x S) of a class (labels: N), made with a style (N x style)."""

    images: Tensor
    style: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Judged:
    """What the discriminator says of one batch, to the generator and for its own update: between them neither the
    images nor its weights change.

    real: both heads on the sources. made_up: head 0 on `groups` - 1 groups of edits, head 1 on the cycled images, one
    behind the other. images, styles: of made_up, those attached to the generator's graph, these not. style: of real.
    Both are None where the discriminator sees no style.
    """

    real: Opinion
    made_up: Opinion
    images: Tensor
    groups: int
    styles: Tensor | None
    style: Tensor | None


def judge(
    discriminator: Discriminator, sources: Sources, style: Tensor, edits: Sequence[MadeUp], cycled: Tensor, seen: bool
) -> Judged:
    """style: of the sources, N x style; cycled: N x 3 x S x S; seen: the discriminator is given the style that an image
    was made with, or a real one's extracted style.
    """
    images, classes = torch.cat([*(edit.images for edit in edits), cycled]), discriminator.classes
    second = classes + sources.labels  # the head behind the first's classes
    return Judged(
        real=Opinion(discriminator, sources.images, torch.cat([sources.labels, second])),
        made_up=Opinion(discriminator, images, torch.cat([*(edit.labels for edit in edits), second])),
        images=images,
        groups=len(edits) + 1,
        styles=torch.cat([*(edit.style for edit in edits), style]).detach() if seen else None,
        style=style if seen else None,
    )


def judge_edits(
    discriminator: Discriminator, edits: Edits, sources: Sources, targets: Tensor, style_seen: bool
) -> Judged:
    """HiSD's: of one edit."""
    edit = MadeUp(edits.translated, edits.target_style, targets)
    return judge(discriminator, sources, edits.style, [edit], edits.cycled, style_seen)


@dataclass(frozen=True)
class GeneratorLosses:
    """Terms of the generator's objective, unweighted."""

    adversarial: Tensor
    style: Tensor
    reconstruction: Tensor


def adversarial_loss(judged: Judged, of_real: Score = torch.neg) -> Tensor:
    """Of every group of made-up images the mean loss of being taken for real.

    Where the discriminator sees styles, its scores of real images depend on the extractor and are part of the loss (it
    may make real pairs look made up); else they are constant and left out.
    """
    loss = judged.groups * of_real(judged.made_up.for_generator(judged.styles, judged.images)).mean()
    return loss if judged.style is None else loss + HEADS * judged.real.for_generator(judged.style).mean()


def generator_losses(judged: Judged, edits: Edits, sources: Sources) -> GeneratorLosses:
    """The generator's losses on the edits of one batch."""
    return GeneratorLosses(
        adversarial=adversarial_loss(judged),
        style=F.l1_loss(edits.recovered_style, edits.target_style),
        reconstruction=F.l1_loss(edits.reconstructed, sources.images)
        + F.l1_loss(edits.self_translated, sources.images)
        + F.l1_loss(edits.cycled, sources.images),
    )


@dataclass(frozen=True)
class DiscriminatorLosses:
    """Terms of the discriminator's objective, unweighted, each summed over heads."""

    real: Tensor
    fake: Tensor
    penalty: Tensor


def discriminator_losses(
    judged: Judged, of_real: Score = hinge_real, of_fake: Score = hinge_fake
) -> DiscriminatorLosses:
    """Of both heads, with R1: E ||d D(x) / d x||^2 without a factor of 1/2. Nothing here reaches the generator."""
    real, squares = judged.real.for_critic(None if judged.style is None else judged.style.detach())
    fake, _ = judged.made_up.for_critic(judged.styles)
    return DiscriminatorLosses(
        real=HEADS * of_real(real).mean(),
        fake=judged.groups * of_fake(fake).mean(),
        penalty=HEADS * squares.mean(),
    )
