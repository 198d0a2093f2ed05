"""Similarity: how near an edit is to its source for a network of one's own, for ArcFace how much identity it keeps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import EditMetric, Edits, Values


def cosines(first: NDArray[np.floating], second: NDArray[np.floating]) -> Values:
    """Cosine of the angle between the features of N pairs (N x D); 0 for features that are all 0."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(np.sum(a * b, axis=1) / np.maximum(lengths, np.finfo(float).tiny))


def similarity(edits: Edits) -> Values:
    """The cosine of each edit's features and its source's; NaN where a picture has none."""
    if edits.features is None:
        return np.full(len(edits.table), np.nan)
    return cosines(edits.features.edits, edits.features.sources)


SIMILARITY = EditMetric(
    key="similarity",
    label="Similarity",
    direction="higher",
    decimals=4,
    definition="cosine of the angle between the features of edit and source",
    required=("source picture", "features"),
    measure=similarity,
)
"""As it is measured in one network, under that network's name; see `own_network`."""
