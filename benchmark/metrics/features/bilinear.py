"""Short convolutions with fewer multiplications (Winograd, 1980; Lavin and Gray, 2016).

Such an algorithm is three matrices: y = synthesis ((kernel w) * (analysis x)), the product taken element by element.
For a layer of C to C' channels each element is a C x C' matrix product, so that fewer elements are less work, and all
three steps are matrix products on whole batches. Here w slides over x as in a network's layer (a correlation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


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
    place, tap = np.arange(length), np.arange(taps) - reach
    rows: list[tuple[Matrix, Matrix, Matrix]] = []
    for wave in range(period // 2 + 1):
        angle = 2.0 * np.pi * wave / period
        cosine, sine = np.cos(angle * place), np.sin(angle * place)
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
