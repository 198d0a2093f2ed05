"""EF-GAN's generator losses: GANimation's terms at every stage, with that stage's target.

Each term is a mean over the stages, so that its weight against the cycle, which is counted once, does not depend on how
many there are. The discriminator's losses are GANimation's, on the images of `judged_images`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.efgan.networks import Edit, path
from baselines.efgan.settings import EFGANSettings
from baselines.ganimation.losses import GeneratorLosses, roughness
from baselines.patchgan import Discriminator


@dataclass(frozen=True)
class CascadeLosses(GeneratorLosses):
    """GANimation's terms and the score of the images before the refiner, unweighted.

    `attention` and `smoothness` are sums over four masks and both passes.
    """

    initial: Tensor

    def objective(self, settings: EFGANSettings) -> Tensor:
        """L_G."""
        return self.total(settings) + settings.initial_weight * self.initial


def judged_images(edits: Sequence[Edit], settings: EFGANSettings) -> list[Tensor]:
    """The images of `edits` that the discriminator judges: every stage's, then those before the refiners if they count.

    The discriminator also learns from all of them: a generator rewarded for images it never saw soon only pleases it.
    """
    before = [edit.initial.whole for edit in edits] if settings.initial_weight else []
    return [edit.image for edit in edits] + before


def generator_losses(
    discriminator: Discriminator,
    images: Tensor,
    units: Tensor,
    targets: Tensor,
    edits: Sequence[Edit],
    back: Sequence[Edit],
    settings: EFGANSettings,
) -> CascadeLosses:
    """The generator's losses on the edits to the targets and back.

    images: N x 3 x S x S, the sources; units, targets: N x 17, their action units and the targets'; back: the last of
    `edits` edited to `units` by the same stages.
    """
    count = len(images) * len(edits)
    scores, estimates = discriminator(torch.cat(judged_images(edits, settings)))
    return CascadeLosses(
        fake=-scores[:count].mean(),
        units=F.mse_loss(estimates[:count], torch.cat(path(units, targets, len(edits)))),
        cycle=F.l1_loss(back[-1].image, images),
        attention=_per_stage([mask.mean() for mask in _masks(edits, back)], len(edits)),
        smoothness=_per_stage([roughness(mask) for mask in _masks(edits, back)], len(edits)),
        initial=-scores[count:].mean() if settings.initial_weight else scores.new_zeros(()),
    )


def _masks(edits: Sequence[Edit], back: Sequence[Edit]) -> list[Tensor]:
    return [mask for edit in (*edits, *back) for mask in edit.initial.attention]


def _per_stage(terms: Sequence[Tensor], stages: int) -> Tensor:
    return torch.stack(list(terms)).sum() / stages
