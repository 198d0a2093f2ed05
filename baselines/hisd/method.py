"""HiSD as a method: its optimisation and its edits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from baselines.hisd.batch import draw_latents, draw_sources, draw_targets
from baselines.hisd.losses import discriminator_losses, edit_paths, generator_losses
from baselines.hisd.networks import Discriminator, Generator
from baselines.hisd.published_names import measure, published_names
from baselines.hisd.settings import CODE, HiSDSettings
from baselines.scaling import check_size, scaled
from baselines.schedules import falling
from benchmark.interface import (
    Augmentation,
    Faces,
    FaceSource,
    Method,
    Progress,
    Shape,
    Target,
    Update,
    frozen,
    latents,
)
from benchmark.protocol import Guide
from benchmark.published import PublishedCheckpoint, PublishedNetwork

RUNAWAY = 100.0
"""Mean |E(x_trg) - s_trg| that only styles grown out of all proportion have; at the published start it is about 15."""


class HiSD(Method):
    """HiSD: label-guided by a mapped style, reference-guided by an extracted one, trained on the label-guided path."""

    Settings: ClassVar[type] = HiSDSettings
    version: ClassVar[int] = 4
    training_only = frozenset({"discriminator"})
    guides: ClassVar[frozenset[Guide]] = frozenset({"T", "R"})
    settings: HiSDSettings
    generator: Generator

    def __init__(self, settings: HiSDSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        check_size(type(self).__name__, shape.size)
        jitter = settings.colour_jitter
        self.augmentation = Augmentation(True, brightness=jitter, contrast=jitter, saturation=jitter, hue=jitter)
        self.generator = self._generator()
        self.generator.initialise(settings)
        self.discriminator = Discriminator(
            settings.width, shape.size, scaled(settings.style_dim, settings.width), shape.classes
        )
        self.discriminator.initialise(settings)
        self.to(memory_format=torch.channels_last)  # the same function in three quarters of the time on a CPU

    def _generator(self) -> Generator:
        return Generator(self.settings, self.shape)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for either network; the mapper is a group of its own, with its own learning rate."""
        settings = self.settings
        betas = (settings.beta1, settings.beta2)
        mapper = list(self.generator.mapper.parameters())
        in_mapper = {id(parameter) for parameter in mapper}
        others = [parameter for parameter in self.generator.parameters() if id(parameter) not in in_mapper]
        groups: list[dict[str, Any]] = [{"params": others}, {"params": mapper, "lr": settings.mapper_learning_rate}]
        return {
            "generator": Adam(groups, settings.learning_rate, betas, fused=True),
            "discriminator": Adam(self.discriminator.parameters(), settings.learning_rate, betas, fused=True),
        }

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        """Update the generator, then the discriminator on the same edits."""
        settings = self.settings
        sources = draw_sources(faces, settings.batch_size, settings.classes)
        targets = draw_targets(sources.labels, faces.classes, settings.classes, faces.generator)
        latent = draw_latents(len(targets), settings.latent_dim, faces, like=sources.images)

        style_seen = settings.style_in_discriminator
        edits = edit_paths(self.generator, sources.images, latent, targets)
        with frozen(self.discriminator):
            of_generator = generator_losses(self.discriminator, edits, sources, targets, style_seen)
        update("generator", of_generator.total(settings))
        # As published, the discriminator is updated on edits from before the generator's update.
        of_discriminator = discriminator_losses(self.discriminator, edits, sources, targets, style_seen)
        update("discriminator", of_discriminator.total(settings))
        terms = {f"generator/{name}": term for name, term in vars(of_generator).items()}
        terms |= {f"discriminator/{name}": term for name, term in vars(of_discriminator).items()}
        return {name: term.detach() for name, term in terms.items()}

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        """1, then linearly to 0 if the settings say so."""
        return falling(progress, self.settings.flat_share)

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Report styles that run away: a discriminator that sees them rewards the generator for growing them."""
        if means.get("generator/style", 0.0) <= RUNAWAY:
            return []
        name = type(self).__name__
        return [
            f"{name}: the styles run away (style loss above {RUNAWAY:g}); "
            "switch style_in_discriminator off, or take the published learning rates and initialisation"
        ]

    def edit(self, sources: Faces, target: Target) -> Tensor:
        """Edit the sources: decode them, translated to the target style."""
        generator = self.generator
        style = target_style(generator, sources.images, target, self.settings.latent_dim)
        edited: Tensor = generator.decoder(generator.translator(generator.encoder(sources.images), style))
        return edited

    def averaged(self) -> Mapping[str, nn.Module]:
        """The generator, mapper and extractor included."""
        return {"generator": self.generator}

    @property
    def average_decay(self) -> float:
        """As the settings say."""
        return self.settings.average

    @property
    def clip_norm(self) -> float | None:
        """As the settings say."""
        return self.settings.clip

    @classmethod
    def published_checkpoint(cls) -> PublishedCheckpoint:
        """The generator and its average in one file, the discriminator in another."""
        return PublishedCheckpoint(
            CODE,
            "gen_*.pt, with or without dis_*.pt",
            (
                PublishedNetwork("generator", published_names, ("gen",), ("gen_test",)),
                PublishedNetwork("discriminator", published_names, ("dis",), optional=True),
            ),
            measure,
        )


def target_style(generator: Generator, sources: Tensor, target: Target, latent_dim: int) -> Tensor:
    """The style of an edit, N x style: extracted from the references, or mapped from labels and each pair's latent."""
    if target.guide == "R":
        if target.references is None:
            raise ValueError("a reference-guided edit needs references")
        style: Tensor = generator.extractor(target.references)
    else:
        style = generator.mapper(latents(target.seeds, latent_dim, like=sources), target.labels)
    return style
