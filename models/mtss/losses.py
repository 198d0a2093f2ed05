"""MTSS's losses by the equations of the paper. All are means over the batch; only Eq. (7) applies weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.hisd.batch import Sources
from baselines.hisd.losses import (
    DiscriminatorLosses,
    Fakes,
    class_scores,
    detached,
    fake_scores,
    hinge_fake,
    hinge_real,
    real_adversarial_loss,
    squared_gradient,
)
from baselines.hisd.networks import Discriminator
from models.mtss.generator import MTSSGenerator
from models.mtss.paths import Batch, Edits
from models.mtss.sdu import orthogonality
from models.mtss.settings import MTSSSettings
from models.mtss.sse import style_supervision


# ------------------------------------------------------------------------------------------ Eq. (5): adversarial losses
def log_real(scores: Tensor) -> Tensor:
    """E[-log D(x)], D a sigmoid of the scores."""
    return F.softplus(-scores).mean()


def log_fake(scores: Tensor) -> Tensor:
    """E[-log(1 - D(x~))], D a sigmoid of the scores."""
    return F.softplus(scores).mean()


def fakes_of(batch: Batch, edits: Edits) -> list[Fakes]:
    """x~t2 and, with a reference path, x~t1 for head 0; the cycled image for head 1."""
    fakes = [Fakes(edits.edited, edits.mapped_style, batch.mapped_labels, head=0)]
    if edits.reference is not None:
        fakes.append(Fakes(edits.reference.edited, edits.reference.style, edits.reference.labels, head=0))
    return [*fakes, Fakes(edits.cycled, edits.style, batch.labels, head=1)]


def adversarial_loss(discriminator: Discriminator, batch: Batch, edits: Edits, settings: MTSSSettings) -> Tensor:
    """Eq. (5) for the generator: -E[D(x~)] with hinge losses, the non-saturating -E[log D(x~)] with logarithms.

    As in HiSD, the scores of real images count if the discriminator sees the style, and are constant otherwise.
    """
    scores = fake_scores(discriminator, fakes_of(batch, edits), settings.style_in_discriminator)
    losses = [log_real(score) if settings.adversarial == "log" else -score.mean() for score in scores]
    if settings.style_in_discriminator:
        losses.append(real_adversarial_loss(discriminator, Sources(batch.images, batch.labels), edits.style))
    return torch.stack(losses).sum()


def discriminator_losses(
    discriminator: Discriminator, batch: Batch, edits: Edits, settings: MTSSSettings
) -> DiscriminatorLosses:
    """Eq. (5) for the discriminator, with R1 on both heads. No gradient reaches the generator."""
    of_real, of_fake = (log_real, log_fake) if settings.adversarial == "log" else (hinge_real, hinge_fake)
    images = batch.images.detach().requires_grad_()
    style = edits.style.detach() if settings.style_in_discriminator else None
    first, second = class_scores(discriminator, images, style, batch.labels).unbind(1)
    fakes = fake_scores(discriminator, detached(fakes_of(batch, edits)), settings.style_in_discriminator)
    return DiscriminatorLosses(
        real=of_real(first) + of_real(second),
        fake=torch.stack([of_fake(score) for score in fakes]).sum(),
        penalty=squared_gradient(first, images) + squared_gradient(second, images),
    )


# --------------------------------------------------------------------------------------- Eq. (6): reconstruction losses
def cycle_loss(images: Tensor, edits: Edits) -> Tensor:
    """L_cyc of Eq. (6), with the two other reconstructions of HiSD: all three must return x_s."""
    rebuilt = (edits.reconstructed, edits.self_translated, edits.cycled)
    return torch.stack([F.l1_loss(image, images) for image in rebuilt]).sum()


def style_reconstruction_loss(edits: Edits) -> Tensor:
    """L_st: the style extracted from an edit must be the one it was given.

    As in HiSD the mapped style learns from it. The reference's style is a fixed target: the extractor computes both.
    """
    loss = F.l1_loss(edits.recovered_style, edits.mapped_style)
    if edits.reference is not None:
        loss = loss + F.l1_loss(edits.reference.recovered_style, edits.reference.style.detach())
    return loss


@dataclass(frozen=True)
class GeneratorLosses:
    """Terms of the generator's objective, unweighted; None for those of parts that are switched off."""

    adversarial: Tensor
    cycle: Tensor
    style: Tensor
    consistency: Tensor | None = None
    mapped_class: Tensor | None = None
    reference_class: Tensor | None = None
    feature_class: Tensor | None = None
    orthogonality: Tensor | None = None

    def total(self, settings: MTSSSettings) -> Tensor:
        """Eq. (7), with the terms of Eq. (1) and (4) that it leaves out."""
        total = settings.adversarial_weight * self.adversarial
        total = total + settings.reconstruction_weight * self.cycle + settings.style_weight * self.style
        weights = {
            "consistency": settings.reconstruction_weight * settings.consistency_weight,
            "mapped_class": settings.classification_weight,
            "reference_class": settings.classification_weight,
            "feature_class": settings.classification_weight,
            "orthogonality": settings.orthogonality_weight,
        }
        for name, weight in weights.items():
            term: Tensor | None = getattr(self, name)
            if term is not None:
                total = total + weight * term
        return total


def generator_losses(
    generator: MTSSGenerator, discriminator: Discriminator, batch: Batch, edits: Edits, settings: MTSSSettings
) -> GeneratorLosses:
    """Every term that the settings switch on."""
    classifier, reference, parts = generator.classifier, edits.reference, edits.parts
    consistency = mapped_class = reference_class = feature_class = orthogonal = None
    if classifier is not None:
        mapped_class = style_supervision(classifier, edits.mapped_style, batch.mapped_labels)  # Eq. (1)
    if classifier is not None and reference is not None:
        styles, labels = reference.style, reference.labels
        if batch.labelled is not None:
            styles = torch.cat([styles, generator.extractor(batch.labelled.images)])
            labels = torch.cat([labels, batch.labelled.labels])
        reference_class = style_supervision(classifier, styles, labels)  # Eq. (1)
    if classifier is not None and parts is not None:
        feature_class = style_supervision(classifier, generator.style_of_feature(parts.style), batch.labels)  # Eq. (4)
    if parts is not None:
        orthogonal = orthogonality(parts, settings.orthogonality)  # Eq. (4)
    if reference is not None:
        consistency = F.l1_loss(reference.consistent, edits.edited)  # Eq. (6)
    return GeneratorLosses(
        adversarial=adversarial_loss(discriminator, batch, edits, settings),
        cycle=cycle_loss(batch.images, edits),
        style=style_reconstruction_loss(edits),
        consistency=consistency,
        mapped_class=mapped_class,
        reference_class=reference_class,
        feature_class=feature_class,
        orthogonality=orthogonal,
    )
