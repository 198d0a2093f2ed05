"""Identity: how near an edit's face is to its source's for a face recognition network (`features/identity.py`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import EditMetric, Edits, Values


def distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> Values:
    """Euclidean distance of N pairs of faces."""
    return np.asarray(np.linalg.norm(first.astype(np.float64) - second, axis=1))


def identity(edits: Edits) -> Values:
    """1 less the distance of the edit's face from the source's."""
    read = edits.readings
    if read is None or not read.faces.shape[1]:
        return np.full(len(edits.table), np.nan)
    return 1.0 - distances(read.faces, read.real.source_faces)


IDENTITY = EditMetric(
    key="id_similarity",
    label="Identity",
    direction="higher",
    decimals=3,
    definition="1 less the distance between the faces of edit and source for dlib's network, which calls faces one "
    "person above 0.4",
    required=("source picture", "identity network"),
    measure=identity,
)
