"""GANimation's losses, of the edits of one batch.

The published ones depend on the batch size; these are means, with the weights that the published ones amount to at its
batch of 25.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.ganimation.networks import Edit
from baselines.ganimation.settings import GANimationSettings
from baselines.patchgan import Discriminator


# ---------------------------------------------------------------------------------------------------- the discriminator
@dataclass(frozen=True)
class DiscriminatorLosses:
    """Terms of the discriminator's objective but for the penalty, unweighted."""

    real: Tensor
    fake: Tensor
    units: Tensor

    def total(self, settings: GANimationSettings) -> Tensor:
        """L_D without the penalty."""
        return settings.adversarial_weight * (self.real + self.fake) + settings.unit_weight * self.units


def discriminator_losses(
    discriminator: Discriminator, images: Tensor, units: Tensor, fakes: Tensor
) -> DiscriminatorLosses:
    """WGAN losses and the regression of the action units of real images.

    images: N x 3 x S x S, real; units: N x 17, their action units on the scale of 0 to 1; fakes: M x 3 x S x S,
    detached.
    """
    scores, estimates = discriminator(torch.cat([images, fakes]))
    count = len(images)
    return DiscriminatorLosses(
        real=-scores[:count].mean(), fake=scores[count:].mean(), units=F.mse_loss(estimates[:count], units)
    )


def gradient_penalty(discriminator: Discriminator, images: Tensor, fakes: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP: the mean of (||d(sum of scores)/d(image)||_2 - 1)^2 over mixtures of real images and fakes.

    images: N x 3 x S x S; fakes: a multiple of N; mix: the share of the real image in each, M x 1 x 1 x 1 in [0, 1].
    """
    real = images.repeat(len(fakes) // len(images), 1, 1, 1)
    mixtures = torch.lerp(fakes, real, mix).detach().requires_grad_()
    scores, _ = discriminator(mixtures)
    (gradient,) = torch.autograd.grad(scores.sum(), mixtures, create_graph=True)
    norms = gradient.square().flatten(1).sum(1).sqrt()
    # The gradient does not depend on the biases, but the published Adam steps them too, on their momentum.
    of_biases = (
        0 * torch.stack([p.sum() for name, p in discriminator.named_parameters() if name.endswith("bias")]).sum()
    )
    return (norms - 1).square().mean() + of_biases


# -------------------------------------------------------------------------------------------------------- the generator
@dataclass(frozen=True)
class GeneratorLosses:
    """Terms of the generator's objective, unweighted; `attention` and `smoothness` are sums over both passes."""

    fake: Tensor
    units: Tensor
    cycle: Tensor
    attention: Tensor
    smoothness: Tensor

    def total(self, settings: GANimationSettings) -> Tensor:
        """L_G."""
        return (
            settings.adversarial_weight * self.fake
            + settings.unit_weight * self.units
            + settings.cycle_weight * self.cycle
            + settings.attention_weight * self.attention
            + settings.smoothness_weight * self.smoothness
        )


def generator_losses(
    discriminator: Discriminator, images: Tensor, targets: Tensor, edit: Edit, back: Edit
) -> GeneratorLosses:
    """The generator's losses on one edit and the edit back.

    images: N x 3 x S x S, the sources; targets: N x 17 on the scale of 0 to 1; back: `edit` edited to the sources' own
    action units.
    """
    scores, estimates = discriminator(edit.image)
    return GeneratorLosses(
        fake=-scores.mean(),
        units=F.mse_loss(estimates, targets),
        cycle=F.l1_loss(back.image, images),
        attention=edit.attention.mean() + back.attention.mean(),
        smoothness=roughness(edit.attention) + roughness(back.attention),
    )


def roughness(attention: Tensor) -> Tensor:
    """Total variation of masks N x 1 x S x S: the mean absolute step to the right, and that downwards."""
    right, down = attention.diff(dim=3), attention.diff(dim=2)
    return right.abs().mean() + down.abs().mean()
