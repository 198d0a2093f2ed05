"""score: edits (synthesised or submitted), FaceSet, Judge, real features -> Scores: a row for each edit, a summary."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmark.core.files import write_array
from benchmark.core.hashes import is_sealed, write_sealed
from benchmark.core.progress import counted
from benchmark.metrics.ca import CA
from benchmark.metrics.features import FLOOR
from benchmark.metrics.metric import Edits, Measurement, PerEditMetric, SetMetric, View
from benchmark.metrics.registry import METRICS
from benchmark.protocol import EXPRESSIONS
from benchmark.report.results import Scores
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.features import ExtractorChoice, RealFeatures, crop_faces, load_features
from benchmark.stages.judge import TrainJudge, as_learned, learned, load_judge
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.synthesize import EDITED, EDITS

PER_EDIT = "per-edit.parquet"
FEATURES_WHOLE, FEATURES_CROPPED = "edits-whole.npy", "edits-cropped.npy"


class Score(Stage[Scores]):
    """Measures one row of a suite, for one seed. `edits` is any stage that writes EDITED and EDITS."""

    kind = "scores"
    facts_type = Scores
    version = 3
    files = (PER_EDIT,)

    def __init__(
        self,
        edits: Stage,
        prepare: Prepare,
        judge: TrainJudge,
        real: RealFeatures,
        extractor: ExtractorChoice,
        allow_small: bool,
    ) -> None:
        self.extractor, self.allow_small = extractor, allow_small
        self.edits, self.faces, self.judge, self.real = edits, prepare, judge, real
        versions = {metric.key: metric.version for metric in METRICS}
        settings = {"allow_small": allow_small, "floor": FLOOR, "metrics": versions}
        inputs = {"edits": edits, "faces": prepare, "judge": judge, "real": real, **learned(judge, prepare)}
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
        sources = edits["source"].to_numpy()
        shown, _ = as_learned(self.judge, self.faces, images, faces, sources, context)
        judged = load_judge(self.judge.folder(context)).predict(shown).argmax(1)
        per_edit = measure_edits(Edits(images, edits, faces, judged))
        per_edit.to_parquet(folder / PER_EDIT, index=False)
        crops = crop_faces(images, faces, sources)
        views: tuple[View, ...] = ("whole", "cropped")
        ours = dict(zip(views, self._features(images, crops, context, folder), strict=True))
        real = dict(zip(views, load_features(self.real.artifact(context)), strict=True))
        measured: dict[str, Measurement] = {}
        for metric in METRICS:
            if isinstance(metric, PerEditMetric):
                measured[metric.key] = metric.summary(per_edit[metric.key].to_numpy())
            elif isinstance(metric, SetMetric):
                measured[metric.key] = metric.between(ours[metric.view], real[metric.view], self.allow_small)
        by_expression = {
            name: CA.average(per_edit[CA.key][edits["target"] == name].to_numpy())
            for name in EXPRESSIONS
            if (edits["target"] == name).any()
        }
        metrics = {key: measurement.value for key, measurement in measured.items()}
        reasons = {key: measurement.reason for key, measurement in measured.items() if measurement.value is None}
        return StageResult(Scores(len(edits), metrics, reasons, by_expression))

    def _features(
        self, images: np.ndarray, crops: np.ndarray | None, context: Context, folder: Path
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Features of the edits, from an interrupted call where it has finished them and they are whole."""
        parts = [(FEATURES_WHOLE, images)] + ([(FEATURES_CROPPED, crops)] if crops is not None else [])
        missing = [(name, pictures) for name, pictures in parts if not is_sealed(folder / name)]
        if missing:
            extractor = self.extractor.open(context.machine.device)
            with context.reporter.bar(self.name, sum(len(pictures) for _, pictures in missing)) as bar:
                for name, pictures in missing:
                    features = extractor.features(pictures, counted(bar))
                    write_sealed(folder / name, partial(write_array, array=features))
        return np.load(folder / FEATURES_WHOLE), np.load(folder / FEATURES_CROPPED) if crops is not None else None


def measure_edits(edits: Edits) -> pd.DataFrame:
    """The list of edits with a column for each metric of single edits, and the expression that the judge names."""
    table = edits.table.copy()
    for metric in METRICS:
        if isinstance(metric, PerEditMetric):
            table[metric.key] = metric.values(edits)
    table["judged"] = [EXPRESSIONS[label] for label in edits.judged]
    return table
