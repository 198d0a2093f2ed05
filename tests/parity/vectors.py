"""Reads the published implementations' numbers, and fills weights as they were filled for them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

HERE = Path(__file__).parent
TOLERANCE = 1e-5


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Published parameter names of a network, with their shapes."""
    listed = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))["parameters"]
    return {parameter: tuple(shape) for parameter, shape in listed}


def count(name: str) -> int:
    return int(json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))["count"])


def weights(name: str) -> dict[str, Tensor]:
    """A value for every parameter, drawn from its published name."""
    return {parameter: torch.from_numpy(_value(parameter, shape)) for parameter, shape in shapes(name).items()}


def _value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    scale = len(shape) == 1 or (len(shape) == 3 and shape[0] == 1 and shape[2] == 1)
    if scale and name.endswith("weight"):
        return np.float32(1) + np.float32(0.1) * drawn
    if scale or name.endswith("bias"):
        return np.float32(0.1) * drawn
    return drawn * np.float32(np.sqrt(2 / np.prod(shape[1:])))


class Vectors:
    """The inputs and outputs of one network or loss."""

    def __init__(self, name: str) -> None:
        with np.load(HERE / "vectors.npz") as stored:
            self.image = torch.from_numpy(stored["image"])
            self._arrays = {
                key.removeprefix(f"{name}/"): stored[key] for key in stored.files if key.startswith(f"{name}/")
            }

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(self._arrays[key])

    def error(self, key: str, ours: Tensor) -> float:
        """Relative error: norm of the difference over norm of the published, on what is stored; of norms too."""
        flat = ours.detach().contiguous().flatten().double()
        published = self[f"out_{key}"].flatten().double()
        errors = []
        if f"out_{key}.norm" in self._arrays:
            norm = float(self[f"out_{key}.norm"])
            errors.append(abs(float(flat.norm()) - norm) / norm)
            flat = flat[:: (len(flat) // 2048) | 1]
        assert flat.shape == published.shape
        return max([float((flat - published).norm() / published.norm()), *errors])
