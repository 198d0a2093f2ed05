"""Two trainings at once, each on half of the cores, beside one after the other on all of them.

Profile quick's networks, whose `--jobs auto` this decides (`benchmark.device.SIDE_BY_SIDE_WIDTH`), and wider ones.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.config import load_profile
from benchmark.device import choose_jobs
from tests.speed.rows import give_row
from tests.speed.test_steps import pictures, trainer

CORES = os.cpu_count() or 1
STEPS = {
    ("stargan", 0.125): 100, ("ganimation", 0.125): 60, ("efgan", 0.125): 40, ("hisd", 0.125): 40, ("mtss", 0.125): 25,
    ("stargan", 0.5): 20, ("mtss", 0.25): 10, ("mtss", 0.5): 4,
}  # fmt: skip
SIZE = 64


def trained(name: str, width: float, threads: int, steps: int, folder: Path, ready: Barrier) -> None:
    """Begins when all are ready."""
    import torch

    from benchmark.registry import find_method
    from benchmark.settings import make_settings

    torch.set_num_threads(threads)
    stated = load_profile("quick").overrides[name].settings
    kind = find_method(name)
    made = trainer(kind, make_settings(kind.Settings, {**stated, "width": width}, "test"), SIZE, pictures(SIZE), folder)
    for _ in range(2):
        made._step()
    ready.wait()
    for _ in range(steps):
        made._step()


@pytest.mark.skipif(CORES < 2, reason="one core")
@pytest.mark.parametrize(("name", "width"), STEPS)
def test_two_trainings_side_by_side(benchmark: BenchmarkFixture, tmp_path: Path, name: str, width: float) -> None:
    steps = STEPS[name, width]
    start = multiprocessing.get_context("spawn")

    def seconds(jobs: int) -> float:
        ready = start.Barrier(jobs + 1)
        processes = [
            start.Process(target=trained, args=(name, width, CORES // jobs, steps, tmp_path / str(number), ready))
            for number in range(jobs)
        ]
        for number, process in enumerate(processes):
            (tmp_path / str(number)).mkdir(exist_ok=True)
            process.start()
        ready.wait()
        started = time.perf_counter()
        for process in processes:
            process.join()
        assert not any(process.exitcode for process in processes)
        return time.perf_counter() - started

    after = 2 * min(seconds(1) for _ in range(2)) / steps
    benchmark.pedantic(seconds, (2,), rounds=2)
    beside = benchmark.stats.stats.min / steps
    chosen = choose_jobs("auto", "cpu", CORES, width)
    note = f"`auto` takes {chosen} {'job' if chosen == 1 else 'jobs'}"
    give_row(benchmark, "jobs", f"{name}, {SIZE} px, width {width:g}", after, beside, note)
    assert beside < 1.1 * after or chosen == 1
    assert after < 1.1 * beside or chosen == 2
