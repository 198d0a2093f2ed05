"""GANimation as a method: its step, its schedule, its edits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from baselines.ganimation.losses import discriminator_losses, generator_losses, gradient_penalty
from baselines.ganimation.networks import Generator, animate, initialise, published_names
from baselines.ganimation.settings import CODE, GANimationSettings
from baselines.patchgan import Discriminator
from baselines.published_trunk import measure, running_statistics
from baselines.scaling import check_size
from baselines.schedules import falling
from benchmark.core.errors import UserError
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update, frozen
from benchmark.protocol import ACTION_UNIT_MAX, Guide, Knowledge
from benchmark.published import PublishedCheckpoint, PublishedNetwork

COPYING, REPLACING = 0.9, 0.02
"""Least attention of a picture above which it equals its source; mean attention below which nothing of it is kept.

The mean says nothing of copies: brows, eyes and mouth are a few percent of a picture, so it is 0.97 in trainings whose
edits are good.
"""


class GANimation(Method):
    """GANimation, guided by the action units of a reference.

    Every iteration updates the discriminator, every fifth the generator too.
    """

    Settings = GANimationSettings
    version: ClassVar[int] = 5
    training_only = frozenset({"discriminator"})
    guides: ClassVar[frozenset[Guide]] = frozenset({"R"})
    reference: ClassVar[Literal["image", "units"]] = "units"
    needs: ClassVar[frozenset[Knowledge]] = frozenset({"units"})
    augmentation = Augmentation(flip=True)
    settings: GANimationSettings

    def __init__(self, settings: GANimationSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        check_size(type(self).__name__, shape.size)
        self.generator = Generator(settings.width, settings.residual_blocks, shape.units)
        self.discriminator = Discriminator(settings.width, settings.discriminator_layers, shape.size, shape.units)
        for network in (self.generator, self.discriminator):
            initialise(network, settings)
        self.to(memory_format=torch.channels_last)  # the same function, faster on a CPU

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for either network."""
        settings = self.settings
        betas = (settings.beta1, settings.beta2)
        return {
            name: Adam(network.parameters(), settings.learning_rate, betas, fused=True)
            for name, network in self.named_children()
        }

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        """Update the discriminator, and in every `discriminator_steps`-th iteration the generator on the same faces."""
        settings = self.settings
        batch = faces.draw(settings.batch_size)
        images, units = batch.images, batch.units / ACTION_UNIT_MAX
        targets = draw_targets(faces, len(images), settings.unit_noise)
        mix = torch.rand(len(images), 1, 1, 1, generator=faces.generator).to(images)

        # The same edits for both networks: the discriminator's update does not change the generator.
        generating = (progress.iteration + 1) % settings.discriminator_steps == 0
        with torch.set_grad_enabled(generating):
            edit = animate(self.generator, images, targets)
        log = update_discriminator(self.discriminator, images, units, edit.image.detach(), mix, settings, update)

        if generating:
            with frozen(self.discriminator):
                back = animate(self.generator, edit.image, units)
                of_generator = generator_losses(self.discriminator, images, targets, edit, back)
                update("generator", of_generator.total(settings))
            log |= {f"generator/{name}": term.detach() for name, term in vars(of_generator).items()}
            attention = edit.attention.detach()
            log |= {"attention/mean": attention.mean(), "attention/least": attention.amin((1, 2, 3)).mean()}
        return log

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        """1, then linearly to 0."""
        return falling(progress, self.settings.flat_share)

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Report a saturated attention, the known way for it to fail."""
        if means.get("attention/least", 0.5) > COPYING:
            return [
                f"GANimation: the attention is saturated (above {COPYING} all over a picture), so edits are copies of "
                "their sources: check the action units, or raise attention_weight a little"
            ]
        if means.get("attention/mean", 0.5) < REPLACING:
            return [
                f"GANimation: the attention vanishes (mean below {REPLACING}), so nothing of the source is kept: "
                "lower attention_weight"
            ]
        return []

    def edit(self, sources: Faces, target: Target) -> Tensor:
        """Edit the sources to the target's action units; the reference's image and the seed are not used."""
        return animate(self.generator, sources.images, target_units(target)).image

    @classmethod
    def published_checkpoint(cls) -> PublishedCheckpoint:
        """A state dict for each network, in files of their own. The torch of that time gave the norms statistics."""
        return PublishedCheckpoint(
            CODE,
            "net_epoch_*_id_G.pth, with or without net_epoch_*_id_D.pth",
            (
                PublishedNetwork(
                    "generator", published_names, skipped=lambda network: running_statistics(published_names(network))
                ),
                PublishedNetwork("discriminator", published_names, optional=True),
            ),
            lambda shapes: measure(shapes, "units"),
        )


def target_units(target: Target) -> Tensor:
    """The target's action units, N x 17 on the scale of 0 to 1. Raises UserError if they are not known."""
    if target.units is None or bool(torch.isnan(target.units).any()):
        raise UserError("the method is guided by action units, and those of the reference are not known")
    return target.units / ACTION_UNIT_MAX


def draw_targets(faces: FaceSource, count: int, noise: float) -> Tensor:
    """Draw action units of random training images with uniform noise, count x 17 on the scale of 0 to 1, unclipped."""
    units = faces.draw_units(count) / ACTION_UNIT_MAX
    drawn = torch.rand(units.shape, generator=faces.generator).to(units)
    return units + noise * (2 * drawn - 1)


def update_discriminator(
    discriminator: Discriminator,
    images: Tensor,
    units: Tensor,
    fakes: Tensor,
    mix: Tensor,
    settings: GANimationSettings,
    update: Update,
) -> dict[str, Tensor]:
    """Update the discriminator once or, if the penalty has an update of its own, twice; return its losses, unweighted.

    The arguments are those of `discriminator_losses` and `gradient_penalty`.
    """
    losses = discriminator_losses(discriminator, images, units, fakes)
    if settings.penalty_update == "apart":
        update("discriminator", losses.total(settings))
    penalty = gradient_penalty(discriminator, images, fakes, mix)
    weighted = settings.penalty_weight * penalty
    update("discriminator", weighted if settings.penalty_update == "apart" else losses.total(settings) + weighted)
    return {f"discriminator/{name}": term.detach() for name, term in [*vars(losses).items(), ("penalty", penalty)]}
