"""Convolutions as the feature networks need them on a CPU: with their activation in the same pass over memory, and for
some shapes with fewer multiplications. All hold folded weights and take pictures channels last (see `bilinear`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.metrics.features.bilinear import Bilinear, line, tile

Activation = Literal["none", "relu", "hardtanh"]
"""In oneDNN's words; hardtanh is ReLU6 here, between 0 and 6."""
Fused = Callable[[Tensor, Tensor, Tensor | None, list[int], list[int], list[int], int, Activation], Tensor]

OUTPUTS = 4
"""Side of a tile. With 6 x 6 inputs nine products become four, and the rounding stays that of a plain convolution
(6e-7 of the norm); 8 x 8 inputs are no faster and lose a digit."""
POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
TILES = 81
"""Tiles in work at once, so that their products stay in the cache."""


@cache
def fused_convolution() -> Fused | None:
    """Convolution, bias and activation in one oneDNN call, or None where this torch has none that is called so."""
    try:
        call: Any = torch.ops.mkldnn._convolution_pointwise.default

        def convolve(
            x: Tensor, weight: Tensor, bias: Tensor | None, padding: list[int], stride: list[int], dilation: list[int],
            groups: int, activation: Activation,
        ) -> Tensor:  # fmt: skip
            scalars = [0.0, 6.0] if activation == "hardtanh" else []
            made = call(x, weight, bias, padding, stride, dilation, groups, activation, scalars, "")
            assert isinstance(made, Tensor)
            return made

        with torch.inference_mode():
            x, weight = torch.full((1, 2, 3, 3), 5.0), torch.ones(2, 2, 1, 1)
            for activation, answer in (("none", -10.0), ("relu", 0.0), ("hardtanh", 0.0)):
                tried = convolve(x, -weight, torch.zeros(2), [0, 0], [1, 1], [1, 1], 1, activation)  # type: ignore[arg-type]
                if not torch.equal(tried, torch.full_like(x, answer)):
                    return None
    except (AttributeError, RuntimeError, TypeError):
        return None
    return convolve


class FusedConv(nn.Module):
    """activation(convolution + bias): N x C x H x W, channels last, to N x C' x H' x W'."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d, activation: Activation) -> None:
        super().__init__()
        assert isinstance(conv.padding, tuple)
        self.activation: Activation = activation
        self.padding, self.stride = list(conv.padding), list(conv.stride)
        self.dilation, self.groups = list(conv.dilation), conv.groups
        self.register_buffer("weight", conv.weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        fused = fused_convolution() if x.device.type == "cpu" else None
        if fused is not None:
            x = x.contiguous(memory_format=torch.channels_last)
            return fused(
                x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups, self.activation
            )
        made = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        if self.activation == "none":
            return made
        return F.relu_(made) if self.activation == "relu" else F.hardtanh_(made, 0.0, 6.0)


class _Products(nn.Module):
    """What the two below share: P matrix products between an analysis and a synthesis, and ReLU."""

    analysis: Tensor
    kernels: Tensor
    synthesis: Tensor
    bias: Tensor

    def __init__(self, analysis: np.ndarray, kernels: Tensor, synthesis: np.ndarray, bias: Tensor) -> None:
        """kernels: P x C x C', float64."""
        super().__init__()
        # The bias is one product more, whose value is the same everywhere.
        with_bias = np.concatenate([synthesis, np.ones((len(synthesis), 1))], axis=1)
        for name, value in (("analysis", analysis), ("synthesis", with_bias)):
            self.register_buffer(name, torch.from_numpy(value).float().contiguous())
        self.register_buffer("kernels", kernels.float().contiguous())
        self.register_buffer("bias", bias.detach().clone())

    def multiply(self, x: Tensor) -> Tensor:
        """inputs x R x C to outputs x R x C'."""
        inputs, rows, channels = x.shape
        count, _, made = self.kernels.shape
        spectrum = torch.mm(self.analysis, x.reshape(inputs, -1)).view(count, rows, channels)
        products = x.new_empty(count + 1, rows, made)
        torch.bmm(spectrum, self.kernels, out=products[:count])
        products[count] = self.bias
        return torch.mm(self.synthesis, products.view(count + 1, -1)).relu_().view(-1, rows, made)


class LineConv(_Products):
    """relu(convolution + bias) along lines of `length` positions, by a kernel of 1 x k or k x 1 that keeps the size."""

    def __init__(self, conv: nn.Conv2d, length: int) -> None:
        taps = max(conv.kernel_size)
        assert conv.bias is not None
        assert sorted(conv.kernel_size) == [1, taps]
        algorithm = line(length, taps)
        weights = conv.weight.detach().flatten(2).double()
        kernels = torch.einsum("pt,oct->pco", torch.from_numpy(algorithm.kernel), weights)
        super().__init__(algorithm.analysis, kernels, algorithm.synthesis, conv.bias)
        self.across = conv.kernel_size[1] == taps
        """Whether lines are rows of the picture."""

    def forward(self, lines: Tensor) -> Tensor:
        """length x N x M x C (M lines a picture) to length x N x M x C'."""
        length, pictures, count, channels = lines.shape
        return self.multiply(lines.view(length, pictures * count, channels)).view(length, pictures, count, -1)


class LineChain(nn.Module):
    """`LineConv`s after one another, each along the other axis than the one before: N x C x S x S to N x C' x S x S."""

    def __init__(self, convs: Sequence[nn.Conv2d], side: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(LineConv(conv, side) for conv in convs)
        turns = [step.across for step in self.steps]
        assert all(a != b for a, b in pairwise(turns))
        self.first, self.last = turns[0], turns[-1]

    def forward(self, x: Tensor) -> Tensor:
        """As the class says; channels last."""
        lines = x.permute(3, 0, 2, 1) if self.first else x.permute(2, 0, 3, 1)
        for number, step in enumerate(self.steps):
            lines = step((lines if number == 0 else lines.permute(2, 1, 0, 3)).contiguous())
        return lines.permute(1, 3, 2, 0) if self.last else lines.permute(1, 3, 0, 2)


class TileConv(_Products):
    """relu(convolution + bias) by a 3 x 3 kernel of stride 1, tile by tile."""

    def __init__(self, conv: nn.Conv2d, tiles: int = TILES, whole_tiles: bool = False) -> None:
        """whole_tiles: leave the rows and columns in which the last tiles reach beyond the picture (what is in them has
        no meaning): for those who would copy the picture to be rid of them, and don't look there.
        """
        assert conv.bias is not None
        assert conv.kernel_size == (3, 3)
        assert conv.stride == (1, 1)
        assert isinstance(conv.padding, tuple)
        algorithm: Bilinear = tile(OUTPUTS, 3, POINTS)
        kernel = torch.from_numpy(algorithm.kernel)
        kernels = torch.einsum("ay,bx,ocyx->abco", kernel, kernel, conv.weight.detach().double())
        analysis, synthesis = (np.kron(part, part) for part in (algorithm.analysis, algorithm.synthesis))
        super().__init__(analysis, kernels.flatten(0, 1), synthesis, conv.bias)
        self.padding, self.tiles, self.whole_tiles = int(conv.padding[0]), tiles, whole_tiles

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W, channels last, to N x C' x H' x W'."""
        count, channels, height, width = x.shape
        pad, out_height, out_width = self.padding, height + 2 * self.padding - 2, width + 2 * self.padding - 2
        down, across = -(-out_height // OUTPUTS), -(-out_width // OUTPUTS)
        padded = x.new_zeros(count, down * OUTPUTS + 2, across * OUTPUTS + 2, channels)
        padded[:, pad : pad + height, pad : pad + width] = x.permute(0, 2, 3, 1)
        made = x.new_empty(count, down * OUTPUTS, across * OUTPUTS, self.kernels.shape[2])
        pictures = max(1, self.tiles // (down * across))
        rows = min(down, max(1, self.tiles // across))
        for first in range(0, count, pictures):
            for top in range(0, down, rows):
                strip = padded[first : first + pictures, top * OUTPUTS : (top + rows) * OUTPUTS + 2]
                self._strip(strip, made[first : first + pictures, top * OUTPUTS : (top + rows) * OUTPUTS])
        seen = made if self.whole_tiles else made[:, :out_height, :out_width]
        return seen.permute(0, 3, 1, 2)

    def _strip(self, x: Tensor, out: Tensor) -> None:
        """n x (4 d + 2) x (4 a + 2) x C to n x 4 d x 4 a x C'."""
        tiles = x.unfold(1, OUTPUTS + 2, OUTPUTS).unfold(2, OUTPUTS + 2, OUTPUTS)  # n x d x a x C x 6 x 6
        count, down, across, channels = tiles.shape[:4]
        inputs = tiles.permute(4, 5, 0, 1, 2, 3).reshape((OUTPUTS + 2) ** 2, count * down * across, channels)
        made = self.multiply(inputs).view(OUTPUTS, OUTPUTS, count, down, across, -1)
        out.view(count, down, OUTPUTS, across, OUTPUTS, -1).copy_(made.permute(2, 3, 0, 4, 1, 5))
