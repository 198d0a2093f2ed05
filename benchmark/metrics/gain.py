"""Expression gain: how strong the edit's change of action units is, as a share of the true one.

    sum_e <u(edit) - u(source), t> / sum_e <u(true) - u(source), t>

with u the intensities that the reader reads, t the true change as the data set knows it, and sums over the edits of
one person. It is the slope of the edit's change on the true change, with the reader's own slope taken out: the true
change t, which has no reading error, is the instrument of both sums. The true picture has 1, a copy of the source 0.
"""

from __future__ import annotations

import numpy as np

from benchmark.metrics.metric import EditMetric, Edits, Values
from benchmark.metrics.person import of_person, true_change

LEAST_SLOPE = 0.1
"""Of what is read on what is true, over a person's true pictures: a reader below it has read nothing."""


def gain(edits: Edits) -> Values:
    """Each edit's share in its person's number; their mean is that number."""
    read = edits.readings
    if read is None:
        return np.full(len(edits.table), np.nan)
    true = true_change(edits)
    along = np.sum((read.units - read.real.source_units) * true, axis=1)
    right = of_person(edits, np.sum((read.real.true_units - read.real.source_units) * true, axis=1))
    blind = right < LEAST_SLOPE * of_person(edits, np.sum(true**2, axis=1))
    return np.asarray(along / np.where(blind, np.nan, right))


GAIN = EditMetric(
    key="gain",
    label="Gain",
    direction="one",
    decimals=3,
    definition="slope of the edit's change of action units on the true change: 1 is right, less is lazy, more is "
    "exaggerated",
    required=("true picture", "action units"),
    measure=gain,
    unmeasurable="the reader sees next to nothing of the true changes",
)
