"""A judge and a reader without training, which are the same on every processor.

With them, a changed score means a changed edit or metric, not another network. They are the initialised networks of
judge and reader: one pass of training pictures sets their batch norms, ridge regression their last layers. They are far
less accurate than trained ones, but equally accurate everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.protocol import EXPRESSIONS, Subset
from benchmark.report.results import JudgeResult
from benchmark.stages.base import Context, NoFacts, Stage, StageResult, Work
from benchmark.stages.judge import TrainJudge, accuracy
from benchmark.stages.prepare import Prepare, load_faces, load_faces_for
from benchmark.stages.reader import READER_SUBSET, TrainReader
from benchmark.training.device import compute_deterministically
from benchmark.training.judge import JudgeSettings, train_judge
from benchmark.training.reader import ABOUT, WEIGHTS, ReaderSettings, resized, targets_of, train_reader
from benchmark.training.sampling import TrainingSet

BATCH = 256
RIDGE = 10.0
"""Added to the squared singular values of the features, which have unit deviation."""


class FixedJudge(TrainJudge):
    """The judge of the probe of stored weights."""

    def __init__(self, prepare: Prepare, subset: Subset, device: str) -> None:
        self.faces, self.subset, self.seed = prepare, subset, 0
        self.settings = JudgeSettings(epochs=0)
        settings = {"fixed": True, "subset": subset, "seed": 0, "ridge": RIDGE, "device": device}
        Stage.__init__(self, f"fixed judge {subset}", settings, {"faces": prepare})

    def work(self) -> Work:
        """Two passes of the training pictures."""
        return Work(f"fixed judge {self.faces.size} px", self.faces.source.count() * 0.5, 50_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[JudgeResult]:
        """Solve for the last layer."""
        torch.set_num_threads(context.machine.threads)
        compute_deterministically(context.machine.device)
        faces = load_faces_for(self.subset, self.faces.folder(context))
        train, test = faces.rows(self.subset, "train"), faces.rows(self.subset, "test")
        device = context.machine.device
        judge = train_judge(faces.images[train], faces.labels[train], self.settings, 0, device=device)
        network: Any = judge.network
        batches = _batches(faces.images[train], device)
        with torch.no_grad():
            _set_norms(network, batches[0])
            features = [network.forward_head(network.forward_features(batch), pre_logits=True) for batch in batches]
            labels = torch.from_numpy(faces.labels[train]).to(device)
            _solve(network.fc, torch.cat(features), F.one_hot(labels, len(EXPRESSIONS)).double())
        judge.save(folder)
        return StageResult(accuracy(judge, faces.images[test], faces.labels[test]))


class FixedReader(TrainReader):
    """The reader of the probe of stored weights."""

    def __init__(self, prepare: Prepare, device: str) -> None:
        self.faces = prepare
        self.settings = ReaderSettings(pictures=1)  # one step, at the end of the schedule, where the rate is 0
        settings = {"fixed": True, "seed": 0, "ridge": RIDGE, "device": device}
        Stage.__init__(self, "fixed reader", settings, {"faces": prepare})

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        """Solve for the last layer; write nothing if a picture's action units and landmarks are unknown."""
        torch.set_num_threads(context.machine.threads)
        compute_deterministically(context.machine.device)
        faces = load_faces(self.faces.folder(context))
        train = faces.rows(READER_SUBSET, "train")
        units, landmarks = faces.measured_units[train], faces.measured_landmarks[train]
        data = TrainingSet(faces.images, faces.labels[train], units, landmarks, train)
        targets = targets_of(data, faces.size)
        known = torch.isfinite(targets).all(1)
        if not known.any():
            return StageResult(NoFacts())
        device = context.machine.device
        reader = train_reader(data, self.settings, 0, device=device)
        network = reader.network
        batches = [resized(batch, self.settings.side) for batch in _batches(faces.images[train][known.numpy()], device)]
        with torch.no_grad():
            _set_norms(network, batches[0])
            features = [F.relu(network.hidden(network.trunk(batch).flatten(1))) for batch in batches]
            wanted = (targets[known].to(device) - network.mean) / network.scale
            _solve(network.out, torch.cat(features), wanted.double())
        reader.save(folder)
        return StageResult(NoFacts(), [ABOUT, WEIGHTS])


def _batches(images: np.ndarray, device: str) -> list[Tensor]:
    """Convert N x S x S x 3 uint8 to batches of B x 3 x S x S in [-1, 1]."""
    whole = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    return [whole[start : start + BATCH].to(device) for start in range(0, len(whole), BATCH)]


def _set_norms(network: nn.Module, batch: Tensor) -> None:
    """Set the running statistics of all batch norms to those of one batch."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()
    network(batch)
    network.eval()


def _solve(last: nn.Linear, features: Tensor, wanted: Tensor) -> None:
    """Set a linear layer to the ridge regression of `wanted` (N x O, float64) on `features` (N x D)."""
    exact = features.double()
    mean, deviation = exact.mean(0), exact.std(0).clamp(min=1e-6)
    design = (exact - mean) / deviation
    gram = design.T @ design + RIDGE * torch.eye(design.shape[1], dtype=torch.float64, device=design.device)
    weights = (torch.linalg.solve(gram, design.T @ (wanted - wanted.mean(0))) / deviation[:, None]).T
    with torch.no_grad():
        last.weight.copy_(weights)
        last.bias.copy_(wanted.mean(0) - weights @ mean)
