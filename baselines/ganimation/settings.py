"""GANimation's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmark.settings import chosen, published

CODE = "albertpumarola/GANimation"


@dataclass(frozen=True)
class GANimationSettings:
    """Every number of GANimation; the defaults are the published ones."""

    width: float = published(1.0, f"{CODE}: 64 channels in the first layer of both networks")
    residual_blocks: int = published(6, f"{CODE}: repeat_num")
    discriminator_layers: int = published(6, f"{CODE}: repeat_num; fewer where the last map would be below 2 x 2")
    batch_size: int = published(25, f"{CODE}, launch script (the option's own default is 4)")
    learning_rate: float = published(1e-4, "paper, Sec. 6; both networks")
    beta1: float = published(0.5, "paper, Sec. 6")
    beta2: float = published(0.999, "paper, Sec. 6")
    discriminator_steps: int = published(5, "paper, Sec. 6: one generator update for five of the discriminator")
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
