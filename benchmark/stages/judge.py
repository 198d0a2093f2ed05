"""judge: FaceSet (train split) -> Judge, and its word on the real test pictures; judged: its word on others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.data.alignment import brought_into_frame, learned_places
from benchmark.data.faceset import FaceSet
from benchmark.protocol import EXPRESSIONS, Subset
from benchmark.stages.base import Context, Made, Stage, Work
from benchmark.stages.prepare import Prepare, load_faces, load_faces_for
from benchmark.training.device import compute_deterministically
from benchmark.training.judge import ABOUT, WEIGHTS, Judge, JudgeSettings, train_judge

JUDGE_SEED = 0
"""One judge measures all runs of a subset, whatever their seeds: a ruler is not drawn anew for every measurement."""
STATE = "judge-state.safetensors"


class TrainJudge(Stage):
    """The classifier that CA asks, trained on real pictures of the train identities."""

    kind = "judge"
    version = 2
    files = (ABOUT, WEIGHTS)

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
        faces = load_faces_for(self.subset, self.read("faces", context).folder)
        train, test = faces.rows(self.subset, "train"), faces.rows(self.subset, "test")
        with context.reporter.bar(self.name, self.settings.epochs) as bar:
            judge = train_judge(
                faces.images, faces.labels[train], self.settings, JUDGE_SEED, folder / STATE,
                lambda _done, _of: bar.advance(1), context.machine.device, train,
            )  # fmt: skip
        judge.save(folder)
        facts = _accuracy(judge, faces.images[test], faces.labels[test])
        return Made([*self.files], facts)


class ReadByJudge(Stage):
    """How well the judge reads the real test pictures of another set than its own, or those of some expressions."""

    kind = "judged"

    def __init__(self, judge: TrainJudge, prepare: Prepare, targets: tuple[str, ...]) -> None:
        """targets: the expressions that are also counted by themselves; all where it is empty."""
        self.subset, self.targets = judge.subset, targets
        self._pictures, self._tested = prepare.source.count, prepare.source.test_share
        settings = {"subset": judge.subset, "targets": list(targets)}
        super().__init__(
            f"judged {judge.subset}", settings, {"judge": judge, "faces": prepare, **learned(judge, prepare)}
        )

    def work(self) -> Work:
        """Pictures to read."""
        return Work("judged", self._pictures() * self._tested * (1 if self.subset == "F&P" else 0.32), 10_000)

    def run(self, context: Context, folder: Path) -> Made:
        """Ask."""
        torch.set_num_threads(context.machine.threads)
        faces = load_faces(self.read("faces", context).folder)
        judge = load_judge(self.read("judge", context).folder)
        test = faces.rows(self.subset, "test")
        pictures, framed = as_learned(self, self.subset, faces.images[test], faces, test, context)
        wanted = faces.table["expression"].iloc[test].isin(self.targets or EXPRESSIONS).to_numpy()
        labels = faces.labels[test]
        facts = _accuracy(judge, pictures, labels)
        of_targets = _accuracy(judge, pictures[wanted], labels[wanted])
        facts |= {
            "target_accuracy": of_targets["accuracy"],
            "target_images": of_targets["images"],
            "framed": framed,
            "unframed_accuracy": _accuracy(judge, faces.images[test], labels)["accuracy"],
        }
        return Made([], facts)


def learned(judge: TrainJudge, prepare: Prepare) -> dict[str, Stage]:
    """The input `learned`, the judge's own faces, of a stage that asks it of other ones; nothing where they are its
    own.
    """
    own = judge.inputs["faces"]
    return {"learned": own} if own.recipe.key != prepare.recipe.key else {}


def as_learned(
    stage: Stage, subset: Subset, images: np.ndarray, faces: FaceSet, rows: np.ndarray, context: Context
) -> tuple[np.ndarray, int]:
    """What the judge is shown: pictures with the landmarks of `rows` of `faces`, their faces brought to where its own
    are, and how many were; just the pictures, where the stage's faces are its own.
    """
    if "learned" not in stage.inputs:
        return images, 0
    places = learned_places(load_faces(stage.read("learned", context).folder), subset)
    cameras = faces.table["camera"].to_numpy()[rows]
    pictures, known = brought_into_frame(images, faces.landmarks[rows], cameras, places)
    return pictures, int(known.sum())


def _accuracy(judge: Judge, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The fields of a `JudgeResult`."""
    right = judge.predict(images).argmax(1) == labels
    return {
        "accuracy": 100 * float(right.mean()),
        "images": len(labels),
        "by_expression": {
            name: 100 * float(right[labels == label].mean())
            for label, name in enumerate(EXPRESSIONS)
            if np.any(labels == label)
        },
    }


def load_judge(folder: Path) -> Judge:
    """The judge of a finished stage."""
    return Judge.load(folder)
