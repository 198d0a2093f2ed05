"""Classification accuracy: how often the judge, a classifier of expressions, names the target expression of an edit."""

from __future__ import annotations

import numpy as np

from benchmark.metrics.metric import EditMetric, Edits, Values
from benchmark.protocol import EXPRESSIONS


def named_rightly(edits: Edits) -> Values:
    """1 where the judge names the target expression, else 0."""
    targets = edits.table["target"].map(EXPRESSIONS.index).to_numpy()
    return np.asarray(edits.judged == targets, dtype=np.float64)


def percent(values: Values) -> float:
    """The share of ones, in percent."""
    return 100 * float(values.mean())


CA = EditMetric(
    key="ca",
    label="CA",
    direction="higher",
    unit="%",
    definition="edits whose target expression the judge names",
    paper={"F": "CA", "F&P": "CA"},
    required=("judge",),
    measure=named_rightly,
    average=percent,
)
