"""EF-GAN's numbers. None of them was checked against the paper: each says how it is known, or why it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.ganimation.settings import GANimationSettings
from benchmark.settings import chosen

UNKNOWN = "not known; as GANimation"
REMEMBERED = "remembered from the paper, not checked"


@dataclass(frozen=True)
class EFGANSettings(GANimationSettings):
    """Every number of Cascade EF-GAN. Those that GANimation has, too, mean what they mean there."""

    width: float = chosen(1.0, f"{UNKNOWN}: 64 channels in the first layer of all networks")
    residual_blocks: int = chosen(6, UNKNOWN)
    discriminator_layers: int = chosen(6, f"{UNKNOWN}; fewer where the last map would be below 2 x 2")
    batch_size: int = chosen(
        8,
        "not known; a generator's step passes 30 networks, too many for GANimation's 25 faces at 128 px on most GPUs",
    )
    learning_rate: float = chosen(1e-4, f"{REMEMBERED}; both networks, each phase anew")
    beta1: float = chosen(0.5, REMEMBERED)
    beta2: float = chosen(0.999, REMEMBERED)
    discriminator_steps: int = chosen(5, UNKNOWN)
    adversarial_weight: float = chosen(1.0, f"{UNKNOWN}; that the form is WGAN-GP is remembered")
    penalty_weight: float = chosen(10.0, UNKNOWN)
    unit_weight: float = chosen(160.0, f"{UNKNOWN}; of a mean over batch and units")
    cycle_weight: float = chosen(10.0, f"{UNKNOWN}; once per step, from the last stage back to the source")
    attention_weight: float = chosen(
        0.1,
        f"{UNKNOWN}; of each of the four masks. An attention of 0 copies here, so this pushes towards copying; "
        "GANimation's pushes away from it",
    )
    smoothness_weight: float = chosen(4.0640, f"{UNKNOWN}; of the mean step in each direction, for each of four masks")
    unit_noise: float = chosen(0.1, UNKNOWN)
    penalty_update: Literal["apart", "together"] = chosen("apart", UNKNOWN)
    flat_share: float = chosen(0.0, "share of a phase at the full rate; that the rate falls linearly is remembered")
    initial_deviation: float = chosen(0.02, UNKNOWN)
    output_gain: float = chosen(1.0, f"{UNKNOWN}; of branches and refiner")

    stages: int = chosen(3, f"{REMEMBERED}; 1 is the plain EF-GAN")
    first_stage_share: float = chosen(
        0.5,
        "share of the iterations that train stage one alone, before it is copied into all. That this is done is known "
        "second-hand (a cascade from scratch fails); 50 of 100 epochs are remembered dimly",
    )
    decay: Literal["per-phase", "whole"] = chosen(
        "per-phase", "not known; the cascade is trained as a second training that begins with the first one's weights"
    )
    eyes: tuple[int, int] = chosen((40, 96), "not known; height and width at 128 px: both eyes and the brows")
    nose: tuple[int, int] = chosen((48, 48), "not known; height and width at 128 px: bridge, tip and nostrils")
    mouth: tuple[int, int] = chosen((40, 64), "not known; height and width at 128 px: lips and chin, the mouth open")
    refiner: Literal["image", "correction"] = chosen(
        "image",
        "second-hand: the refiner makes the final image; 'correction' adds its output to the mean of its two inputs, "
        "with which a short training need not learn to paint faces first",
    )
    initial_weight: float = chosen(
        0.1,
        "supervision before the refiner is remembered dimly: a weak adversarial term on the global branch's image, "
        "which the discriminator is then shown, too; 0 switches both off",
    )
