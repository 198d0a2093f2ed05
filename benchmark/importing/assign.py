"""Assign the state dicts of the given files to the networks of a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from benchmark.core.errors import UserError
from benchmark.importing.read import StateDict
from benchmark.importing.recognise import other_implementation
from benchmark.interface import Method, Shape
from benchmark.published import PublishedCheckpoint, PublishedNetwork, Shapes

USUAL_SIZE = 128
"""Side of the pictures that the published models were trained on."""
Kind = Literal["raw", "average"]


@dataclass(frozen=True)
class Assigned:
    """A state dict and its network."""

    network: PublishedNetwork
    kind: Kind
    state: StateDict

    @property
    def shapes(self) -> Shapes:
        """Return the shapes of all its tensors."""
        return {name: tuple(tensor.shape) for name, tensor in self.state.tensors.items()}


def assign(
    states: Sequence[StateDict], cls: type[Method], layout: PublishedCheckpoint, method: str
) -> tuple[list[Assigned], list[StateDict]]:
    """Return the state dicts with their networks, the generator's first, and those that belong to no network.

    Raises UserError where two are of one network, where a network that edits need is missing, and for a checkpoint of
    another implementation.
    """
    with torch.device("meta"):
        model = cls(cls.Settings(), Shape(USUAL_SIZE))
    assigned: dict[tuple[str, Kind], Assigned] = {}
    ignored: list[StateDict] = []
    for state in states:
        by_names = _by_names(state, layout, model)
        other = other_implementation(state.tensors)
        if other and (by_names is None or _share(state, by_names.network, model) < 1):
            raise UserError(
                f"{state.title} is a checkpoint of {other}, not of {layout.code}: its layers are others, so it cannot "
                "be imported. Its edits can be scored: write the list with benchmark.edits, make the pictures with its "
                "own code, and give them to benchmark.score"
            )
        entry = _by_entry(state, layout) or by_names
        if entry is None:
            ignored.append(state)
            continue
        key = entry.network.attribute, entry.kind
        if key in assigned:
            raise UserError(
                f"{assigned[key].state.title} and {state.title} both hold the {key[0]} of {method}: give one of them"
            )
        assigned[key] = entry
    attributes = {attribute for attribute, _ in assigned}
    for network in layout.networks:
        if network.attribute in attributes or network.optional:
            continue
        if assigned or not ignored:
            names = ", ".join(dict.fromkeys(entry.state.file.name for entry in assigned.values()))
            raise UserError(
                f"{names} is the {' and '.join(sorted(attributes))} alone, and edits are the {network.attribute}'s: "
                f"give its file too ({layout.files})"
            )
        # Names of which none is known are listed like those of which some are.
        assigned[network.attribute, "raw"] = Assigned(network, "raw", ignored.pop(0))
    order = [network.attribute for network in layout.networks]
    return sorted(
        assigned.values(), key=lambda entry: (order.index(entry.network.attribute), entry.kind != "raw")
    ), ignored


def _by_entry(state: StateDict, layout: PublishedCheckpoint) -> Assigned | None:
    """Assign by the entry of the dictionary that holds the state dict."""
    for key in reversed(state.path):
        for network in layout.networks:
            if key in network.keys:
                return Assigned(network, "raw", state)
            if key in network.average_keys:
                return Assigned(network, "average", state)
    return None


def _by_names(state: StateDict, layout: PublishedCheckpoint, model: Method) -> Assigned | None:
    """Assign to the network that has the largest share of its names."""
    best = max(layout.networks, key=lambda network: _share(state, network, model))
    return Assigned(best, "raw", state) if _share(state, best, model) > 0 else None


def _share(state: StateDict, network: PublishedNetwork, model: Method) -> float:
    """Return the share of a state dict's names that a network has."""
    module = getattr(model, network.attribute)
    known = {*network.names(module), *network.skipped(module)}
    return sum(name in known for name in state.tensors) / len(state.tensors)
