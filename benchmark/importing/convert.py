"""Convert published weights to checkpoints of this benchmark.

Methods are not named here: each describes its files in `Method.published_checkpoint`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.importing.assign import Assigned, assign
from benchmark.importing.fit import check_fit, check_values, layout_of, picture_size
from benchmark.importing.read import StateDict, read_state_dicts
from benchmark.interface import Method, Shape
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from benchmark.published import load_published
from benchmark.settings import make_settings
from benchmark.stages.checkpoints import LARGEST_MODEL, few_modules, model_bytes
from benchmark.training.checkpoint import prefixed


@dataclass(frozen=True)
class Weights:
    """A published checkpoint in our names.

    tensors: as `Trainer.write_result` has them. absent: networks that it came without. parameters: by network. notes:
    what a user should know, a line each.
    """

    method: str
    method_class: type[Method]
    code: str
    settings: Any
    shape: Shape
    tensors: Mapping[str, Tensor]
    absent: tuple[str, ...]
    parameters: Mapping[str, int]
    notes: tuple[str, ...]


def import_weights(method: str, files: Sequence[Path], size: int | None = None) -> Weights:
    """Read published `files` of `method` for pictures of `size` px (None: what the files tell, else 128).

    Raises UserError for files that cannot be read, DoesNotFit where names, shapes or the number of conditions differ.
    """
    cls, layout = layout_of(method)
    entries = tuple(key for network in layout.networks for key in (*network.keys, *network.average_keys))
    states = [state for file in files for state in read_state_dicts(file, entries)]
    assigned, ignored = assign(states, cls, layout, method)
    measured = layout.measure({entry.network.attribute: entry.shapes for entry in reversed(assigned)})
    side, size_note = picture_size(measured, size, method)
    shape = Shape(side, len(EXPRESSIONS), len(ACTION_UNITS))
    settings: Any = make_settings(cls.Settings, measured.settings, f"the shapes in {files[0]}")
    try:
        with torch.device("meta"), few_modules():
            model = cls(settings, shape)
        if model_bytes(model) > LARGEST_MODEL:
            raise RuntimeError("it has more weights than any checkpoint")
    except RuntimeError as error:  # also of sizes that overflow
        names = ", ".join(dict.fromkeys(entry.state.file.name for entry in assigned))
        raise UserError(
            f"{names}: no network of {method} can be that large (pictures of {side} px, width "
            f"{getattr(settings, 'width', 1):g})"
        ) from error
    check_fit(assigned, model, measured, method)
    check_values(assigned, model)
    present = {entry.network.attribute for entry in assigned}
    absent = tuple(network.attribute for network in layout.networks if network.attribute not in present)
    return Weights(
        method, cls, layout.code, settings, shape, _tensors(assigned, model, absent), absent,
        {
            name: sum(p.numel() for p in network.parameters())
            for name, network in model.named_children()
            if name not in absent
        },
        (*size_note, *_notes(assigned, ignored, absent, model)),
    )  # fmt: skip


def _tensors(assigned: Sequence[Assigned], model: Method, absent: Sequence[str]) -> dict[str, Tensor]:
    """The state dicts under our names: the raw weights below `model.`, the averaged ones below `average.`.

    Where a file has one of the two alone, it stands for both.
    """
    tensors: dict[str, Tensor] = {}
    model.to_empty(device="cpu")
    by_network = {(entry.network.attribute, entry.kind): entry for entry in assigned}
    averaged = model.averaged()
    for name, network in model.named_children():
        if name in absent:
            continue
        either = next(entry for entry in assigned if entry.network.attribute == name)
        tensors |= prefixed(f"model.{name}", _filled(network, by_network.get((name, "raw"), either)))
        if name in averaged:
            tensors |= prefixed(f"average.{name}", _filled(network, by_network.get((name, "average"), either)))
    return tensors


def _filled(network: nn.Module, assigned: Assigned) -> dict[str, Tensor]:
    """Return a copy of the network's state with the given weights."""
    names, skipped = assigned.network.names(network), assigned.network.skipped(network)
    load_published(network, assigned.state.tensors, names, skipped)
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _notes(
    assigned: Sequence[Assigned], ignored: Sequence[StateDict], absent: Sequence[str], model: Method
) -> Iterator[str]:
    """Return notes on what the files do not tell."""
    for entry in assigned:
        if entry.state.stripped:
            yield f"{entry.state.title}: every name began with '{entry.state.stripped}' (DataParallel), now dropped"
        network = getattr(model, entry.network.attribute)
        skipped = [name for name in entry.state.tensors if name in set(entry.network.skipped(network))]
        if skipped:
            count = sum(entry.state.tensors[name].numel() for name in skipped)
            yield (
                f"{entry.state.title}: {len(skipped)} tensors ({count:,} numbers) that no output depends on were "
                f"skipped: {', '.join(skipped[:3])}{', ...' if len(skipped) > 3 else ''}"
            )
        kinds = {str(tensor.dtype).removeprefix("torch.") for tensor in entry.state.tensors.values()} - {
            "float32",
            "int64",
        }
        if kinds:
            yield f"{entry.state.title}: weights in {' and '.join(sorted(kinds))} become float32"
    have = {(entry.network.attribute, entry.kind) for entry in assigned}
    for entry in assigned:
        network = entry.network
        if network.average_keys and (network.attribute, "average") not in have:
            yield f"no '{network.average_keys[0]}' (the averaged weights): edits are made with {entry.state.title}"
        if network.average_keys and (network.attribute, "raw") not in have:
            yield f"no '{network.keys[0]}' (the weights before averaging): {entry.state.title} stands for both"
    for state in ignored:
        yield f"{state.title}: skipped, none of its names is known"
    for name in absent:
        yield f"no {name}: the checkpoint can edit, not be trained on"
    if "T" in model.guides:
        yield (
            "a file does not say which label is which: taken for RaFD's, in alphabetical order "
            f"({', '.join(EXPRESSIONS)}); of a model trained in another (AffectNet's, say) label-guided edits are wrong"
        )
    if model.reference == "units":
        yield "a file does not say which action unit is which: taken for OpenFace's 17, in its order"
