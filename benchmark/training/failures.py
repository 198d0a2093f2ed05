"""Trainings that failed by their own measure: the verdict on a whole history of losses.

A failure is a sentence that the method says of the means of its losses (`Method.warnings`), or gradients that were
clipped. A training has failed where it held for more than half of the iterations, or of their last tenth: one that
comes early and goes again is no failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

CLIPPED = "clipped/"
"""Columns of a history: the share of an optimiser's updates whose gradients were clipped."""
MOST = 0.5
END = 0.1
"""The share of a training that counts as its end."""


def failures(losses: pd.DataFrame, warnings: Callable[[Mapping[str, float]], list[str]]) -> list[str]:
    """`from iteration 235: the SDU is saturated ...`, for each failure of a finished training.

    losses: as `Trainer.losses` returns them; a loss that has no value in a row has that of the row above. warnings: of
    the method. The iteration is the first row's in which the failure showed.
    """
    iterations = losses["iteration"].to_numpy()
    held: dict[str, np.ndarray] = {}
    for index, row in enumerate(losses.drop(columns="iteration").ffill().to_dict("records")):
        means = {str(name): value for name, value in row.items() if value == value}
        for sentence in (*warnings(means), *_clipped(means)):
            held.setdefault(sentence, np.zeros(len(losses), bool))[index] = True
    lengths = np.diff(iterations, prepend=0)
    at_end = np.where(iterations > (1 - END) * iterations[-1], lengths, 0) if len(iterations) else lengths
    return [
        f"from iteration {iterations[rows.argmax()]}: {sentence}"
        for sentence, rows in held.items()
        if any(part[rows].sum() > MOST * part.sum() for part in (lengths, at_end))
    ]


def _clipped(means: Mapping[str, float]) -> list[str]:
    return [
        f"most gradients of the {name.removeprefix(CLIPPED)} are clipped, so its loss decides their direction alone: "
        "lower the learning rate, or take a calmer initialisation"
        for name, share in means.items()
        if name.startswith(CLIPPED) and share > MOST
    ]
