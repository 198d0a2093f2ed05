"""record, weights: Checkpoint -> what is stored of a training: its record, and its weights for editing.

The keys of both follow from the training's, so a training that was stored is found wherever its plan is made, and who
has both needs the training no more.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmark.config.profiles import StoredPrecision
from benchmark.core.errors import RunFailed
from benchmark.core.hashes import write_text
from benchmark.stages.base import Context, StageResult, Work
from benchmark.stages.checkpoints import CHECKPOINT, first_not_finite
from benchmark.stages.train import CheckpointStage, Train, TrainFacts
from benchmark.training.checkpoint import below, load_tensors, prefixed, save_tensors
from benchmark.training.trainer import LOSSES, WEIGHTS

TRAINING = "training.json"
"""The manifest of the training: recipe, machine, time, versions."""
PRECISIONS: Mapping[StoredPrecision, torch.dtype] = {"float16": torch.float16, "float32": torch.float32}


class OfTraining(CheckpointStage):
    """A stage that stands for a training."""

    def __init__(self, train: Train, settings: Mapping[str, object]) -> None:
        self.train = train
        self.method, self.method_class, self.settings = train.method, train.method_class, train.settings
        self.shape, self.iterations, self.precision = train.shape, train.iterations, train.precision
        name = f"{self.kind} {train.name.removeprefix(f'{train.kind} ')}"
        super().__init__(name, {**settings, "settings": dataclasses.asdict(train.settings)}, {"training": train})

    @property
    def training_key(self) -> str:
        """Of the training itself."""
        return self.train.recipe.key

    @property
    def footnote(self) -> str:
        """The training's, and whether it ran on a GPU."""
        return " ".join(filter(None, (self.train.footnote, "Trained on a GPU." if self.train.device == "cuda" else "")))


class TrainingRecord(OfTraining):
    """Facts and losses of a training, and its manifest, which says what it ran on."""

    kind = "record"
    files = (TRAINING, LOSSES)

    def __init__(self, train: Train) -> None:
        super().__init__(train, {})

    def work(self) -> Work:
        """Two files."""
        return Work("record", 1, 2_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[TrainFacts]:
        """Copy them; the seconds are the training's."""
        artifact = self.train.artifact(context)
        write_text(folder / TRAINING, artifact.manifest.for_others().dump())
        shutil.copyfile(artifact.folder / LOSSES, folder / LOSSES)
        return StageResult(self.train.facts(context), seconds=artifact.manifest.seconds)


class EditingWeights(OfTraining):
    """The weights that edits are made with, rounded: averages where there are some, no discriminator."""

    kind = "weights"
    files = (CHECKPOINT, WEIGHTS)

    def __init__(self, train: Train, stored: StoredPrecision) -> None:
        self.stored = stored
        super().__init__(train, {"stored": stored})

    def work(self) -> Work:
        """Two files."""
        return Work("weights", 1, self.train.work().bytes // 10)

    def run(self, context: Context, folder: Path) -> StageResult[TrainFacts]:
        """Choose and round them. Raises RunFailed where one is too large for the precision."""
        trained = self.train.folder(context)
        tensors, text = load_tensors(trained / WEIGHTS)
        kept = rounded(for_editing(tensors, self.method_class.training_only), PRECISIONS[self.stored])
        if name := first_not_finite(kept):
            raise RunFailed(f"{self.name}: '{name}' has numbers that {self.stored} does not hold")
        save_tensors(folder / WEIGHTS, kept, text)
        described = json.loads((trained / CHECKPOINT).read_text(encoding="utf-8"))
        described |= {"absent": sorted(self.method_class.training_only), "for_editing": True, "stored": self.stored}
        write_text(folder / CHECKPOINT, json.dumps(described, indent=1, sort_keys=True) + "\n")
        return StageResult(self.train.facts(context))


def for_editing(tensors: Mapping[str, Tensor], training_only: Collection[str]) -> dict[str, Tensor]:
    """Select the weights that edits are made with from those of a finished training: averages in place of the weights
    that they are averages of, and no networks for training only.
    """
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith("model.") and name.split(".")[1] not in training_only
    }
    return kept | prefixed("model", below("average", tensors))


def rounded(tensors: Mapping[str, Tensor], precision: torch.dtype) -> dict[str, Tensor]:
    """The tensors with their floating-point numbers rounded to a precision."""
    return {name: tensor.to(precision) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
