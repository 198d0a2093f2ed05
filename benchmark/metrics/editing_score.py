"""Editing score: the harmonic mean of expression and identity, each as a share of what the true picture has.

For the edits of one person,

    E = expression (`expression.py`), from 0 (a copy) to 1 (the true picture), 0 where it is negative;
    I = (d(other) - d(edit)) / (d(other) - d(true)), cut to the range from 0 to 1;
    score = 2 E I / (E + I),

where d is the mean distance from the source for the identity network: of the references (other people), of the edits,
and of the true pictures. So the true picture has 1; a copy of the source, which changes nothing, and another person's
face with the right expression have 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.data.faceset import FaceSet
from benchmark.metrics.expression import expression
from benchmark.metrics.features.identity import IdentityNetwork
from benchmark.metrics.identity import distances
from benchmark.metrics.metric import EditMetric, Edits, Images, Measurement, Values
from benchmark.metrics.person import of_person
from benchmark.metrics.readings import RealReadings, read_edits
from benchmark.training.reader import Reader


def kept_identity(edits: Edits) -> Values:
    """I of each edit's person: 1 where the edits are as near to their sources as the true pictures, 0 where they are as
    far as other people; not cut. NaN where the network tells no true picture from another person.
    """
    read = edits.readings
    if read is None or not read.faces.shape[1]:
        return np.full(len(edits.table), np.nan)
    source = read.real.source_faces
    compared = (read.faces, read.real.true_faces, read.real.other_faces)
    own, true, other = (of_person(edits, distances(faces, source)) for faces in compared)
    return np.asarray((other - own) / np.where(other > true, other - true, np.nan))


def editing_score(edits: Edits) -> Values:
    """The score of each edit's person."""
    shown = np.clip(of_person(edits, expression(edits)), 0.0, 1.0)
    kept = np.clip(kept_identity(edits), 0.0, 1.0)
    both = shown + kept
    return np.asarray(np.where(both > 0, 2 * shown * kept / np.where(both > 0, both, 1.0), both))


EDITING = EditMetric(
    key="editing",
    label="Editing",
    direction="higher",
    decimals=3,
    definition="harmonic mean of expression and identity of each person's edits, as shares of the true pictures': 1 "
    "as the true picture, 0 as a copy or as another person",
    required=("true picture", "action units", "identity network"),
    measure=editing_score,
    unmeasurable="the identity network tells no true picture from another person",
)


def measure_editing(
    images: Images, table: pd.DataFrame, faces: FaceSet, reader: Reader, network: IdentityNetwork, real: RealReadings
) -> Measurement:
    """Measure the score of N edits (N x S x S x 3 uint8) of a list, apart from a suite.

    real: `readings.read_real` of the same list, reader and network; the same for all methods.
    """
    readings = read_edits(images, table, faces, real, reader, network, {})
    edits = Edits(images, table, faces, np.full(len(table), -1), readings)
    return EDITING.summary(EDITING.values(edits), edits.lacking)
