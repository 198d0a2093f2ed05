"""Off-axis error: what an edit changes in the action units that its target leaves as they are."""

from __future__ import annotations

import numpy as np

from benchmark.metrics.metric import EditMetric, Edits, Values
from benchmark.metrics.person import true_change

STILL = 0.5
"""An action unit whose true intensity changes by less, a tenth of the scale, is left as it is."""


def off_axis(edits: Edits) -> Values:
    """Mean absolute change read in these action units; NaN where an edit leaves none."""
    read = edits.readings
    if read is None:
        return np.full(len(edits.table), np.nan)
    still = np.abs(true_change(edits)) < STILL
    change = np.abs(read.units - read.real.source_units)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(still, change, 0.0).sum(1) / still.sum(1), np.float64)


OFF_AXIS = EditMetric(
    key="off_axis",
    label="Off-axis",
    direction="lower",
    decimals=3,
    definition="mean change, on the scale from 0 to 5, of the action units whose true intensity changes by less than "
    "0.5; the true picture's own number is the reader's error",
    required=("true picture", "action units"),
    measure=off_axis,
)
