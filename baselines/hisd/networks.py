"""HiSD's networks, one tag (the expression) with one attribute per class.

At 128 x 128 with 8 classes and width 1 the generator has 45,002,243 parameters, the discriminator 40,548,448.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.hisd.blocks import AdaINBlock, DownBlock, UpBlock, initialise
from baselines.hisd.settings import HiSDSettings
from baselines.scaling import scaled
from benchmark.interface import Shape

ENCODER = (64, 128, 256)
TRUNK = (64, 128, 256, 512, 1024, 2048)
TRANSLATOR = 64
HEADS = 2
"""Of the discriminator: 0 judges translated images, 1 cycled ones."""


class Pyramid(nn.Module):
    """1x1 convolution from RGB, then one block per halving. MTSS's SDU takes the output of the first block."""

    def __init__(self, channels: Sequence[int], normalised: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 1)
        self.blocks = nn.ModuleList(DownBlock(a, b, normalised) for a, b in itertools.pairwise(channels))

    def shallow(self, images: Tensor) -> Tensor:
        """N x 3 x S x S to N x 128 width x S/2 x S/2: stem and first block, layers 1 to l."""
        features: Tensor = self.blocks[0](self.stem(images))
        return features

    def deep(self, features: Tensor) -> Tensor:
        """The layers after `shallow`, l + 1 to N."""
        for block in self.blocks[1:]:
            features = block(features)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """`shallow` and `deep` in sequence."""
        return self.deep(self.shallow(images))


def trunk_channels(width: float, size: int) -> list[int]:
    """Channels of extractor and discriminator: five halvings, fewer where the image would vanish."""
    return [scaled(channels, width) for channels in TRUNK[: int(math.log2(size)) + 1]]


class Extractor(Pyramid):
    """Style of an image: N x 3 x S x S to N x style. No norm, which would remove the style."""

    def __init__(self, width: float, size: int, style: int) -> None:
        channels = trunk_channels(width, size)
        super().__init__(channels, normalised=False)
        self.head = nn.Linear(channels[-1], style)

    def deep(self, features: Tensor) -> Tensor:
        """From the first block's output (N x 128 width x S/2 x S/2) to the style."""
        style: Tensor = self.head(super().deep(features).mean((2, 3)))
        return style


class Mapper(nn.Module):
    """Style of a class: latent N x latent_dim and labels N to N x style. Shared layers, then a head per class.

    A head of a class that is not in the batch has no gradient, so the optimiser does not step it, as published.
    """

    def __init__(self, latent: int, hidden: int, style: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Linear(latent, hidden)
        self.shared = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2))
        self.heads = nn.ModuleList(MapperHead(hidden, style) for _ in range(classes))

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """latent: N x latent_dim; labels: N."""
        hidden = self.stem(latent)
        for layer in self.shared:
            hidden = layer(F.relu(hidden))
        order = labels.argsort(stable=True)
        counts = labels.bincount(minlength=len(self.heads)).tolist()
        groups = hidden[order].split(counts)
        styles = torch.cat([head(group) for head, group in zip(self.heads, groups, strict=True) if len(group)])
        return styles[order.argsort()]


class MapperHead(nn.ModuleList):
    """Three linear layers: N x hidden to N x style."""

    def __init__(self, hidden: int, style: int) -> None:
        super().__init__(nn.Linear(hidden, outputs) for outputs in (hidden, hidden, style))

    def forward(self, hidden: Tensor) -> Tensor:
        """N x hidden to N x style."""
        # No ReLU before the last layer: the published blocks are ReLU and then linear, and the last has none. Not in
        # place, which would change the input for the other heads.
        first, second, third = self
        style: Tensor = third(second(F.relu(first(F.relu(hidden)))))
        return style


class Translator(nn.Module):
    """Gives an encoded image a style, blended in by a mask per channel and pixel."""

    def __init__(self, width: float, style: int, blocks: int) -> None:
        super().__init__()
        outer, inner = scaled(ENCODER[-1], width), scaled(TRANSLATOR, width)
        self.stem = nn.Conv2d(outer, inner, 1)
        self.blocks = nn.ModuleList(AdaINBlock(inner) for _ in range(blocks))
        self.projection = nn.Linear(style, blocks * 4 * inner)
        self.feature = nn.Conv2d(inner, outer, 1)
        self.mask = nn.Conv2d(inner, outer, 1)

    def forward(self, encoded: Tensor, style: Tensor) -> Tensor:
        """encoded: N x 256 width x S/4 x S/4; style: M x style, M a multiple of N: one for each of N, then another for
        each. What comes back is M of the encoded.
        """
        several = (len(style) // len(encoded), len(encoded))
        hidden = torch.cat([self.stem(encoded)] * several[0])
        modulations = self.projection(style).view(len(style), len(self.blocks), 4, -1)
        for block, modulation in zip(self.blocks, modulations.unbind(1), strict=True):
            hidden = block(hidden, modulation)
        feature, mask = (
            torch.unflatten(part, 0, several) for part in (self.feature(hidden), self.mask(hidden).sigmoid_())
        )
        return torch.lerp(encoded, feature, mask).flatten(0, 1)


class Decoder(nn.Module):
    """N x 256 width x S/4 x S/4 to images N x 3 x S x S, unbounded.

    content_channels: of a feature map that joins after the first block (MTSS), 0 for none (HiSD).
    """

    def __init__(self, width: float, content_channels: int = 0) -> None:
        super().__init__()
        wide, middle, narrow = (scaled(channels, width) for channels in reversed(ENCODER))
        self.blocks = nn.ModuleList([UpBlock(wide, middle), UpBlock(middle + content_channels, narrow)])
        self.head = nn.Conv2d(narrow, 3, 1)

    def forward(self, encoded: Tensor, content: Tensor | None = None) -> Tensor:
        """content: N x content_channels x S/2 x S/2."""
        hidden = self.blocks[0](encoded)
        if content is not None:
            hidden = torch.cat([hidden, content], 1)
        images: Tensor = self.head(self.blocks[1](hidden))
        return images


class Generator(nn.Module):
    """Encoder, extractor, mapper, translator and decoder."""

    def __init__(self, settings: HiSDSettings, shape: Shape, content_channels: int = 0) -> None:
        super().__init__()
        width = settings.width
        style = scaled(settings.style_dim, width)
        self.encoder = Pyramid([scaled(channels, width) for channels in ENCODER], normalised=True)
        self.extractor = Extractor(width, shape.size, style)
        self.mapper = Mapper(settings.latent_dim, style, style, shape.classes)
        self.translator = Translator(width, style, settings.translator_blocks)
        self.decoder = Decoder(width, content_channels)

    @torch.no_grad()
    def initialise(self, settings: HiSDSettings) -> None:
        """As published, with the gains that a short budget may ask for."""
        initialise(self, settings.initial_bias)
        self.translator.projection.weight.mul_(settings.projection_gain)
        self.translator.projection.bias.fill_(settings.projection_bias)
        self.translator.feature.weight.mul_(settings.feature_gain)
        self.decoder.head.weight.mul_(settings.output_gain)


class Discriminator(nn.Module):
    """Two scores per class: N x 3 x S x S and a style N x style to N x 2 x classes.

    The style makes it judge pairs of image and style ("ALI" in the published code, absent from the paper). Its last
    layer also has one input for HiSD's tag-irrelevant conditions; expressions have none, so that input is always 0.
    """

    def __init__(self, width: float, size: int, style: int, classes: int) -> None:
        super().__init__()
        channels = trunk_channels(width, size)
        self.trunk = Pyramid(channels, normalised=False)
        self.head = nn.Linear(channels[-1] + style + 1, HEADS * classes)
        self._style = style

    def initialise(self, settings: HiSDSettings) -> None:
        """As published."""
        initialise(self, settings.initial_bias)

    def forward(self, images: Tensor, style: Tensor | None) -> Tensor:
        """Score images N x 3 x S x S. style: N x style, None for zeros: the discriminator does not see it."""
        features = self.trunk(images).mean((2, 3))
        seen = features.new_zeros(len(features), self._style) if style is None else style
        condition = features.new_zeros(len(features), 1)
        scores: Tensor = self.head(torch.cat([features, seen, condition], 1))
        return scores.view(len(features), HEADS, -1)
