"""Functions of position that skin, hair and beard are made of: steps, noise, layers of colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.rendering.anatomy import Array


def linear(colour: Array) -> Array:
    """sRGB in [0, 1] to linear light."""
    return np.asarray(np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4))


def step(values: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between (and the reverse where high < low)."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def noise(
    points: Array, seed: int, frequency: float, waves: int = 10, stretch: tuple[float, float, float] = (1, 1, 1)
) -> Array:
    """Smooth random field of zero mean and about unit deviation: a sum of plane waves of random direction."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(waves, 3)) * frequency * np.array(stretch)
    phases = rng.uniform(0, 2 * np.pi, waves)
    total = np.zeros(points.shape[:-1], points.dtype)
    for direction, phase in zip(directions, phases, strict=True):
        total += np.sin(points @ direction.astype(points.dtype) + points.dtype.type(phase))
    return np.asarray(total * np.sqrt(2 / waves))


def over(base: Array, colour: Array | Sequence[float], amount: Array) -> Array:
    """`colour` laid over `base` (... x 3) by `amount` (...)."""
    return np.asarray(base * (1 - amount[..., None]) + np.asarray(colour) * amount[..., None])
