"""LeakyReLU for networks whose gradient is itself differentiated."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LeakyReLU(nn.LeakyReLU):
    """`nn.LeakyReLU`, whose second derivative is 0 almost everywhere, and here is not computed.

    torch sends a gradient of zeros from it back through all layers before: a quarter of the gradient penalty's time
    (7 % of StarGAN's step; 20 % of its discriminator's at 128 px and width 1).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        y: Tensor = _LeakyReLU.apply(x, self.negative_slope)
        return y


class _LeakyReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        y = F.leaky_relu(x, slope)
        ctx.slope = slope
        ctx.save_for_backward(y)
        ctx.set_materialize_grads(False)
        return y

    @staticmethod
    def backward(ctx: Any, delta: Tensor | None) -> tuple[Tensor | None, None]:
        (y,) = ctx.saved_tensors
        if delta is None:
            return None, None
        return torch.ops.aten.leaky_relu_backward(delta, y.detach(), ctx.slope, True), None
