"""Which network of a method each state dict of the given files is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from benchmark.core.errors import UserError
from benchmark.importing.read import StateDict
from benchmark.interface import Method, Shape
from benchmark.published import PublishedCheckpoint, PublishedNetwork, Shapes

USUAL_SIZE = 128
"""Side of the pictures that the published models were trained on."""
Kind = Literal["raw", "average"]


@dataclass(frozen=True)
class Given:
    """A state dict, and which network's it is."""

    network: PublishedNetwork
    kind: Kind
    state: StateDict

    @property
    def shapes(self) -> Shapes:
        """Of all its tensors."""
        return {name: tuple(tensor.shape) for name, tensor in self.state.tensors.items()}


def assign(
    states: Sequence[StateDict], cls: type[Method], layout: PublishedCheckpoint, method: str
) -> tuple[list[Given], list[StateDict]]:
    """Whose weights each state dict holds, the generator's first; and those that are nobody's."""
    with torch.device("meta"):
        model = cls(cls.Settings(), Shape(USUAL_SIZE))
    found: dict[tuple[str, Kind], Given] = {}
    ignored: list[StateDict] = []
    for state in states:
        given = _by_entry(state, layout) or _by_names(state, layout, model)
        if given is None:
            ignored.append(state)
            continue
        place = given.network.attribute, given.kind
        if place in found:
            raise UserError(
                f"{found[place].state.title} and {state.title} both hold the {place[0]} of {method}: give one of them"
            )
        found[place] = given
    attributes = {attribute for attribute, _ in found}
    for network in layout.networks:
        if network.attribute in attributes or network.optional:
            continue
        if found or not ignored:
            names = ", ".join(dict.fromkeys(given.state.file.name for given in found.values()))
            raise UserError(
                f"{names} is the {' and '.join(sorted(attributes))} alone, and edits are the {network.attribute}'s: "
                f"give its file too ({layout.files})"
            )
        # Names of which none is known are listed like those of which some are.
        found[network.attribute, "raw"] = Given(network, "raw", ignored.pop(0))
    order = [network.attribute for network in layout.networks]
    return sorted(
        found.values(), key=lambda given: (order.index(given.network.attribute), given.kind != "raw")
    ), ignored


def _by_entry(state: StateDict, layout: PublishedCheckpoint) -> Given | None:
    """By the entry of the dictionary that it was found under."""
    for key in reversed(state.path):
        for network in layout.networks:
            if key in network.keys:
                return Given(network, "raw", state)
            if key in network.average_keys:
                return Given(network, "average", state)
    return None


def _by_names(state: StateDict, layout: PublishedCheckpoint, model: Method) -> Given | None:
    """By the share of its names that a network knows."""
    best, share = None, 0.0
    for network in layout.networks:
        module = getattr(model, network.attribute)
        known = {*network.names(module), *network.skipped(module)}
        shared = sum(name in known for name in state.tensors) / len(state.tensors)
        if shared > share:
            best, share = network, shared
    return Given(best, "raw", state) if best else None
