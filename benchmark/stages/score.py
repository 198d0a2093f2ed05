"""score: edits (synthesised or submitted), FaceSet, Judge, real features -> Scores: a row for each edit, a summary."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmark.core.files import write_array
from benchmark.core.hashes import is_sealed, write_sealed
from benchmark.core.progress import counted
from benchmark.data.edit_lists import list_key
from benchmark.metrics.ca import CA
from benchmark.metrics.features import FLOOR
from benchmark.metrics.metric import REASONS, Edits, Measurement, Metric, Need, PerEditMetric, SetMetric, View
from benchmark.metrics.registry import METRICS
from benchmark.protocol import EXPRESSIONS
from benchmark.report.results import Scores
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.corners import Corner
from benchmark.stages.features import (
    ExtractorChoice,
    RealFeatures,
    crop_faces,
    have_crops,
    identities,
    load_features,
    real_rows,
)
from benchmark.stages.judge import TrainJudge, as_learned, learned, load_judge
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.reader import ReadReal
from benchmark.stages.synthesize import EDITED, EDITS
from benchmark.statistics.leaving_out import without_each

PER_EDIT = "per-edit.parquet"
FEATURES_WHOLE, FEATURES_CROPPED = "edits-whole.npy", "edits-cropped.npy"


@dataclass(frozen=True)
class Sides:
    """Features of the edits (N x D) and of the real pictures (M x D), and whose pictures they are.

    Features are None where no picture has landmarks.
    """

    edits: np.ndarray | None
    edit_identities: np.ndarray
    real: np.ndarray | None
    real_identities: np.ndarray

    def without_each(self, metric: SetMetric) -> dict[str, float]:
        """Measure with each test identity left out, its edits and its real pictures."""
        if self.edits is None or self.real is None:
            return {}
        return without_each(metric, self.edits, self.edit_identities, self.real, self.real_identities)


class KnownFeatures:
    """Features of pictures that were extracted before, by the pictures' bytes: a picture's features depend on nothing
    else.
    """

    def __init__(self) -> None:
        self._features: dict[bytes, np.ndarray] = {}

    def add(self, pictures: np.ndarray | None, features: np.ndarray | None) -> None:
        """Remember features (N x D) of pictures; None for both where there are none."""
        if pictures is not None and features is not None:
            self._features |= dict(zip(map(_digest, pictures), features, strict=True))

    def complete(self, pictures: np.ndarray, extract: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The features of N pictures; those that are not known are extracted, each once."""
        digests = [_digest(picture) for picture in pictures]
        unknown = {digest: index for index, digest in enumerate(digests) if digest not in self._features}
        if unknown:
            self._features |= dict(zip(unknown, extract(pictures[list(unknown.values())]), strict=True))
        return np.stack([self._features[digest] for digest in digests])


def _digest(picture: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest()


class Score(Stage[Scores]):
    """Measures one row of a suite, for one seed. `edits` is any stage that writes EDITED and EDITS."""

    kind = "scores"
    facts_type = Scores
    version = 5
    files = (PER_EDIT,)

    def __init__(
        self,
        edits: Stage,
        prepare: Prepare,
        judge: TrainJudge,
        real: RealFeatures,
        readings: ReadReal,
        extractor: ExtractorChoice,
        allow_small: bool,
    ) -> None:
        self.extractor, self.allow_small = extractor, allow_small
        self.edits, self.faces, self.judge, self.real, self.readings = edits, prepare, judge, real, readings
        versions = {metric.key: metric.version for metric in METRICS}
        settings: dict[str, Any] = {"allow_small": allow_small, "floor": FLOOR, "metrics": versions}
        if prepare.source.stand_ins:
            settings["true_values"] = "measured"  # nothing that stands in for a picture's own counts as true
        inputs = {"edits": edits, "faces": prepare, "judge": judge, "real": real, "readings": readings}
        inputs |= {**learned(judge, prepare), "reader": readings.reader}
        super().__init__(f"score {edits.name.removeprefix('synthesize ')}", settings, inputs)

    def work(self) -> Work:
        """Estimate by the features of the edits, whole and cropped; everything else takes little time."""
        return Work(f"features {self.extractor.name}", self.edits.work().amount * 2, 60_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[Scores]:
        """Measure every metric of the registry."""
        torch.set_num_threads(context.machine.threads)
        faces = load_faces(self.faces.folder(context))
        edited = self.edits.folder(context)
        images = np.load(edited / EDITED)
        edits = pd.read_parquet(edited / EDITS)
        if not len(edits):  # of the true pictures, where there are none
            reasons = dict.fromkeys((metric.key for metric in METRICS), REASONS["true picture"])
            pd.DataFrame().to_parquet(folder / PER_EDIT)
            return StageResult(Scores(0, dict.fromkeys(reasons), reasons))
        sources = edits["source"].to_numpy()
        shown, _ = as_learned(self.judge, self.faces, images, faces, sources, context)
        judged = load_judge(self.judge.folder(context)).predict(shown).argmax(1)
        measurable = Edits(images, edits, faces, judged, self.readings.read(images, edits, faces, context))
        per_edit = measure_edits(measurable)
        per_edit.to_parquet(folder / PER_EDIT, index=False)
        crops = crop_faces(images, faces, sources)
        real_whole, real_cropped = load_features(self.real.folder(context))
        real = real_rows(faces, self.real.subset, self.real.targets)
        known = KnownFeatures()
        if isinstance(self.edits, Corner):
            real_images = np.asarray(faces.images[real])
            known.add(real_images, real_whole)
            known.add(crop_faces(real_images, faces, real), real_cropped)
        whole, cropped = self._features(images, crops, known, context, folder)
        sides: dict[View, Sides] = {
            "whole": Sides(whole, identities(faces, sources), real_whole, identities(faces, real)),
            "cropped": Sides(
                cropped, identities(faces, sources[have_crops(faces, sources)]),
                real_cropped, identities(faces, real[have_crops(faces, real)]),
            ),
            "described": _sides_of_faces(
                measurable, identities(faces, sources), self.readings.real_faces(context), identities(faces, real)
            ),
        }  # fmt: skip
        by_expression = {
            name: CA.average(per_edit[CA.key][edits["target"] == name].to_numpy())
            for name in EXPRESSIONS
            if (edits["target"] == name).any()
        }
        key = list_key(edits, faces.table["face_id"])
        scores = summarise_edits(METRICS, per_edit, sides, self.allow_small, key, measurable.lacking)
        return StageResult(replace(scores, ca_by_expression=by_expression))

    def _features(
        self,
        images: np.ndarray,
        crops: np.ndarray | None,
        known: KnownFeatures,
        context: Context,
        folder: Path,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Features of the edits, from an interrupted call where it has finished them and they are whole."""
        parts = [(FEATURES_WHOLE, images)] + ([(FEATURES_CROPPED, crops)] if crops is not None else [])
        missing = [(name, pictures) for name, pictures in parts if not is_sealed(folder / name)]
        if missing:
            extractor = self.extractor.open(context.machine.device)
            with context.reporter.bar(self.name, sum(len(pictures) for _, pictures in missing)) as bar:
                for name, pictures in missing:
                    features = known.complete(pictures, partial(extractor.features, progress=counted(bar)))
                    write_sealed(folder / name, partial(write_array, array=features))
        return np.load(folder / FEATURES_WHOLE), np.load(folder / FEATURES_CROPPED) if crops is not None else None


def _sides_of_faces(edits: Edits, people: np.ndarray, real: np.ndarray, real_people: np.ndarray) -> Sides:
    """Descriptions of the faces that have landmarks to be cut out by."""
    faces = edits.readings.faces if edits.readings is not None else np.empty((len(people), 0))
    if "identity network" in edits.lacking or not np.isfinite(real).all(1).any():
        return Sides(None, people, None, real_people)
    known, real_known = np.isfinite(faces).all(1), np.isfinite(real).all(1)
    return Sides(faces[known], people[known], real[real_known], real_people[real_known])


def summarise_edits(
    metrics: Sequence[Metric],
    per_edit: pd.DataFrame,
    sides: Mapping[View, Sides],
    allow_small: bool,
    edits_key: str,
    lacking: Collection[Need] = tuple(REASONS),
) -> Scores:
    """Summarise a row in several metrics: a value or why there is none, and the values by test identity.

    per_edit: identities, and a column for each metric of single edits. sides: what metrics of sets compare, by view.
    lacking: what may be the reason for no value.
    """
    measured: dict[str, Measurement] = {}
    by_identity: dict[str, dict[str, float]] = {}
    for metric in metrics:
        if isinstance(metric, PerEditMetric):
            measured[metric.key] = metric.summary(per_edit[metric.key].to_numpy(), lacking)
            by_identity[metric.key] = each_identity(metric, per_edit)
        elif isinstance(metric, SetMetric):
            side = sides[metric.view]
            measured[metric.key] = metric.between(side.edits, side.real, allow_small)
            if measured[metric.key].value is not None:
                by_identity[metric.key] = side.without_each(metric)
    values = {key: measurement.value for key, measurement in measured.items()}
    reasons = {key: measurement.reason for key, measurement in measured.items() if measurement.value is None}
    return Scores(len(per_edit), values, reasons, edits_key=edits_key, by_identity=by_identity)


def each_identity(metric: PerEditMetric, per_edit: pd.DataFrame) -> dict[str, float]:
    """The average of each identity's edits; identities without a value are left out."""
    averages = {name: metric.summary(mine.to_numpy()).value for name, mine in per_edit.groupby("identity")[metric.key]}
    return {str(name): value for name, value in averages.items() if value is not None}


def measure_edits(edits: Edits) -> pd.DataFrame:
    """The list of edits with identities, a column for each metric of single edits, and what the judge names."""
    table = edits.table.copy()
    table["identity"] = identities(edits.faces, table["source"].to_numpy())
    for metric in METRICS:
        if isinstance(metric, PerEditMetric):
            table[metric.key] = metric.values(edits)
    table["judged"] = [EXPRESSIONS[label] for label in edits.judged]
    return table
