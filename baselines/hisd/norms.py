"""Instance norm and the LeakyReLU behind it as one step, with its gradient in as few passes over memory as it takes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-5
SLOPE = 0.2


def activated_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """LeakyReLU of the instance norm of x (N x C x H x W) with its own statistics, then weight and bias (1 or N x C).

    The deviation is the unbiased one and epsilon is added to it, not to the variance: other numbers than torch's
    instance norm. Can be differentiated once.
    """
    result: Tensor = _ActivatedNorm.apply(x, weight, bias)
    return result


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased deviation of N x C x H x W, both N x C."""
    if x.is_cuda:
        deviation, mean = torch.std_mean(x, dim=(2, 3))
        return mean, deviation
    # Image by image, with what batch norm has for it: torch.std_mean takes nine times as long on a CPU.
    each = [torch.batch_norm_update_stats(image, None, None, 0.0) for image in torch.split(x, 1)]
    count = x.shape[2] * x.shape[3]
    mean, variance = (torch.stack(values) for values in zip(*each, strict=True))
    return mean, (variance * (count / (count - 1))).sqrt()


class _ActivatedNorm(torch.autograd.Function):
    """y = leaky((x - m) w / (s + e) + b), m and s the mean and deviation of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean, deviation = moments(x)
        gain = weight / (deviation + EPSILON)
        y = torch.addcmul(_over(bias - mean * gain), x, _over(gain))
        F.leaky_relu_(y, SLOPE)
        ctx.save_for_backward(x, y, weight, bias, mean, deviation)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, y, weight, bias, mean, deviation = ctx.saved_tensors
        count = x.shape[2] * x.shape[3]
        delta = torch.ops.aten.leaky_relu_backward(delta, y, SLOPE, True)  # d, before the activation
        of_bias = delta.sum((2, 3))  # sum of d
        result = delta * x
        about_mean = result.sum((2, 3)) - mean * of_bias  # sum of d (x - m)
        of_weight = about_mean / (deviation + EPSILON)
        # dL/dx = g (d - mean of d) - h (x - m), g = w / (s + e), h = g sum of d (x - m) / ((s + e) s (count - 1)).
        gain = weight / (deviation + EPSILON)
        pull = torch.where(deviation > 0, gain * of_weight / (deviation * (count - 1)), 0)
        torch.addcmul(_over(mean * pull - gain * of_bias / count), x, _over(-pull), out=result)
        result.addcmul_(delta, _over(gain))
        return result, of_weight.sum_to_size(weight.shape), of_bias.sum_to_size(bias.shape)


def _over(values: Tensor) -> Tensor:
    """N x C, over all pixels."""
    return values[..., None, None]
