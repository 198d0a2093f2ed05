"""score: edits (a SynthSet, or pictures made elsewhere), FaceSet, Judge, real features -> Scores: one row per edit, one
summary.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmark.core.progress import counted
from benchmark.metrics.features import FLOOR
from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.kid import kernel_distance
from benchmark.metrics.psnr import mean_psnr, psnr
from benchmark.metrics.ssim import ssim
from benchmark.protocol import EXPRESSIONS
from benchmark.stages.base import Context, Made, Stage, Work
from benchmark.stages.features import ExtractorChoice, RealFeatures, crop_faces, load_features
from benchmark.stages.judge import TrainJudge, as_learned, learned, load_judge
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.synthesize import EDITED, EDITS

PER_EDIT = "per-edit.parquet"
FEATURES_WHOLE, FEATURES_CROPPED = "edits-whole.npy", "edits-cropped.npy"


class Score(Stage):
    """Every metric of one row of a suite, for one seed. `edits` is any stage that leaves EDITED and EDITS."""

    kind = "scores"
    version = 2
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
        self._edits = edits
        settings = {"allow_small": allow_small, "floor": FLOOR}
        self._subset = judge.subset
        inputs = {"edits": edits, "faces": prepare, "judge": judge, "real": real, **learned(judge, prepare)}
        super().__init__(f"score {edits.name.removeprefix('synthesize ')}", settings, inputs)

    def work(self) -> Work:
        """Features of the edits, whole and cropped; all else is small beside them."""
        return Work(f"features {self.extractor.name}", self._edits.work().amount * 2, 60_000_000)

    def run(self, context: Context, folder: Path) -> Made:
        """Measure."""
        torch.set_num_threads(context.machine.threads)
        faces = load_faces(self.read("faces", context).folder)
        synth = self.read("edits", context)
        images = np.load(synth.folder / EDITED)
        edits = pd.read_parquet(synth.folder / EDITS)
        shown, _ = as_learned(self, self._subset, images, faces, edits["source"].to_numpy(), context)
        per_edit = self._per_edit(images, shown, edits, faces.images, self.read("judge", context).folder)
        per_edit.to_parquet(folder / PER_EDIT, index=False)
        metrics, reasons = _pair_means(per_edit)
        crops = crop_faces(images, faces, edits["source"].to_numpy())
        whole, cropped = self._features(images, crops, context, folder)
        real_whole, real_cropped = load_features(self.read("real", context))
        distances = (("", whole, real_whole), ("_cropped", cropped, real_cropped))
        for suffix, ours, real in distances:
            self._distances(suffix, ours, real, metrics, reasons)
        by_expression = {
            name: 100 * float(per_edit["correct"][edits["target"] == name].mean())
            for name in EXPRESSIONS
            if (edits["target"] == name).any()
        }
        facts = {"edits": len(edits), "metrics": metrics, "reasons": reasons, "ca_by_expression": by_expression}
        return Made([*self.files], facts)

    @staticmethod
    def _per_edit(
        images: np.ndarray, shown: np.ndarray, edits: pd.DataFrame, real: np.ndarray, judge_folder: Path
    ) -> pd.DataFrame:
        """The edit list with what is measured on single pictures; NaN where the set has no true picture. shown: what
        the judge sees.
        """
        table = edits.copy()
        table["psnr_source"] = psnr(images, real[edits["source"].to_numpy()])
        table["psnr_unpaired"] = psnr(images, real[edits["reference"].to_numpy()])
        known = (edits["truth"] >= 0).to_numpy()
        for name, measure in (("psnr_target", psnr), ("ssim", ssim)):
            values = np.full(len(edits), np.nan)
            if known.any():
                values[known] = measure(images[known], real[edits["truth"].to_numpy()[known]])
            table[name] = values
        named = load_judge(judge_folder).predict(shown).argmax(1)
        table["judged"] = [EXPRESSIONS[label] for label in named]
        table["correct"] = table["judged"] == table["target"]
        return table

    def _features(
        self, images: np.ndarray, crops: np.ndarray | None, context: Context, folder: Path
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Features of the edits, from an interrupted call where it has finished them."""
        parts = [(FEATURES_WHOLE, images)] + ([(FEATURES_CROPPED, crops)] if crops is not None else [])
        missing = [(name, pictures) for name, pictures in parts if not (folder / name).exists()]
        if missing:
            extractor = self.extractor.open(context.machine.device)
            with context.reporter.bar(self.name, sum(len(pictures) for _, pictures in missing)) as bar:
                for name, pictures in missing:
                    partial = folder / f"{name}.tmp.npy"
                    np.save(partial, extractor.features(pictures, counted(bar)))
                    partial.rename(folder / name)
        return np.load(folder / FEATURES_WHOLE), np.load(folder / FEATURES_CROPPED) if crops is not None else None

    def _distances(
        self,
        suffix: str,
        ours: np.ndarray | None,
        real: np.ndarray | None,
        metrics: dict[str, float | None],
        reasons: dict[str, str],
    ) -> None:
        """Fréchet and kernel distance, or why not."""
        reason = ""
        if ours is None or real is None:
            reason = "the data set has no landmarks, and the crop is drawn round them"
        elif min(len(ours), len(real)) < FLOOR and not self.allow_small:
            reason = (
                f"{min(len(ours), len(real))} pictures are fewer than {FLOOR} (--allow-small measures all the same)"
            )
        if reason or ours is None or real is None:
            for key in (f"fid{suffix}", f"kid{suffix}"):
                metrics[key], reasons[key] = None, reason
            return
        metrics[f"fid{suffix}"] = frechet_distance(ours, real)
        metrics[f"kid{suffix}"] = 1000 * kernel_distance(ours, real)


def _pair_means(per_edit: pd.DataFrame) -> tuple[dict[str, float | None], dict[str, str]]:
    """Means over the edits, and the reasons for those that can't be had."""
    metrics: dict[str, float | None] = {"ca": 100 * float(per_edit["correct"].mean())}
    reasons: dict[str, str] = {}
    for name in ("psnr_source", "psnr_unpaired", "psnr_target", "ssim"):
        values = per_edit[name].dropna().to_numpy()
        if len(values):
            metrics[name] = float(values.mean()) if name == "ssim" else mean_psnr(values).decibel
        else:
            metrics[name] = None
            reasons[name] = "the data set has no picture of the same person, camera and gaze with the target expression"
    return metrics, reasons
