"""The losses of the first iterations of each method: a changed loss, weight, rate or optimiser shows in seconds.

A training is run for `ITERATIONS` iterations that stand for its whole schedule, from the initial weights of its seed.
Beside each loss, every update of an optimiser gives its total (the loss that is back-propagated), the norm of the
gradient and the norm of the step. So early, another processor changes them by little more than rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.prepare import load_faces_for
from benchmark.stages.train import Train
from benchmark.training.trainer import Budget, Trainer

ITERATIONS = 10
"""Two updates of a generator that is trained every fifth iteration, and both stages of a method that has two."""
Series = dict[str, list[float | None]]
"""By name a number of each iteration; null where it was not computed."""


@dataclass(frozen=True)
class LossFacts:
    """What the iterations gave."""

    series: Series


class FirstLosses(Stage[LossFacts]):
    """The first losses of one training."""

    kind = "first-losses"
    facts_type = LossFacts

    def __init__(self, train: Train) -> None:
        self.train = train
        settings = {**train.recipe.settings, "iterations": ITERATIONS}
        super().__init__(train.name.replace("train", "first losses", 1), settings, dict(train.inputs))

    def work(self) -> Work:
        """Count the iterations."""
        return Work(self.train.work().rate, ITERATIONS, 1000)

    def run(self, context: Context, folder: Path) -> StageResult[LossFacts]:
        """Train for `ITERATIONS` iterations and keep nothing but numbers."""
        torch.set_num_threads(context.machine.threads)
        train = self.train
        data = train.training_set(load_faces_for(train.subset, train.faces.folder(context)))
        trainer = RecordingTrainer(
            train.method_class, train.settings, train.shape, data, Budget(ITERATIONS, ITERATIONS + 1, 1), train.seed,
            context.machine.device, folder, context.machine.threads, train.precision,
        )  # fmt: skip
        return StageResult(LossFacts(trainer.record(context)))


class RecordingTrainer(Trainer):
    """A trainer that notes what every iteration and every update of an optimiser computes, and saves nothing."""

    def record(self, context: Context) -> Series:
        """Train to the end of the budget; returns the series."""
        self._rows: list[dict[str, float]] = []
        with context.reporter.bar("first losses", self.budget.iterations) as bar:
            self.run(bar, context.reporter.warn)
        names = sorted({name for row in self._rows for name in row})
        series: Series = {name: [row.get(name) for row in self._rows] for name in names}
        for name, distance in self._average_distances().items():
            series[name] = [distance]
        return series

    def save(self) -> None:
        """Keep no state: the numbers are all that is wanted."""

    def _step(self) -> dict[str, Tensor]:
        self._rows.append({})
        losses = super()._step()
        self._rows[-1] |= {f"loss {name}": float(value) for name, value in losses.items()}
        return losses

    def _update(self, name: str, loss: Tensor) -> None:
        parameters = self._clipped[name]
        before = [parameter.detach().clone() for parameter in parameters]
        super()._update(name, loss)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        steps = [parameter.detach() - old for parameter, old in zip(parameters, before, strict=True)]
        update = {"total": float(loss.detach()), "gradient": _norm(gradients), "step": _norm(steps)}
        row = self._rows[-1]
        count = 1 + sum(known.startswith(f"total {name} ") for known in row)
        row |= {f"{kind} {name} {count}": value for kind, value in update.items()}

    def _average_distances(self) -> dict[str, float]:
        """How far each averaged network is from its own weights at the end."""
        pairs = zip(self._averages, self._pairs, strict=True)
        return {
            f"average {name}": _norm([average - weight for average, weight in zip(averages, weights, strict=True)])
            for name, (averages, weights, _, _) in pairs
        }


def _norm(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))
