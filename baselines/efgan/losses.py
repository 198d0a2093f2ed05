"""What the cascade is trained for: GANimation's terms at every stage, with that stage's target.

Each term is a mean over the stages, so that a cascade weighs them against the cycle, which there is one of, as a single
EF-GAN does.
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
    """GANimation's terms (`attention` and `smoothness` are sums over four masks and both passes) and the score of the
    images before the refiner, unweighted.
    """

    initial: Tensor

    def objective(self, settings: EFGANSettings) -> Tensor:
        """L_G."""
        return self.total(settings) + settings.initial_weight * self.initial


def judged(edits: Sequence[Edit], settings: EFGANSettings) -> list[Tensor]:
    """What the discriminator is shown of `edits`: every stage's image, then the images before the refiners where they
    count for anything. A generator that is paid for images that the discriminator does not learn from soon only
    pleases it.
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
    """Losses of one way to the targets and the way back.

    images: N x 3 x S x S, the sources; units, targets: N x 17, theirs and the wanted ones; back: the last of `edits`
    edited to `units` by the same stages.
    """
    count = len(images) * len(edits)
    scores, estimates = discriminator(torch.cat(judged(edits, settings)))
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
