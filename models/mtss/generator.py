"""MTSS's generator: HiSD's, with the SDU's content joining in the decoder and a classifier on styles.

At 128 x 128 with 8 classes and width 1: 48,412,875 parameters; 45,036,171 without content, 45,118,347 with a plain
skip.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from baselines.hisd.networks import ENCODER, Discriminator, Generator
from baselines.hisd.published_names import published_names as hisd_names
from baselines.hisd.settings import HiSDSettings
from baselines.scaling import scaled
from benchmark.interface import Shape
from benchmark.published import Rule
from models.mtss.sdu import SDU, Disentangled
from models.mtss.settings import MTSSSettings
from models.mtss.sse import Classifier


@dataclass(frozen=True)
class Encoded:
    """Outputs of encoder and extractor for N images.

    f_s, f_r: N x 128 width x S/2 x S/2, Eq. (2). encoded: N x 256 width x S/4 x S/4, which the translator takes.
    style: N x style.
    """

    f_s: Tensor
    f_r: Tensor
    encoded: Tensor
    style: Tensor


@dataclass(frozen=True)
class Content:
    """The feature that joins in the decoder, and the SDU's two parts; None for a part that is switched off."""

    joins: Tensor | None
    parts: Disentangled | None


class MTSSGenerator(Generator):
    """Encoder, extractor, mapper, translator, decoder, and as the settings say SDU and classifier.

    The paper's layer l = 3 is taken as the end of the first halving block (convolutions counted from the stem), where
    encoder and extractor both have 128 width channels at S/2, as in the published code.
    """

    def __init__(self, settings: MTSSSettings, shape: Shape) -> None:
        width = settings.width
        early = scaled(ENCODER[1], width)
        super().__init__(settings, shape, content_channels=0 if settings.content == "none" else early)
        self.skips = settings.content == "skip"
        self.sdu = SDU(early, scaled(settings.sdu_channels, width)) if settings.content == "disentangled" else None
        self.classifier = None
        if settings.supervision:
            style, hidden = scaled(settings.style_dim, width), scaled(settings.classifier_hidden, width)
            self.classifier = Classifier(style, hidden, shape.classes)
        self._default_sdu = settings.sdu_initialisation == "default"

    def initialise(self, settings: HiSDSettings) -> None:
        """As HiSD; the SDU as its own setting says."""
        super().initialise(settings)
        if self.sdu is not None and self._default_sdu:
            for layer in self.sdu.modules():
                if isinstance(layer, nn.Conv2d):
                    layer.reset_parameters()

    def encode(self, images: Tensor) -> Encoded:
        """Features and style of images N x 3 x S x S."""
        f_s, f_r = self.encoder.shallow(images), self.extractor.shallow(images)  # Eq. (2)
        return Encoded(f_s, f_r, self.encoder.deep(f_s), self.extractor.deep(f_r))

    def content_of(self, f_s: Tensor, f_r: Tensor) -> Content:
        """f'co, f_s itself, or nothing, as the settings say."""
        if self.sdu is not None:
            parts: Disentangled = self.sdu(f_s, f_r)
            return Content(parts.content, parts)
        return Content(f_s if self.skips else None, None)

    def style_of_feature(self, feature: Tensor) -> Tensor:
        """E_{l+1..N} of Eq. (4): N x 128 width x S/2 x S/2 to N x style."""
        return self.extractor.deep(feature)


_RULES: list[Rule] = [
    (r"^sdu\.project_([rs])\.", r"afiuint.init_f\1."),
    (r"^sdu\.restore\.", "afiuint.W_s."),
    (r"^sdu\.", "afiuint."),
    (r"^classifier\.hidden\.", "classifer.linear1."),
    (r"^classifier\.head\.", "classifer.linear2."),
]

UNUSED = (
    *("afiuint.W_r.weight", "afiuint.W_b_r.weight", "afiuint.W_b_s.weight"),
    *(f"afiuint.{norm}.{name}" for norm in ("BN_r", "BN_s") for name in ("weight", "bias")),
    *(
        f"afiuint.{norm}.{name}"
        for norm in ("BN_r", "BN_s")
        for name in ("running_mean", "running_var", "num_batches_tracked")
    ),
)
"""Published parameters (98,816) and buffers that no output depends on; the networks here do not have them."""


def published_names(network: MTSSGenerator | Discriminator) -> dict[str, str]:
    """The published code's (lumanxi236/MTSS) name of every parameter, with ours. `UNUSED` are the names without one."""
    if isinstance(network, MTSSGenerator):
        return hisd_names(network, _RULES)
    return hisd_names(network)
