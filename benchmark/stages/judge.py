"""judge: FaceSet (train split) -> Judge and its accuracy on real test pictures; judged: its accuracy on others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from benchmark.data.alignment import align_faces, mean_landmarks
from benchmark.data.faceset import FaceSet
from benchmark.protocol import EXPRESSIONS, JUDGE_SEED, Subset
from benchmark.report.results import JudgeReading, JudgeResult
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.prepare import Prepare, load_faces, load_faces_for
from benchmark.training.device import compute_deterministically
from benchmark.training.judge import ABOUT, WEIGHTS, Judge, JudgeSettings, train_judge

EPOCHS_IN_F = 3
"""Epochs in F for each one in F&P: F has one of its three cameras, and needs as many updates."""
STATE = "judge-state.safetensors"


class TrainJudge(Stage[JudgeResult]):
    """The classifier behind CA, trained on real pictures of the train identities."""

    kind = "judge"
    facts_type = JudgeResult
    version = 3
    files = (ABOUT, WEIGHTS)
    state = STATE

    def __init__(self, prepare: Prepare, subset: Subset, epochs: int, device: str, seed: int = JUDGE_SEED) -> None:
        """epochs: those in F&P; F has EPOCHS_IN_F times as many."""
        self.faces, self.subset, self.seed = prepare, subset, seed
        self.settings = JudgeSettings(epochs=epochs * (EPOCHS_IN_F if subset == "F" else 1))
        settings = {"judge": dataclasses.asdict(self.settings), "subset": subset, "seed": seed, "device": device}
        super().__init__(f"judge {subset}", settings, {"faces": prepare})

    def work(self) -> Work:
        """Multiply the train pictures, about three quarters of the subset's, by epochs."""
        pictures = self.faces.source.count() * (0.75 if self.subset == "F&P" else 0.25)
        return Work(f"judge {self.faces.size} px", pictures * self.settings.epochs, 200_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[JudgeResult]:
        """Train it and measure its accuracy on the real test pictures."""
        torch.set_num_threads(context.machine.threads)
        compute_deterministically(context.machine.device)
        faces = load_faces_for(self.subset, self.faces.folder(context))
        train, test = faces.rows(self.subset, "train"), faces.rows(self.subset, "test")
        with context.reporter.bar(self.name, self.settings.epochs) as bar:
            judge = train_judge(
                faces.images, faces.labels[train], self.settings, self.seed, folder / STATE,
                lambda _done, _of: bar.advance(1), context.machine.device, train, context.reporter.warn,
            )  # fmt: skip
        judge.save(folder)
        return StageResult(accuracy(judge, faces.images[test], faces.labels[test]))


class ReadByJudge(Stage[JudgeReading]):
    """The judge's accuracy on real test pictures of another set than its own, or of some expressions."""

    kind = "judged"
    facts_type = JudgeReading

    def __init__(self, judge: TrainJudge, prepare: Prepare, targets: tuple[str, ...]) -> None:
        """targets: the expressions whose pictures are also counted by themselves; all where it is empty."""
        self.judge, self.faces, self.targets = judge, prepare, targets
        settings = {"subset": judge.subset, "targets": list(targets)}
        inputs: dict[str, Stage] = {"judge": judge, "faces": prepare, **learned(judge, prepare)}
        super().__init__(f"judged {judge.subset}", settings, inputs)

    def work(self) -> Work:
        """Count the test pictures."""
        return Work("judged", self.faces.test_pictures(self.judge.subset), 10_000)

    def run(self, context: Context, folder: Path) -> StageResult[JudgeReading]:
        """Classify them."""
        torch.set_num_threads(context.machine.threads)
        faces = load_faces(self.faces.folder(context))
        judge = load_judge(self.judge.folder(context))
        test = faces.rows(self.judge.subset, "test")
        pictures, framed = as_learned(self.judge, self.faces, faces.images[test], faces, test, context)
        wanted = faces.table["expression"].iloc[test].isin(self.targets or EXPRESSIONS).to_numpy()
        labels = faces.labels[test]
        of_all = accuracy(judge, pictures, labels)
        of_targets = accuracy(judge, pictures[wanted], labels[wanted])
        facts = JudgeReading(
            of_all.accuracy,
            of_all.images,
            of_all.by_expression,
            target_accuracy=of_targets.accuracy,
            target_images=of_targets.images,
            framed=framed,
            unframed_accuracy=accuracy(judge, faces.images[test], labels).accuracy,
        )
        return StageResult(facts)


def learned(judge: TrainJudge, prepare: Prepare) -> dict[str, Stage]:
    """The input `learned`, the judge's own faces, of a stage that shows it other faces; nothing for its own."""
    return {"learned": judge.faces} if judge.faces.recipe.key != prepare.recipe.key else {}


def as_learned(
    judge: TrainJudge, prepare: Prepare, images: np.ndarray, faces: FaceSet, rows: np.ndarray, context: Context
) -> tuple[np.ndarray, int]:
    """Return the pictures as the judge is shown them, and how many of them were moved.

    images have the landmarks of `rows` of `faces`, which `prepare` made. Where those are not the judge's own faces,
    they are brought to where its own are.
    """
    if not learned(judge, prepare):
        return images, 0
    mean = mean_landmarks(load_faces(judge.faces.folder(context)), judge.subset)
    cameras = faces.table["camera"].to_numpy()[rows]
    pictures, known = align_faces(images, faces.landmarks[rows], cameras, mean)
    return pictures, int(known.sum())


def accuracy(judge: Judge, images: np.ndarray, labels: np.ndarray) -> JudgeResult:
    """Classify pictures (N x S x S x 3 uint8) with known labels."""
    right = judge.predict(images).argmax(1) == labels
    by_expression = {
        name: 100 * float(right[labels == label].mean())
        for label, name in enumerate(EXPRESSIONS)
        if np.any(labels == label)
    }
    return JudgeResult(100 * float(right.mean()), len(labels), by_expression)


def load_judge(folder: Path) -> Judge:
    """Return the judge of a finished stage."""
    return Judge.load(folder)
