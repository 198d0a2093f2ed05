"""The first steps of the trainings of judge and reader.

They show a changed loss, rate, augmentation or choice of pictures in seconds. The stage itself is run and stopped after
two steps of its optimiser. The numbers of each step are those of a method's first losses: the norms of gradient and
step, their cosine, and the hyperparameters. The schedule of the learning rate is noted directly, since two steps show
only its rise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from benchmark.gate.first_losses import (
    PLACES,
    LossFacts,
    hyperparameters,
    renamed_after_first,
    series_of,
    update_numbers,
)
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.judge import TrainJudge
from benchmark.stages.reader import TrainReader
from benchmark.training.supervised import one_cycle

STEPS = 2


class FirstSteps(Stage[LossFacts]):
    """The first steps of one training of a judge or a reader."""

    kind = "first-steps"
    version = 2
    facts_type = LossFacts

    def __init__(self, training: TrainJudge | TrainReader) -> None:
        self.training = training
        settings = {**training.recipe.settings, "steps": STEPS}
        super().__init__(f"first steps {training.name}", settings, dict(training.inputs))

    def work(self) -> Work:
        """Count the steps."""
        return Work(self.training.work().rate, STEPS, 1000)

    def run(self, context: Context, folder: Path) -> StageResult[LossFacts]:
        """Run the training for its first steps; there are none if it has nothing to learn."""
        rows: list[dict[str, float]] = []
        with _recording(rows), contextlib.suppress(_Enough):
            self.training.run(context, folder)
        for path in folder.iterdir():
            path.unlink()
        if rows:
            warm_up = self.training.settings.warm_up
            rows[0] |= {f"schedule {share}": one_cycle(share, warm_up) for share in PLACES}
        return StageResult(LossFacts(series_of(renamed_after_first(rows))))


class _Enough(BaseException):
    """Enough steps were made. No subclass of Exception, so that no stage handles it as a failure."""


@contextlib.contextmanager
def _recording(rows: list[dict[str, float]]) -> Iterator[None]:
    """Append a row of numbers for each step of any optimiser; raise _Enough after `STEPS` steps."""
    before: list[Tensor] = []

    def note(optimizer: Optimizer, _args: Any, _options: Any) -> None:
        before[:] = [parameter.detach().clone() for parameter in _parameters(optimizer)]

    def measure(optimizer: Optimizer, _args: Any, _options: Any) -> None:
        numbers = {**update_numbers(_parameters(optimizer), before), **hyperparameters(optimizer)}
        rows.append({f"{kind} 1": value for kind, value in numbers.items()})
        if len(rows) == STEPS:
            raise _Enough

    hooks = register_optimizer_step_pre_hook(note), register_optimizer_step_post_hook(measure)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
