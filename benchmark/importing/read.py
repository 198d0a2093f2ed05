"""Read weight files of other programs as data; no code in them is run."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmark.core.errors import UserError
from benchmark.core.files import open_regular
from benchmark.core.hashes import sha256_of
from benchmark.core.paths import printable
from benchmark.importing.recognise import OF_TORCH, archive_of, format_of

LARGEST = 8 << 30
"""Largest size of a file in bytes, also unpacked; published ones have at most a twentieth of it."""
_DEPTH = 6
"""Depth of nested dictionaries."""
_PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile add to every name."""
_FORBIDDEN = re.compile(r"(?:GLOBAL|[Uu]nsupported (?:global|class))\W+(?:GLOBAL )?([\w.]+)")
_REASON = re.compile(r"WeightsUnpickler error:\s*(.+)", re.DOTALL)
"""The reason in torch's message, which follows a paragraph of advice."""
_STARTS = (b"PK\x03\x04", b"\x80")
"""A zip file; a pickle, as torch saved until version 1.5."""


@dataclass(frozen=True)
class StateDict:
    """A state dict of a file.

    path: the entries that lead to it. stripped: the prefix that its names had, "" for none.
    """

    file: Path
    path: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    stripped: str = ""

    @property
    def title(self) -> str:
        """`gen_00200000.pt, 'gen_test'`."""
        return self.file.name + (f", '{printable('.'.join(self.path))[:80]}'" if self.path else "")


def read_state_dicts(path: Path, entries: tuple[str, ...] = ()) -> list[StateDict]:
    """Read all state dicts of a file, at any depth. Raises UserError, in one line, for anything else.

    entries: names under which some files keep theirs flat, as `gen.encoder.0.weight`; such are taken apart.
    """
    contents = _read(path)
    states = []
    for nested, flat in _walk(contents, ()):
        bare, outer = _without_prefix(flat)
        for keys, named in _apart(nested, bare, entries):
            tensors, inner = _without_prefix(named)
            states.append(StateDict(path, keys, tensors, outer + inner))
    if states:
        return states
    if _is_optimiser(contents) or (isinstance(contents, Mapping) and any(map(_is_optimiser, contents.values()))):
        raise UserError(f"{path} holds the state of optimisers, not the weights of a network")
    raise UserError(f"{path} holds no named tensors ({type(contents).__name__}): it is no checkpoint")


def sha256(path: Path) -> str:
    """SHA-256 of a regular file, 64 hex digits. Raises UserError where it cannot be read."""
    try:
        open_regular(path).close()
        return sha256_of(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error


def _read(path: Path) -> Any:
    """Load a file of torch.save or safetensors."""
    try:
        with open_regular(path, LARGEST) as stream:
            head = stream.read(512)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    _check_head(path, head)
    if zipfile.is_zipfile(path):
        _check_archive(path)
    if head[8:9] == b"{":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise UserError(f"{path} is damaged, or no safetensors file ({_line(error)})") from error
    if not head.startswith(_STARTS):
        raise UserError(f"{path} is damaged or no checkpoint: it does not begin as a file of torch.save does")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of storages as older versions of torch wrote them
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError as error:
        raise UserError(f"{path} does not fit into memory") from error
    except Exception as error:  # a file cut off or made up can stop the reader anywhere
        raise _refused(path, error) from error


def _check_head(path: Path, head: bytes) -> None:
    """Raise UserError for files of other formats that are often taken for checkpoints."""
    if not head:
        raise UserError(f"{path} is empty")
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise UserError(f"{path} is a web page, not a checkpoint: the download has not worked")
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` where it comes from")
    if kind := format_of(path.name, head):
        raise UserError(f"{path} is {kind}: {OF_TORCH}")


def _check_archive(path: Path) -> None:
    """Raise UserError for a zip file that is not torch's, or that would not fit into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _refused(path, error) from error
    if kind := archive_of([entry.filename for entry in entries]):
        raise UserError(f"{path} is {kind}: {OF_TORCH}")
    if (size := sum(entry.file_size for entry in entries)) > LARGEST:
        raise UserError(f"{path} has {size / 2**30:,.0f} GB when it is unpacked, and at most {LARGEST >> 30} are read")


def _refused(path: Path, error: Exception) -> UserError:
    forbidden = _FORBIDDEN.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if forbidden:
        return UserError(
            f"{path} needs more than weights to be read ('{forbidden[1]}'), and to read that could run "
            "code: let whoever trusts it save the state dict alone"
        )
    return UserError(f"{path} is damaged or no checkpoint: torch cannot read it ({_line(error)})")


def _line(error: Exception) -> str:
    """Return the first sentence of an error, in one line."""
    if isinstance(error, EOFError):
        return "it ends too early"
    reason = _REASON.search(str(error))
    text = printable(" ".join((reason[1] if reason else str(error)).split())) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."


# --------------------------------------------------------------------------------------------- finding state dicts
def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Dictionaries of named tensors, outermost first, each with the entries that lead to it."""
    if not isinstance(value, Mapping) or _is_optimiser(value) or len(path) > _DEPTH:
        return
    named = {key: item for key, item in value.items() if isinstance(key, str)}
    tensors = {key: item for key, item in named.items() if isinstance(item, Tensor)}
    if tensors:
        yield path, tensors
    for key, item in named.items():
        yield from _walk(item, (*path, key))


def _is_optimiser(value: Any) -> bool:
    return isinstance(value, Mapping) and {"state", "param_groups"} <= set(value)


def _apart(
    path: tuple[str, ...], tensors: dict[str, Tensor], entries: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Split a flat state dict of several networks; return any other unchanged."""
    first = {name.partition(".")[0] for name in tensors}
    if not first <= set(entries):
        yield path, tensors
        return
    for entry in sorted(first):
        below = {name: item for name, item in tensors.items() if name.partition(".")[0] == entry}
        yield (*path, entry), {name.partition(".")[2]: item for name, item in below.items()}


def _without_prefix(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return the tensors without the prefixes that all names share, and those prefixes."""
    stripped = ""
    while prefix := next((p for p in _PREFIXES if tensors and all(name.startswith(p) for name in tensors)), ""):
        tensors = {name.removeprefix(prefix): item for name, item in tensors.items()}
        stripped += prefix
    return tensors, stripped
