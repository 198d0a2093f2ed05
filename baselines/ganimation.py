"""GANimation: faces animated by action units, through an attention mask and a colour mask.

Pumarola et al., "GANimation: Anatomically-aware Facial Animation from a Single Image", ECCV 2018. Networks, weights of
the losses and optimisation follow the published code (albertpumarola/GANimation) at 128 x 128 with 17 action units:
generator 8,471,296 parameters, discriminator 44,860,352. Its losses there depend on the batch size; here they are
means, with the weights that the published ones amount to at its batch of 25.

The published code blends A * I + (1 - A) * C, so an attention of 1 copies the input; the paper first printed the
opposite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam, Optimizer

from baselines.animation import (
    AnimationSettings,
    Generator,
    GeneratorLosses,
    draw_targets,
    falling,
    initialise,
    roughness,
    target_units,
    update_critic,
)
from baselines.patchgan import Discriminator
from baselines.published_trunk import measure, running_statistics
from baselines.scaling import check_size
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update, frozen
from benchmark.protocol import ACTION_UNIT_MAX, Guide, Knowledge
from benchmark.published import PublishedCheckpoint, PublishedNetwork, Rule, translated
from benchmark.settings import chosen, published

CODE = "albertpumarola/GANimation"
COPYING, REPLACING = 0.95, 0.02
"""Mean attention beyond which edits equal their sources, or are painted anew with nothing of the source kept."""


@dataclass(frozen=True)
class GANimationSettings(AnimationSettings):
    """Every number of GANimation; the defaults are the published ones."""

    width: float = published(1.0, f"{CODE}: 64 channels in the first layer of both networks")
    residual_blocks: int = published(6, f"{CODE}: repeat_num")
    discriminator_layers: int = published(6, f"{CODE}: repeat_num; fewer where the last map would be below 2 x 2")
    batch_size: int = published(25, f"{CODE}, launch script (the option's own default is 4)")
    learning_rate: float = published(1e-4, "paper, Sec. 6; both networks")
    beta1: float = published(0.5, "paper, Sec. 6")
    beta2: float = published(0.999, "paper, Sec. 6")
    critic_steps: int = published(5, "paper, Sec. 6: one generator update for five of the discriminator")
    adversarial_weight: float = published(1.0, f"{CODE}: lambda_D_prob")
    penalty_weight: float = published(10.0, "paper, Sec. 6: lambda_gp")
    unit_weight: float = published(
        160.0,
        f"{CODE}: lambda_D_cond is 4000 and the mean over batch and units is divided by the batch size once more, "
        "so 160 at its batch of 25; of a mean that does not depend on the batch",
    )
    cycle_weight: float = published(10.0, "paper, Sec. 6: lambda_idt, of the mean absolute difference")
    attention_weight: float = published(0.1, "paper, Sec. 6: lambda_A, of the mean attention of each of both passes")
    smoothness_weight: float = published(
        4.0640,
        f"{CODE}: lambda_mask_smooth is 1e-5 of a sum over batch and pixels, 1e-5 x 25 x 128 x 127 = 4.064 of the mean "
        "in each direction (the paper prints 1e-4)",
    )
    unit_noise: float = published(0.1, f"{CODE}: U(-0.1, 0.1) on the target's units (on a scale of 0 to 1), unclipped")
    penalty_update: Literal["apart", "together"] = published(
        "apart", f"{CODE}: the gradient penalty is an Adam step of its own after that of all other terms"
    )
    flat_share: float = published(2 / 3, "paper, Sec. 6: 20 epochs at the full rate, then 10 falling linearly to 0")
    initial_deviation: float = published(0.02, f"{CODE}: every convolution's weights are N(0, 0.02), its bias 0")
    output_gain: float = chosen(
        1.0, "1 is the published initialisation; less makes the first colours grey instead of noise"
    )


def blend(images: Tensor, colours: Tensor, attention: Tensor) -> Tensor:
    """A * I + (1 - A) * C: where the attention is 1, the input is copied."""
    return torch.lerp(colours, images, attention)


@dataclass(frozen=True)
class Edit:
    """What the generator makes of N images: the blend, N x 3 x S x S, and the attention, N x 1 x S x S."""

    image: Tensor
    attention: Tensor


def animate(generator: Generator, images: Tensor, units: Tensor) -> Edit:
    """Edit images (N x 3 x S x S) to units (N x 17 on the scale of 0 to 1)."""
    colours, attention = generator(images, units)
    return Edit(blend(images, colours, attention), attention)


def published_names(network: Generator | Discriminator) -> dict[str, str]:
    """The published code's name of every parameter, with ours (its spelling of attention included)."""
    if isinstance(network, Generator):
        rules: list[Rule] = [
            (r"^trunk\.(\d+)\.body\.", r"main.\1.main."),
            (r"^trunk\.", "main."),
            (r"^colour\.", "img_reg.0."),
            (r"^mask\.", "attetion_reg.0."),
        ]
    else:
        rules = [(r"^body\.", "main."), (r"^critic\.", "conv1."), (r"^classifier\.", "conv2.")]
    return translated((name for name, _ in network.named_parameters()), rules)


def generator_losses(
    discriminator: Discriminator, images: Tensor, targets: Tensor, edit: Edit, back: Edit
) -> GeneratorLosses:
    """Losses of one edit and the edit back. images: the sources; targets: N x 17; back: `edit` edited to the sources'
    own units.
    """
    scores, estimates = discriminator(edit.image)
    return GeneratorLosses(
        fake=-scores.mean(),
        units=F.mse_loss(estimates, targets),
        cycle=F.l1_loss(back.image, images),
        attention=edit.attention.mean() + back.attention.mean(),
        smoothness=roughness(edit.attention) + roughness(back.attention),
    )


class GANimation(Method):
    """GANimation, guided by the action units of a reference. Every iteration updates the discriminator, every fifth the
    generator too.
    """

    Settings = GANimationSettings
    version: ClassVar[int] = 3
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
        """The discriminator, and in every `critic_steps`-th iteration the generator on the same faces."""
        settings = self.settings
        batch = faces.draw(settings.batch_size)
        images, units = batch.images, batch.units / ACTION_UNIT_MAX
        targets = draw_targets(faces, len(images), settings.unit_noise)
        mix = torch.rand(len(images), 1, 1, 1, generator=faces.generator).to(images)

        # The same edits for both networks: the discriminator's update does not change the generator.
        generating = (progress.iteration + 1) % settings.critic_steps == 0
        with torch.set_grad_enabled(generating):
            edit = animate(self.generator, images, targets)
        critic, penalty = update_critic(self.discriminator, images, units, edit.image.detach(), mix, settings, update)
        log = {f"discriminator/{name}": term.detach() for name, term in vars(critic).items()}
        log["discriminator/penalty"] = penalty.detach()

        if generating:
            with frozen(self.discriminator):
                back = animate(self.generator, edit.image, units)
                maker = generator_losses(self.discriminator, images, targets, edit, back)
                update("generator", maker.total(settings))
            log |= {f"generator/{name}": term.detach() for name, term in vars(maker).items()}
            log["attention/mean"] = edit.attention.detach().mean()
        return log

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        """1, then linearly to 0."""
        return falling(progress, self.settings.flat_share)

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Says when the attention saturates, the known way for it to fail."""
        attention = means.get("attention/mean", 0.5)
        if attention > COPYING:
            return [
                f"GANimation: the attention is saturated (mean above {COPYING}), so edits are copies of their sources: "
                "check the action units, or raise attention_weight a little"
            ]
        if attention < REPLACING:
            return [
                f"GANimation: the attention vanishes (mean below {REPLACING}), so nothing of the source is kept: "
                "lower attention_weight"
            ]
        return []

    def edit(self, sources: Faces, target: Target) -> Tensor:
        """The generator on the target's action units; neither the reference's picture nor the seed plays a part."""
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
