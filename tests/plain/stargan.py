"""StarGAN in its published formulation: the oracle of the fast step, and what its speed is measured against.

Written from the paper and from what is known of the published code, one pass per term; of the fast method it has the
settings and the parameters' names, and none of its computations. Weights come from the fast method
(`tests.plain.compare.same_weights`); the schedule of the rates is no part of a step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from baselines.scaling import scaled
from baselines.stargan import StarGANSettings
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update


class InstanceNorm(nn.Module):
    """Mean 0 and variance 1 (biased, epsilon within the root) per image and channel, then weight and bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        normalised = (x - mean) / (variance + 1e-5).sqrt()
        return normalised * self.weight[None, :, None, None] + self.bias[None, :, None, None]


class ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            InstanceNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def trunk(inputs: int, width: float, residual_blocks: int) -> nn.Sequential:
    """Two halvings, residual blocks, two doublings."""
    c64, c128, c256 = scaled(64, width), scaled(128, width), scaled(256, width)
    return nn.Sequential(
        nn.Conv2d(inputs, c64, 7, 1, 3, bias=False),
        InstanceNorm(c64),
        nn.ReLU(),
        nn.Conv2d(c64, c128, 4, 2, 1, bias=False),
        InstanceNorm(c128),
        nn.ReLU(),
        nn.Conv2d(c128, c256, 4, 2, 1, bias=False),
        InstanceNorm(c256),
        nn.ReLU(),
        *(ResidualBlock(c256) for _ in range(residual_blocks)),
        nn.ConvTranspose2d(c256, c128, 4, 2, 1, bias=False),
        InstanceNorm(c128),
        nn.ReLU(),
        nn.ConvTranspose2d(c128, c64, 4, 2, 1, bias=False),
        InstanceNorm(c64),
        nn.ReLU(),
    )


def beside(images: Tensor, condition: Tensor) -> Tensor:
    """Images with one constant plane for each number of the condition (N x planes)."""
    planes = condition.unsqueeze(2).unsqueeze(3).repeat(1, 1, images.shape[2], images.shape[3])
    return torch.cat([images, planes], 1)


class Generator(nn.Module):
    def __init__(self, settings: StarGANSettings, shape: Shape) -> None:
        super().__init__()
        self.classes = shape.classes
        self.trunk = trunk(3 + shape.classes, settings.width, settings.residual_blocks)
        self.head = nn.Conv2d(scaled(64, settings.width), 3, 7, 1, 3, bias=False)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        one_hot = torch.zeros(len(labels), self.classes).to(images)
        one_hot[torch.arange(len(labels)), labels] = 1
        return torch.tanh(self.head(self.trunk(beside(images, one_hot))))


class Discriminator(nn.Module):
    def __init__(self, width: float, layers: int, size: int, outputs: int) -> None:
        super().__init__()
        depth = min(layers, int(math.log2(size)) - 1)
        body: list[nn.Module] = []
        channels = 3
        for i in range(depth):
            body += [nn.Conv2d(channels, scaled(64 * 2**i, width), 4, 2, 1), nn.LeakyReLU(0.01)]
            channels = scaled(64 * 2**i, width)
        self.body = nn.Sequential(*body)
        self.score_head = nn.Conv2d(channels, 1, 3, 1, 1, bias=False)
        self.condition_head = nn.Conv2d(channels, outputs, size // 2**depth, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images)
        estimates = self.condition_head(features)
        return self.score_head(features), estimates.reshape(len(estimates), estimates.shape[1])


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """mix: N x 1 x 1 x 1, the share of the real image."""
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    scores, _ = discriminator(between)
    (gradient,) = torch.autograd.grad(scores, between, torch.ones_like(scores), create_graph=True)
    norm = gradient.reshape(len(gradient), -1).square().sum(1).sqrt()
    return (norm - 1).square().mean()


def plain_adam(parameters: nn.Module, rate: float, betas: tuple[float, float]) -> Adam:
    """Parameter by parameter."""
    return Adam(parameters.parameters(), rate, betas, foreach=False, fused=False)


class PlainStarGAN(Method):
    Settings = StarGANSettings
    guides = frozenset({"T"})
    augmentation = Augmentation(flip=True)
    settings: StarGANSettings

    def __init__(self, settings: StarGANSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.generator = Generator(settings, shape)
        self.discriminator = Discriminator(settings.width, settings.discriminator_layers, shape.size, shape.classes)

    def optimizers(self) -> Mapping[str, Optimizer]:
        s = self.settings
        return {
            "generator": plain_adam(self.generator, s.learning_rate, (s.beta1, s.beta2)),
            "discriminator": plain_adam(self.discriminator, s.learning_rate, (s.beta1, s.beta2)),
        }

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        s = self.settings
        batch = faces.draw(s.batch_size)
        real, labels = batch.images.contiguous(), batch.labels  # channels first, as published loaders give them
        order = torch.randperm(len(labels), generator=faces.generator)
        targets = labels[order.to(labels.device)]
        mix = torch.rand(len(real), 1, 1, 1, generator=faces.generator).to(real)

        scores, logits = self.discriminator(real)
        d_real = -scores.mean()
        d_classification = F.cross_entropy(logits, labels)
        fake = self.generator(real, targets)
        scores, _ = self.discriminator(fake.detach())
        d_fake = scores.mean()
        d_penalty = gradient_penalty(self.discriminator, real, fake.detach(), mix)
        update(
            "discriminator",
            d_real + d_fake + s.classification_weight * d_classification + s.penalty_weight * d_penalty,
        )
        log = {
            "discriminator/real": d_real.detach(),
            "discriminator/fake": d_fake.detach(),
            "discriminator/classification": d_classification.detach(),
            "discriminator/penalty": d_penalty.detach(),
        }
        if (progress.iteration + 1) % s.discriminator_steps == 0:
            fake = self.generator(real, targets)
            scores, logits = self.discriminator(fake)
            g_fake = -scores.mean()
            g_classification = F.cross_entropy(logits, targets)
            back = self.generator(fake, labels)
            g_reconstruction = (real - back).abs().mean()
            update(
                "generator",
                g_fake + s.reconstruction_weight * g_reconstruction + s.classification_weight * g_classification,
            )
            log["generator/fake"] = g_fake.detach()
            log["generator/classification"] = g_classification.detach()
            log["generator/reconstruction"] = g_reconstruction.detach()
        return log

    def edit(self, sources: Faces, target: Target) -> Tensor:
        edited: Tensor = self.generator(sources.images, target.labels)
        return edited
