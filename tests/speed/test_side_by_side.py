"""Two trainings at once, each on half of the cores, beside one after the other on all of them.

Profile quick's networks, whose `--jobs auto` this decides (`SIDE_BY_SIDE_WIDTH`), and wider ones.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.config.profiles import load_profile
from benchmark.training.device import choose_jobs
from tests.speed.rows import give_row
from tests.speed.test_steps import pictures, trainer

CORES = os.cpu_count() or 1
STEPS = {
    ("stargan", 0.125): 50, ("ganimation", 0.125): 30, ("efgan", 0.125): 20, ("hisd", 0.125): 20, ("mtss", 0.125): 12,
    ("stargan", 0.5): 10, ("mtss", 0.5): 4, ("stargan", 1.0): 4, ("mtss", 1.0): 1,
}  # fmt: skip
SIZE = 64


def trained(
    name: str, width: float, threads: int, steps: int, folder: Path, ready: Barrier, took: SimpleQueue[float]
) -> None:
    """Begins when all are ready, and says the seconds."""
    import torch

    from benchmark.settings import make_settings
    from benchmark.training.registry import find_method

    torch.set_num_threads(threads)
    stated = load_profile("quick").overrides[name].settings
    kind = find_method(name)
    begun = trainer(
        kind, make_settings(kind.Settings, {**stated, "width": width}, "test"), SIZE, pictures(SIZE), folder
    )
    for _ in range(2):
        begun._step()
    ready.wait()
    started = time.perf_counter()
    for _ in range(steps):
        begun._step()
    took.put(time.perf_counter() - started)


@pytest.mark.skipif(CORES < 2, reason="one core")
@pytest.mark.parametrize(("name", "width"), STEPS)
def test_two_trainings_side_by_side(benchmark: BenchmarkFixture, tmp_path: Path, name: str, width: float) -> None:
    steps = STEPS[name, width]
    start = multiprocessing.get_context("spawn")

    def seconds(jobs: int) -> float:
        """Of the slowest of `jobs` trainings at once."""
        ready, took = start.Barrier(jobs), start.SimpleQueue()
        processes = [
            start.Process(target=trained, args=(name, width, CORES // jobs, steps, tmp_path / str(number), ready, took))
            for number in range(jobs)
        ]
        for number, process in enumerate(processes):
            (tmp_path / str(number)).mkdir(exist_ok=True)
            process.start()
        for process in processes:
            process.join()
        return max(took.get() for _ in processes)

    after = 2 * min(seconds(1) for _ in range(2)) / steps
    beside = min(benchmark.pedantic(seconds, (2,), rounds=1), seconds(2)) / steps
    chosen = choose_jobs("auto", "cpu", CORES, width)
    note = f"`auto` takes {chosen} {'job' if chosen == 1 else 'jobs'}"
    give_row(benchmark, "jobs", f"{name}, {SIZE} px, width {width:g}", after, beside, note)
    assert beside < 1.05 * after or chosen == 1
