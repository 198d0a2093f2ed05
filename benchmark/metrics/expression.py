"""Expression: how far an edit has gone from its source towards the true picture, in action units.

1 less the distance of the edit's action units from those of the true picture, over the distance of the source's:

    1 - sum_e |u(edit) - u(true)| / sum_e |u(source) - u(true)|

with u the 17 intensities that the reader reads, and sums over the edits of one person. The true picture has 1, a copy
of the source 0, and so has an edit that goes twice as far; another expression has less.
"""

from __future__ import annotations

import numpy as np

from benchmark.metrics.metric import EditMetric, Edits, Values
from benchmark.metrics.person import of_person


def expression(edits: Edits) -> Values:
    """Each edit's share in its person's number; their mean is that number."""
    read = edits.readings
    if read is None:
        return np.full(len(edits.table), np.nan)
    left = np.linalg.norm(read.units - read.real.true_units, axis=1).astype(np.float64)
    whole = np.linalg.norm(read.real.source_units - read.real.true_units, axis=1).astype(np.float64)
    return np.asarray(1.0 - left / of_person(edits, whole))


EXPRESSION = EditMetric(
    key="expression",
    label="Expression",
    direction="higher",
    decimals=3,
    definition="how much nearer the edit's action units are to the true picture's than the source's: 1 as the true "
    "picture, 0 as a copy of the source",
    required=("true picture", "action units"),
    measure=expression,
)
