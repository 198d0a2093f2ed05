"""The weights of a reference: those for editing, in half precision, in small files.

Conversion from half precision is exact, so all processors load the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmark.core.errors import UserError
from benchmark.core.hashes import write_text
from benchmark.stages.checkpoints import CHECKPOINT, open_checkpoint
from benchmark.stages.stored import for_editing, rounded
from benchmark.training.checkpoint import below, load_tensors, prefixed, save_tensors
from benchmark.training.trainer import WEIGHTS

SUFFIX = ".safetensors"
KEPT = ("method", "settings", "shape", "subset", "seed", "iterations", "framing")
"""Fields of `checkpoint.json` that are stored with the weights."""


def pack(folder: Path, path: Path) -> None:
    """Write the weights for editing of a finished training. folder: of the training; path: of the file to write."""
    checkpoint = open_checkpoint(folder)
    tensors, _ = load_tensors(folder / WEIGHTS)
    kept = rounded(for_editing(tensors, checkpoint.method_class.training_only), torch.float16)
    text = json.loads((folder / CHECKPOINT).read_text(encoding="utf-8"))
    described = {name: text[name] for name in KEPT if name in text}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, below("model", kept), {"checkpoint": described})


def unpack(path: Path, folder: Path) -> Path:
    """Write stored weights as the folder of a checkpoint; return the folder.

    Raises UserError if the file is damaged or of other networks.
    """
    halved, text = load_tensors(path)
    described = text.get("checkpoint")
    if not isinstance(described, Mapping):
        raise UserError(f"{path} holds no stored weights")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CHECKPOINT, json.dumps(described, indent=1, sort_keys=True) + "\n")
    checkpoint = open_checkpoint(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # initialises the networks that edits do not need
        method = checkpoint.method_class(checkpoint.settings, checkpoint.shape)
    tensors = prefixed("model", method.state_dict())
    stored = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in halved.items()}
    if strange := sorted(name for name, tensor in stored.items() if _shape(tensors, name) != tensor.shape):
        raise UserError(f"{path}: '{strange[0]}' is no tensor of {checkpoint.method_class.__name__} as it is here")
    # Networks with averages keep their initial weights: edits must use the averages.
    averaged = method.averaged()
    raw = {name: tensor for name, tensor in stored.items() if name.partition(".")[0] not in averaged}
    tensors |= prefixed("model", raw)
    for name in averaged:
        tensors |= prefixed(f"average.{name}", below(name, stored))
    save_tensors(folder / WEIGHTS, tensors, {})
    return folder


def _shape(tensors: Mapping[str, Tensor], name: str) -> torch.Size | None:
    tensor = tensors.get(f"model.{name}")
    return None if tensor is None else tensor.shape
