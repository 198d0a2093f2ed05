"""Cascade EF-GAN as a method: its two phases, its optimisation and its edits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from baselines.efgan.crops import REGIONS, Window, crop_size, windows
from baselines.efgan.losses import generator_losses, judged_images
from baselines.efgan.networks import BRANCHES, Cascade, Edit
from baselines.efgan.settings import EFGANSettings
from baselines.ganimation.method import draw_targets, target_units, update_discriminator
from baselines.ganimation.networks import initialise
from baselines.patchgan import Discriminator
from baselines.scaling import check_size
from baselines.schedules import falling
from benchmark.core.errors import UserError
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update, frozen
from benchmark.protocol import ACTION_UNIT_MAX, KNOWLEDGE, Guide, Knowledge, Subset

COPYING, REPLACING = 0.1, 0.95
"""Greatest attention of a picture below which it equals its source; mean attention above which nothing of it is kept.

The mean says nothing of copies: what changes is a few percent of a picture.
"""


class EFGAN(Method):
    """Cascade EF-GAN, guided by the action units of a reference.

    First the first stage is trained alone, from source to target. Then it is copied into all stages, and these are
    trained together, each on its share of the way.

    Every iteration updates the discriminator, which all stages share, every fifth the generator too.
    """

    Settings: ClassVar[type] = EFGANSettings
    version: ClassVar[int] = 5
    training_only = frozenset({"discriminator"})
    guides: ClassVar[frozenset[Guide]] = frozenset({"R"})
    reference: ClassVar[Literal["image", "units"]] = "units"
    needs: ClassVar[frozenset[Knowledge]] = frozenset({"units", "landmarks"})
    source_needs: ClassVar[frozenset[Knowledge]] = needs
    subsets: ClassVar[frozenset[Subset]] = frozenset({"F"})
    augmentation = Augmentation(flip=True)
    footnote = "EF-GAN is a reconstruction: no code was ever published (docs/methods.md says what is known)."
    settings: EFGANSettings

    def __init__(self, settings: EFGANSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        check_size(type(self).__name__, shape.size)
        if settings.stages < 1:
            raise UserError(f"EFGAN: stages must be at least 1, not {settings.stages}")
        if not 0 <= settings.first_stage_share < 1:
            raise UserError(
                f"EFGAN: first_stage_share must be at least 0 and below 1, not {settings.first_stage_share}"
            )
        self.crop_sizes = [crop_size(settings, region, shape.size) for region in REGIONS]
        self.generator = Cascade(settings, shape.units)
        self.discriminator = Discriminator(settings.width, settings.discriminator_layers, shape.size, shape.units)
        for network in (self.generator, self.discriminator):
            initialise(network, settings)
        self.to(memory_format=torch.channels_last)  # the same function, faster on a CPU

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for the first stage, the whole cascade, whose state thus starts empty, and the discriminator."""
        settings = self.settings
        networks = {
            "generator": self.generator.stages[0],
            "cascade": self.generator,
            "discriminator": self.discriminator,
        }
        betas = (settings.beta1, settings.beta2)
        return {
            name: Adam(network.parameters(), settings.learning_rate, betas, fused=True)
            for name, network in networks.items()
        }

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        """Update the discriminator on the edits of all trained stages, and at times the generator on the same.

        The generator is updated in every `discriminator_steps`-th iteration.
        """
        settings, switch = self.settings, self.switch(progress.iterations)
        if progress.iteration == switch:
            self.generator.spread()
        stages = 1 if progress.iteration < switch else settings.stages
        batch = faces.draw(settings.batch_size)
        images, units = batch.images, batch.units / ACTION_UNIT_MAX
        where = self._windows(batch)
        targets = draw_targets(faces, len(images), settings.unit_noise)
        generating = (progress.iteration + 1) % settings.discriminator_steps == 0

        with torch.set_grad_enabled(generating):
            edits: list[Edit] = self.generator(images, units, targets, where, stages)
        fakes = torch.cat(judged_images(edits, settings)).detach()
        mix = torch.rand(len(fakes), 1, 1, 1, generator=faces.generator).to(images)
        # All of them are held against the same real faces.
        log = update_discriminator(self.discriminator, images, units, fakes, mix, settings, update)

        if generating:
            with frozen(self.discriminator):
                back: list[Edit] = self.generator(edits[-1].image, targets, units, where, stages)
                losses = generator_losses(self.discriminator, images, units, targets, edits, back, settings)
                update("generator" if progress.iteration < switch else "cascade", losses.objective(settings))
            log |= {f"generator/{name}": term.detach() for name, term in vars(losses).items()}
            log |= attention_log(edits)
        return log

    def switch(self, iterations: int) -> int:
        """The iteration at which the cascade begins; without a cascade, the end."""
        if self.settings.stages == 1:
            return iterations
        return min(round(iterations * self.settings.first_stage_share), iterations - 1)

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        """1, then linearly to 0, in each phase or over both."""
        switch = self.switch(progress.iterations)
        if self.settings.decay == "per-phase":
            begun, end = (0, switch) if progress.iteration < switch else (switch, progress.iterations)
            progress = Progress(progress.iteration - begun, end - begun)
        return falling(progress, self.settings.flat_share)

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Report a saturated attention, the known way for it to fail."""
        messages = []
        if max(means.get(f"greatest_attention/{name}", 1.0) for name in BRANCHES) < COPYING:
            messages.append(
                f"EF-GAN: the attention of all branches vanishes (below {COPYING} all over a picture), so edits are "
                "copies of their sources: check the action units, or lower attention_weight"
            )
        return messages + [
            f"EF-GAN: the attention of the {name} branch is saturated (mean above {REPLACING}), so nothing of the "
            "source is kept there: raise attention_weight a little"
            for name in BRANCHES
            if means.get(f"attention/{name}", 0.5) > REPLACING
        ]

    def edit(self, sources: Faces, target: Target) -> Tensor:
        """Edit the sources by the cascade, from their own action units to the target's.

        Raises UserError if the action units or the landmarks of a source are not known.
        """
        for known, annotation in ((sources.units, KNOWLEDGE["units"]), (sources.landmarks, KNOWLEDGE["landmarks"])):
            unknown = int((~torch.isfinite(known).flatten(1).all(1)).sum())
            if unknown:
                raise UserError(
                    f"EF-GAN needs the {annotation} of every face it edits, and {unknown} of {len(known)} have none"
                )
        edits: list[Edit] = self.generator(
            sources.images, sources.units / ACTION_UNIT_MAX, target_units(target), self._windows(sources)
        )
        return edits[-1].image

    def _windows(self, faces: Faces) -> tuple[Window, ...]:
        return windows(faces.landmarks, self.crop_sizes, self.shape.size)


def attention_log(edits: list[Edit]) -> dict[str, Tensor]:
    """Return the mean attention of every branch, and the greatest of a picture; means over stages and faces."""
    log = {}
    by_branch = zip(*(edit.initial.attention for edit in edits), strict=True)
    for name, masks in zip(BRANCHES, by_branch, strict=True):
        mask = torch.cat(masks).detach()
        log[f"attention/{name}"] = mask.mean()
        log[f"greatest_attention/{name}"] = mask.amax((1, 2, 3)).mean()
    return log
