"""Parts shared by the trainings of judge and reader: optimiser, learning rate, identity of a saved state, files.

Both are networks trained on real pictures with known answers. Each is stored as two files, `NAME.safetensors` with its
weights and `NAME.json` with what they are for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmark.core.errors import UserError, first_line
from benchmark.core.files import MEGABYTE, open_regular, read_regular
from benchmark.core.hashes import write_text
from benchmark.training.checkpoint import load_state, write_safetensors
from benchmark.training.sampling import TrainingSet

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

BATCH = 256
"""Pictures read at once where all are read in order."""

Loaded = TypeVar("Loaded")


def adamw(network: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019) with weight decay on matrices and kernels only, not on vectors."""
    decayed = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in network.parameters() if parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def one_cycle(progress: float, warm_up: float) -> float:
    """Share of the peak learning rate in one cycle: linear rise, cosine fall to 0 (Smith and Topin, 2018).

    progress: share of the steps that are done, above 0 and at most 1. warm_up: share in which the rate rises.
    """
    if progress < warm_up:
        return progress / warm_up
    return (1.0 + math.cos(math.pi * (progress - warm_up) / (1.0 - warm_up))) / 2.0


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def in_order(data: TrainingSet) -> Iterator[tuple[np.ndarray, Tensor]]:
    """All pictures in order: their indices, n, and the pictures, n x S x S x 3 uint8, with n at most `BATCH`."""
    for indices in np.array_split(np.arange(len(data)), math.ceil(len(data) / BATCH)):
        yield indices, data.take(indices)


def training_identity(data: TrainingSet, targets: np.ndarray, settings: DataclassInstance, seed: int) -> str:
    """SHA-256 of what decides the weights: settings, seed, pictures and targets."""
    shape = (len(data), *data.images.shape[1:])
    digest = hashlib.sha256(json.dumps([dataclasses.asdict(settings), seed, shape], sort_keys=True).encode())
    for _, pictures in in_order(data):
        digest.update(pictures.numpy().tobytes())
    digest.update(targets.tobytes())
    return digest.hexdigest()


def load_own_state(
    path: Path, name: str, identity: str, warn: Callable[[str], None]
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the saved state of a training, None if there is none that can be read.

    Raises UserError where its text has another `identity`: it is of another training.
    """
    state = load_state(path, warn)
    if state is not None and state[1].get("identity") != identity:
        raise UserError(f"{path} is of a {name} with other pictures or settings: remove it to begin anew")
    return state


def save_network(folder: Path, name: str, network: nn.Module, description: Mapping[str, Any]) -> None:
    """Write `NAME.safetensors` and `NAME.json` into an existing folder, each whole or not at all."""
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    partial = folder / f"{name}.safetensors.tmp"
    write_safetensors(partial, weights)
    partial.replace(folder / f"{name}.safetensors")
    write_text(folder / f"{name}.json", json.dumps(description, indent=1, sort_keys=True) + "\n")


def load_network(folder: Path, name: str, build: Callable[[Any, dict[str, Tensor]], Loaded]) -> Loaded:
    """Read the files of `save_network`; `build` makes the network from the description and the weights.

    Raises UserError where a file is missing, damaged or of another network.
    """
    try:
        description = json.loads(read_regular(folder / f"{name}.json", MEGABYTE))
        with open_regular(folder / f"{name}.safetensors"):
            return build(description, load_file(folder / f"{name}.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{folder} holds no {name} that can be read ({first_line(error)}): remove it and train it again"
        ) from error
