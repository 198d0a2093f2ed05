"""Action units of photographs: measured by OpenFace, given in a table, or the prototypes by which faces were posed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.data.photos.index import Photo
from benchmark.protocol import ACTION_UNITS

Prototypes = Mapping[str, Mapping[int, float]]
"""Expression to the intensities (0 to 5) of its action units, by FACS's numbers."""


@dataclass(frozen=True)
class ActionUnits:
    """values: N x 17, NaN where unknown. by: the source of each picture's. note: for the report."""

    values: np.ndarray
    by: list[str]
    note: str


def action_units_of(
    photos: Sequence[Photo], measured: Sequence[np.ndarray | None], prototypes: Prototypes
) -> ActionUnits:
    """Return measured action units if any picture has some, else the prototypes.

    A picture without measured values has the mean of its expression at its camera, or of its expression.
    """
    if any(values is not None for values in measured):
        return _measured(photos, measured)
    if not prototypes:
        unknown = np.full((len(photos), len(ACTION_UNITS)), np.nan)
        note = "Action units: none (no columns, no CSV files of OpenFace that have them)."
        return ActionUnits(unknown, ["nobody"] * len(photos), note)
    vectors = {name: prototype_vector(units) for name, units in prototypes.items()}
    values = np.stack([vectors[photo.expression] for photo in photos])
    note = (
        "ACTION UNITS ARE NOT MEASURED: no CSV files of OpenFace with them lie beside the pictures, so every picture "
        "has the FACS prototype of the expression that was posed, one vector for each expression. What methods driven "
        "by action units (GANimation, Cascade EF-GAN) make of these says little of what they make of measured ones."
    )
    return ActionUnits(values, ["prototype"] * len(photos), note)


def prototype_vector(units: Mapping[int, float]) -> np.ndarray:
    """Return the 17 intensities of a prototype, 0 where it has none."""
    return np.array([units.get(int(name[2:4]), 0.0) for name in ACTION_UNITS])


def _measured(photos: Sequence[Photo], measured: Sequence[np.ndarray | None]) -> ActionUnits:
    groups: dict[tuple[str, ...], list[np.ndarray]] = {}
    for photo, own in zip(photos, measured, strict=True):
        if own is not None:
            for group in _groups(photo):
                groups.setdefault(group, []).append(own)
    values, by = [], []
    for photo, own in zip(photos, measured, strict=True):
        near = next((groups[group] for group in _groups(photo) if group in groups), None)
        values.append(own if own is not None else np.mean(near, 0) if near else np.full(len(ACTION_UNITS), np.nan))
        by.append("measured" if own is not None else "mean of others" if near else "nobody")
    lacking = len(by) - by.count("measured")
    note = f"Action units: measured in {by.count('measured'):,} pictures"
    if lacking:
        note += (
            f"; {lacking:,} without a CSV file in which OpenFace found a face have the mean of their expression's, or "
            "of all where their expression has none"
        )
    return ActionUnits(np.stack(values), by, f"{note}.")


def _groups(photo: Photo) -> tuple[tuple[str, ...], ...]:
    """Return the groups whose mean may stand in for a picture, most specific first."""
    return (photo.expression, str(photo.camera)), (photo.expression,), ()
