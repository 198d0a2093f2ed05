"""HiSD's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmark.settings import chosen, published

CODE = "imlixinyang/HiSD"

ClassDraw = Literal["per-batch", "per-sample"]
"""Whether all faces of a batch share their class and their target."""


@dataclass(frozen=True)
class HiSDSettings:
    """Every number of HiSD; the defaults are the published ones."""

    width: float = published(1.0, f"{CODE}, celeba-hq.yaml: 64 channels in the first layers")
    style_dim: int = published(256, f"{CODE}, celeba-hq.yaml; follows the width, as the mapper's hidden layers do")
    latent_dim: int = published(32, f"{CODE}, celeba-hq.yaml: noise_dim")
    translator_blocks: int = published(7, f"{CODE}, celeba-hq.yaml: translators, channels")
    batch_size: int = published(8, f"{CODE}, celeba-hq.yaml")
    classes: Literal["per-batch", "per-sample"] = published(
        "per-batch", f"{CODE}, train.py: one source and one other target class for a batch"
    )
    colour_jitter: float = published(
        0.1,
        f"{CODE}, data loader: ColorJitter(0.1, 0.1, 0.1, 0.1) of real pictures, so tints are part of what is real and "
        "of styles",
    )
    learning_rate: float = published(1e-4, f"{CODE}, celeba-hq.yaml: lr_dis, lr_gen_others (all but the mapper)")
    mapper_learning_rate: float = published(1e-6, f"{CODE}, celeba-hq.yaml: lr_gen_mappers")
    flat_share: float = published(
        1.0, f"{CODE}: the rates are constant; below 1 they fall linearly to 0 after that share of the iterations"
    )
    beta1: float = published(0.0, f"{CODE}, celeba-hq.yaml")
    beta2: float = published(0.99, f"{CODE}, celeba-hq.yaml")
    adversarial_weight: float = published(1.0, f"{CODE}, celeba-hq.yaml: adv_w")
    style_weight: float = published(1.0, f"{CODE}, celeba-hq.yaml: sty_w")
    reconstruction_weight: float = published(1.0, f"{CODE}, celeba-hq.yaml: rec_w")
    penalty_weight: float = published(1.0, f"{CODE}, networks.py: E||grad_x D||^2 per head, without a factor of 1/2")
    style_in_discriminator: bool = published(True, f'{CODE}: "ALI" in trainer.py; absent from the paper')
    clip: float = published(100.0, f"{CODE}, trainer.py: norm of all gradients of a network")
    average: float = published(0.99, f"{CODE}, trainer.py: decay of the averaged generator that edits are made with")
    initial_bias: float = published(0.01, f"{CODE}, utils.py: every bias of a convolution or linear layer")
    projection_gain: float = chosen(
        1.0,
        "1 is the published initialisation; 0.1 with a projection_bias of 0 starts AdaIN near plain instance norm, "
        "without which the first hundreds of steps show noise",
    )
    projection_bias: float = published(0.01, f"{CODE}, utils.py: as all biases")
    feature_gain: float = chosen(
        1.0, "1 is the published initialisation; 0.2 keeps the translator's first features at the encoder's scale"
    )
    output_gain: float = chosen(1.0, "1 is the published initialisation; 0.2 keeps the first images within [-1, 1]")
