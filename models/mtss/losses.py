"""MTSS's losses by the equations of the paper. All are means over the batch; only Eq. (7) applies weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.hisd.losses import (
    DiscriminatorLosses,
    Judged,
    MadeUp,
    Sources,
    adversarial_loss,
    discriminator_losses,
    judge,
)
from baselines.hisd.networks import Discriminator
from models.mtss.generator import MTSSGenerator
from models.mtss.paths import Batch, Edits
from models.mtss.sdu import orthogonality
from models.mtss.settings import MTSSSettings
from models.mtss.sse import style_supervision

Adversarial = Literal["hinge", "log"]


def judge_edits(discriminator: Discriminator, batch: Batch, edits: Edits, style_seen: bool) -> Judged:
    """x~t2 and, where there is one, x~t1 by head 0 and their target class, the cycled image by head 1."""
    edited = [MadeUp(edits.edited, edits.mapped_style, batch.mapped_labels)]
    if edits.reference is not None:
        edited.append(MadeUp(edits.reference.edited, edits.reference.style, edits.reference.labels))
    sources = Sources(batch.images, batch.labels)
    return judge(discriminator, sources, edits.style, edited, edits.cycled, style_seen)


def log_real(scores: Tensor) -> Tensor:
    """-log D(x) of Eq. (5), D a sigmoid of the scores."""
    return F.softplus(-scores)


def log_fake(scores: Tensor) -> Tensor:
    """-log(1 - D(x~)) of Eq. (5), D a sigmoid of the scores."""
    return F.softplus(scores)


def generator_adversarial_loss(judged: Judged, form: Adversarial) -> Tensor:
    """Eq. (5), the generator's side: of hinge -E[D(x~)], of log its non-saturating form -E[log D(x~)]."""
    return adversarial_loss(judged, log_real if form == "log" else torch.neg)


def critic_losses(judged: Judged, form: Adversarial) -> DiscriminatorLosses:
    """Eq. (5), the discriminator's side, with R1 on both heads."""
    return discriminator_losses(judged, log_real, log_fake) if form == "log" else discriminator_losses(judged)


def cycle_loss(images: Tensor, edits: Edits) -> Tensor:
    """L_cyc of Eq. (6), with the two other reconstructions that HiSD has beside it: all three must give x_s again."""
    rebuilt = (edits.reconstructed, edits.self_translated, edits.cycled)
    return torch.stack([F.l1_loss(image, images) for image in rebuilt]).sum()


def style_reconstruction_loss(edits: Edits) -> Tensor:
    """L_st: the styles extracted from the edits are those that they were made with.

    As in HiSD the mapped style learns from it; the extracted one is the extractor's own target there and is not moved.
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
    generator: MTSSGenerator, judged: Judged, batch: Batch, edits: Edits, settings: MTSSSettings
) -> GeneratorLosses:
    """Every term that the settings switch on."""
    classifier, reference, parts = generator.classifier, edits.reference, edits.parts
    consistency = mapped_class = reference_class = feature_class = orthogonal = None
    if classifier is not None:
        mapped_class = style_supervision(classifier, edits.mapped_style, batch.mapped_labels)  # Eq. (1)
    if classifier is not None and reference is not None:
        reference_class = style_supervision(classifier, reference.style, reference.labels)  # Eq. (1)
    if classifier is not None and parts is not None:
        feature_class = style_supervision(classifier, generator.style_of_feature(parts.style), batch.labels)  # Eq. (4)
    if parts is not None:
        orthogonal = orthogonality(parts, settings.orthogonality)  # Eq. (4)
    if reference is not None:
        consistency = F.l1_loss(reference.consistent, edits.edited)  # Eq. (6)
    return GeneratorLosses(
        adversarial=generator_adversarial_loss(judged, settings.adversarial),
        cycle=cycle_loss(batch.images, edits),
        style=style_reconstruction_loss(edits),
        consistency=consistency,
        mapped_class=mapped_class,
        reference_class=reference_class,
        feature_class=feature_class,
        orthogonality=orthogonal,
    )
