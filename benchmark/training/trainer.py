"""The training loop, the same for every method.

A training that is interrupted anywhere and resumed ends in the same weights as an uninterrupted one, bit for bit on a
CPU: the state file has weights, averages, optimisers, the order of the data and every random state, and it is replaced
whole.
"""

from __future__ import annotations

import copy
import math
import os
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmark.config.precision import DEFAULT, Precision
from benchmark.core.cli import Interrupted, held_signals
from benchmark.core.errors import RunFailed, UserError
from benchmark.core.progress import Bar
from benchmark.interface import Faces, Method, Progress, Shape
from benchmark.training import checkpoint
from benchmark.training.checkpoint import Position
from benchmark.training.device import compute_deterministically
from benchmark.training.failures import CLIPPED, failures
from benchmark.training.precision import arithmetic
from benchmark.training.sampling import TrainingFaces, TrainingSet

STATE = "state.safetensors"
WEIGHTS = "weights.safetensors"
LOSSES = "losses.parquet"
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Budget:
    """Length of a training, and how often it logs and saves, which do not change the result.

    checkpoint_every: iterations between two decisions whether to save, which `SAVING` limits.
    """

    iterations: int
    checkpoint_every: int
    log_every: int


SAVING = 0.01
"""Largest share of the time for saving states; the time for a state is that of the one before."""

LossSink = Callable[[pd.DataFrame], None]


class Trainer:
    """Training of one method in one folder, which can be resumed."""

    def __init__(
        self,
        method_class: type[Method],
        settings: Any,
        shape: Shape,
        data: TrainingSet,
        budget: Budget,
        seed: int,
        device: str,
        folder: Path,
        threads: int | None = None,
        precision: Precision = DEFAULT,
    ) -> None:
        from lightning_fabric import Fabric  # a second's import that a finished suite does without

        self.budget, self.folder, self.seed, self.precision = budget, folder, seed, precision
        self._threads = threads or os.cpu_count() or 1
        # `arithmetic` makes products coarser; weights and all else are float32 in every precision.
        self._fabric = Fabric(accelerator=device, devices=1, precision="32-true")
        seed_everything(seed)
        compute_deterministically(device)
        # Initial weights are drawn on the CPU, so they are the same on every device.
        self.method = method_class(settings, shape)
        self._method = self._fabric.setup_module(self.method)
        self._method.mark_forward_method("training_step")
        raw = dict(self.method.optimizers())
        self._optimizers: dict[str, Any] = {
            name: self._fabric.setup_optimizers(optimizer) for name, optimizer in raw.items()
        }
        self._raw = raw
        self._rates = {name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in raw.items()}
        self._clipped = {
            name: [p for group in optimizer.param_groups for p in group["params"]] for name, optimizer in raw.items()
        }
        averaged = self.method.averaged()
        self._averages = {name: copy.deepcopy(network).requires_grad_(False) for name, network in averaged.items()}
        self._pairs = [_pairs(average, averaged[name]) for name, average in self._averages.items()]
        self.faces = TrainingFaces(data, self.method.augmentation, seed, self._fabric.device)
        self.position = Position(updates=dict.fromkeys(raw, 0), threads=self._threads)
        self._history: list[list[float]] = []
        self._sums: dict[str, Tensor] = {}

    # ------------------------------------------------------------------------------------------------ the loop
    def run(self, bar: Bar, warn: Callable[[str], None], sink: LossSink | None = None) -> None:
        """Train to the end of the budget.

        Raises RunFailed for a loss that is not finite, Interrupted after a signal, when the state is saved.
        """
        torch.set_num_threads(self.position.threads)
        self.method.train()
        started, worked = time.monotonic(), time.process_time()
        free_until = 0.0
        with held_signals() as received, arithmetic(self.precision):
            while self.position.iteration < self.budget.iterations:
                for name, value in self._step().items():
                    self._add(name, value)
                bar.advance(1)
                done = self.position.iteration
                last = done == self.budget.iterations
                if done % self.budget.log_every == 0 or last:
                    self._log(bar, warn)
                due = done % self.budget.checkpoint_every == 0
                if due or last or received:
                    self._check()
                    now = time.monotonic()
                    if last or received or now >= free_until:
                        self.position.seconds += now - started
                        self.position.processor_seconds += time.process_time() - worked
                        started, worked = now, time.process_time()
                        self.save()
                        if sink is not None:
                            sink(self.losses())
                        free_until = time.monotonic() + (time.monotonic() - now) / SAVING
                if received:
                    raise Interrupted(received[0])

    def _step(self) -> dict[str, Tensor]:
        """Run one iteration of the method and update the averages."""
        progress = Progress(self.position.iteration, self.budget.iterations)
        for name, optimizer in self._raw.items():
            factor = self.method.learning_rate_factor(name, progress)
            for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor
        faces = _CountingFaces(self.faces)
        losses: dict[str, Tensor] = self._method.training_step(faces, self._update, progress)
        self._average()
        self.position.iteration += 1
        self.position.images += faces.count
        self.position.waited += faces.seconds
        return losses

    def _update(self, name: str, loss: Tensor) -> None:
        """Clear the gradients, back-propagate, clip, step: the `Update` of the method."""
        optimizer = self._optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(loss)
        if self.method.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self._clipped[name], self.method.clip_norm, foreach=True)
            self._add(CLIPPED + name, (norm > self.method.clip_norm).float())
        optimizer.step()
        self.position.updates[name] += 1

    def _add(self, name: str, value: Tensor) -> None:
        """Count a value towards the mean of the next row of the history."""
        self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self.position.summed[name] = self.position.summed.get(name, 0) + 1

    @torch.no_grad()
    def _average(self) -> None:
        """average = decay * average + (1 - decay) * weights; buffers are copied."""
        decay = self.method.average_decay
        for averages, weights, copies, buffers in self._pairs:
            if averages:
                torch._foreach_lerp_(averages, weights, 1 - decay)
            if copies:
                torch._foreach_copy_(copies, buffers)

    def _check(self) -> dict[str, float]:
        """Mean of each loss since the last row of the history. Raises RunFailed if one is not finite."""
        if not self._sums:
            return {}
        sums = zip(self._sums, torch.stack(list(self._sums.values())).tolist(), strict=True)
        means = {name: value / self.position.summed[name] for name, value in sums}
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            state = self.folder / STATE
            kept = f"the last good state is kept in {state}" if state.exists() else "no state had been saved yet"
            raise RunFailed(
                f"{type(self.method).__name__}: loss '{bad[0]}' is {means[bad[0]]} at iteration "
                f"{self.position.iteration}; {kept}; "
                "lower the learning rate or the gains that the profile overrides"
            )
        return means

    def _log(self, bar: Bar, warn: Callable[[str], None]) -> None:
        """Add a row to the history, note losses on the bar, pass on each of the method's warnings once."""
        means = self._check()
        # Sorted, since sums that come from a checkpoint are in another order.
        new = sorted(name for name in means if name not in self.position.loss_names)
        self.position.loss_names += new
        # A loss that was not computed since the last row (a generator's, every fifth iteration) is NaN in this one.
        self._history = [[*row, *[math.nan] * len(new)] for row in self._history] if new else self._history
        means_now = (means.get(name, math.nan) for name in self.position.loss_names)
        self._history.append([float(self.position.iteration), *means_now])
        self._sums, self.position.summed = {}, {}
        shown = [(name, mean) for name, mean in means.items() if not name.startswith(CLIPPED)]
        bar.note("  ".join(f"{name} {value:.3g}" for name, value in shown[:4]))
        for warning in self.method.warnings(means):
            if warning not in self.position.warned:
                self.position.warned.append(warning)
                warn(warning)

    def losses(self) -> pd.DataFrame:
        """Table of iterations and the mean of each loss since the row before; NaN where it was not computed."""
        table = pd.DataFrame(self._history, columns=["iteration", *self.position.loss_names])
        return table.astype({"iteration": int})

    def failures(self) -> list[str]:
        """How the training failed by its own measure, a sentence each (`benchmark.training.failures`)."""
        return failures(self.losses(), self.method.warnings)

    # ------------------------------------------------------------------------------------------------ its state
    def save(self) -> None:
        """Replace the state file."""
        tensors = checkpoint.prefixed("model", self.method.state_dict())
        for name, average in self._averages.items():
            tensors |= checkpoint.prefixed(f"average.{name}", average.state_dict())
        for name, optimizer in self._raw.items():
            tensors |= checkpoint.prefixed(f"optimizer.{name}", checkpoint.optimizer_tensors(optimizer))
        tensors |= checkpoint.prefixed("random", checkpoint.random_tensors())
        tensors |= checkpoint.prefixed("faces", self.faces.state())
        tensors |= checkpoint.prefixed("sums", self._sums)
        tensors["history"] = torch.tensor(self._history, dtype=torch.float64)
        checkpoint.save_tensors(self.folder / STATE, tensors, asdict(self.position), sealed=True)

    def resume(self, warn: Callable[[str], None] = lambda _: None) -> bool:
        """Go on from the state file, if there is one; a damaged one is set aside, with a line."""
        state = checkpoint.load_state(self.folder / STATE, warn)
        if state is None:
            return False
        tensors, text = state
        self.method.load_state_dict(checkpoint.below("model", tensors))
        for name, average in self._averages.items():
            average.load_state_dict(checkpoint.below(f"average.{name}", tensors))
        for name, optimizer in self._raw.items():
            checkpoint.restore_optimizer(optimizer, checkpoint.below(f"optimizer.{name}", tensors))
        checkpoint.restore_random(checkpoint.below("random", tensors))
        self.faces.restore(checkpoint.below("faces", tensors))
        self._history = tensors["history"].tolist()
        self._sums = {name: value.to(self._fabric.device) for name, value in checkpoint.below("sums", tensors).items()}
        self.position = Position(**text)
        return True

    def write_result(self) -> None:
        """Write the files of a finished training: weights, raw and averaged, and losses."""
        tensors = checkpoint.prefixed("model", self.method.state_dict())
        for name, average in self._averages.items():
            tensors |= checkpoint.prefixed(f"average.{name}", average.state_dict())
        checkpoint.save_tensors(self.folder / WEIGHTS, tensors, {"iterations": self.position.iteration})
        self.losses().to_parquet(self.folder / LOSSES, index=False)

    def parameters(self) -> dict[str, int]:
        """Number of trained parameters by network."""
        return {
            name: sum(p.numel() for p in network.parameters() if p.requires_grad)
            for name, network in self.method.named_children()
        }


class _CountingFaces:
    """`FaceSource` that counts the pictures drawn and the seconds that a step waits for them."""

    def __init__(self, faces: TrainingFaces) -> None:
        self._faces, self.count, self.seconds = faces, 0, 0.0
        self.generator, self.classes = faces.generator, faces.classes

    def draw(self, count: int) -> Faces:
        return self._timed(self._faces.draw, count, count)

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        return self._timed(self._faces.draw_labelled, labels, len(labels))

    def draw_units(self, count: int) -> Tensor:
        return self._timed(self._faces.draw_units, count, 0)

    def _timed(self, draw: Callable[[A], B], argument: A, pictures: int) -> B:
        started = time.perf_counter()
        result = draw(argument)
        self.seconds += time.perf_counter() - started
        self.count += pictures
        return result


def _pairs(average: nn.Module, network: nn.Module) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Detached parameters of both and buffers of both, in the same order, sharing their memory."""
    return (
        [p.detach() for p in average.parameters()],
        [p.detach() for p in network.parameters()],
        list(average.buffers()),
        list(network.buffers()),
    )


def load_for_editing(method: Method, path: Path, absent: Collection[str] = (), merged: bool = False) -> None:
    """Load the weights that edits are made with, averaged where there are averages, and set eval mode.

    absent: networks that the checkpoint lacks and edits do not need. merged: whether the averages stand in the place of
    the weights that they are averages of, as in `merged_for_editing`. Raises UserError where anything else is missing
    or does not fit.
    """
    tensors, _ = checkpoint.load_tensors(path)
    try:
        unfit = method.load_state_dict(checkpoint.below("model", tensors), strict=False)
        missing = [name for name in unfit.missing_keys if name.partition(".")[0] not in absent]
        if missing or unfit.unexpected_keys:
            first = (missing or unfit.unexpected_keys)[0]
            raise UserError(
                f"{path} is no checkpoint of {type(method).__name__} as its settings describe it: "
                f"{len(missing)} tensors are missing and {len(unfit.unexpected_keys)} foreign, '{first}' for one"
            )
        for name, network in method.averaged().items() if not merged else ():
            network.load_state_dict(checkpoint.below(f"average.{name}", tensors))
    except RuntimeError as error:  # what torch raises for another shape, over several lines
        raise UserError(
            f"{path} is no checkpoint of {type(method).__name__} as its settings describe it "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    method.eval()


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy, torch and every GPU."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for libraries that draw from the global generator
    torch.manual_seed(seed)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
