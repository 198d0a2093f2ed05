"""Check whether published weights fit a method's networks, and describe the differences."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch

from benchmark.core.errors import UserError
from benchmark.core.paths import printable
from benchmark.importing.assign import USUAL_SIZE, Assigned
from benchmark.interface import Method, Shape
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from benchmark.published import Differences, Measured, PublishedCheckpoint, Shapes, differences
from benchmark.settings import make_settings
from benchmark.training.registry import METHODS, find_method

SHOWN, LONGEST_NAME = 1000, 200
"""Most names printed of a list, and most characters of a name; published networks have fewer."""


class DoesNotFit(UserError):  # noqa: N818 - the name says what is wrong
    """The files are not of this method's network. lists: every name in question, as text."""

    def __init__(self, message: str, lists: tuple[str, ...]) -> None:
        super().__init__(message)
        self.lists = lists


def layout_of(method: str) -> tuple[type[Method], PublishedCheckpoint]:
    """Return a method's class and the layout of its published checkpoints. Raises UserError where there are none."""
    cls = find_method(method)
    layout = cls.published_checkpoint()
    if layout is None:
        with_code = [name for name in METHODS if find_method(name).published_checkpoint() is not None]
        raise UserError(
            f"no code of '{method}' was published, so there is no published checkpoint to import "
            f"(there is of {', '.join(with_code)})"
        )
    return cls, layout


def picture_size(measured: Measured, asked: int | None, method: str) -> tuple[int, list[str]]:
    """Return the side of the pictures, and a note where the files decide it."""
    low, high = measured.smallest, measured.largest
    sizes = f"{low}" if low == high else f"at least {low}" if high is None else f"{low} to {high}"
    if asked is not None:
        if (low is not None and asked < low) or (high is not None and asked > high):
            raise UserError(f"--size {asked}: the network's layers are made for pictures of {sizes} px")
        return asked, []
    if low is not None and low == high:
        return low, [f"pictures of {low} px, as the discriminator's last layer tells"]
    inside = (low is None or low <= USUAL_SIZE) and (high is None or high >= USUAL_SIZE)
    size = USUAL_SIZE if inside else low or USUAL_SIZE
    return size, [
        f"pictures of {size} px: the files do not tell (the networks of {method} take "
        f"{'any size' if low is None else f'pictures of {sizes} px'}); --size says another"
    ]


def check_fit(assigned: Sequence[Assigned], model: Method, measured: Measured, method: str) -> None:
    """Raise DoesNotFit with every name that is missing, unexpected or of another shape."""
    compared = [(entry, _differences(entry, model)) for entry in assigned]
    reasons = [*measured.obstacles, *_counts(measured)]
    if not reasons and not any(different for _, different in compared):
        return
    lists = _lists(compared)
    counts = [f"{len(lines)} {heading}" for heading, lines in lists.items() if lines]
    files = ", ".join(dict.fromkeys(entry.state.file.name for entry in assigned))
    parts = [*([f"names: {', '.join(counts)}"] if counts else []), *(f"the checkpoint {reason}" for reason in reasons)]
    message = f"{files} does not fit {method}: {'; '.join(parts)}"
    shown: list[str] = []
    for heading, lines in lists.items():
        if lines:
            more = [f"  ... {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
            shown += [f"{heading} ({len(lines)}):", *lines[:SHOWN], *more]
    raise DoesNotFit(message + _hint(compared, method), tuple(shown))


def _differences(entry: Assigned, model: Method) -> Differences:
    network = getattr(model, entry.network.attribute)
    return differences(network, entry.shapes, entry.network.names(network), entry.network.skipped(network))


def _counts(measured: Measured) -> list[str]:
    """Whether it was trained on as many conditions as the protocol has."""
    reasons = []
    if measured.classes not in (None, len(EXPRESSIONS)):
        reasons.append(
            f"was trained on {measured.classes} labels, and the protocol has {len(EXPRESSIONS)}, RaFD's expressions "
            f"({', '.join(EXPRESSIONS)})"
        )
    if measured.units not in (None, len(ACTION_UNITS)):
        units = ", ".join(name.removesuffix("_r") for name in ACTION_UNITS)
        reasons.append(
            f"was trained on {measured.units} action units, and the protocol has {len(ACTION_UNITS)}, OpenFace's "
            f"({units})"
        )
    return reasons


def _lists(compared: Sequence[tuple[Assigned, Differences]]) -> dict[str, list[str]]:
    """List all names under three headings, one a line; those of a network and its average once."""
    groups: dict[str, dict[str, list[Assigned]]] = {"missing": {}, "unexpected": {}, "of the wrong shape": {}}
    for entry, different in compared:
        shapes = [f"{_name(w.name)} {w.found} in the file, {w.wanted} in the network" for w in different.wrong]
        unexpected = [f"{_name(name)} {entry.shapes[name]}" for name in different.unexpected]
        for heading, lines in zip(groups, (different.missing, unexpected, shapes), strict=True):
            for line in lines:
                groups[heading].setdefault(line, []).append(entry)
    everywhere = len(compared)
    return {
        heading: [
            f"  {line}" + ("" if len(where) == everywhere else f"  [{'; '.join(entry.state.title for entry in where)}]")
            for line, where in lines.items()
        ]
        for heading, lines in groups.items()
    }


def _name(name: str) -> str:
    return printable(name)[:LONGEST_NAME]


def _hint(compared: Sequence[tuple[Assigned, Differences]], method: str) -> str:
    """Suggest what to do."""
    wrong = [entry for entry, different in compared if different]
    if wrong and all(entry.network.optional for entry in wrong):
        files = ", ".join(dict.fromkeys(entry.state.file.name for entry in wrong))
        return f"; edits do without the {wrong[0].network.attribute}: leave {files} out"
    for other in METHODS:
        if other != method and wrong and _has_names_of(other, wrong[0].shapes):
            return f"; these are the names of '{other}': --method {other}"
    if wrong and all(len(different.unexpected) == len(entry.shapes) for entry, different in compared if different):
        return "; none of its names is known: it is of other code, whose edits benchmark.score takes"
    return ""


def _has_names_of(method: str, shapes: Shapes) -> bool:
    """Whether a state dict has exactly the names of another method's generator."""
    with contextlib.suppress(UserError, RuntimeError):
        cls, layout = layout_of(method)
        measured = layout.measure({layout.networks[0].attribute: shapes})
        with torch.device("meta"):
            settings: Any = make_settings(cls.Settings, measured.settings, method)
            model = cls(settings, Shape(picture_size(measured, None, method)[0], measured.classes or len(EXPRESSIONS)))
        network = getattr(model, layout.networks[0].attribute)
        compared = differences(network, shapes, layout.networks[0].names(network), layout.networks[0].skipped(network))
        return not compared.missing and not compared.unexpected
    return False


def check_values(assigned: Sequence[Assigned], model: Method) -> None:
    """Raise UserError for tensors that no network can have."""
    for entry in assigned:
        for name in entry.network.names(getattr(model, entry.network.attribute)):
            tensor = entry.state.tensors[name]
            stored = tensor.layout is torch.strided and tensor.device.type == "cpu"
            if not stored or not tensor.is_floating_point() or tensor.is_quantized:
                raise UserError(f"{entry.state.title}: '{name}' is not a plain tensor of floating-point numbers")
            if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
                raise UserError(f"{entry.state.title}: '{name}' has fewer numbers than its shape {tuple(tensor.shape)}")
            if not bool(torch.isfinite(tensor).all()):
                raise UserError(f"{entry.state.title}: '{name}' holds numbers that are not finite")
