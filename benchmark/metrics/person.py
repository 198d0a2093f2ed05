"""Numbers of all edits of one person, and the true change of action units."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics.metric import Edits, Values


def of_person(edits: Edits, values: NDArray[np.floating]) -> Values:
    """For each edit the mean of N values over its person's edits; NaN values are left out, and stay NaN."""
    people = edits.faces.table["identity"].to_numpy()[edits.table["source"].to_numpy()]
    means = pd.Series(np.asarray(values, np.float64)).groupby(people).transform("mean").to_numpy()
    return np.where(np.isnan(values), np.nan, means)


def true_change(edits: Edits) -> Values:
    """The change of action units, N x 17, from source to true picture as measured in both; NaN where unknown."""
    units, truth = edits.faces.measured_units.astype(np.float64), edits.table["truth"].to_numpy()
    change = units[truth] - units[edits.table["source"].to_numpy()]
    return np.where((truth >= 0)[:, None], change, np.nan)
