"""A judge that needs no training: any processor makes the same one, so it tells a changed edit from a changed judge.

It is the judge's ResNet18 as initialised, its norms set by one pass of the training pictures, with a last layer from
ridge regression. It reads expressions far worse than a trained judge, but always as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.protocol import EXPRESSIONS, Subset
from benchmark.report.results import JudgeResult
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.judge import TrainJudge, accuracy
from benchmark.stages.prepare import Prepare, load_faces_for
from benchmark.training.device import compute_deterministically
from benchmark.training.judge import JudgeSettings, train_judge

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
        judge = train_judge(faces.images[train], faces.labels[train], self.settings, 0, device=context.machine.device)
        _solve(judge.network, faces.images[train], faces.labels[train], context.machine.device)
        judge.save(folder)
        return StageResult(accuracy(judge, faces.images[test], faces.labels[test]))


@torch.no_grad()
def _solve(network: nn.Module, images: np.ndarray, labels: np.ndarray, device: str) -> None:
    """Set norms and last layer so that the network's outputs fit the labels in least squares."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    batches = [_batch(images[start : start + BATCH], device) for start in range(0, len(images), BATCH)]
    network.train()
    for norm in norms:
        norm.momentum = 1.0
    network(batches[0])
    network.eval()
    features = torch.cat([_pooled(network, batch) for batch in batches]).double()
    mean, deviation = features.mean(0), features.std(0).clamp(min=1e-6)
    design = (features - mean) / deviation
    wanted = nn.functional.one_hot(torch.from_numpy(labels).to(device), len(EXPRESSIONS)).double()
    centred = wanted - wanted.mean(0)
    gram = design.T @ design + RIDGE * torch.eye(design.shape[1], dtype=torch.float64, device=device)
    weights = (torch.linalg.solve(gram, design.T @ centred) / deviation[:, None]).T
    last: Any = network.get_submodule("fc")
    last.weight.copy_(weights)
    last.bias.copy_(wanted.mean(0) - weights @ mean)


def _pooled(network: Any, batch: Tensor) -> Tensor:
    pooled: Tensor = network.forward_head(network.forward_features(batch), pre_logits=True)
    return pooled


def _batch(images: np.ndarray, device: str) -> Tensor:
    """N x S x S x 3 uint8 to N x 3 x S x S in [-1, 1]."""
    return torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
