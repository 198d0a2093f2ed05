"""The CSV files of a list of edits, and the names of its pictures."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from benchmark.data.faceset import FaceSet
from benchmark.external.listing import PICTURES, TRAINING, file_name
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, LANDMARKS, Subset

POINTS = tuple(f"{axis}{point}" for point in range(LANDMARKS) for axis in "xy")
EDIT_COLUMNS = (
    "file",
    "source",
    "source_expression",
    "source_label",
    "target",
    "target_label",
    "reference",
    "seed",
    *(f"source_{unit}" for unit in ACTION_UNITS),
    *(f"reference_{unit}" for unit in ACTION_UNITS),
    *(f"source_{point}" for point in POINTS),
)
TRAINING_COLUMNS = ("file", "identity", "expression", "label", "camera", "gaze", *ACTION_UNITS, *POINTS)


def picture_name(image: np.ndarray) -> str:
    """Return a file name from the SHA-256 of the pixels: `pictures/0f1e2d3c4b5a6978.png`.

    It reveals neither person nor expression, and equal pictures have one file.
    """
    return str(PurePosixPath(PICTURES, f"{hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:16]}.png"))


def training_name(number: int) -> str:
    """Return the file name of a training picture, numbered from 1: `training/00017.png`."""
    return str(PurePosixPath(TRAINING, f"{number:05d}.png"))


def edit_sheet(subset: Subset, edits: pd.DataFrame, faces: FaceSet, names: dict[int, str]) -> str:
    """Return the edits of a subset as CSV with `EDIT_COLUMNS`. names: file of the picture by row of `faces`."""
    units, points, labels = faces.units, faces.landmarks.reshape(len(faces.images), -1), faces.labels
    columns = (edits[name] for name in ("source", "source_expression", "target", "reference", "seed"))
    rows = (
        (
            file_name(subset, number, target),
            names[source],
            expression,
            labels[source],
            target,
            EXPRESSIONS.index(target),
            names[reference],
            seed,
            *numbers(units[source]),
            *numbers(units[reference]),
            *numbers(points[source]),
        )
        for number, (source, expression, target, reference, seed) in enumerate(zip(*columns, strict=True), 1)
    )
    return _csv(EDIT_COLUMNS, rows)


def training_sheet(faces: FaceSet, chosen: np.ndarray) -> str:
    """Return the training pictures as CSV with `TRAINING_COLUMNS`. chosen: rows of `faces`."""
    units, points, labels = faces.units, faces.landmarks.reshape(len(faces.images), -1), faces.labels
    table = faces.table
    rows = (
        (
            training_name(number),
            table["identity"].iloc[row],
            table["expression"].iloc[row],
            labels[row],
            table["camera"].iloc[row],
            table["gaze"].iloc[row],
            *numbers(units[row]),
            *numbers(points[row]),
        )
        for number, row in enumerate(chosen, 1)
    )
    return _csv(TRAINING_COLUMNS, rows)


def numbers(values: np.ndarray) -> list[str]:
    """Return the shortest digits that give the same float32 when read; "" for NaN, which means unknown."""
    return ["" if np.isnan(value) else np.format_float_positional(value, trim="-") for value in values]


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()
