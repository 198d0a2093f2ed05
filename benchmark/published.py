"""Layout of the published implementations' checkpoints: files, networks, and the names of their parameters.

A method with published code describes its checkpoints in `Method.published_checkpoint`; `benchmark.import_checkpoint`
does the rest. `mapper.heads.0.weight[3]` is row 3 of our parameter `mapper.heads.0.weight`, for layers that are
separate modules in the published code and one stacked parameter here.
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
"""Published name of a parameter to our name."""
Shapes = Mapping[str, tuple[int, ...]]
"""Published name of a tensor to its shape."""
Rule = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern and its replacement, as `re.sub` takes them."""


@dataclass(frozen=True)
class PublishedNetwork:
    """One network of a method in the published files."""

    attribute: str
    """Attribute of our method that is this network: `generator`."""
    names: Callable[[Any], Names]
    """Function of our network: published name to our name, for every parameter."""
    keys: tuple[str, ...] = ()
    """Entries of the file's dictionary that hold its state dict; none: the file is the state dict."""
    average_keys: tuple[str, ...] = ()
    """Entries that hold its exponential moving average."""
    skipped: Callable[[Any], Collection[str]] = lambda _: ()
    """Function of our network: published names of tensors that are not imported."""
    optional: bool = False
    """Whether edits work without it."""


@dataclass(frozen=True)
class Measured:
    """Settings of the networks that a checkpoint was saved from, read off the shapes of its tensors.

    settings: those that differ from the defaults.
    classes, units: number of expressions and of action units it was trained on; None where it has none.
    smallest, largest: bounds on the side of its pictures in pixels, from depths and kernels; None where unknown.
    obstacles: why it cannot be imported, each a phrase that follows "the checkpoint ...".
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    units: int | None = None
    smallest: int | None = None
    largest: int | None = None
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublishedCheckpoint:
    """Layout of the checkpoints of a method's published code."""

    code: str
    """Name of its repository on GitHub."""
    files: str
    """Names of its files, for messages."""
    networks: tuple[PublishedNetwork, ...]
    measure: Callable[[Mapping[str, Shapes]], Measured]
    """Function of the shapes by network (`generator`, and others that were passed); any name may be missing."""


@dataclass(frozen=True)
class Wrong:
    """A parameter whose shape differs from our network's."""

    name: str
    found: tuple[int, ...]
    wanted: tuple[int, ...]


@dataclass(frozen=True)
class Differences:
    """Differences between a state dict and a network, by published name."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong: tuple[Wrong, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.wrong)


def translated(ours: Iterable[str], rules: Sequence[Rule]) -> dict[str, str]:
    """Map published names to our names; a published name is our name after all `rules`, applied in order."""
    names: dict[str, str] = {}
    for name in ours:
        theirs = name
        for pattern, replacement in rules:
            theirs = re.sub(pattern, replacement, theirs)
        names[theirs] = name
    return names


def parameter(module: nn.Module, name: str) -> Tensor:
    """Return the parameter `name` of `module`, or a view of one of its rows for `name[index]`."""
    match = _INDEXED.match(name)
    if match:
        return module.get_parameter(match["name"])[int(match["index"])]
    return module.get_parameter(name)


def differences(module: nn.Module, shapes: Shapes, names: Names, skipped: Collection[str] = ()) -> Differences:
    """Compare the shapes of a state dict with `module`.

    Dimensions of size 1 do not count: a 1x1 convolution may be a linear layer here.
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

    names: published name to our name. skipped: published names that are not imported. Raises UserError, before
    anything is changed, for parameters that are missing, unknown or of another shape.
    """
    unfit = differences(module, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, names, skipped)
    if unfit.missing:
        raise UserError(f"the checkpoint lacks {len(unfit.missing)} parameters, the first is '{unfit.missing[0]}'")
    if unfit.unexpected:
        raise UserError(
            f"the checkpoint has {len(unfit.unexpected)} parameters of another network, "
            f"the first is '{unfit.unexpected[0]}'"
        )
    if unfit.wrong:
        name, there, here = unfit.wrong[0].name, unfit.wrong[0].found, unfit.wrong[0].wanted
        raise UserError(f"the checkpoint's '{name}' is {there}, this network's is {here}: another width or size?")
    with torch.no_grad():
        for name, ours in names.items():
            target = parameter(module, ours)
            target.copy_(tensors[name].reshape(target.shape))


def _squeezed(shape: Iterable[int]) -> list[int]:
    return [length for length in shape if length != 1]


# ------------------------------------------------------------------------------- helpers for `measure` of methods
def numbers(shapes: Shapes, pattern: str) -> list[int]:
    """Sorted distinct numbers in the one group of `pattern`, which is matched at the beginning of each name."""
    matches = (re.match(pattern, name) for name in shapes)
    return sorted({int(match[1]) for match in matches if match})


def length(shapes: Shapes, name: str, dimension: int) -> int | None:
    """Length of one dimension of a tensor; None where the tensor or the dimension is missing."""
    shape = shapes.get(name, ())
    return shape[dimension] if len(shape) > dimension else None
