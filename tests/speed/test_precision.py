"""`--precision bfloat16` beside float32: whole iterations of the trainer, on a CPU that multiplies bfloat16 itself."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.settings import make_settings
from benchmark.training.precision import arithmetic, cpu_has_bfloat16
from benchmark.training.registry import METHODS, find_method
from tests.speed.rows import give_row
from tests.speed.test_steps import SCALES, pictures, trainer


@pytest.mark.skipif(not cpu_has_bfloat16(), reason="no units for bfloat16")
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", METHODS)
def test_bfloat16_beside_float32(benchmark: BenchmarkFixture, tmp_path: Path, name: str, scale: str) -> None:
    at, kind = SCALES[scale], find_method(name)
    settings = make_settings(kind.Settings, at.settings(name), "test")
    training = trainer(kind, settings, at.size, pictures(at.size), tmp_path)
    steps = getattr(settings, "discriminator_steps", 1)
    exact: list[float] = []

    def iterations() -> None:
        for _ in range(steps):
            training._step()

    def coarse() -> None:
        with arithmetic("bfloat16"):
            iterations()

    def before() -> None:
        started = time.perf_counter()
        iterations()
        exact.append(time.perf_counter() - started)

    before()
    coarse()
    exact.clear()
    benchmark.pedantic(coarse, setup=before, rounds=max(1, at.rounds // 2))
    label = f"{kind.__name__}, {at.size} px, width {settings.width:g}, batch {settings.batch_size}"
    give_row(benchmark, "precision", label, statistics.median(exact) / steps, benchmark.stats.stats.median / steps, "")
