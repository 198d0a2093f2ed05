"""reader: FaceSet (train split) -> Reader; readings: Reader, faces -> what it reads in the pictures behind edits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmark.core.files import save_array
from benchmark.data.alignment import mean_landmarks
from benchmark.data.edit_lists import EditList
from benchmark.data.faceset import FaceSet
from benchmark.metrics.features.dlib_network import IdentityWeights, find_identity_weights
from benchmark.metrics.features.identity import IdentityNetwork, open_dlib_identity
from benchmark.metrics.landmark_error import EYES
from benchmark.metrics.readings import EditReadings, Frames, RealReadings, read_edits, read_pictures, read_real
from benchmark.protocol import ACTION_UNITS, Subset
from benchmark.report.results import ReaderResult
from benchmark.stages.base import Context, NoFacts, Stage, StageResult, Work
from benchmark.stages.features import real_rows
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.training.device import compute_deterministically
from benchmark.training.reader import ABOUT, WEIGHTS, Reader, ReaderSettings, reader_pictures, train_reader
from benchmark.training.sampling import TrainingSet

READER_SEED = 0
"""One reader measures all runs, as one judge does."""
READER_SUBSET: Subset = "F&P"
"""The pictures that it learns from, whatever it reads: the more cameras, the more it knows."""
STATE = "reader-state.safetensors"
REAL_FACES = "real_faces.npy"
"""Descriptions of the real side of Fréchet distances, M x 128."""


class TrainReader(Stage[NoFacts]):
    """The network that reads action units and landmarks, trained on real pictures of the train identities.

    Its folder has no files where nothing is known of these pictures that could be learned.
    """

    kind = "reader"
    facts_type = NoFacts
    version = 2

    def __init__(self, prepare: Prepare, pictures: int, device: str, seed: int = READER_SEED) -> None:
        """pictures: drawn in training."""
        self.faces, self.settings, self.seed = prepare, ReaderSettings(pictures=pictures), seed
        settings = {"reader": dataclasses.asdict(self.settings), "seed": seed, "device": device}
        super().__init__("reader", settings, {"faces": prepare})

    def work(self) -> Work:
        """Count the pictures drawn."""
        return Work("reader", self.settings.pictures, 20_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        """Train it."""
        torch.set_num_threads(context.machine.threads)
        compute_deterministically(context.machine.device)
        faces = load_faces(self.faces.folder(context))
        train = faces.rows(READER_SUBSET, "train")
        units, landmarks = faces.measured_units[train], faces.measured_landmarks[train]
        if not (np.isfinite(units).any() or np.isfinite(landmarks).any()):
            return StageResult(NoFacts())
        measured = TrainingSet(faces.images, faces.labels[train], units, landmarks, train)
        poses = faces.table.iloc[train].groupby(["identity", "camera", "gaze"], sort=True).ngroup().to_numpy()
        data = reader_pictures(measured, poses, self.settings.side, READER_SEED)
        with context.reporter.bar(self.name, self.settings.pictures) as bar:
            reader = train_reader(
                data, self.settings, self.seed, folder / STATE, bar.advance, context.machine.device,
                context.reporter.warn, faces.size,
            )  # fmt: skip
        reader.save(folder)
        return StageResult(NoFacts(), [ABOUT, WEIGHTS])


class ReadReal(Stage[ReaderResult]):
    """What reader and identity network see in the pictures behind a list of edits, made once for all rows."""

    kind = "readings"
    facts_type = ReaderResult
    files = (REAL_FACES, *(f"{field.name}.npy" for field in dataclasses.fields(RealReadings)))

    def __init__(self, reader: TrainReader, prepare: Prepare, edits: EditList) -> None:
        self.reader, self.faces, self.edits = reader, prepare, edits
        self.identity: IdentityWeights | None = find_identity_weights()
        settings = {"edits": edits.settings, "identity": self.identity.sha256 if self.identity else ""}
        inputs: dict[str, Stage] = {"reader": reader, "faces": prepare}
        if reader.faces.recipe.key != prepare.recipe.key:
            inputs["learned"] = reader.faces
        super().__init__(f"readings {edits.subset}", settings, inputs)

    def work(self) -> Work:
        """Count the test pictures: sources, references and true pictures."""
        return Work("readings", self.faces.test_pictures(self.edits.subset) * 4, 10_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[ReaderResult]:
        """Read them, and measure the reader's error on the test pictures."""
        torch.set_num_threads(context.machine.threads)
        faces = load_faces(self.faces.folder(context))
        reader, network = self.open_reader(context), self.open_network(context)
        frames = self.frames(context)
        edits = self.edits.make(faces)
        real = read_real(edits, faces, reader, network, frames)
        for field in dataclasses.fields(real):
            save_array(folder / f"{field.name}.npy", getattr(real, field.name))
        rows = real_rows(faces, self.edits.subset, self.edits.targets)
        save_array(folder / REAL_FACES, _describe(network, faces, rows, edits["source"].to_numpy(), real.source_faces))
        return StageResult(reader_error(reader, faces, faces.rows(self.edits.subset, "test"), frames))

    def read(self, images: np.ndarray, edits: pd.DataFrame, faces: FaceSet, context: Context) -> EditReadings:
        """Read edits of the list, whose real side this stage has read."""
        folder = self.folder(context)
        real = RealReadings(
            **{field.name: np.load(folder / f"{field.name}.npy") for field in dataclasses.fields(RealReadings)}
        )
        whole = self.edits.make(faces)
        if len(edits) < len(whole):
            where = {edit: index for index, edit in enumerate(zip(whole["source"], whole["target"], strict=True))}
            real = real.of(np.array([where[edit] for edit in zip(edits["source"], edits["target"], strict=True)]))
        reader, network = self.open_reader(context), self.open_network(context)
        return read_edits(images, edits, faces, real, reader, network, self.frames(context))

    def real_faces(self, context: Context) -> np.ndarray:
        """Descriptions, M x 128, of the faces of `real_rows`; M x 0 without an identity network."""
        return np.asarray(np.load(self.folder(context) / REAL_FACES))

    def open_reader(self, context: Context) -> Reader | None:
        """The reader; None where there was nothing to learn."""
        folder = self.reader.folder(context)
        return Reader.load(folder, context.machine.device) if (folder / WEIGHTS).exists() else None

    def open_network(self, context: Context) -> IdentityNetwork | None:
        """The identity network; None where it is not installed."""
        return open_dlib_identity(self.identity, context.machine.device) if self.identity else None

    def frames(self, context: Context) -> Frames:
        """Where the faces stood that the reader has learned from; empty where these stand in the same places."""
        if "learned" not in self.inputs:
            return {}
        return mean_landmarks(load_faces(self.reader.faces.folder(context)), READER_SUBSET)


def _describe(
    network: IdentityNetwork | None, faces: FaceSet, rows: np.ndarray, known: np.ndarray, described: np.ndarray
) -> np.ndarray:
    """Describe the faces of `rows`; `described` has those of the rows `known` already."""
    if network is None:
        return np.empty((len(rows), 0), np.float32)
    descriptions = dict(zip(known.tolist(), described, strict=True))
    rest = np.array([row for row in rows.tolist() if row not in descriptions], np.int64)
    if len(rest):
        others = network.describe(faces.images[rest], faces.landmarks[rest])
        descriptions |= dict(zip(rest.tolist(), others, strict=True))
    return np.stack([descriptions[row] for row in rows.tolist()])


def reader_error(reader: Reader | None, faces: FaceSet, rows: np.ndarray, frames: Frames) -> ReaderResult:
    """Mean absolute error of the reader on real pictures whose action units and landmarks were measured."""
    if reader is None:
        return ReaderResult(len(rows), {}, None, None)
    read = read_pictures(reader, faces, rows, frames)
    units, landmarks = faces.measured_units[rows], faces.measured_landmarks[rows].astype(np.float64)
    off = np.abs(read.units - units)
    by_unit = {
        name: float(np.nanmean(off[:, index]))
        for index, name in enumerate(ACTION_UNITS)
        if np.isfinite(off[:, index]).any()
    }
    pixels = np.linalg.norm(read.landmarks - landmarks, axis=2).mean(1)
    known = np.isfinite(pixels)
    if not known.any():
        return ReaderResult(len(rows), by_unit, None, None)
    apart = np.linalg.norm(landmarks[known, EYES[0]] - landmarks[known, EYES[1]], axis=1)
    share = 100 * float(np.mean(pixels[known] / apart))
    return ReaderResult(len(rows), by_unit, float(pixels[known].mean()), share)
