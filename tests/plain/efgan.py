"""Cascade EF-GAN without any economy: the oracle of the fast step, and what its speed is measured against.

There is no published code; this follows docs/methods.md stage by stage, branch by branch and image by image. See
`tests.plain.stargan` for what is shared with the fast method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from baselines.efgan.crops import POINTS, REGIONS, crop_size
from baselines.efgan.settings import EFGANSettings
from baselines.ganimation.method import draw_targets
from baselines.scaling import scaled
from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update
from benchmark.protocol import ACTION_UNIT_MAX
from tests.plain.ganimation import Generator, mean_square, roughness
from tests.plain.stargan import Discriminator, gradient_penalty, plain_adam, trunk

Boxes = list[list[tuple[int, int, int, int]]]
"""For each region and each face: first row, last row + 1, first column, last column + 1."""


class Refiner(nn.Module):
    def __init__(self, settings: EFGANSettings) -> None:
        super().__init__()
        self.trunk = trunk(6, settings.width, settings.residual_blocks)
        self.colour = nn.Conv2d(scaled(64, settings.width), 3, 7, 1, 3, bias=False)

    def forward(self, stitched: Tensor, whole: Tensor) -> Tensor:
        return torch.tanh(self.colour(self.trunk(torch.cat([stitched, whole], 1))))


class Transformer(nn.Module):
    def __init__(self, settings: EFGANSettings, units: int) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                name: Generator(settings.width, settings.residual_blocks, units)
                for name in ("global", "eyes", "nose", "mouth")
            }
        )


class Stage(nn.Module):
    def __init__(self, settings: EFGANSettings, units: int) -> None:
        super().__init__()
        self.transformer = Transformer(settings, units)
        self.refiner = Refiner(settings)
        self.corrects = settings.refiner == "correction"

    def forward(self, images: Tensor, units: Tensor, boxes: Boxes) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The refined image, the global branch's, and the masks: 0 copies."""
        branches = self.transformer.branches
        colours, mask = branches["global"](images, units)
        whole = mask * colours + (1 - mask) * images
        masks = [mask]
        # Where crops overlap, their mean; where there is none, the image.
        total, times = torch.zeros_like(images), torch.zeros_like(images[:, :1])
        for name, places in zip(("eyes", "nose", "mouth"), boxes, strict=True):
            crops = [image[:, a:b, c:d] for image, (a, b, c, d) in zip(images, places, strict=True)]
            crop = torch.stack(crops)
            colours, mask = branches[name](crop, units)
            edited = mask * colours + (1 - mask) * crop
            masks.append(mask)
            pasted, inside = torch.zeros_like(images), torch.zeros_like(times)
            for i, (top, bottom, left, right) in enumerate(places):
                pasted[i, :, top:bottom, left:right] = edited[i]
                inside[i, :, top:bottom, left:right] = 1
            total, times = total + pasted, times + inside
        stitched = torch.where(times > 0, total / times.clamp(min=1), images)
        refined = self.refiner(stitched, whole)
        return ((stitched + whole) / 2 + refined if self.corrects else refined), whole, masks


class Cascade(nn.Module):
    def __init__(self, settings: EFGANSettings, units: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Stage(settings, units) for _ in range(settings.stages))


class PlainEFGAN(Method):
    Settings = EFGANSettings
    guides = frozenset({"R"})
    reference: ClassVar[Literal["image", "units"]] = "units"
    needs = frozenset({"units", "landmarks"})
    source_needs = needs
    subsets = frozenset({"F"})
    augmentation = Augmentation(flip=True)
    settings: EFGANSettings

    def __init__(self, settings: EFGANSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.generator = Cascade(settings, shape.units)
        self.discriminator = Discriminator(settings.width, settings.discriminator_layers, shape.size, shape.units)

    def optimizers(self) -> Mapping[str, Optimizer]:
        s = self.settings
        networks = {
            "generator": self.generator.stages[0],
            "cascade": self.generator,
            "discriminator": self.discriminator,
        }
        return {name: plain_adam(network, s.learning_rate, (s.beta1, s.beta2)) for name, network in networks.items()}

    def boxes(self, landmarks: Tensor) -> Boxes:
        """Windows of a region's size, centred on the box round its points, at whole pixels, moved inside."""
        size, actual = self.shape.size, []
        for region in REGIONS:
            lengths = crop_size(self.settings, region, size)
            places = []
            for face in landmarks:
                points = face[POINTS[region]]
                box = []
                for axis, length in ((1, lengths[0]), (0, lengths[1])):  # rows are y
                    centre = (points[:, axis].min() + points[:, axis].max()) / 2
                    first = int(torch.floor(centre - (length - 1) / 2 + 0.5).clamp(0, size - length))
                    box += [first, first + length]
                places.append((box[0], box[1], box[2], box[3]))
            actual.append(places)
        return actual

    def edits(
        self, images: Tensor, source: Tensor, target: Tensor, boxes: Boxes, stages: int
    ) -> tuple[list[Tensor], list[Tensor], list[list[Tensor]]]:
        """The refined image, the global branch's and the masks of every stage."""
        refined: list[Tensor] = []
        wholes: list[Tensor] = []
        masks: list[list[Tensor]] = []
        for k in range(1, stages + 1):
            units = source + k / stages * (target - source)
            image, whole, mask = self.generator.stages[k - 1](refined[-1] if refined else images, units, boxes)
            refined.append(image)
            wholes.append(whole)
            masks.append(mask)
        return refined, wholes, masks

    def switch(self, iterations: int) -> int:
        if self.settings.stages == 1:
            return iterations
        return min(round(iterations * self.settings.first_stage_share), iterations - 1)

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        s, switch = self.settings, self.switch(progress.iterations)
        if progress.iteration == switch:
            for stage in list(self.generator.stages)[1:]:
                stage.load_state_dict(self.generator.stages[0].state_dict())
        stages = 1 if progress.iteration < switch else s.stages
        batch = faces.draw(s.batch_size)
        real, units = batch.images.contiguous(), batch.units / ACTION_UNIT_MAX  # channels first
        boxes = self.boxes(batch.landmarks)
        targets = draw_targets(faces, len(real), s.unit_noise)

        refined, wholes, _ = self.edits(real, units, targets, boxes, stages)
        fakes = [fake.detach() for fake in (*refined, *(wholes if s.initial_weight else []))]
        mixes = torch.rand(len(fakes) * len(real), 1, 1, 1, generator=faces.generator).to(real).chunk(len(fakes))
        scores, estimates = self.discriminator(real)
        d_real = -scores.mean()
        d_units = mean_square(estimates, units)
        d_fake = torch.stack([self.discriminator(fake)[0].mean() for fake in fakes]).mean()
        objective = s.adversarial_weight * (d_real + d_fake) + s.unit_weight * d_units
        if s.penalty_update == "apart":
            update("discriminator", objective)
        penalties = [
            gradient_penalty(self.discriminator, real, fake, mix) for fake, mix in zip(fakes, mixes, strict=True)
        ]
        d_penalty = torch.stack(penalties).mean()
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
            terms, masks = self.generator_terms(real, units, targets, boxes, stages)
            update(
                "generator" if progress.iteration < switch else "cascade",
                s.adversarial_weight * terms["fake"]
                + s.unit_weight * terms["units"]
                + s.cycle_weight * terms["cycle"]
                + s.attention_weight * terms["attention"]
                + s.smoothness_weight * terms["smoothness"]
                + s.initial_weight * terms["initial"],
            )
            log |= {f"generator/{name}": term.detach() for name, term in terms.items()}
            for index, name in enumerate(("global", "eyes", "nose", "mouth")):
                means = [stage[index].detach().mean() for stage in masks]
                log[f"attention/{name}"] = torch.stack(means).mean()
                greatest = [picture.max() for stage in masks for picture in stage[index].detach()]
                log[f"greatest_attention/{name}"] = torch.stack(greatest).mean()
        return log

    def generator_terms(
        self, real: Tensor, units: Tensor, targets: Tensor, boxes: Boxes, stages: int
    ) -> tuple[dict[str, Tensor], list[list[Tensor]]]:
        refined, wholes, masks = self.edits(real, units, targets, boxes, stages)
        back, _, masks_back = self.edits(refined[-1], targets, units, boxes, stages)
        zero = torch.zeros(()).to(real)
        fake, unit_error, attention, smoothness, initial = zero, zero, zero, zero, zero
        for k, image in enumerate(refined, 1):
            scores, estimates = self.discriminator(image)
            fake = fake - scores.mean() / stages
            unit_error = unit_error + mean_square(estimates, units + k / stages * (targets - units)) / stages
        if self.settings.initial_weight:
            for whole in wholes:
                initial = initial - self.discriminator(whole)[0].mean() / stages
        for stage in (*masks, *masks_back):
            for mask in stage:
                attention = attention + mask.mean() / stages
                smoothness = smoothness + roughness(mask) / stages
        return {
            "fake": fake,
            "units": unit_error,
            "cycle": (back[-1] - real).abs().mean(),
            "attention": attention,
            "smoothness": smoothness,
            "initial": initial,
        }, masks

    def edit(self, sources: Faces, target: Target) -> Tensor:
        assert target.units is not None
        known = sources.units / ACTION_UNIT_MAX
        wanted = target.units / ACTION_UNIT_MAX
        return self.edits(sources.images, known, wanted, self.boxes(sources.landmarks), self.settings.stages)[0][-1]
