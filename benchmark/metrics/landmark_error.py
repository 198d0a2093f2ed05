"""Landmark error: how far the landmarks that the reader sees in an edit are from those of the true picture."""

from __future__ import annotations

import numpy as np

from benchmark.metrics.metric import EditMetric, Edits, Values

EYES = (36, 45)
"""The outer corners of the eyes, whose distance is the unit, as on iBUG 300-W."""


def landmark_error(edits: Edits) -> Values:
    """Mean distance over 68 points, in percent of the distance between the eyes of the true picture, whose own
    landmarks must be known.
    """
    read, truth = edits.readings, edits.table["truth"].to_numpy()
    known = truth >= 0
    errors = np.full(len(truth), np.nan)
    if read is not None and known.any():
        true = edits.faces.measured_landmarks[truth[known]].astype(np.float64)
        apart = np.linalg.norm(true[:, EYES[0]] - true[:, EYES[1]], axis=1)
        errors[known] = 100 * np.linalg.norm(read.landmarks[known] - true, axis=2).mean(1) / apart
    return errors


LANDMARK_ERROR = EditMetric(
    key="landmark_error",
    label="Landmarks",
    direction="lower",
    unit="%",
    definition="distance of the landmarks read in the edit from those of the true picture, as a share of the distance "
    "between the outer corners of its eyes; the true picture's own number is the reader's error",
    required=("true picture", "landmarks read"),
    measure=landmark_error,
)
