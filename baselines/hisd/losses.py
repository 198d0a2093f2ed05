"""HiSD's losses, of the edits of one batch.

x is a source of class j and s its extracted style; s_trg is the mapped style of class j_trg, x_trg the edit of x to it,
and x_cyc the edit of x_trg back to s. Head 0 of the discriminator judges edits and head 1 cycled images; each has one
score per class, of which that of the image's own class counts. All losses are means over the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.hisd.batch import Sources
from baselines.hisd.networks import Discriminator, Generator
from baselines.hisd.settings import HiSDSettings


@dataclass(frozen=True)
class Edits:
    """The generator's outputs for a batch: images N x 3 x S x S, styles N x style.

    reconstructed: x without the translator. self_translated: x in its own style s. translated: x_trg. cycled: x_cyc.
    style: s. target_style: s_trg. recovered_style: the style extracted from x_trg.
    """

    reconstructed: Tensor
    self_translated: Tensor
    translated: Tensor
    cycled: Tensor
    style: Tensor
    target_style: Tensor
    recovered_style: Tensor


def edit_paths(generator: Generator, images: Tensor, latents: Tensor, targets: Tensor) -> Edits:
    """Run the three paths: no translation, translation to the own style, translation to a target and back."""
    encoded = generator.encoder(images)
    style = generator.extractor(images)
    target_style = generator.mapper(latents, targets)
    own, other = generator.translator(encoded, torch.cat([style, target_style])).chunk(2)
    reconstructed, self_translated, translated = generator.decoder(torch.cat([encoded, own, other])).chunk(3)
    cycled = generator.decoder(generator.translator(generator.encoder(translated), style))
    return Edits(
        reconstructed, self_translated, translated, cycled, style, target_style, generator.extractor(translated)
    )


# ------------------------------------------------------------------------------------------- the discriminator's scores
def class_scores(discriminator: Discriminator, images: Tensor, style: Tensor | None, labels: Tensor) -> Tensor:
    """Both heads' scores of the images' own classes, N x 2. style: N x style, None if hidden; labels: N."""
    scores: Tensor = discriminator(images, style)
    return scores[torch.arange(len(labels), device=labels.device), :, labels]


@dataclass(frozen=True)
class Fakes:
    """Synthesised images (N x 3 x S x S), the style (N x style) and class (N) they were made with, and their head."""

    images: Tensor
    style: Tensor
    labels: Tensor
    head: int


def fake_scores(discriminator: Discriminator, fakes: Sequence[Fakes], style_seen: bool) -> list[Tensor]:
    """The scores (N) of each group of fakes on its head, in one pass. No gradient reaches the styles, as published."""
    images = torch.cat([group.images for group in fakes])
    style = torch.cat([group.style for group in fakes]).detach() if style_seen else None
    labels = torch.cat([group.labels for group in fakes])
    scores = class_scores(discriminator, images, style, labels).chunk(len(fakes))
    return [score[:, group.head] for score, group in zip(scores, fakes, strict=True)]


def detached(fakes: Sequence[Fakes]) -> list[Fakes]:
    """The same fakes without the generator's graph."""
    return [replace(group, images=group.images.detach()) for group in fakes]


def fakes_of(edits: Edits, sources: Sources, targets: Tensor) -> list[Fakes]:
    """x_trg for head 0 and x_cyc for head 1."""
    return [
        Fakes(edits.translated, edits.target_style, targets, head=0),
        Fakes(edits.cycled, edits.style, sources.labels, head=1),
    ]


def real_adversarial_loss(discriminator: Discriminator, sources: Sources, style: Tensor) -> Tensor:
    """The generator's loss on real images and their extracted style: it learns to lower their scores, as published."""
    return class_scores(discriminator, sources.images, style, sources.labels).sum(1).mean()


# -------------------------------------------------------------------------------------------------------- the generator
@dataclass(frozen=True)
class GeneratorLosses:
    """Terms of the generator's objective, unweighted."""

    adversarial: Tensor
    style: Tensor
    reconstruction: Tensor

    def total(self, settings: HiSDSettings) -> Tensor:
        """L_G."""
        return (
            settings.adversarial_weight * self.adversarial
            + settings.style_weight * self.style
            + settings.reconstruction_weight * self.reconstruction
        )


def generator_losses(
    discriminator: Discriminator, edits: Edits, sources: Sources, targets: Tensor, style_seen: bool
) -> GeneratorLosses:
    """The generator's losses. Without `style_seen` the scores of real images are constant and left out."""
    scores = fake_scores(discriminator, fakes_of(edits, sources, targets), style_seen)
    adversarial = -torch.stack([score.mean() for score in scores]).sum()
    if style_seen:
        adversarial = adversarial + real_adversarial_loss(discriminator, sources, edits.style)
    return GeneratorLosses(
        adversarial=adversarial,
        style=F.l1_loss(edits.recovered_style, edits.target_style),
        reconstruction=F.l1_loss(edits.reconstructed, sources.images)
        + F.l1_loss(edits.self_translated, sources.images)
        + F.l1_loss(edits.cycled, sources.images),
    )


# ---------------------------------------------------------------------------------------------------- the discriminator
def hinge_real(scores: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))]."""
    return F.relu(1 - scores).mean()


def hinge_fake(scores: Tensor) -> Tensor:
    """E[max(0, 1 + D(x))]."""
    return F.relu(1 + scores).mean()


def squared_gradient(scores: Tensor, images: Tensor) -> Tensor:
    """R1 of one head: E ||d D(x) / d x||^2, without a factor of 1/2."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


@dataclass(frozen=True)
class DiscriminatorLosses:
    """Terms of the discriminator's objective, unweighted, each summed over heads."""

    real: Tensor
    fake: Tensor
    penalty: Tensor

    def total(self, settings: HiSDSettings) -> Tensor:
        """L_D."""
        return self.real + self.fake + settings.penalty_weight * self.penalty


def discriminator_losses(
    discriminator: Discriminator, edits: Edits, sources: Sources, targets: Tensor, style_seen: bool
) -> DiscriminatorLosses:
    """The discriminator's losses: hinge losses and R1. No gradient reaches the generator."""
    images = sources.images.detach().requires_grad_()
    style = edits.style.detach() if style_seen else None
    first, second = class_scores(discriminator, images, style, sources.labels).unbind(1)
    edited, cycled = fake_scores(discriminator, detached(fakes_of(edits, sources, targets)), style_seen)
    return DiscriminatorLosses(
        real=hinge_real(first) + hinge_real(second),
        fake=hinge_fake(edited) + hinge_fake(cycled),
        penalty=squared_gradient(first, images) + squared_gradient(second, images),
    )
