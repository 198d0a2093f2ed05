"""Targets of an edit: from the options of the command to what a method is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.core.errors import UserError, unknown
from benchmark.core.files import require_file
from benchmark.data.openface import read_units
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, MAX_SEED, Guide
from benchmark.rendering.facs import PROTOTYPES

if TYPE_CHECKING:
    from benchmark.editing.portraits import PortraitReader
    from benchmark.interface import Method

ALL = "all"
DEFAULT_SEED = 0


@dataclass(frozen=True)
class EditRequest:
    """The options: an expression or `all`, or a reference picture, or a file of action units; `seed` of the latent."""

    target: str | None = None
    seed: int = DEFAULT_SEED
    reference: Path | None = None
    aus: Path | None = None

    def __post_init__(self) -> None:
        if self.target not in (None, ALL, *EXPRESSIONS):
            raise unknown("expression", str(self.target), (*EXPRESSIONS, ALL))
        if not 0 <= self.seed <= MAX_SEED:
            raise UserError(f"--seed {self.seed} is no seed: whole numbers from 0 to {MAX_SEED}")
        for option, path in (("--reference", self.reference), ("--aus", self.aus)):
            if path is not None:
                require_file(path, option)


@dataclass(frozen=True)
class EditTarget:
    """One target of one edit. label: index into `EXPRESSIONS`, -1 where unknown; reference: S x S x 3 uint8; units:
    17 in [0, 5].
    """

    name: str
    guide: Guide
    label: int
    seed: int
    reference: np.ndarray | None = None
    units: np.ndarray | None = None

    def recipe(self) -> dict[str, Any]:
        """Return what decides the edit beside source and checkpoint; equal targets have equal recipes."""
        arrays = {"reference": self.reference, "units": self.units}
        hashes = {
            name: hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:16]
            for name, value in arrays.items()
            if value is not None
        }
        latent = {"seed": self.seed} if self.guide == "T" else {}
        named = {"target": EXPRESSIONS[self.label]} if self.label >= 0 else {}
        return {"guide": self.guide, **named, **latent, **hashes}


def edit_targets(request: EditRequest, method: type[Method], name: str, reader: PortraitReader) -> list[EditTarget]:
    """Return the targets of a request: one, or with `all` one for each expression.

    Raises UserError where the method does not take this guide.
    """
    if request.reference is not None:
        return [_by_reference(request.reference, method, name, reader)]
    if request.aus is not None:
        return [_by_units(request.aus, method, name)]
    target = request.target or ALL
    wanted = EXPRESSIONS if target == ALL else (target,)
    if "T" in method.guides:
        return [EditTarget(each, "T", EXPRESSIONS.index(each), request.seed) for each in wanted]
    if method.reference == "units" and "R" in method.guides:
        return [
            EditTarget(each, "R", EXPRESSIONS.index(each), request.seed, units=prototype_units(each)) for each in wanted
        ]
    raise UserError(f"--target {target}: {name} is guided by references alone, so give it a picture: --reference FILE")


def prototype_units(expression: str) -> np.ndarray:
    """Return the 17 action units of RaFD's prototype of an expression: the middles of its ranges, in [0, 5]."""
    middle: Mapping[str, float] = {unit.name: (unit.low + unit.high) / 2 for unit in PROTOTYPES[expression]}
    return np.array([middle.get(name, 0.0) for name in ACTION_UNITS])


def units_text(units: np.ndarray) -> str:
    """Format the action units that are not 0: `AU06 4.5, AU12 4.5`."""
    named = zip(ACTION_UNITS, units.tolist(), strict=True)
    return ", ".join(f"{name.removesuffix('_r')} {value:.4g}" for name, value in named if value) or "all 0"


def _by_reference(path: Path, method: type[Method], name: str, reader: PortraitReader) -> EditTarget:
    if "R" not in method.guides:
        raise UserError(f"--reference {path}: {name} takes no reference; --target EXPRESSION tells it what to do")
    try:
        portrait = reader.read(path)
    except UserError as error:
        raise UserError(f"--reference {path}: {error}") from error
    if method.reference == "units":
        if portrait.lacks(frozenset({"units"})):
            raise UserError(
                f"--reference {path}: {name} reads its action units, which are not known: put OpenFace's "
                f"{path.with_suffix('.csv').name} beside it, or give them with --aus FILE"
            )
        return EditTarget(path.name, "R", portrait.label, DEFAULT_SEED, units=portrait.units)
    units = None if portrait.lacks(frozenset({"units"})) else portrait.units
    return EditTarget(path.name, "R", portrait.label, DEFAULT_SEED, portrait.image, units)


def _by_units(path: Path, method: type[Method], name: str) -> EditTarget:
    if method.reference != "units" or "R" not in method.guides:
        instead = "--target EXPRESSION" if "T" in method.guides else "--reference FILE"
        raise UserError(f"--aus {path}: {name} is not guided by action units; {instead} tells it what to do")
    return EditTarget(path.name, "R", -1, DEFAULT_SEED, units=read_units(path))
