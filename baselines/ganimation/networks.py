"""GANimation's generator; its discriminator is StarGAN's.

At 128 x 128 with 17 action units and width 1 the generator has 8,471,296 parameters, the discriminator 44,860,352.
The published code blends A * I + (1 - A) * C, so an attention of 1 copies the input; the paper first printed the
opposite.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.ganimation.settings import GANimationSettings
from baselines.layers.convolutions import output_convs
from baselines.patchgan import Discriminator
from baselines.scaling import scaled
from baselines.trunk import Trunk
from benchmark.published import Rule, translated


class Generator(nn.Module):
    """Images N x 3 x S x S in [-1, 1] and action units N x 17 in [0, 1] to a colour and an attention mask."""

    def __init__(self, width: float, residual_blocks: int, units: int) -> None:
        super().__init__()
        self.trunk = Trunk(3 + units, width, residual_blocks)
        self.colour = nn.Conv2d(scaled(64, width), 3, 7, 1, 3, bias=False)
        self.mask = nn.Conv2d(scaled(64, width), 1, 7, 1, 3, bias=False)

    def forward(self, images: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        """Colours C, N x 3 x S x S in (-1, 1), and mask A, N x 1 x S x S in (0, 1).

        Every action unit becomes one constant plane beside the image.
        """
        colours, mask = output_convs(self.trunk(images, units), [self.colour, self.mask])
        return torch.tanh(colours), torch.sigmoid(mask)


@torch.no_grad()
def initialise(network: nn.Module, settings: GANimationSettings) -> None:
    """Draw convolutions' weights from N(0, initial_deviation), their biases 0; norms stay as they are.

    The weights of the colour heads are then multiplied with output_gain.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, settings.initial_deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for name, parameter in network.named_parameters():
        if name.endswith("colour.weight"):
            parameter.mul_(settings.output_gain)


def blend(images: Tensor, colours: Tensor, attention: Tensor) -> Tensor:
    """A * I + (1 - A) * C: where the attention is 1, the input is copied."""
    return torch.lerp(colours, images, attention)


@dataclass(frozen=True)
class Edit:
    """The generator's output for N images: the blend, N x 3 x S x S, and the attention, N x 1 x S x S."""

    image: Tensor
    attention: Tensor


def animate(generator: Generator, images: Tensor, units: Tensor) -> Edit:
    """Edit images (N x 3 x S x S) to action units (N x 17 on the scale of 0 to 1)."""
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
        rules = [(r"^body\.", "main."), (r"^score_head\.", "conv1."), (r"^condition_head\.", "conv2.")]
    return translated((name for name, _ in network.named_parameters()), rules)
