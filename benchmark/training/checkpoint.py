"""Safetensors files of a training: its whole state, from which it resumes exactly, and its final weights.

Safetensors files have named tensors and text; loading one runs no code. A state has weights under `model.`, averages
under `average.`, optimiser states under `optimizer.NAME.INDEX.FIELD`, random states under `random.`. A parameter that
has had no gradient yet has no optimiser state.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from benchmark.core.artifacts import DAMAGED, free_name
from benchmark.core.errors import UserError
from benchmark.core.files import fault_of

TEXT = "fesbench"
SEAL, UNSEALED = "sha256", b"0" * 64
_SEAL = re.compile(rb'\\"sha256\\": \\"([0-9a-f]{64})\\"')
DAMAGE = (SafetensorError, OSError, ValueError, KeyError, AttributeError)
LARGEST_HEAD = 100 << 20
"""Bytes; safetensors takes no larger one."""


@dataclass
class Position:
    """Progress of a training, and what it has logged."""

    iteration: int = 0
    updates: dict[str, int] = field(default_factory=dict)
    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    """Seconds, part of `seconds`, in which steps waited for pictures."""
    processor_seconds: float = 0.0
    """Processor time of this process, all threads: what `seconds` would be of one core that did nothing else."""
    threads: int = 0
    warned: list[str] = field(default_factory=list)
    loss_names: list[str] = field(default_factory=list)
    summed: dict[str, int] = field(default_factory=dict)
    """Number of values in the sum of each loss since the last row of the history."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], text: Mapping[str, Any], sealed: bool = False) -> None:
    """Write tensors and a JSON text as one file, which replaces an old one when it is complete.

    sealed: the text has the SHA-256 of the file, computed with zeros in its place. Raises OSError.
    """
    partial = path.with_name(path.name + ".tmp")
    on_cpu = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    # One entry, since safetensors writes several in no fixed order, and equal content must give equal bytes.
    content = json.dumps({SEAL: UNSEALED.decode(), **text} if sealed else text, sort_keys=True)
    write_safetensors(partial, on_cpu, {TEXT: content})
    if sealed:
        _seal(partial)
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)


def write_safetensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file. Raises OSError, and leaves no file, if it cannot be written whole."""
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:  # the system's error is in its text
        path.unlink(missing_ok=True)
        code = re.search(r"(?:code: |os error )(\d+)", str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number), os.fspath(path)) from error
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)  # safetensors gives the owner alone access


def _seal(path: Path) -> None:
    """Write the digest of a file over the zeros that stand for it."""
    with path.open("r+b") as stream:
        offset = _seal_offset(stream)
        digest = _digest_without_seal(stream, offset)
        stream.seek(offset)
        stream.write(digest)


def _check_seal(path: Path) -> None:
    """Raise ValueError if a file has changed since it was sealed."""
    with path.open("rb") as stream:
        offset = _seal_offset(stream)
        digest = _digest_without_seal(stream, offset)
        stream.seek(offset)
        if stream.read(len(UNSEALED)) != digest:
            raise ValueError("it is not what was written")


def _seal_offset(stream: BinaryIO) -> int:
    """Offset of the 64 digits in the head of a safetensors file (its length, then JSON)."""
    length = int.from_bytes(stream.read(8), "little")
    seal = _SEAL.search(stream.read(min(length, LARGEST_HEAD)))
    if seal is None:
        raise ValueError("it has no hash of itself")
    return 8 + seal.start(1)


def _digest_without_seal(stream: BinaryIO, offset: int) -> bytes:
    """SHA-256, in 64 hex digits, of a file with zeros in place of its seal."""
    stream.seek(0)
    digest = hashlib.sha256(stream.read(offset) + UNSEALED)
    stream.seek(offset + len(UNSEALED))
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest().encode()


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file of `save_tensors`. Raises UserError for a damaged file."""
    try:
        return _read(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: its folder is no whole checkpoint") from error
    except DAMAGE as error:
        raise UserError(f"the checkpoint {path} is damaged ({error})") from error


def load_state(path: Path, warn: Callable[[str], None]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a sealed state; None if there is none. A damaged file is renamed, and `warn` gets a line.

    Raises PermissionError.
    """
    if not os.path.lexists(path):
        return None
    try:
        if fault := fault_of(path):
            raise ValueError(f"it {fault}")
        _check_seal(path)
        return _read(path)
    except PermissionError:  # it may be whole
        raise
    except DAMAGE as error:
        aside = free_name(path, DAMAGED)
        path.rename(aside)
        warn(f"the saved state {path} is damaged ({error}): set aside as {aside.name}, and the training begins anew")
        return None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as stream:
        metadata = stream.metadata() or {}
        if TEXT not in metadata:
            raise ValueError("it is no checkpoint of this project")
        text = json.loads(metadata[TEXT])
        text.pop(SEAL, None)
        return {name: stream.get_tensor(name) for name in stream.keys()}, text  # noqa: SIM118


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Prepend `prefix.` to the names of tensors."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the tensors whose names begin with `prefix.`, and remove it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Flatten the states of parameters to `INDEX.FIELD`; numbers become tensors without dimensions."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, fields in state.items()
        for name, value in fields.items()
    }


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load the states of `optimizer_tensors`. Learning rates and other options stay: they come from the settings."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, attribute = name.partition(".")
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:
            # Fused steps read moments in the memory order of the parameter, without a check.
            tensor = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
        state.setdefault(int(index), {})[attribute] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def random_tensors() -> dict[str, Tensor]:
    """States of the global generators of Python, NumPy, torch and every GPU."""
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
    """Load the states of `random_tensors`."""
    gauss = tensors["python_gauss"].tolist()
    random.setstate((3, tuple(tensors["python"].tolist()), gauss[0] if gauss else None))
    *keys, position, has_gauss = tensors["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has_gauss, tensors["numpy_gauss"].item()))  # noqa: NPY002
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            if f"cuda{index}" in tensors:
                torch.cuda.set_rng_state(tensors[f"cuda{index}"], index)
