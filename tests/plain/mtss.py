"""MTSS as the paper and its published networks say it: the oracle of the fast step, and the measure of its speed.

The blocks, the discriminator and the drawing are HiSD's; the paths are run one by one, in the paper's symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from baselines.hisd.batch import draw_labelled, draw_latents, draw_sources, draw_targets
from baselines.scaling import scaled
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update, latents
from models.mtss.settings import MTSSSettings
from tests.plain.hisd import (
    ENCODER,
    Discriminator,
    Generator,
    hinge_fake,
    hinge_real,
    l1,
    planar,
    squared_gradient,
    two_adams,
)


class SDU(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.project_s = nn.Conv2d(channels, inner, 1, bias=False)
        self.project_r = nn.Conv2d(channels, inner, 1, bias=False)
        self.encoder = three(inner, inner // 2, inner // 4, inner // 8)
        self.decoder = three(inner // 8, inner // 4, inner // 2, inner)
        self.restore = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, f_s: Tensor, f_r: Tensor) -> tuple[Tensor, Tensor]:
        """f'st and f'co."""
        hat_s = self.encoder(self.project_s(f_s))
        hat_r = self.encoder(self.project_r(f_r.detach()))
        self.decoder(hat_r)  # the published code decodes this, too, and uses it for nothing
        count, channels, height, width = hat_s.shape
        r = hat_r.reshape(count, channels, height * width)
        covariance = torch.bmm(r, r.permute(0, 2, 1)) / (height * width)
        shared = torch.bmm(covariance, hat_s.reshape(count, channels, height * width))
        style = torch.tanh(self.restore(self.decoder(shared.reshape(count, channels, height, width))))
        return style, f_s - style


def three(first: int, second: int, third: int, last: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(first, second, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(second, third, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(third, last, 3, 1, 1),
    )


class Classifier(nn.Module):
    def __init__(self, style: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(style, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, style: Tensor) -> Tensor:
        logits: Tensor = self.head(F.relu(self.hidden(style)))
        return logits


class MTSSGenerator(Generator):
    def __init__(self, settings: MTSSSettings, shape: Shape) -> None:
        early, style = scaled(ENCODER[1], settings.width), scaled(settings.style_dim, settings.width)
        super().__init__(settings, shape, content=0 if settings.content == "none" else early)
        self.kind = settings.content
        if settings.content == "disentangled":
            self.sdu = SDU(early, scaled(settings.sdu_channels, settings.width))
        if settings.supervision:
            self.classifier = Classifier(style, scaled(settings.classifier_hidden, settings.width), shape.classes)

    def read(self, images: Tensor) -> Read:
        """Encoder and extractor, each once."""
        f_s, f_r = self.encoder.feature(images), self.extractor.feature(images)
        return Read(f_s, f_r, self.encoder.rest(f_s), self.extractor.rest(f_r))

    def content(self, read: Read) -> Content:
        """What joins in the decoder."""
        if self.kind == "none":
            return Content(None, None)
        if self.kind == "skip":
            return Content(read.f_s, None)
        style, content = self.sdu(read.f_s, read.f_r)
        return Content(content, style)


@dataclass(frozen=True)
class Read:
    """What encoder and extractor see in images: their features after the first halving, the code, the style."""

    f_s: Tensor
    f_r: Tensor
    encoded: Tensor
    style: Tensor


@dataclass(frozen=True)
class Content:
    """f'co (or f_s, or nothing) and f'st (or nothing)."""

    joins: Tensor | None
    style: Tensor | None


@dataclass(frozen=True)
class Made:
    """An edit with what it was made of, the style and its class, and what the networks see in it."""

    image: Tensor
    style: Tensor
    labels: Tensor
    read: Read


class PlainMTSS(Method):
    """One network pass per path and per loss term; both networks' parameters take gradients throughout."""

    Settings = MTSSSettings
    guides = frozenset({"T", "R"})
    augmentation = Augmentation(flip=True, brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1)
    settings: MTSSSettings

    def __init__(self, settings: MTSSSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.generator = MTSSGenerator(settings, shape)
        self.discriminator = Discriminator(settings, shape)

    def optimizers(self) -> Mapping[str, Optimizer]:
        return two_adams(self, self.settings)

    def averaged(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator}

    @property
    def average_decay(self) -> float:
        return self.settings.average

    @property
    def clip_norm(self) -> float | None:
        return self.settings.clip

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        settings, generator = self.settings, self.generator
        sources = planar(draw_sources(faces, settings.batch_size, settings.classes))
        x, labels = sources.images, sources.labels
        mapped_labels = draw_targets(labels, faces.classes, settings.classes, faces.generator)
        latent = draw_latents(len(mapped_labels), settings.latent_dim, faces, like=x)

        # The source as it is, and in its own style.
        source = generator.read(x)
        content = generator.content(source)
        reconstructed = generator.decoder(source.encoded, content.joins)
        self_translated = self.synthesised(source, source.style, content)
        # x~t2 by a mapped style, and back.
        mapped = self.edited(source, generator.mapper(latent, mapped_labels), mapped_labels, content)
        cycled = self.synthesised(mapped.read, source.style, generator.content(mapped.read))
        losses = {
            "cycle": l1(reconstructed, x) + l1(self_translated, x) + l1(cycled, x),
            "style": l1(mapped.read.style, mapped.style),
        }
        fakes = [mapped]
        if settings.reference_path:
            # x~t1 by the style of a reference, and from it to x~t2.
            reference_labels = draw_targets(labels, faces.classes, settings.classes, faces.generator)
            references = faces.draw_labelled(reference_labels).images.contiguous()
            reference = self.edited(source, generator.extractor(references), reference_labels, content)
            fakes.append(reference)
            reused = content if settings.consistency_content == "source" else generator.content(reference.read)
            losses["consistency"] = l1(self.synthesised(reference.read, mapped.style, reused), mapped.image)
            losses["style"] = losses["style"] + l1(reference.read.style, reference.style.detach())
        if settings.supervision:
            losses["mapped_class"] = self.class_loss(mapped.style, mapped_labels)
            if settings.reference_path:
                losses["reference_class"] = self.class_loss(reference.style, reference_labels)
                if (more := settings.classifier_batch_size) > 0:
                    labelled = planar(draw_labelled(faces, more))
                    of_labelled = self.class_loss(generator.extractor(labelled.images), labelled.labels)
                    total = len(references) * losses["reference_class"] + more * of_labelled
                    losses["reference_class"] = total / (len(references) + more)
            if content.style is not None:
                losses["feature_class"] = self.class_loss(generator.extractor.rest(content.style), labels)
        if content.style is not None and content.joins is not None:
            losses["orthogonality"] = self.orthogonality(content.joins * content.style)

        real, fake = self.adversarial(x, labels, source.style, fakes, cycled)
        self.update_generator(update, losses, real + fake)
        # Where D sees no style, its score of a real image is a constant that says nothing of the generator.
        losses["adversarial"] = real + fake if settings.style_in_discriminator else fake

        judged = self.judgement(x, labels, source.style, fakes, cycled)
        update("discriminator", judged["real"] + judged["fake"] + settings.penalty_weight * judged["penalty"])
        taken = {f"generator/{name}": value for name, value in losses.items()}
        taken |= {f"discriminator/{name}": value for name, value in judged.items()}
        if content.style is not None:
            taken["sdu/style_magnitude"] = content.style.abs().mean()
        return {name: value.detach() for name, value in taken.items()}

    def update_generator(self, update: Update, losses: Mapping[str, Tensor], adversarial: Tensor) -> None:
        """Eq. (7), with the cross entropies and the consistency's own weight."""
        settings = self.settings
        weights = {
            "cycle": settings.reconstruction_weight,
            "style": settings.style_weight,
            "consistency": settings.reconstruction_weight * settings.consistency_weight,
            "mapped_class": settings.classification_weight,
            "reference_class": settings.classification_weight,
            "feature_class": settings.classification_weight,
            "orthogonality": settings.orthogonality_weight,
        }
        total = settings.adversarial_weight * adversarial
        for name, value in losses.items():
            total = total + weights[name] * value
        update("generator", total)

    def synthesised(self, read: Read, style: Tensor, content: Content) -> Tensor:
        """G(x, style, content)."""
        edited: Tensor = self.generator.decoder(self.generator.translator(read.encoded, style), content.joins)
        return edited

    def edited(self, read: Read, style: Tensor, labels: Tensor, content: Content) -> Made:
        image = self.synthesised(read, style, content)
        return Made(image, style, labels, self.generator.read(image))

    def class_loss(self, style: Tensor, labels: Tensor) -> Tensor:
        """Eq. (1)."""
        return F.nll_loss(F.log_softmax(self.generator.classifier(style), 1), labels)

    def orthogonality(self, product: Tensor) -> Tensor:
        """Eq. (4): the mean over images of what is summed of the product."""
        size = product.abs()
        if self.settings.orthogonality == "mean":
            return size.mean()
        if self.settings.orthogonality == "sum":
            return size.sum((1, 2, 3)).mean()
        return size.sum(1).mean((1, 2)).mean()

    def shown(self, style: Tensor) -> Tensor | None:
        return style if self.settings.style_in_discriminator else None

    def adversarial(
        self, x: Tensor, labels: Tensor, style: Tensor, fakes: list[Made], cycled: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Eq. (5), the generator's terms on real and on made-up images."""
        first, second = self.discriminator(x, self.shown(style), labels)
        scores = [self.discriminator(fake.image, self.shown(fake.style.detach()), fake.labels)[0] for fake in fakes]
        scores.append(self.discriminator(cycled, self.shown(style.detach()), labels)[1])
        terms = [-s.mean() if self.settings.adversarial == "hinge" else F.softplus(-s).mean() for s in scores]
        return first.mean() + second.mean(), torch.stack(terms).sum()

    def judgement(
        self, x: Tensor, labels: Tensor, style: Tensor, fakes: list[Made], cycled: Tensor
    ) -> dict[str, Tensor]:
        """Eq. (5), the discriminator's terms."""
        images = x.detach().requires_grad_()
        first, second = self.discriminator(images, self.shown(style.detach()), labels)
        scores = [
            self.discriminator(fake.image.detach(), self.shown(fake.style.detach()), fake.labels)[0] for fake in fakes
        ]
        scores.append(self.discriminator(cycled.detach(), self.shown(style.detach()), labels)[1])
        penalty = squared_gradient(first, images) + squared_gradient(second, images)
        if self.settings.adversarial == "hinge":
            real = hinge_real(first) + hinge_real(second)
            fake = torch.stack([hinge_fake(score) for score in scores]).sum()
        else:
            real = F.softplus(-first).mean() + F.softplus(-second).mean()
            fake = torch.stack([F.softplus(score).mean() for score in scores]).sum()
        return {"real": real, "fake": fake, "penalty": penalty}

    def edit(self, sources: Faces, target: Target) -> Tensor:
        generator = self.generator
        if target.guide == "R":
            assert target.references is not None
            style = generator.extractor(target.references)
        else:
            style = generator.mapper(latents(target.seeds, self.settings.latent_dim, sources.images), target.labels)
        read = generator.read(sources.images)
        return self.synthesised(read, style, generator.content(read))
