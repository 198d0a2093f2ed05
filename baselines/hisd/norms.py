"""Instance norm and the LeakyReLU behind it as one step, with its gradient in as few passes over memory as it takes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from baselines.centring import centred, over

EPSILON = 1e-5
SLOPE = 0.2


def activated_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """LeakyReLU of the instance norm of x (N x C x H x W) with its own statistics, then weight and bias (1 or N x C).

    The deviation is the unbiased one and epsilon is added to it, not to the variance: other numbers than torch's
    instance norm. Can be differentiated once.
    """
    result: Tensor = _ActivatedNorm.apply(x, weight, bias)
    return result


class _ActivatedNorm(torch.autograd.Function):
    """y = leaky((x - m) w / (s + e) + b), m and s the mean and deviation of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rest, squares = centred(x)
        deviation = (squares / (x.shape[2] * x.shape[3] - 1)).sqrt()
        y = torch.addcmul(over(bias), rest, over(weight / (deviation + EPSILON)))
        F.leaky_relu_(y, SLOPE)
        ctx.save_for_backward(rest, y, weight, bias, deviation)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rest, y, weight, bias, deviation = ctx.saved_tensors
        count = rest.shape[2] * rest.shape[3]
        delta = torch.ops.aten.leaky_relu_backward(delta, y, SLOPE, True)  # d, before the activation
        of_bias = delta.sum((2, 3))  # sum of d
        result = delta * rest
        of_weight = result.sum((2, 3)) / (deviation + EPSILON)  # sum of d (x - m) / (s + e)
        # dL/dx = g (d - mean of d) - h (x - m), g = w / (s + e), h = g sum of d (x - m) / ((s + e) s (count - 1)).
        gain = weight / (deviation + EPSILON)
        pull = torch.where(deviation > 0, gain * of_weight / (deviation * (count - 1)), 0)
        torch.addcmul(over(-gain * of_bias / count), rest, over(-pull), out=result)
        result.addcmul_(delta, over(gain))
        return result, of_weight.sum_to_size(weight.shape), of_bias.sum_to_size(bias.shape)
