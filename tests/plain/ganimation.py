"""GANimation in its published formulation: the oracle of the fast step, and what its speed is measured against.

One pass per term; colour and mask are two convolutions. The published sums over the batch are means here, as the fast
method's settings want them. See `tests.plain.stargan` for what is shared with the fast method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from baselines.ganimation.method import draw_targets
from baselines.ganimation.settings import GANimationSettings
from baselines.scaling import scaled
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update
from benchmark.protocol import ACTION_UNIT_MAX
from tests.plain.stargan import Discriminator, beside, gradient_penalty, plain_adam, trunk


class Generator(nn.Module):
    """Colours and a mask."""

    def __init__(self, width: float, residual_blocks: int, units: int) -> None:
        super().__init__()
        self.trunk = trunk(3 + units, width, residual_blocks)
        self.colour = nn.Conv2d(scaled(64, width), 3, 7, 1, 3, bias=False)
        self.mask = nn.Conv2d(scaled(64, width), 1, 7, 1, 3, bias=False)

    def forward(self, images: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(beside(images, units))
        return torch.tanh(self.colour(features)), torch.sigmoid(self.mask(features))


def mean_square(estimates: Tensor, wanted: Tensor) -> Tensor:
    return (estimates - wanted).square().mean()


def roughness(mask: Tensor) -> Tensor:
    across = (mask[:, :, :, 1:] - mask[:, :, :, :-1]).abs().mean()
    return across + (mask[:, :, 1:, :] - mask[:, :, :-1, :]).abs().mean()


class PlainGANimation(Method):
    Settings = GANimationSettings
    guides = frozenset({"R"})
    reference: ClassVar[Literal["image", "units"]] = "units"
    needs = frozenset({"units"})
    augmentation = Augmentation(flip=True)
    settings: GANimationSettings

    def __init__(self, settings: GANimationSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.generator = Generator(settings.width, settings.residual_blocks, shape.units)
        self.discriminator = Discriminator(settings.width, settings.discriminator_layers, shape.size, shape.units)

    def optimizers(self) -> Mapping[str, Optimizer]:
        s = self.settings
        return {
            "generator": plain_adam(self.generator, s.learning_rate, (s.beta1, s.beta2)),
            "discriminator": plain_adam(self.discriminator, s.learning_rate, (s.beta1, s.beta2)),
        }

    def edited(self, images: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        """The edit, and its mask: 1 copies."""
        colours, mask = self.generator(images, units)
        return mask * images + (1 - mask) * colours, mask

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        s = self.settings
        batch = faces.draw(s.batch_size)
        real, units = batch.images.contiguous(), batch.units / ACTION_UNIT_MAX  # channels first
        targets = draw_targets(faces, len(real), s.unit_noise)
        mix = torch.rand(len(real), 1, 1, 1, generator=faces.generator).to(real)

        fake, _ = self.edited(real, targets)
        fake = fake.detach()
        scores, estimates = self.discriminator(real)
        d_real = -scores.mean()
        d_units = mean_square(estimates, units)
        scores, _ = self.discriminator(fake)
        d_fake = scores.mean()
        objective = s.adversarial_weight * (d_real + d_fake) + s.unit_weight * d_units
        if s.penalty_update == "apart":
            update("discriminator", objective)
        d_penalty = gradient_penalty(self.discriminator, real, fake, mix)
        if s.penalty_update == "apart":
            update("discriminator", s.penalty_weight * d_penalty)
        else:
            update("discriminator", objective + s.penalty_weight * d_penalty)
        log = {
            "discriminator/real": d_real.detach(),
            "discriminator/fake": d_fake.detach(),
            "discriminator/units": d_units.detach(),
            "discriminator/penalty": d_penalty.detach(),
        }
        if (progress.iteration + 1) % s.discriminator_steps == 0:
            fake, mask = self.edited(real, targets)
            scores, estimates = self.discriminator(fake)
            g_fake = -scores.mean()
            g_units = mean_square(estimates, targets)
            back, mask_back = self.edited(fake, units)
            g_cycle = (back - real).abs().mean()
            g_attention = mask.mean() + mask_back.mean()
            g_smoothness = roughness(mask) + roughness(mask_back)
            update(
                "generator",
                s.adversarial_weight * g_fake
                + s.unit_weight * g_units
                + s.cycle_weight * g_cycle
                + s.attention_weight * g_attention
                + s.smoothness_weight * g_smoothness,
            )
            log["generator/fake"] = g_fake.detach()
            log["generator/units"] = g_units.detach()
            log["generator/cycle"] = g_cycle.detach()
            log["generator/attention"] = g_attention.detach()
            log["generator/smoothness"] = g_smoothness.detach()
            log["attention/mean"] = mask.detach().mean()
            log["attention/least"] = torch.stack([picture.min() for picture in mask.detach()]).mean()
        return log

    def edit(self, sources: Faces, target: Target) -> Tensor:
        assert target.units is not None
        return self.edited(sources.images, target.units / ACTION_UNIT_MAX)[0]
