"""MTSS as a method: its step, its edits, its switches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.hisd.batch import draw_labelled, draw_latents, draw_sources, draw_targets
from baselines.hisd.method import HiSD, target_style
from baselines.hisd.published_names import measure
from benchmark.interface import Faces, FaceSource, Progress, Target, Update, frozen
from benchmark.published import PublishedCheckpoint, PublishedNetwork
from models.mtss.generator import UNUSED, MTSSGenerator, published_names
from models.mtss.losses import discriminator_losses, generator_losses
from models.mtss.paths import Batch, edit_paths
from models.mtss.settings import CODE, MTSSSettings

SATURATED = 0.5
"""Mean |f'st| above which the tanh of the SDU passes hardly any gradient."""


class MTSS(HiSD):
    """MTSS, label-guided by a mapped style and reference-guided by an extracted one.

    With supervision, reference path and content switched off and the style shown to the discriminator it is HiSD.
    """

    Settings: ClassVar[type] = MTSSSettings
    version: ClassVar[int] = 5
    footnote: ClassVar[str] = (
        "MTSS: the networks are as published; the training step is reconstructed from the paper (docs/methods.md)."
    )
    settings: MTSSSettings
    generator: MTSSGenerator

    def _generator(self) -> MTSSGenerator:
        return MTSSGenerator(self.settings, self.shape)

    def draw(self, faces: FaceSource) -> Batch:
        """Draw sources, targets t1 and t2 (each another class than the source's), references of t1, latents for t2."""
        settings = self.settings
        sources = draw_sources(faces, settings.batch_size, settings.classes)
        labels = sources.labels
        mapped = draw_targets(labels, faces.classes, settings.classes, faces.generator)
        latent = draw_latents(len(mapped), settings.latent_dim, faces, like=sources.images)
        references = reference_labels = None
        if settings.reference_path:
            reference_labels = draw_targets(labels, faces.classes, settings.classes, faces.generator)
            references = faces.draw_labelled(reference_labels).images
        labelled = None
        if settings.classifier_batch_size and settings.supervision and settings.reference_path:
            labelled = draw_labelled(faces, settings.classifier_batch_size)
        return Batch(sources.images, labels, latent, mapped, references, reference_labels, labelled)

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        """Update the generator, then the discriminator on the same edits."""
        settings = self.settings
        batch = self.draw(faces)
        edits = edit_paths(self.generator, batch, settings.consistency_content)
        with frozen(self.discriminator):
            of_generator = generator_losses(self.generator, self.discriminator, batch, edits, settings)
        update("generator", of_generator.total(settings))
        of_discriminator = discriminator_losses(self.discriminator, batch, edits, settings)
        update("discriminator", of_discriminator.total(settings))

        terms = {f"generator/{name}": term for name, term in vars(of_generator).items() if term is not None}
        terms |= {f"discriminator/{name}": term for name, term in vars(of_discriminator).items()}
        if edits.parts is not None:
            terms["sdu/style_magnitude"] = edits.parts.style.abs().mean()
        return {name: term.detach() for name, term in terms.items()}

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Report styles that run away and a saturated SDU."""
        magnitude = means.get("sdu/style_magnitude", 0.0)
        if magnitude <= SATURATED:
            return super().warnings(means)
        return [
            *super().warnings(means),
            f"MTSS: the SDU is saturated (mean |f'st| above {SATURATED}): it separates nothing and hardly learns; "
            "keep sdu_initialisation at 'default' and lower learning_rate, or try another seed",
        ]

    def edit(self, sources: Faces, target: Target) -> Tensor:
        """Edit the sources: decode them, translated to the target style, with their own content."""
        generator, images = self.generator, sources.images
        style = target_style(generator, images, target, self.settings.latent_dim)
        f_s = generator.encoder.shallow(images)
        content = None
        if self.settings.content != "none":
            content = generator.content_of(f_s, generator.extractor.shallow(images)).joins
        edited: Tensor = generator.decoder(generator.translator(generator.encoder.deep(f_s), style), content)
        return edited

    @classmethod
    def published_checkpoint(cls) -> PublishedCheckpoint:
        """As HiSD's; the generator has parameters that nothing depends on."""
        return PublishedCheckpoint(
            CODE,
            "gen_*.pt, with or without dis_*.pt",
            (
                PublishedNetwork("generator", published_names, ("gen",), ("gen_test",), skipped=lambda _: UNUSED),
                PublishedNetwork("discriminator", published_names, ("dis",), optional=True),
            ),
            measure,
        )
