"""Weights of the published implementations: how a method says what their files look like, and what becomes of them.

A method of which code was published names its parameters there in one place, `Method.published_checkpoint`; the rest
(`benchmark.import_checkpoint`) is the same for all. Layers per class that are separate modules there and one stacked
parameter here are named with their index: `mapper.heads.0.weight[3]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError

_INDEXED = re.compile(r"(?P<name>.+)\[(?P<index>\d+)\]$")

Names = Mapping[str, str]
"""Published name to ours."""
Shapes = Mapping[str, tuple[int, ...]]
"""Published name to the shape of what a file holds under it."""
Rule = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern and what stands in its place, as `re.sub` takes them."""


@dataclass(frozen=True)
class PublishedNetwork:
    """One network of a method, as the published files hold it."""

    attribute: str
    """Its name here: `generator`."""
    names: Callable[[Any], Names]
    """Of the network: published name to ours, of every parameter."""
    keys: tuple[str, ...] = ()
    """Entries of the file's dictionary that hold its state dict; none: the file is the state dict."""
    average_keys: tuple[str, ...] = ()
    """Entries that hold its exponential moving average."""
    skipped: Callable[[Any], Collection[str]] = lambda _: ()
    """Of the network: published names that it has no use for."""
    optional: bool = False
    """Whether edits do without it."""


@dataclass(frozen=True)
class Measured:
    """What the shapes in a checkpoint say of the networks that it was saved from.

    settings: those that differ from the defaults. classes, units: how many it was trained on; None where it has none.
    smallest, largest: side of the pictures, as far as a depth or a kernel tells; None where nothing does. obstacles:
    why no network here can be like it, in words that finish "the checkpoint ...".
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    units: int | None = None
    smallest: int | None = None
    largest: int | None = None
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublishedCheckpoint:
    """How the published implementation of a method saves what it has learnt."""

    code: str
    """Its name on GitHub."""
    files: str
    """What its files are called, for people."""
    networks: tuple[PublishedNetwork, ...]
    measure: Callable[[Mapping[str, Shapes]], Measured]
    """From the shapes by network (`generator`, and what else was given). Must cope with names that are missing."""


@dataclass(frozen=True)
class Wrong:
    """A parameter of another shape than the network's."""

    name: str
    found: tuple[int, ...]
    wanted: tuple[int, ...]


@dataclass(frozen=True)
class Differences:
    """Where a state dict and a network do not fit. Names are the published ones."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong: tuple[Wrong, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.wrong)


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


def differences(module: nn.Module, shapes: Shapes, names: Names, skipped: Collection[str] = ()) -> Differences:
    """Everything in which a state dict of `shapes` does not fit `module`.

    Shapes must agree but for dimensions of size 1 (a 1x1 convolution may be a linear layer here).
    """
    wanted = {name: tuple(parameter(module, ours).shape) for name, ours in names.items()}
    return Differences(
        tuple(name for name in names if name not in shapes),
        tuple(name for name in shapes if name not in names and name not in skipped),
        tuple(
            Wrong(name, shapes[name], shape)
            for name, shape in wanted.items()
            if name in shapes and _squeezed(shapes[name]) != _squeezed(shape)
        ),
    )


def load_published(
    module: nn.Module, tensors: Mapping[str, Tensor], names: Names, skipped: Collection[str] = ()
) -> None:
    """Copy published `tensors` into `module`.

    names: published name to ours. skipped: published names that ours has no use for. Raises UserError, before anything
    is changed, for parameters that are missing, that nobody knows, or that have another shape.
    """
    found = differences(module, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, names, skipped)
    if found.missing:
        raise UserError(f"the checkpoint lacks {len(found.missing)} parameters, the first is '{found.missing[0]}'")
    if found.unexpected:
        raise UserError(
            f"the checkpoint has {len(found.unexpected)} parameters of another network, "
            f"the first is '{found.unexpected[0]}'"
        )
    if found.wrong:
        name, there, here = found.wrong[0].name, found.wrong[0].found, found.wrong[0].wanted
        raise UserError(f"the checkpoint's '{name}' is {there}, this network's is {here}: another width or size?")
    with torch.no_grad():
        for name, ours in names.items():
            target = parameter(module, ours)
            target.copy_(tensors[name].reshape(target.shape))


def _squeezed(shape: Iterable[int]) -> list[int]:
    return [length for length in shape if length != 1]


# ------------------------------------------------------------------------------- for the methods' `measure`
def numbers(shapes: Shapes, pattern: str) -> list[int]:
    """The numbers that the one group of `pattern` (matched from a name's beginning) takes, in order, each once."""
    found = (re.match(pattern, name) for name in shapes)
    return sorted({int(match[1]) for match in found if match})


def length(shapes: Shapes, name: str, dimension: int) -> int | None:
    """The length of one dimension of a parameter; None where it is missing or has fewer."""
    shape = shapes.get(name, ())
    return shape[dimension] if len(shape) > dimension else None
