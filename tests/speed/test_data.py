"""Training pictures: a batch drawn from the map beside one loaded by PIL, and the share of a step that waits for it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from torch.utils.data import default_collate

from benchmark.settings import make_settings
from benchmark.training.registry import METHODS, find_method
from tests.plain.pictures import PictureFaces
from tests.speed.rows import give_row
from tests.speed.test_steps import SCALES, pictures, trainer

SHARE = 0.01


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", METHODS)
def test_the_step_hardly_waits_for_its_pictures(
    benchmark: BenchmarkFixture, tmp_path: Path, name: str, scale: str
) -> None:
    at, kind = SCALES[scale], find_method(name)
    settings = make_settings(kind.Settings, at.settings(name), "test")
    data = pictures(at.size)
    training = trainer(kind, settings, at.size, data, tmp_path)
    batch = settings.batch_size
    files = PictureFaces(tmp_path / "pictures", data, training.method.augmentation, seed=0).files

    def loaded() -> float:
        """Seconds in which one process, which has nothing else to do, makes a batch of files."""
        started = time.perf_counter()
        default_collate([files[number] for number in range(batch)])
        return time.perf_counter() - started

    loaded()
    plain = statistics.median(loaded() for _ in range(5))
    benchmark.pedantic(training.faces.draw, (batch,), rounds=30, warmup_rounds=3)

    steps = getattr(settings, "discriminator_steps", 1)
    for _ in range(steps):
        training._step()
    waits, times = [], []
    for _ in range(steps * at.rounds):
        before, started = training.position.waited, time.perf_counter()
        training._step()
        times.append(time.perf_counter() - started)
        waits.append(training.position.waited - before)
    usual, whole = statistics.median(waits) / statistics.mean(times), sum(waits) / sum(times)
    label = f"{kind.__name__}, {at.size} px, batch {batch}"
    note = f"{100 * whole:.2f} % of the steps' time, with all they draw; {100 * usual:.2f} % of the median step's"
    give_row(benchmark, "data", label, plain, benchmark.stats.stats.median, note)
    assert usual < SHARE
