"""A training step beside the plain reference's: the same networks, faces and batch on the same cores.

Both are whole iterations of the trainer: data, losses, gradients, clipping, Adam, averaging. The plain reference loads
and augments its pictures with two PIL workers; the fast one takes them from memory. Rounds alternate.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.config.profiles import load_profile
from benchmark.interface import Method, Shape
from benchmark.settings import make_settings
from benchmark.training.registry import METHODS, find_method
from benchmark.training.sampling import TrainingSet
from benchmark.training.trainer import Budget, Trainer
from tests.plain.pictures import PictureFaces
from tests.speed.rows import give_row

PLAIN = {
    "stargan": "PlainStarGAN",
    "ganimation": "PlainGANimation",
    "hisd": "PlainHiSD",
    "mtss": "PlainMTSS",
    "efgan": "PlainEFGAN",
}
AIM = 1.8
ITERATIONS = 100_000
"""Of the budget: so early in it, EF-GAN trains its first stage alone, which at the published width is all that fits."""


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock and of this process's processor time, in which the plain reference's PIL workers are not."""

    wall: float
    processor: float

    @classmethod
    def now(cls) -> Spent:
        return cls(time.perf_counter(), time.process_time())

    def __sub__(self, begun: Spent) -> Spent:
        return Spent(self.wall - begun.wall, self.processor - begun.processor)


@dataclass(frozen=True)
class Scale:
    """Pictures of `size` x `size`, a share of the published width, settings beside it, and how many rounds."""

    size: int
    settings: Callable[[str], dict[str, Any]]
    rounds: int


def of_profile(name: str) -> Scale:
    profile = load_profile(name)

    def settings(method: str) -> dict[str, Any]:
        stated = profile.overrides.get(method)
        return {"width": profile.width, **(stated.settings if stated else {})}

    return Scale(profile.size, settings, 7)


SCALES = {"published": Scale(128, lambda _: {"batch_size": 8}, 3), "quick": of_profile("quick")}
"""Profile reference has the size, width and batches of quick."""


def pictures(size: int, count: int = 64) -> TrainingSet:
    """Smooth pictures, as compressible as faces."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    images = coarse.repeat(size // 8, 1).repeat(size // 8, 2)
    units = rng.uniform(0, 5, (count, 17)).astype(np.float32)
    landmarks = rng.uniform(0, size - 1, (count, 68, 2)).astype(np.float32)
    return TrainingSet(images, np.arange(count) % 8, units, landmarks)


def trainer(kind: type[Method], settings: Any, size: int, data: TrainingSet, folder: Path) -> Trainer:
    budget = Budget(ITERATIONS, ITERATIONS, ITERATIONS)
    trainer = Trainer(kind, settings, Shape(size), data, budget, 0, "cpu", folder)
    trainer.method.train()
    return trainer


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", METHODS)
def test_a_step_takes_little_more_than_half_the_plain_one(
    benchmark: BenchmarkFixture, tmp_path: Path, name: str, scale: str
) -> None:
    at, kind = SCALES[scale], find_method(name)
    settings = make_settings(kind.Settings, at.settings(name), "test")
    data = pictures(at.size)
    fast = trainer(kind, settings, at.size, data, tmp_path)
    plain = trainer(getattr(import_module(f"tests.plain.{name}"), PLAIN[name]), settings, at.size, data, tmp_path)
    plain.method.load_state_dict(fast.method.state_dict())
    faces = PictureFaces(tmp_path / "pictures", data, fast.method.augmentation, seed=0)
    plain.faces = faces  # type: ignore[assignment]
    steps = getattr(settings, "discriminator_steps", 1)  # as many iterations as there are to a generator's update
    spent: dict[Trainer, list[Spent]] = {fast: [], plain: []}

    def round_of(trainer: Trainer) -> None:
        begun = Spent.now()
        for _ in range(steps):
            trainer._step()
        spent[trainer].append(Spent.now() - begun)

    round_of(fast)
    round_of(plain)
    spent = {fast: [], plain: []}
    benchmark.pedantic(round_of, (fast,), setup=lambda: round_of(plain), rounds=at.rounds)
    faces.close()
    wall, processor = (
        [statistics.median(getattr(each, clock) for each in spent[trainer]) / steps for trainer in (plain, fast)]
        for clock in ("wall", "processor")
    )
    note = f"an iteration, mean of {steps}" if steps > 1 else "an iteration"
    note += f"; processor time {processor[0] / processor[1]:.1f} times less"
    what = f"{kind.__name__}, {at.size} px, width {settings.width:g}, batch {settings.batch_size}"
    give_row(benchmark, "steps", what, *wall, note)
    assert wall[0] / wall[1] >= AIM
