"""The verdict on a finished training: whether it failed by its own measure.

Two things count. A sentence of `Method.warnings`, which judges means of losses, that held for more than half of the
iterations or of their last tenth: one that comes early and goes again is no failure. And gradients of an optimiser that
were clipped in more than half of the iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

CLIPPED = "clipped/"
"""Prefix of the columns of a history that have the share of an optimiser's updates whose gradients were clipped."""
MOST = 0.5
END = 0.1
"""The share of a training that is its end."""


def failures(losses: pd.DataFrame, warnings: Callable[[Mapping[str, float]], list[str]]) -> list[str]:
    """Describe each failure of a training: `from iteration 235: the SDU is saturated ...`.

    losses: what `Trainer.losses` returns; a loss without a value in a row has that of the row above. warnings: of the
    method. The iteration is that of the first row with the failure.
    """
    if not len(losses):
        return []
    iterations = losses["iteration"].to_numpy()
    lengths = np.diff(iterations, prepend=0)
    at_end = np.where(iterations > (1 - END) * iterations[-1], lengths, 0)
    table = losses.drop(columns="iteration")
    rows_of: dict[str, np.ndarray] = {}
    for index, row in enumerate(table.ffill().to_dict("records")):
        for sentence in warnings({str(name): mean for name, mean in row.items() if np.isfinite(mean)}):
            rows_of.setdefault(sentence, np.zeros(len(losses), bool))[index] = True
    failed = [
        (sentence, rows)
        for sentence, rows in rows_of.items()
        if any(part[rows].sum() > MOST * part.sum() for part in (lengths, at_end))
    ]
    for name in (name for name in map(str, table.columns) if name.startswith(CLIPPED)):
        shares = table[name].to_numpy()
        updated = np.isfinite(shares)
        if np.average(shares[updated], weights=lengths[updated]) > MOST:
            sentence = (
                f"most gradients of the {name.removeprefix(CLIPPED)} were clipped, so that their norms did not count: "
                "lower the learning rate, or take a calmer initialisation"
            )
            failed.append((sentence, shares > MOST))
    return [f"from iteration {iterations[rows.argmax()]}: {sentence}" for sentence, rows in failed]
