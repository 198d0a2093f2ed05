"""Weights of the published implementations, by the names that these gave them.

Each method says in one place what its parameters are called there (`published_names`: published name to ours).
Per-class layers that are separate modules there and one stacked parameter here are named with their index:
`mapper.heads.0.weight[3]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from benchmark.errors import UserError

_INDEXED = re.compile(r"(?P<name>.+)\[(?P<index>\d+)\]$")


Rule = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern and what stands in its place, as `re.sub` takes them."""


def translated(ours: Iterable[str], rules: Sequence[Rule]) -> dict[str, str]:
    """Published name to ours; the published one is ours after all of `rules`, in their order."""
    names: dict[str, str] = {}
    for name in ours:
        theirs = name
        for pattern, replacement in rules:
            theirs = re.sub(pattern, replacement, theirs)
        names[theirs] = name
    return names


def parameter(module: nn.Module, name: str) -> Tensor:
    """The parameter called `name` in `module`, or its slice for `name[index]`; a view into the module."""
    match = _INDEXED.match(name)
    if match:
        return module.get_parameter(match["name"])[int(match["index"])]
    return module.get_parameter(name)


def load_published(
    module: nn.Module, tensors: Mapping[str, Tensor], names: Mapping[str, str], skipped: Collection[str] = ()
) -> None:
    """Copy published `tensors` into `module`.

    names: published name to ours. skipped: published names that ours has no use for. Shapes must agree but for
    dimensions of size 1 (a 1x1 convolution may be a linear layer here). Raises UserError, before anything is changed,
    for parameters that are missing, that nobody knows, or that have another shape.
    """
    missing = [name for name in names if name not in tensors]
    if missing:
        raise UserError(f"the checkpoint lacks {len(missing)} parameters, the first is '{missing[0]}'")
    foreign = [name for name in tensors if name not in names and name not in skipped]
    if foreign:
        raise UserError(f"the checkpoint has {len(foreign)} parameters of another network, the first is '{foreign[0]}'")
    for name, ours in names.items():
        if _squeezed(tensors[name]) != _squeezed(parameter(module, ours)):
            here, there = tuple(parameter(module, ours).shape), tuple(tensors[name].shape)
            raise UserError(f"the checkpoint's '{name}' is {there}, this network's is {here}: another width or size?")
    with torch.no_grad():
        for name, ours in names.items():
            target = parameter(module, ours)
            target.copy_(tensors[name].reshape(target.shape))


def _squeezed(tensor: Tensor) -> list[int]:
    return [length for length in tensor.shape if length != 1]
