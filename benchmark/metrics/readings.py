"""What the reader and the identity network see in edits, and in the pictures that edits are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.data.alignment import align_faces, similarity
from benchmark.data.faceset import FaceSet
from benchmark.metrics.features.identity import IdentityNetwork
from benchmark.protocol import ACTION_UNITS, LANDMARKS
from benchmark.training.reader import Reader, Readings

Numbers = NDArray[np.float32]
Frames = Mapping[int, NDArray[np.float64]]
"""By camera, the mean landmarks (68 x 2) of the pictures that the reader was trained on."""


@dataclass(frozen=True)
class RealReadings:
    """Of the pictures behind N edits. NaN where a picture or what it needs is missing.

    source_units, true_units: N x 17, read. source_faces, true_faces, other_faces: N x 128, descriptions of the source,
    of the true picture cut as the source is, and of the reference, a picture of another person.
    """

    source_units: Numbers
    true_units: Numbers
    source_faces: Numbers
    true_faces: Numbers
    other_faces: Numbers

    def of(self, rows: NDArray[np.integer]) -> RealReadings:
        """Those of some edits."""
        return RealReadings(
            self.source_units[rows], self.true_units[rows], self.source_faces[rows], self.true_faces[rows],
            self.other_faces[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class EditReadings:
    """Of N edits: action units (N x 17) and landmarks (N x 68 x 2, pixels) read, faces described (N x 128)."""

    units: Numbers
    landmarks: Numbers
    faces: Numbers
    real: RealReadings


def read_real(
    table: pd.DataFrame, faces: FaceSet, reader: Reader | None, network: IdentityNetwork | None, frames: Frames
) -> RealReadings:
    """Read the sources, true pictures and references of a list of edits.

    reader, network: None where there is none. frames: where the faces stood that the reader has learned from, if these
    stand elsewhere; else empty.
    """
    source, truth, other = (table[name].to_numpy() for name in ("source", "truth", "reference"))
    known = truth >= 0
    units = np.full((2, len(table), len(ACTION_UNITS)), np.nan, np.float32)
    if reader is not None:
        units[0] = _of_each(source, lambda rows: _read(reader, faces.images[rows], faces, rows, frames).units)
        units[1, known] = _read(reader, faces.images[truth[known]], faces, source[known], frames).units
    if network is None:
        nothing = np.full((len(table), 0), np.nan, np.float32)
        return RealReadings(units[0], units[1], nothing, nothing, nothing)
    landmarks = faces.landmarks
    described = np.full((len(table), network.dimensions), np.nan, np.float32)
    described[known] = network.describe(faces.images[truth[known]], landmarks[source[known]])
    both = np.concatenate([source, other])  # most references are sources, too
    own, others = np.split(_of_each(both, lambda rows: network.describe(faces.images[rows], landmarks[rows])), 2)
    return RealReadings(units[0], units[1], own, described, others)


def read_edits(
    images: NDArray[np.uint8],
    table: pd.DataFrame,
    faces: FaceSet,
    real: RealReadings,
    reader: Reader | None,
    network: IdentityNetwork | None,
    frames: Frames,
) -> EditReadings:
    """Read N edits (N x S x S x 3), each as its source: aligned and cut by the source's landmarks."""
    source = table["source"].to_numpy()
    read = _nothing(len(table)) if reader is None else _read(reader, images, faces, source, frames)
    if network is None:
        return EditReadings(read.units, read.landmarks, np.full((len(table), 0), np.nan, np.float32), real)
    described = np.empty((len(table), network.dimensions), np.float32)
    unknown = np.ones(len(table), bool)
    for rows, known in ((source, real.source_faces), (table["truth"].to_numpy(), real.true_faces)):
        pairs = zip(images, rows, strict=True)
        same = np.array([row >= 0 and np.array_equal(image, faces.images[row]) for image, row in pairs], bool)
        described[same], unknown[same] = known[same], False  # cut in the same way, so described alike
    if unknown.any():
        described[unknown] = network.describe(images[unknown], faces.landmarks[source[unknown]])
    return EditReadings(read.units, read.landmarks, described, real)


def read_pictures(reader: Reader, faces: FaceSet, rows: NDArray[np.integer], frames: Frames) -> Readings:
    """Read real pictures of a face set."""
    return _read(reader, faces.images[rows], faces, rows, frames)


def _read(
    reader: Reader, images: NDArray[np.uint8], faces: FaceSet, rows: NDArray[np.integer], frames: Frames
) -> Readings:
    """Read pictures whose faces stand where those of `rows` do, and give landmarks where the pictures have them."""
    if not frames:
        return reader.read(np.asarray(images))
    cameras, landmarks = faces.table["camera"].to_numpy()[rows], faces.landmarks[rows]
    aligned, known = align_faces(images, landmarks, cameras, dict(frames))
    read = reader.read(aligned)
    for row in np.flatnonzero(known):
        turn, shift = similarity(frames[int(cameras[row])], landmarks[row].astype(np.float64))
        read.landmarks[row] = read.landmarks[row] @ turn.T + shift
    return read


def _nothing(count: int) -> Readings:
    return Readings(
        np.full((count, len(ACTION_UNITS)), np.nan, np.float32), np.full((count, LANDMARKS, 2), np.nan, np.float32)
    )


def _of_each(rows: NDArray[np.integer], compute: Callable[[NDArray[np.integer]], Numbers]) -> Numbers:
    """Compute something of pictures, of each once."""
    each, where = np.unique(rows, return_inverse=True)
    return compute(each)[where]
