"""HiSD in its published formulation: the oracle of the fast step, and what its speed is measured against.

Written from the paper and from what is known of the published code, path by path and term by term. Of the fast method
it has the settings, the draws and the parameters' names, and none of the computations. Weights come from the fast
method (`tests.plain.compare.same_weights`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from baselines.hisd.batch import Sources, draw_latents, draw_sources, draw_targets
from baselines.hisd.settings import HiSDSettings
from baselines.scaling import scaled
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update, latents

ENCODER = (64, 128, 256)
TRUNK = (64, 128, 256, 512, 1024, 2048)


def normalised(x: Tensor) -> Tensor:
    """Mean 0 and unbiased deviation 1 per image and channel; epsilon is added to the deviation."""
    mean = x.mean((2, 3), keepdim=True)
    deviation = x.std((2, 3), unbiased=True, keepdim=True)
    return (x - mean) / (deviation + 1e-5)


class InstanceNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return normalised(x) * self.weight[None, :, None, None] + self.bias[None, :, None, None]


class Down(nn.Module):
    def __init__(self, inputs: int, outputs: int, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.norm1 = InstanceNorm(inputs) if norm else nn.Identity()
        self.norm2 = InstanceNorm(inputs) if norm else nn.Identity()
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.avg_pool2d(self.conv1(F.leaky_relu(self.norm1(x), 0.2)), 2)
        hidden = self.conv2(F.leaky_relu(self.norm2(hidden), 0.2))
        return (hidden + F.avg_pool2d(self.skip(x), 2)) / math.sqrt(2)


class Up(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1 = InstanceNorm(inputs)
        self.norm2 = InstanceNorm(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.leaky_relu(self.norm1(x), 0.2)
        hidden = self.conv1(F.interpolate(hidden, scale_factor=2, mode="nearest"))
        hidden = self.conv2(F.leaky_relu(self.norm2(hidden), 0.2))
        skip = self.skip(F.interpolate(x, scale_factor=2, mode="nearest"))
        return (hidden + skip) / math.sqrt(2)


class Middle(nn.Module):
    """AdaIN. Predicted are bias and weight of the first norm, then of the second; 1 is added to the weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.skip = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, predicted: Tensor) -> Tensor:
        bias1, weight1, bias2, weight2 = predicted[:, :, None, None].chunk(4, 1)
        hidden = self.conv1(F.leaky_relu(normalised(x) * (weight1 + 1) + bias1, 0.2))
        hidden = self.conv2(F.leaky_relu(normalised(hidden) * (weight2 + 1) + bias2, 0.2))
        return (hidden + self.skip(x)) / math.sqrt(2)


class Trunk(nn.Module):
    """Encoder, and body of extractor and discriminator."""

    def __init__(self, channels: list[int], norm: bool, style: int | None = None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 1)
        self.blocks = nn.ModuleList(Down(a, b, norm) for a, b in itertools.pairwise(channels))
        if style is not None:
            self.head = nn.Linear(channels[-1], style)

    def feature(self, images: Tensor) -> Tensor:
        """After the first halving: MTSS's f_s and f_r."""
        feature: Tensor = self.blocks[0](self.stem(images))
        return feature

    def rest(self, feature: Tensor) -> Tensor:
        for block in self.blocks[1:]:
            feature = block(feature)
        return self.head(F.adaptive_avg_pool2d(feature, 1).flatten(1)) if hasattr(self, "head") else feature

    def forward(self, images: Tensor) -> Tensor:
        return self.rest(self.feature(images))


class Mapper(nn.Module):
    """Shared layers and, for each class, a head of three layers; a head that is not called has no gradient."""

    def __init__(self, latent: int, hidden: int, style: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Linear(latent, hidden)
        self.shared = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2))
        self.heads = nn.ModuleList(
            nn.ModuleList(nn.Linear(hidden, outputs) for outputs in (hidden, hidden, style)) for _ in range(classes)
        )

    def of_class(self, latent: Tensor, label: int) -> Tensor:
        hidden = self.stem(latent)
        for layer in self.shared:
            hidden = layer(F.relu(hidden))
        one, two, three = list(self.heads)[label]  # type: ignore[misc]
        style: Tensor = three(two(F.relu(one(F.relu(hidden)))))
        return style

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Class by class; as published, all latents of a batch that has one class go through its head at once."""
        styles = {label: self.of_class(latent[labels == label], label) for label in sorted(set(labels.tolist()))}
        used = dict.fromkeys(styles, 0)
        rows = []
        for label in labels.tolist():
            rows.append(styles[label][used[label]])
            used[label] += 1
        return torch.stack(rows)


class Translator(nn.Module):
    def __init__(self, outer: int, inner: int, style: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(outer, inner, 1)
        self.blocks = nn.ModuleList(Middle(inner) for _ in range(blocks))
        self.projection = nn.Linear(style, blocks * 4 * inner)
        self.feature = nn.Conv2d(inner, outer, 1)
        self.mask = nn.Conv2d(inner, outer, 1)

    def forward(self, encoded: Tensor, style: Tensor) -> Tensor:
        hidden = self.stem(encoded)
        for block, predicted in zip(self.blocks, self.projection(style).chunk(len(self.blocks), 1), strict=True):
            hidden = block(hidden, predicted)
        feature, mask = self.feature(hidden), torch.sigmoid(self.mask(hidden))
        return feature * mask + encoded * (1 - mask)


class Decoder(nn.Module):
    def __init__(self, channels: list[int], content: int) -> None:
        super().__init__()
        wide, middle, narrow = channels
        self.blocks = nn.ModuleList([Up(wide, middle), Up(middle + content, narrow)])
        self.head = nn.Conv2d(narrow, 3, 1)

    def forward(self, encoded: Tensor, content: Tensor | None = None) -> Tensor:
        hidden = self.blocks[0](encoded)
        if content is not None:
            hidden = torch.cat([hidden, content], 1)
        images: Tensor = self.head(self.blocks[1](hidden))
        return images


class Generator(nn.Module):
    def __init__(self, settings: HiSDSettings, shape: Shape, content: int = 0) -> None:
        super().__init__()
        width = settings.width
        style = scaled(settings.style_dim, width)
        encoder = [scaled(channels, width) for channels in ENCODER]
        self.encoder = Trunk(encoder, norm=True)
        self.extractor = Trunk(trunk(width, shape.size), norm=False, style=style)
        self.mapper = Mapper(settings.latent_dim, style, style, shape.classes)
        self.translator = Translator(encoder[2], encoder[0], style, settings.translator_blocks)
        self.decoder = Decoder(encoder[::-1], content)


class Discriminator(nn.Module):
    """Two heads of one score per class, of the pooled features, the style (or zeros) and one condition (zero)."""

    def __init__(self, settings: HiSDSettings, shape: Shape) -> None:
        super().__init__()
        channels = trunk(settings.width, shape.size)
        self.trunk = Trunk(channels, norm=False)
        self.style = scaled(settings.style_dim, settings.width)
        self.head = nn.Linear(channels[-1] + self.style + 1, 2 * shape.classes)

    def forward(self, images: Tensor, style: Tensor | None, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Both heads' scores (N each) of the images' own classes (labels: N)."""
        features = F.adaptive_avg_pool2d(self.trunk(images), 1).flatten(1)
        seen = features.new_zeros(len(features), self.style) if style is None else style
        scores = self.head(torch.cat([features, seen, features.new_zeros(len(features), 1)], 1))
        first, second = scores.chunk(2, 1)
        return first.gather(1, labels[:, None])[:, 0], second.gather(1, labels[:, None])[:, 0]


def trunk(width: float, size: int) -> list[int]:
    """Five halvings, and no more than the image has."""
    return [scaled(channels, width) for channels in TRUNK[: int(math.log2(size)) + 1]]


def l1(ours: Tensor, wanted: Tensor) -> Tensor:
    return (ours - wanted).abs().mean()


def hinge_real(scores: Tensor) -> Tensor:
    return F.relu(1 - scores).mean()


def hinge_fake(scores: Tensor) -> Tensor:
    return F.relu(1 + scores).mean()


def squared_gradient(scores: Tensor, images: Tensor) -> Tensor:
    """R1, without a factor of 1/2."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.pow(2).reshape(len(images), -1).sum(1).mean()


def two_adams(method: Method, settings: HiSDSettings) -> dict[str, Optimizer]:
    """Adam for either network, the mapper's parameters as a group of their own."""
    generator, discriminator = method.generator, method.discriminator
    assert isinstance(generator, nn.Module)
    assert isinstance(discriminator, nn.Module)
    named = list(generator.named_parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in named if not name.startswith("mapper.")]},
        {"params": [p for name, p in named if name.startswith("mapper.")], "lr": settings.mapper_learning_rate},
    ]
    betas = (settings.beta1, settings.beta2)
    return {
        "generator": Adam(groups, settings.learning_rate, betas, foreach=False, fused=False),
        "discriminator": Adam(discriminator.parameters(), settings.learning_rate, betas, foreach=False, fused=False),
    }


@dataclass(frozen=True)
class Edits:
    reconstructed: Tensor
    self_translated: Tensor
    translated: Tensor
    cycled: Tensor
    style: Tensor
    target_style: Tensor
    recovered_style: Tensor


def planar(sources: Sources) -> Sources:
    """In torch's usual order of memory, as published loaders give them and as all that follows then is."""
    return Sources(sources.images.contiguous(), sources.labels)


class PlainHiSD(Method):
    """One network pass per path and per loss term; both networks' parameters take gradients throughout."""

    Settings = HiSDSettings
    guides = frozenset({"T", "R"})
    augmentation = Augmentation(flip=True, brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1)
    settings: HiSDSettings

    def __init__(self, settings: HiSDSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.generator = Generator(settings, shape)
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
        settings = self.settings
        sources = planar(draw_sources(faces, settings.batch_size, settings.classes))
        targets = draw_targets(sources.labels, faces.classes, settings.classes, faces.generator)
        latent = draw_latents(len(targets), settings.latent_dim, faces, like=sources.images)

        edits = self.paths(sources.images, latent, targets)
        real, fake = self.adversarial(sources, targets, edits)
        style = l1(edits.recovered_style, edits.target_style)
        reconstruction = (
            l1(edits.reconstructed, sources.images)
            + l1(edits.self_translated, sources.images)
            + l1(edits.cycled, sources.images)
        )
        update(
            "generator",
            settings.adversarial_weight * (real + fake)
            + settings.style_weight * style
            + settings.reconstruction_weight * reconstruction,
        )
        of_real, of_fake, penalty = self.judgement(sources, targets, edits)
        update("discriminator", of_real + of_fake + settings.penalty_weight * penalty)
        losses = {
            # Where D sees no style, its score of a real image is a constant that says nothing of the generator.
            "generator/adversarial": real + fake if settings.style_in_discriminator else fake,
            "generator/style": style,
            "generator/reconstruction": reconstruction,
            "discriminator/real": of_real,
            "discriminator/fake": of_fake,
            "discriminator/penalty": penalty,
        }
        return {name: value.detach() for name, value in losses.items()}

    def paths(self, images: Tensor, latent: Tensor, targets: Tensor) -> Edits:
        generator = self.generator
        encoded = generator.encoder(images)
        reconstructed = generator.decoder(encoded)
        style = generator.extractor(images)
        self_translated = generator.decoder(generator.translator(encoded, style))
        target_style = generator.mapper(latent, targets)
        translated = generator.decoder(generator.translator(encoded, target_style))
        recovered_style = generator.extractor(translated)
        cycled = generator.decoder(generator.translator(generator.encoder(translated), style))
        return Edits(reconstructed, self_translated, translated, cycled, style, target_style, recovered_style)

    def shown(self, style: Tensor) -> Tensor | None:
        return style if self.settings.style_in_discriminator else None

    def adversarial(self, sources: Sources, targets: Tensor, edits: Edits) -> tuple[Tensor, Tensor]:
        """The generator's terms on real and on made-up images."""
        first, second = self.discriminator(sources.images, self.shown(edits.style), sources.labels)
        translated, _ = self.discriminator(edits.translated, self.shown(edits.target_style.detach()), targets)
        _, cycled = self.discriminator(edits.cycled, self.shown(edits.style.detach()), sources.labels)
        return first.mean() + second.mean(), -translated.mean() - cycled.mean()

    def judgement(self, sources: Sources, targets: Tensor, edits: Edits) -> tuple[Tensor, Tensor, Tensor]:
        """The discriminator's terms: real, made-up, R1."""
        images = sources.images.detach().requires_grad_()
        style, target_style = self.shown(edits.style.detach()), self.shown(edits.target_style.detach())
        first, second = self.discriminator(images, style, sources.labels)
        translated, _ = self.discriminator(edits.translated.detach(), target_style, targets)
        _, cycled = self.discriminator(edits.cycled.detach(), style, sources.labels)
        return (
            hinge_real(first) + hinge_real(second),
            hinge_fake(translated) + hinge_fake(cycled),
            squared_gradient(first, images) + squared_gradient(second, images),
        )

    def edit(self, sources: Faces, target: Target) -> Tensor:
        generator = self.generator
        if target.guide == "R":
            assert target.references is not None
            style = generator.extractor(target.references)
        else:
            style = generator.mapper(latents(target.seeds, self.settings.latent_dim, sources.images), target.labels)
        edited: Tensor = generator.decoder(generator.translator(generator.encoder(sources.images), style))
        return edited
