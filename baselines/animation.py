"""Faces animated by action units: what GANimation and EF-GAN share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.convolution import painted
from baselines.patchgan import Discriminator, gradient_penalty
from baselines.scaling import scaled
from baselines.trunk import Trunk
from benchmark.core.errors import UserError
from benchmark.interface import FaceSource, Progress, Target, Update
from benchmark.protocol import ACTION_UNIT_MAX


@dataclass(frozen=True)
class AnimationSettings:
    """What such a method sets. Values, and where each is from, are the method's own."""

    width: float
    residual_blocks: int
    discriminator_layers: int
    batch_size: int
    learning_rate: float
    beta1: float
    beta2: float
    critic_steps: int
    adversarial_weight: float
    penalty_weight: float
    unit_weight: float
    cycle_weight: float
    attention_weight: float
    smoothness_weight: float
    unit_noise: float
    penalty_update: Literal["apart", "together"]
    flat_share: float
    initial_deviation: float
    output_gain: float


class Generator(nn.Module):
    """Images N x 3 x S x S in [-1, 1] and units N x 17 in [0, 1] to a colour and an attention mask."""

    def __init__(self, width: float, residual_blocks: int, units: int) -> None:
        super().__init__()
        self.trunk = Trunk(3 + units, width, residual_blocks)
        self.colour = nn.Conv2d(scaled(64, width), 3, 7, 1, 3, bias=False)
        self.mask = nn.Conv2d(scaled(64, width), 1, 7, 1, 3, bias=False)

    def forward(self, images: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        """Colours C, N x 3 x S x S in (-1, 1), and mask A, N x 1 x S x S in (0, 1); every unit becomes one constant
        plane beside the image.
        """
        colours, mask = painted(self.trunk(images, units), [self.colour, self.mask])
        return torch.tanh(colours), torch.sigmoid(mask)


@torch.no_grad()
def initialise(network: nn.Module, settings: AnimationSettings) -> None:
    """Weights of convolutions N(0, initial_deviation), their biases 0; norms stay as they are. The layers that make
    colours, which are called `colour`, are multiplied with output_gain.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, settings.initial_deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for name, parameter in network.named_parameters():
        if name.endswith("colour.weight"):
            parameter.mul_(settings.output_gain)


def roughness(attention: Tensor) -> Tensor:
    """Total variation of masks N x 1 x S x S: the mean absolute step to the right, and that downwards."""
    right, down = attention.diff(dim=3), attention.diff(dim=2)
    return right.abs().mean() + down.abs().mean()


@dataclass(frozen=True)
class CriticLosses:
    """Terms of the discriminator's objective but for the penalty, unweighted."""

    real: Tensor
    fake: Tensor
    units: Tensor

    def total(self, settings: AnimationSettings) -> Tensor:
        """L_D without the penalty."""
        return settings.adversarial_weight * (self.real + self.fake) + settings.unit_weight * self.units


@dataclass(frozen=True)
class GeneratorLosses:
    """Terms of the generator's objective, unweighted; `attention` and `smoothness` are sums over both passes."""

    fake: Tensor
    units: Tensor
    cycle: Tensor
    attention: Tensor
    smoothness: Tensor

    def total(self, settings: AnimationSettings) -> Tensor:
        """L_G."""
        return (
            settings.adversarial_weight * self.fake
            + settings.unit_weight * self.units
            + settings.cycle_weight * self.cycle
            + settings.attention_weight * self.attention
            + settings.smoothness_weight * self.smoothness
        )


def critic_losses(discriminator: Discriminator, images: Tensor, units: Tensor, fakes: Tensor) -> CriticLosses:
    """Judge real `images` (N x 3 x S x S, units N x 17 on the scale of 0 to 1) and `fakes` (any number)."""
    count = len(images)
    scores, estimates = discriminator(torch.cat([images, fakes]))
    return CriticLosses(
        real=-scores[:count].mean(), fake=scores[count:].mean(), units=F.mse_loss(estimates[:count], units)
    )


def penalty_loss(discriminator: Discriminator, images: Tensor, fakes: Tensor, mix: Tensor) -> Tensor:
    """Gradient penalty on mixtures; fakes: a multiple of N; mix: one in [0, 1] for each (x 1 x 1 x 1), the share of the
    real image.
    """
    real = images.repeat(len(fakes) // len(images), 1, 1, 1)
    return gradient_penalty(discriminator.image_gradient(torch.lerp(fakes, real, mix)))


def target_units(target: Target) -> Tensor:
    """The target's action units, N x 17 on the scale of 0 to 1. Raises UserError where they are not known."""
    if target.units is None or bool(torch.isnan(target.units).any()):
        raise UserError("the method is guided by action units, and those of the reference are not known")
    return target.units / ACTION_UNIT_MAX


def draw_targets(faces: FaceSource, count: int, noise: float) -> Tensor:
    """Units of random training pictures on the scale of 0 to 1, count x 17, with uniform noise, unclipped."""
    units = faces.draw_units(count) / ACTION_UNIT_MAX
    drawn = torch.rand(units.shape, generator=faces.generator).to(units)
    return units + noise * (2 * drawn - 1)


def update_critic(
    discriminator: Discriminator,
    images: Tensor,
    units: Tensor,
    fakes: Tensor,
    mix: Tensor,
    settings: AnimationSettings,
    update: Update,
) -> tuple[CriticLosses, Tensor]:
    """One iteration of the discriminator, in two steps of its optimiser where the penalty has its own, else in one;
    returns its terms and the penalty, unweighted. As `critic_losses` and `penalty_loss`.
    """
    losses = critic_losses(discriminator, images, units, fakes)
    if settings.penalty_update == "apart":
        update("discriminator", losses.total(settings))
    penalty = penalty_loss(discriminator, images, fakes, mix)
    weighted = settings.penalty_weight * penalty
    update("discriminator", weighted if settings.penalty_update == "apart" else losses.total(settings) + weighted)
    return losses, penalty


def falling(progress: Progress, flat_share: float) -> float:
    """The schedule of GANimation: 1 for `flat_share` of the iterations, then linearly towards 0."""
    start = round(progress.iterations * flat_share)
    return min(1.0, (progress.iterations - progress.iteration) / max(1, progress.iterations - start))
