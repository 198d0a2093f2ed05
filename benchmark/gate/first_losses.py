"""The losses of the first iterations of each method: they show a changed loss, weight, rate or optimiser in seconds.

A training is started several times, each time at another place of its schedule (a decaying rate, a second stage), and
stopped after an update of each network. For each update of an optimiser, the numbers are the total loss, the norms of
gradient and step, and the cosine of step and negative gradient. The norm of the gradient is also noted for each part of
a network: a loss that no longer reaches a small part hardly changes the norm of the whole. In the first iterations,
another processor changes these numbers by little more than rounding; ten iterations later, training has amplified that
to a hundredth.

What first steps do not depend on is noted directly: Adam's decays, how fast an average follows the weights, the norm at
which gradients are clipped (from amplified losses), and the learning rates of a long training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.interface import Progress
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.prepare import load_faces_for
from benchmark.stages.train import Train
from benchmark.training.precision import arithmetic
from benchmark.training.trainer import Budget, Trainer

LENGTH = 100
"""Iterations of the schedule."""
BEGINNINGS: tuple[tuple[int, ...], ...] = ((0, 1), (9,), (49,), (50,), (75,), (79,), (99,))
"""Iterations of the schedule that are run, each group from initial weights. Networks that are updated every second or
fifth iteration are updated in those that end in 9; the cascade of EF-GAN begins at a half or three quarters.
"""
ITERATIONS = tuple(iteration for group in BEGINNINGS for iteration in group)
AMPLIFIED = 2.0**20
"""Factor of the losses in one more iteration of methods that clip, so that each gradient has the clipped norm."""
LONG, PLACES = 200_000, (0.0, 0.25, 0.5, 0.6, 0.75, 0.9, 0.99)
"""Iterations of a training as long as published ones, and the places of its noted rates as shares of them."""
HYPERPARAMETERS = ("lr", "betas", "eps", "weight_decay", "momentum", "alpha")
"""Names of the hyperparameters of an optimiser's groups in torch; each is a number or a pair."""
LATER = "+"
"""Suffix of the kind of a number whose iteration is not the first of its group."""
Series = dict[str, list[float | None]]
"""By name, a number for each iteration; null where it was not computed."""


@dataclass(frozen=True)
class LossFacts:
    """The numbers of all iterations."""

    series: Series


class FirstLosses(Stage[LossFacts]):
    """The first losses of one training."""

    kind = "first-losses"
    version = 4
    facts_type = LossFacts

    def __init__(self, train: Train) -> None:
        self.train = train
        settings = {**train.recipe.settings, "iterations": LENGTH, "run": list(ITERATIONS)}
        super().__init__(train.name.replace("train", "first losses", 1), settings, dict(train.inputs))

    def work(self) -> Work:
        """Count the iterations."""
        return Work(self.train.work().rate, len(ITERATIONS), 1000)

    def run(self, context: Context, folder: Path) -> StageResult[LossFacts]:
        """Run each group of iterations and keep nothing but numbers."""
        torch.set_num_threads(context.machine.threads)
        train = self.train
        data = train.training_set(load_faces_for(train.subset, train.faces.folder(context)))
        rows: list[dict[str, float]] = []
        with context.reporter.bar(self.name, len(ITERATIONS)) as bar:
            for number, group in enumerate(BEGINNINGS):
                trainer = RecordingTrainer(
                    train.method_class, train.settings, train.shape, data, Budget(LENGTH, LENGTH, 1),
                    train.seed + number, context.machine.device, folder, context.machine.threads, train.precision,
                )  # fmt: skip
                rows += trainer.record(group)
                if number == 0:
                    rows[0] |= trainer.schedules()
                if number == len(BEGINNINGS) - 1:
                    rows[-1] |= trainer.clipped_norms(group[0])
                bar.advance(len(group))
        return StageResult(LossFacts(series_of(rows)))


class RecordingTrainer(Trainer):
    """A trainer that records the numbers of each iteration and each update of an optimiser, and saves nothing."""

    _amplified = False

    def record(self, iterations: Sequence[int]) -> list[dict[str, float]]:
        """Run consecutive iterations of the schedule; return the numbers of each by name."""
        self._rows: list[dict[str, float]] = []
        self._begun = {
            name: [each.detach().double() for each in average.parameters()] for name, average in self._averages.items()
        }
        self._parts = {id(weight): part_of(name) for name, weight in self.method.named_parameters()}
        self.position.iteration = iterations[0]
        self.method.train()
        with arithmetic(self.precision):
            for _ in iterations:
                self._step()
        self._rows[-1] |= self._average_distances()
        return renamed_after_first(self._rows)

    def schedules(self) -> dict[str, float]:
        """Return the factors of the learning rates of a long training, by optimiser and place."""
        return {
            f"schedule {name} {share}": self.method.learning_rate_factor(name, Progress(round(share * LONG), LONG))
            for name in self._raw
            for share in PLACES
        }

    def clipped_norms(self, iteration: int) -> dict[str, float]:
        """Return the norms of the gradients of amplified losses by update; none for a method that does not clip."""
        if self.method.clip_norm is None:
            return {}
        self._rows, self._amplified = [], True
        self.position.iteration = iteration
        with arithmetic(self.precision):
            self._step()
        return {
            name.replace("gradient", "clipped", 1): value
            for name, value in self._rows[0].items()
            if name.startswith("gradient ") and name.count(" ") == 2  # of the whole network, not of a part
        }

    def _step(self) -> dict[str, Tensor]:
        self._rows.append({})
        losses = super()._step()
        self._rows[-1] |= {f"loss {name}": float(value) for name, value in losses.items()}
        return losses

    def _update(self, name: str, loss: Tensor) -> None:
        parameters = self._clipped[name]
        before = [parameter.detach().clone() for parameter in parameters]
        super()._update(name, loss * AMPLIFIED if self._amplified else loss)
        update = {"total": float(loss.detach()), **update_numbers(parameters, before)}
        update |= hyperparameters(self._raw[name])
        row = self._rows[-1]
        count = 1 + sum(known.startswith(f"total {name} ") for known in row)
        row |= {f"{kind} {name} {count}": value for kind, value in update.items()}
        row |= {f"gradient {name} {count} {part}": norm for part, norm in self._part_gradients(parameters).items()}

    def _part_gradients(self, parameters: Sequence[Tensor]) -> dict[str, float]:
        """Return the norm of the gradient of each part of an optimiser's networks; none for fewer than two."""
        gradients: dict[str, list[Tensor]] = {}
        for weight in parameters:
            if weight.grad is not None:
                gradients.setdefault(self._parts[id(weight)], []).append(weight.grad)
        return {part: _norm(each) for part, each in gradients.items()} if len(gradients) > 1 else {}

    def _average_distances(self) -> dict[str, float]:
        """Return each average's distance from its network, and the share of the network's way that it has followed."""
        distances: dict[str, float] = {}
        for (name, begun), (averages, weights, _, _) in zip(self._begun.items(), self._pairs, strict=True):
            gone = [weight.double() - start for weight, start in zip(weights, begun, strict=True)]
            followed = [each.double() - start for each, start in zip(averages, begun, strict=True)]
            along = sum(float((one * other).sum()) for one, other in zip(followed, gone, strict=True))
            way = sum(float(each.square().sum()) for each in gone)
            distances[f"average {name}"] = _norm(
                [each - weight for each, weight in zip(averages, weights, strict=True)]
            )
            distances[f"followed {name}"] = along / way if way else 0.0
        return distances


def part_of(name: str) -> str:
    """Return a parameter's part of the network: `generator.encoder` for `generator.encoder.blocks.0.weight`."""
    return ".".join(name.split(".")[:2])


def update_numbers(parameters: Sequence[Tensor], before: Sequence[Tensor]) -> dict[str, float]:
    """Return the norms of gradient and step of an update, and the cosine of step and negative gradient (`descent`).

    before: the parameters before the update, in the same order.
    """
    moved = [(p.grad, p.detach() - old) for p, old in zip(parameters, before, strict=True) if p.grad is not None]
    gradient, step = _norm([grad for grad, _ in moved]), _norm([step for _, step in moved])
    along = sum(float((grad.double() * step).sum()) for grad, step in moved)
    return {"gradient": gradient, "step": step, "descent": -along / (gradient * step) if gradient * step else 0.0}


def hyperparameters(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the hyperparameters of an optimiser by name: `lr`, `betas.0`; of further groups `lr#1`."""
    numbers: dict[str, float] = {}
    for index, group in enumerate(optimizer.param_groups):
        suffix = f"#{index}" if index else ""
        for key in HYPERPARAMETERS:
            value = group.get(key)
            if isinstance(value, (tuple, list)):
                numbers |= {f"{key}.{place}{suffix}": float(each) for place, each in enumerate(value)}
            elif value is not None:
                numbers[f"{key}{suffix}"] = float(value)
    return numbers


def _norm(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))


def renamed_after_first(rows: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Return the rows with the numbers of all but the first renamed.

    Rounding grows with every update, so later numbers have a larger tolerance.
    """
    return [*map(dict, rows[:1]), *({_later(name): value for name, value in row.items()} for row in rows[1:])]


def series_of(rows: Sequence[Mapping[str, float]]) -> Series:
    """Return the numbers of all rows by name; None where a row has none."""
    names = sorted({name for row in rows for name in row})
    return {name: [row.get(name) for row in rows] for name in names}


def _later(name: str) -> str:
    """Return the name of a number whose iteration is not the first of its group."""
    kind, _, rest = name.partition(" ")
    return f"{kind}{LATER} {rest}"
