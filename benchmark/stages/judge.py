"""judge: FaceSet (train split) -> Judge, and its word on the real test pictures; judged: its word on others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.data.faceset import FaceSet
from benchmark.device import compute_deterministically
from benchmark.metrics.judge import Judge, JudgeSettings, train_judge
from benchmark.protocol import EXPRESSIONS, Subset
from benchmark.stages.base import Context, Made, Stage, Work
from benchmark.stages.prepare import Prepare, load_faces

JUDGE_SEED = 0
"""One judge measures all runs of a subset, whatever their seeds: a ruler is not drawn anew for every measurement."""
STATE = "judge-state.safetensors"


class TrainJudge(Stage):
    """The classifier that CA asks, trained on real pictures of the train identities."""

    kind = "judge"
    version = 2

    def __init__(self, prepare: Prepare, subset: Subset, epochs: int, device: str) -> None:
        self.subset = subset
        self.settings = JudgeSettings(epochs=epochs)
        self.size, self._pictures = prepare.size, prepare.source.count
        settings = {"judge": dataclasses.asdict(self.settings), "subset": subset, "seed": JUDGE_SEED, "device": device}
        super().__init__(f"judge {subset}", settings, {"faces": prepare})

    def work(self) -> Work:
        """Pictures times epochs (three quarters of the pictures are there to train on, about)."""
        share = 0.75 if self.subset == "F&P" else 0.25
        return Work(f"judge {self.size} px", self._pictures() * share * self.settings.epochs, 200_000_000)

    def run(self, context: Context, folder: Path) -> Made:
        """Train it, then have it read the real test pictures."""
        torch.set_num_threads(context.machine.threads)
        compute_deterministically(context.machine.device)
        faces = load_faces(self.read("faces", context).folder)
        train, test = faces.rows(self.subset, "train"), faces.rows(self.subset, "test")
        with context.reporter.bar(self.name, self.settings.epochs) as bar:
            judge = train_judge(
                faces.images, faces.labels[train], self.settings, JUDGE_SEED, folder / STATE,
                lambda _done, _of: bar.advance(1), context.machine.device, train,
            )  # fmt: skip
        judge.save(folder)
        facts = _accuracy(judge, faces, test)
        return Made([path.name for path in folder.iterdir() if path.name != STATE and path.suffix != ".tmp"], facts)


class ReadByJudge(Stage):
    """How well the judge reads the real test pictures of another set than its own, or those of some expressions."""

    kind = "judged"

    def __init__(self, judge: TrainJudge, prepare: Prepare, targets: tuple[str, ...]) -> None:
        """targets: the expressions that are also counted by themselves; all where it is empty."""
        self.subset, self.targets = judge.subset, targets
        self._pictures, self._tested = prepare.source.count, prepare.source.test_share
        settings = {"subset": judge.subset, "targets": list(targets)}
        super().__init__(f"judged {judge.subset}", settings, {"judge": judge, "faces": prepare})

    def work(self) -> Work:
        """Pictures to read."""
        return Work("judged", self._pictures() * self._tested * (1 if self.subset == "F&P" else 0.32), 10_000)

    def run(self, context: Context, folder: Path) -> Made:
        """Ask."""
        torch.set_num_threads(context.machine.threads)
        faces = load_faces(self.read("faces", context).folder)
        judge = load_judge(self.read("judge", context).folder)
        test = faces.rows(self.subset, "test")
        wanted = test[faces.table["expression"].iloc[test].isin(self.targets or EXPRESSIONS).to_numpy()]
        facts = _accuracy(judge, faces, test)
        of_targets = _accuracy(judge, faces, wanted)
        facts |= {"target_accuracy": of_targets["accuracy"], "target_images": of_targets["images"]}
        return Made([], facts)


def _accuracy(judge: Judge, faces: FaceSet, rows: np.ndarray) -> dict[str, Any]:
    """The fields of a `JudgeResult`."""
    right = judge.predict(faces.images[rows]).argmax(1) == faces.labels[rows]
    return {
        "accuracy": 100 * float(right.mean()),
        "images": len(rows),
        "by_expression": {
            name: 100 * float(right[faces.labels[rows] == label].mean())
            for label, name in enumerate(EXPRESSIONS)
            if np.any(faces.labels[rows] == label)
        },
    }


def load_judge(folder: Path) -> Judge:
    """The judge of a finished stage."""
    return Judge.load(folder)
