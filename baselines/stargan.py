"""StarGAN: one generator and one discriminator for all expressions.

Choi et al., "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation", CVPR 2018.
Networks, weights of the losses and optimisation follow the published code (yunjey/stargan) at 128 x 128 with 8
expressions: generator 8,439,936 parameters, discriminator 44,786,624.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from baselines.layers.convolutions import output_convs
from baselines.patchgan import Discriminator
from baselines.published_trunk import measure, running_statistics
from baselines.scaling import check_size, scaled
from baselines.trunk import Trunk
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update, frozen
from benchmark.protocol import Guide
from benchmark.published import PublishedCheckpoint, PublishedNetwork, Rule, translated
from benchmark.settings import chosen, published

CODE = "yunjey/stargan"


@dataclass(frozen=True)
class StarGANSettings:
    """Every number of StarGAN; the defaults are the published ones."""

    width: float = published(1.0, f"{CODE}: 64 channels in the first layer of both networks")
    residual_blocks: int = published(6, f"{CODE}: g_repeat_num")
    discriminator_layers: int = published(
        6, f"{CODE}: d_repeat_num; fewer where the last map would be smaller than 2 x 2"
    )
    batch_size: int = published(16, "paper, Sec. 5.3")
    learning_rate: float = published(1e-4, "paper, Sec. 5.3; both networks")
    beta1: float = published(0.5, "paper, Sec. 5.3")
    beta2: float = published(0.999, "paper, Sec. 5.3")
    discriminator_steps: int = published(5, "paper, Sec. 5.3: one generator update for five of the discriminator")
    classification_weight: float = published(1.0, "paper, Eq. (5) and (6)")
    reconstruction_weight: float = published(10.0, "paper, Eq. (6)")
    penalty_weight: float = published(10.0, "paper, Eq. (8)")
    decay: Literal["published-code", "linear"] = chosen(
        "published-code",
        "the paper lets the rate fall linearly to 0; the published code, with which others' numbers were made, "
        "subtracts one iteration's share per 1000 iterations and so ends at 0.999 of it",
    )
    decay_start: float = published(0.5, f"{CODE}: after 100,000 of 200,000 iterations")
    decay_interval: int = published(1000, f"{CODE}: lr_update_step, used by 'published-code' alone")


class Generator(nn.Module):
    """N x 3 x S x S in [-1, 1] and one-hot labels N x classes to N x 3 x S x S in (-1, 1)."""

    def __init__(self, settings: StarGANSettings, shape: Shape) -> None:
        super().__init__()
        self.classes = shape.classes
        self.trunk = Trunk(3 + shape.classes, settings.width, settings.residual_blocks)
        self.head = nn.Conv2d(scaled(64, settings.width), 3, 7, 1, 3, bias=False)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """images: N x 3 x S x S; labels: N, int64. The label becomes one constant plane per class beside the image."""
        (image,) = output_convs(self.trunk(images, F.one_hot(labels, self.classes).to(images)), [self.head])
        return torch.tanh(image)


def published_names(network: Generator | Discriminator) -> dict[str, str]:
    """The published code's name of every parameter, with ours."""
    if isinstance(network, Generator):
        rules: list[Rule] = [
            (r"^trunk\.(\d+)\.body\.", r"main.\1.main."),
            (r"^trunk\.", "main."),
            (r"^head\.", f"main.{len(network.trunk)}."),
        ]
    else:
        rules = [(r"^body\.", "main."), (r"^score_head\.", "conv1."), (r"^condition_head\.", "conv2.")]
    return translated((name for name, _ in network.named_parameters()), rules)


def unused_names(generator: Generator) -> set[str]:
    """Published buffers that are not used here: the running statistics of the norms."""
    return running_statistics(published_names(generator))


@dataclass(frozen=True)
class DiscriminatorLosses:
    """Terms of Eq. (5) with the Wasserstein form of Eq. (8), unweighted."""

    real: Tensor
    fake: Tensor
    classification: Tensor
    penalty: Tensor

    def total(self, settings: StarGANSettings) -> Tensor:
        """L_D."""
        adversarial = self.real + self.fake + settings.penalty_weight * self.penalty
        return adversarial + settings.classification_weight * self.classification


@dataclass(frozen=True)
class GeneratorLosses:
    """Terms of Eq. (6), unweighted."""

    fake: Tensor
    classification: Tensor
    reconstruction: Tensor

    def total(self, settings: StarGANSettings) -> Tensor:
        """L_G."""
        classification = settings.classification_weight * self.classification
        return self.fake + classification + settings.reconstruction_weight * self.reconstruction


def discriminator_losses(
    discriminator: Discriminator, images: Tensor, labels: Tensor, fakes: Tensor, mix: Tensor
) -> DiscriminatorLosses:
    """Eq. (5) and (8) on real images and fakes.

    images: N x 3 x S x S, real; labels: N, their classes; fakes: N x 3 x S x S, detached; mix: N x 1 x 1 x 1 in [0, 1],
    the share of the real image in the mixtures that the penalty is taken at.
    """
    count = len(images)
    scores, logits = discriminator(torch.cat([images, fakes]))
    return DiscriminatorLosses(
        real=-scores[:count].mean(),
        fake=scores[count:].mean(),
        classification=F.cross_entropy(logits[:count], labels),
        penalty=gradient_penalty(discriminator, torch.lerp(fakes, images, mix)),
    )


def gradient_penalty(discriminator: Discriminator, images: Tensor) -> Tensor:
    """The last term of Eq. (8): the mean over images of (||d(sum of scores)/d(image)||_2 - 1)^2."""
    images = images.detach().requires_grad_()
    scores, _ = discriminator(images)
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    norms = gradient.square().flatten(1).sum(1).sqrt()
    return (norms - 1).square().mean()


def generator_losses(
    generator: Generator, discriminator: Discriminator, images: Tensor, labels: Tensor, targets: Tensor, fakes: Tensor
) -> GeneratorLosses:
    """Eq. (6) on `fakes`, the edits of `images` (classes `labels`) to `targets`, and on their edits back."""
    scores, logits = discriminator(fakes)
    return GeneratorLosses(
        fake=-scores.mean(),
        classification=F.cross_entropy(logits, targets),
        reconstruction=F.l1_loss(generator(fakes, labels), images),
    )


class StarGAN(Method):
    """StarGAN, label-guided. An iteration updates the discriminator; every fifth updates the generator too."""

    Settings = StarGANSettings
    version: ClassVar[int] = 4
    training_only = frozenset({"discriminator"})
    guides: ClassVar[frozenset[Guide]] = frozenset({"T"})
    augmentation = Augmentation(flip=True)
    settings: StarGANSettings

    def __init__(self, settings: StarGANSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        check_size(type(self).__name__, shape.size)
        self.generator = Generator(settings, shape)
        self.discriminator = Discriminator(settings.width, settings.discriminator_layers, shape.size, shape.classes)
        self.to(memory_format=torch.channels_last)  # the same function, faster on a CPU

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for either network."""
        return {name: self._adam(network) for name, network in self.named_children()}

    def _adam(self, network: nn.Module) -> Adam:
        betas = (self.settings.beta1, self.settings.beta2)
        return Adam(network.parameters(), self.settings.learning_rate, betas, fused=True)

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        """Update the discriminator, and in every `discriminator_steps`-th iteration the generator on the same faces."""
        settings = self.settings
        batch = faces.draw(settings.batch_size)
        images, labels = batch.images, batch.labels
        # Targets are the batch's labels in another order, as published: a face may be asked for the expression it has.
        targets = labels[torch.randperm(len(labels), generator=faces.generator).to(labels.device)]
        mix = torch.rand(len(images), 1, 1, 1, generator=faces.generator).to(images)

        # The same edits for both networks: the discriminator's update does not change the generator.
        generating = (progress.iteration + 1) % settings.discriminator_steps == 0
        with torch.set_grad_enabled(generating):
            fakes = self.generator(images, targets)
        of_discriminator = discriminator_losses(self.discriminator, images, labels, fakes.detach(), mix)
        update("discriminator", of_discriminator.total(settings))
        log = {f"discriminator/{name}": term.detach() for name, term in vars(of_discriminator).items()}

        if generating:
            with frozen(self.discriminator):
                of_generator = generator_losses(self.generator, self.discriminator, images, labels, targets, fakes)
                update("generator", of_generator.total(settings))
            log |= {f"generator/{name}": term.detach() for name, term in vars(of_generator).items()}
        return log

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        """1 in the first half, then as `decay` says."""
        settings = self.settings
        start = round(progress.iterations * settings.decay_start)
        decaying = progress.iterations - start
        if progress.iteration <= start or not decaying:
            return 1.0
        if settings.decay == "linear":
            return 1 - (progress.iteration - start) / decaying
        return 1 - (progress.iteration // settings.decay_interval - start // settings.decay_interval) / decaying

    def edit(self, sources: Faces, target: Target) -> Tensor:
        """Edit the sources to the target labels; there is no latent, so seeds are not used."""
        edited: Tensor = self.generator(sources.images, target.labels)
        return edited

    @classmethod
    def published_checkpoint(cls) -> PublishedCheckpoint:
        """A state dict for each network, in files of their own."""
        return PublishedCheckpoint(
            CODE,
            "*-G.ckpt, with or without *-D.ckpt",
            (
                PublishedNetwork("generator", published_names, skipped=unused_names),
                PublishedNetwork("discriminator", published_names, optional=True),
            ),
            lambda shapes: measure(shapes, "classes"),
        )
