"""The smallest method that is one: it learns a colour for each expression. The whole pipeline runs on it within
seconds.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from benchmark.interface import Augmentation, Faces, FaceSource, Method, Progress, Shape, Target, Update, latents
from benchmark.settings import chosen, published
from benchmark.training.sampling import TrainingFaces

STARTED_BY = os.getppid()
STEPS = itertools.count()


def disturb(iteration: int) -> None:
    """What a test has happen to a training, by its environment, so that no key knows of it.

    DUMMY_PAUSE: seconds that every iteration takes longer. DUMMY_MEET: a folder; iteration 1 waits until another
    training is there as well. DUMMY_CUT: `4 parent 9`, say: once, a process's iteration 4 sends signal 9 to the process
    that started this one (or to its own: `self`; or to all of the group: `group`); the mark of it is in DUMMY_MEET.
    DUMMY_STEPS: a file to which every iteration adds a line: machine, process, iteration.
    """
    if "DUMMY_STEPS" in os.environ:
        with Path(os.environ["DUMMY_STEPS"]).open("a") as steps:
            steps.write(f"{socket.gethostname()} {os.getpid()} {iteration}\n")
    time.sleep(float(os.environ.get("DUMMY_PAUSE", "0")))
    meet = Path(os.environ.get("DUMMY_MEET", ""))
    if iteration == 1 and "DUMMY_MEET" in os.environ:
        (meet / f"there-{socket.gethostname()}-{os.getpid()}").touch()
        late = time.monotonic() + 240
        while len(list(meet.glob("there-*"))) < 2:
            assert time.monotonic() < late, "nobody came"
            time.sleep(0.02)
    at, whom, signum = os.environ.get("DUMMY_CUT", "-1 self 0").split()
    mark = meet / f"cut-{at}-{whom}-{signum}"
    if next(STEPS) == int(at) and not mark.exists():
        mark.touch()
        if whom == "group":
            os.killpg(0, int(signum))
        elif whom == "self" or os.getppid() == STARTED_BY:
            os.kill(os.getpid() if whom == "self" else STARTED_BY, int(signum))


@dataclass(frozen=True)
class DummySettings:
    learning_rate: float = published(0.05, "this file")
    width: float = published(1.0, "this file")
    batch: int = chosen(4, "small")
    poison_at: int = chosen(-1, "iteration whose loss becomes NaN; -1 for none")
    kill_at: int = chosen(-1, "iteration that DUMMY_KILL_SIGNAL meets, once (DUMMY_KILL_MARK is the mark); -1 for none")


class Dummy(Method):
    Settings = DummySettings
    guides = frozenset({"T", "R"})
    augmentation = Augmentation(flip=True, brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1)

    def __init__(self, settings: DummySettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.colours = nn.Embedding(shape.classes, 3)
        self.mix = nn.Conv2d(3, 3, 3, padding=1)

    def optimizers(self) -> Mapping[str, Optimizer]:
        return {"colours": Adam(self.parameters(), self.settings.learning_rate)}

    def averaged(self) -> Mapping[str, nn.Module]:
        return {"mix": self.mix}

    @property
    def average_decay(self) -> float:
        return 0.9

    @property
    def clip_norm(self) -> float | None:
        return 10.0

    def learning_rate_factor(self, optimizer: str, progress: Progress) -> float:
        return 1 - progress.iteration / progress.iterations

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        if not isinstance(faces, TrainingFaces):  # which a check of the contract hands over as they are
            self._disturb(progress.iteration)
        batch = faces.draw(self.settings.batch)
        other = faces.draw_labelled(batch.labels)
        noise = torch.rand(len(batch.labels), 1, 1, 1).to(batch.images)
        loss = (self._paint(batch.images, batch.labels) - noise * other.images).abs().mean()
        if progress.iteration == self.settings.poison_at:
            loss = loss * float("nan")
        update("colours", loss)
        return {"distance": loss.detach()}

    def _disturb(self, iteration: int) -> None:
        if iteration == self.settings.kill_at:
            mark = Path(os.environ["DUMMY_KILL_MARK"])
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), int(os.environ["DUMMY_KILL_SIGNAL"]))
        disturb(iteration)

    def edit(self, sources: Faces, target: Target) -> Tensor:
        painted = self._paint(sources.images, target.labels.clamp(min=0))  # -1: nobody has labelled the reference
        if target.references is not None:
            return painted + 0.1 * target.references
        return painted + 0.01 * latents(target.seeds, 1, sources.images).reshape(-1, 1, 1, 1)

    def _paint(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.mix(images) + self.colours(labels)[:, :, None, None]
