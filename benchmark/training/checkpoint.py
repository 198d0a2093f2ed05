"""A trainer's whole state in one safetensors file, and the weights that remain of it when training is over.

Safetensors hold named tensors and text, and run nothing when they are loaded. The state is flattened: weights under
`model.`, averages under `average.`, optimiser tensors under `optimizer.NAME.INDEX.FIELD`, random states under
`random.`.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from benchmark.core.errors import UserError

TEXT = "fesbench"


@dataclass
class Position:
    """Where training stands, and what it has logged so far."""

    iteration: int = 0
    updates: dict[str, int] = field(default_factory=dict)
    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    """Seconds of these in which the step waited for its pictures."""
    threads: int = 0
    warned: list[str] = field(default_factory=list)
    loss_names: list[str] = field(default_factory=list)
    summed: dict[str, int] = field(default_factory=dict)
    """How often each loss was added to the sums that are not yet in the history."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], text: Mapping[str, Any]) -> None:
    """Write tensors and a JSON text as one file, whole or not at all: the old file is there until the new one is
    complete.
    """
    partial = path.with_name(path.name + ".tmp")
    on_cpu = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    # One entry: safetensors writes several in no fixed order, and equal contents are to be equal bytes.
    save_file(on_cpu, partial, metadata={TEXT: json.dumps(text, sort_keys=True)})
    mask = os.umask(0)
    os.umask(mask)
    partial.chmod(0o666 & ~mask)  # safetensors makes it its owner's alone
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote. Raises UserError for a damaged file."""
    try:
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata() or {}
            if TEXT not in metadata:
                raise UserError(f"{path} is no checkpoint of this project")
            return {name: stream.get_tensor(name) for name in stream.keys()}, json.loads(metadata[TEXT])  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: its folder is no whole checkpoint") from error
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"the checkpoint {path} is damaged ({error}): remove it to begin anew") from error


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, their names behind `prefix.`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state of every parameter as `INDEX.FIELD`; numbers become tensors of no dimension."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, fields in state.items()
        for name, value in fields.items()
    }


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put `optimizer_tensors` back. Learning rates and other options are not touched: they come from the settings."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, attribute = name.partition(".")
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:
            # Fused steps read moments in the order in which the parameter lies in memory, and check nothing.
            tensor = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
        state.setdefault(int(index), {})[attribute] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def random_tensors() -> dict[str, Tensor]:
    """The states of Python's, NumPy's, torch's and every GPU's generator."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 - the global one is kept
    assert version == 3
    assert name == "MT19937"
    tensors = {
        "python": torch.tensor(words, dtype=torch.int64),
        "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.tensor([*np.asarray(keys).tolist(), position, has_gauss], dtype=torch.int64),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        tensors |= {f"cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return tensors


def restore_random(tensors: Mapping[str, Tensor]) -> None:
    """Put `random_tensors` back."""
    gauss = tensors["python_gauss"].tolist()
    random.setstate((3, tuple(tensors["python"].tolist()), gauss[0] if gauss else None))
    *keys, position, has_gauss = tensors["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has_gauss, tensors["numpy_gauss"].item()))  # noqa: NPY002
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            if f"cuda{index}" in tensors:
                torch.cuda.set_rng_state(tensors[f"cuda{index}"], index)
