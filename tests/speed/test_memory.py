"""The most memory that training each method takes in a profile: a process of its own, as `--jobs` has it, on a CPU."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.config.profiles import load_profile
from benchmark.core.environment import peak_memory
from benchmark.settings import make_settings
from benchmark.training.registry import METHODS, find_method
from tests.speed.rows import give_row
from tests.speed.test_steps import pictures, trainer


def most_memory(name: str, profile: str, folder: Path) -> tuple[int, str]:
    """Bytes that this process has held at once after a generator's update of the longest kind; and what was trained."""
    result = load_profile(profile)
    stated = result.overrides.get(name)
    kind = find_method(name)
    settings = make_settings(kind.Settings, {"width": result.width, **(stated.settings if stated else {})}, "test")
    training = trainer(kind, settings, result.size, pictures(result.size, 32), folder)
    training.position.iteration = int(0.9 * training.budget.iterations)  # EF-GAN's cascade trains late
    for _ in range(2 * getattr(settings, "discriminator_steps", 1)):
        training._step()
    label = f"{kind.__name__}, {result.size} px, width {result.width:g}, batch {settings.batch_size}"
    return peak_memory(), label


@pytest.mark.parametrize("profile", ["quick", "paper"])
@pytest.mark.parametrize("name", METHODS)
def test_memory_of_a_training(benchmark: BenchmarkFixture, tmp_path: Path, name: str, profile: str) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        actual = benchmark.pedantic(lambda: pool.submit(most_memory, name, profile, tmp_path).result(), rounds=1)
    bytes_held, label = actual
    give_row(benchmark, "memory", label, None, bytes_held, f"profile {profile}", unit="B")
    assert bytes_held < 24e9
