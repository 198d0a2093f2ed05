"""Style disentanglement unit (SDU), paper Sec. 2.2: splits the encoder's early feature into style and content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.layers.convolutions import joined


@dataclass(frozen=True)
class Disentangled:
    """f'st and f'co, both N x C x H x W; their sum is the feature f_s that they were split from."""

    style: Tensor
    content: Tensor


class SDU(nn.Module):
    """Splits f_s into the style that it shares with f_r, and the rest."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.project_s = nn.Conv2d(channels, inner, 1, bias=False)
        self.project_r = nn.Conv2d(channels, inner, 1, bias=False)
        self.encoder = _convolutions([inner, inner // 2, inner // 4, inner // 8])
        self.decoder = _convolutions([inner // 8, inner // 4, inner // 2, inner])
        self.restore = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, f_s: Tensor, f_r: Tensor) -> Disentangled:
        """f_s: the encoder's feature, f_r: the extractor's, both N x channels x H x W."""
        # Two convolutions without an activation between them have one kernel: a quarter of the work.
        (first, bias), (last, last_bias) = _parameters(self.encoder[0]), _parameters(self.decoder[-1])
        # f_r is detached, as published: the extractor learns from the styles, not from this split.
        projected = [
            F.conv2d(feature, joined(first, project.weight), bias, padding=1)
            for feature, project in ((f_s, self.project_s), (f_r.detach(), self.project_r))
        ]
        hat_s, hat_r = self.encoder[1:](torch.cat(projected)).chunk(2)  # one encoder for both: "weight sharing"
        hidden = self.decoder[:-1](shared_style(hat_s, hat_r))
        hidden = F.conv2d(hidden, joined(self.restore.weight, last), padding=1)
        style = torch.tanh(hidden + self.restore(last_bias[None, :, None, None]))
        return Disentangled(style, f_s - style)  # Eq. (3)


def shared_style(hat_s: Tensor, hat_r: Tensor) -> Tensor:
    """hat_s (x) cov(hat_r) of Eq. (3), N x C x H x W.

    The published "covariance" is the second moment of channels, R R^T / HW (C x C), without the mean removed; it
    stands on the left of the flattened hat_s (C x HW).
    """
    r, s = hat_r.flatten(2), hat_s.flatten(2)
    covariance = r @ r.transpose(1, 2) / r.shape[2]
    return (covariance @ s).view_as(hat_s)


def orthogonality(parts: Disentangled, reduction: Literal["channel-sum", "mean", "sum"]) -> Tensor:
    """E[||f'co . f'st||_1] of Eq. (4): summed over channels, over nothing (mean of all), or over all but the batch."""
    product = (parts.content * parts.style).abs()
    if reduction == "channel-sum":
        return product.sum(1).mean()
    if reduction == "mean":
        return product.mean()
    return product.flatten(1).sum(1).mean()


def _convolutions(channels: list[int]) -> nn.Sequential:
    """3x3 convolutions with ReLU between them, none behind the last."""
    first, second, third, last = channels
    return nn.Sequential(
        nn.Conv2d(first, second, 3, 1, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(second, third, 3, 1, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(third, last, 3, 1, 1),
    )


def _parameters(conv: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    return conv.weight, conv.bias
