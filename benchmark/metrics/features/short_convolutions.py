"""Convolutions with fewer multiplications (Winograd, 1980; Lavin and Gray, 2016), for Inception on a CPU.

Such an algorithm is three matrices: y = synthesis ((kernel w) * (analysis x)), the product taken element by element.
In a layer of C to C' channels each of the P elements is a C x C' matrix product, so that fewer elements are less work,
and all three steps are matrix products on whole batches. Here w slides over x as in a network's layer (a correlation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Matrix = NDArray[np.float64]

OUTPUTS = 4
"""Side of a tile. With 6 x 6 inputs nine products become four, and the rounding stays that of a plain convolution
(6e-7 of the norm); 8 x 8 inputs are no faster and lose a digit."""
POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
TILES = 81
"""Tiles in work at once, so that their products stay in the cache."""


@dataclass(frozen=True)
class Bilinear:
    """P products: analysis is P x inputs, kernel P x taps, synthesis outputs x P."""

    analysis: Matrix
    kernel: Matrix
    synthesis: Matrix


def tile(outputs: int, taps: int, points: Sequence[float]) -> Bilinear:
    """`outputs` neighbouring values from the `outputs + taps - 1` inputs that they see (Toom and Cook's): as many
    products as inputs, where one for each value and tap were needed.

    points: one fewer than inputs, all different, small and of either sign, for these decide the rounding.
    """
    count = outputs + taps - 1
    if len(points) != count - 1 or len(set(points)) != len(points):
        raise ValueError(f"{count - 1} different points are needed, not {points}")

    def evaluated(terms: int) -> Matrix:
        """A polynomial's values at the points and its highest coefficient (its value at infinity)."""
        at_infinity = np.eye(1, terms, terms - 1)
        return np.concatenate([np.vander(np.asarray(points, float), terms, increasing=True), at_infinity])

    # The transpose of an algorithm that multiplies polynomials is one that correlates.
    analysis = np.linalg.inv(evaluated(count)).T
    kernel = evaluated(taps)
    # Each product's two factors get rows of like size, so that neither loses digits.
    scale = np.sqrt(np.abs(kernel).sum(axis=1) / np.abs(analysis).sum(axis=1))[:, None]
    return Bilinear(analysis * scale, kernel / scale, evaluated(outputs).T)


def line(length: int, taps: int) -> Bilinear:
    """All `length` values of a line with zeros beyond its ends (`taps` odd, the middle one at the value's place): the
    Fourier transform, each complex product done with three real ones.

    17 values and 7 taps take 29 products instead of 119.
    """
    if taps % 2 == 0:
        raise ValueError(f"taps must be odd, not {taps}")
    reach = taps // 2
    period = length + reach  # what wraps round at one end meets the zeros beyond the other
    period += period % 2
    position, tap = np.arange(length), np.arange(taps) - reach
    rows: list[tuple[Matrix, Matrix, Matrix]] = []
    for wave in range(period // 2 + 1):
        angle = 2.0 * np.pi * wave / period
        cosine, sine = np.cos(angle * position), np.sin(angle * position)
        real, imaginary = np.cos(angle * tap), np.sin(angle * tap)
        if wave in (0, period // 2):
            rows.append((cosine, real, cosine / period))
            continue
        # (a + ib)(c + id): ac, bd, (a + b)(c + d).
        back = 2.0 / period
        rows.append((cosine, real, back * (cosine + sine)))
        rows.append((-sine, imaginary, back * (sine - cosine)))
        rows.append((cosine - sine, real + imaginary, -back * sine))
    analysis, kernel, synthesis = (np.stack(part) for part in zip(*rows, strict=True))
    return Bilinear(analysis, kernel, synthesis.T)


class _Products(nn.Module):
    """P matrix products between an analysis and a synthesis, and ReLU."""

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
        count, _, outputs = self.kernels.shape
        spectrum = torch.mm(self.analysis, x.reshape(inputs, -1)).view(count, rows, channels)
        products = x.new_empty(count + 1, rows, outputs)
        torch.bmm(spectrum, self.kernels, out=products[:count])
        products[count] = self.bias
        return torch.mm(self.synthesis, products.view(count + 1, -1)).relu_().view(-1, rows, outputs)


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
        pictures = lines.permute(1, 3, 2, 0) if self.last else lines.permute(1, 3, 0, 2)
        return pictures.contiguous(memory_format=torch.channels_last)


class TileConv(_Products):
    """relu(convolution + bias) by a 3 x 3 kernel of stride 1, tile by tile."""

    def __init__(self, conv: nn.Conv2d) -> None:
        assert conv.bias is not None
        assert conv.kernel_size == (3, 3)
        assert conv.stride == (1, 1)
        assert isinstance(conv.padding, tuple)
        algorithm = tile(OUTPUTS, 3, POINTS)
        kernel = torch.from_numpy(algorithm.kernel)
        kernels = torch.einsum("ay,bx,ocyx->abco", kernel, kernel, conv.weight.detach().double())
        analysis, synthesis = (np.kron(part, part) for part in (algorithm.analysis, algorithm.synthesis))
        super().__init__(analysis, kernels.flatten(0, 1), synthesis, conv.bias)
        self.padding = int(conv.padding[0])

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W, channels last, to N x C' x H' x W'."""
        count, channels, height, width = x.shape
        pad, out_height, out_width = self.padding, height + 2 * self.padding - 2, width + 2 * self.padding - 2
        down, across = -(-out_height // OUTPUTS), -(-out_width // OUTPUTS)
        padded = x.new_zeros(count, down * OUTPUTS + 2, across * OUTPUTS + 2, channels)
        padded[:, pad : pad + height, pad : pad + width] = x.permute(0, 2, 3, 1)
        outputs = x.new_empty(count, down * OUTPUTS, across * OUTPUTS, self.kernels.shape[2])
        pictures = max(1, TILES // (down * across))
        rows = min(down, max(1, TILES // across))
        for first in range(0, count, pictures):
            for top in range(0, down, rows):
                strip = padded[first : first + pictures, top * OUTPUTS : (top + rows) * OUTPUTS + 2]
                self._strip(strip, outputs[first : first + pictures, top * OUTPUTS : (top + rows) * OUTPUTS])
        return outputs[:, :out_height, :out_width].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def _strip(self, x: Tensor, out: Tensor) -> None:
        """n x (4 d + 2) x (4 a + 2) x C to n x 4 d x 4 a x C'."""
        tiles = x.unfold(1, OUTPUTS + 2, OUTPUTS).unfold(2, OUTPUTS + 2, OUTPUTS)  # n x d x a x C x 6 x 6
        count, down, across, channels = tiles.shape[:4]
        inputs = tiles.permute(4, 5, 0, 1, 2, 3).reshape((OUTPUTS + 2) ** 2, count * down * across, channels)
        values = self.multiply(inputs).view(OUTPUTS, OUTPUTS, count, down, across, -1)
        out.view(count, down, OUTPUTS, across, OUTPUTS, -1).copy_(values.permute(2, 3, 0, 4, 1, 5))
