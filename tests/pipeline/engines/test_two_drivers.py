"""Two calls on one shared store, each on a machine of its own: one is killed, or stands still for more than a minute.

Machines are namespaces (`namespaces.py`), so that neither sees the processes of the other; leases alone keep them
apart.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.core.artifacts import MANIFEST
from benchmark.core.locks import HEARTBEAT, STALE
from tests.pipeline.engines.cluster import (
    ITERATIONS,
    PAUSE,
    SEEDS,
    SLOW,
    Step,
    Suite,
    steps_of,
    wait_for,
    without_trainings,
)
from tests.pipeline.engines.namespaces import Machine

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800), pytest.mark.usefixtures("needs_namespaces")]
STOPPED = 70.0
"""Seconds for which a machine stands still at least."""


class Driver:
    """A call of the suite on a machine of its own."""

    def __init__(self, suite: Suite, name: str, folder: Path, out: Path) -> None:
        self.machine = Machine(name)
        self._said = folder / f"{name}.txt"
        variables = {
            "DUMMY_PAUSE": str(PAUSE), "DUMMY_MEET": str(folder), "DUMMY_STEPS": str(folder / "steps.txt"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / name}.db",
        }  # fmt: skip
        words = [*suite.command, "--out", str(out), "--shared", "--jobs", "2", "--threads", "2"]
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                self.machine.command(*words), env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=said
            )

    @property
    def said(self) -> str:
        return self._said.read_text()


class Pair:
    """Two drivers; the first has begun with both trainings when the second is called."""

    def __init__(self, suite: Suite, folder: Path) -> None:
        self._suite, self._folder, self.out = suite, folder, without_trainings(suite, folder / "shared")
        self.drivers = [Driver(suite, "first", folder, self.out)]
        self.wait(lambda: len({step.process for step in self.steps() if step.iteration >= 2}) == SEEDS)
        self.drivers.append(Driver(suite, "second", folder, self.out))
        self.wait(lambda: self.drivers[1].said.count("another process is at work on it") >= SEEDS)

    def steps(self, name: str = "") -> list[Step]:
        """The iterations of a driver, or of both."""
        return [step for step in steps_of(self._folder / "steps.txt") if step.machine == name or not name]

    def wait(self, what: Callable[[], object]) -> None:
        """Wait until something is so, while the last driver runs."""

        def so() -> object:
            assert self.drivers[-1].process.poll() is None, self.drivers[-1].said
            return what()

        wait_for(so, SLOW)

    def end(self, *drivers: Driver) -> None:
        """Wait for the ends of drivers, and hold what is there against the results of an undisturbed call."""
        for driver in drivers:
            assert driver.process.wait(SLOW) == 0, driver.said
            assert "Traceback" not in driver.said
        self._suite.check(self.out)


@pytest.fixture
def pair(suite: Suite, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(suite, tmp_path)
    yield made
    for driver in made.drivers:
        driver.machine.kill()


def test_two_drivers_share_the_work(pair: Pair) -> None:
    pair.end(*pair.drivers)
    assert len(pair.steps()) == SEEDS * ITERATIONS
    assert {step.machine for step in pair.steps()} == {"first"}


def test_what_a_killed_driver_was_at_is_taken_over_after_a_minute(pair: Pair) -> None:
    first, second = pair.drivers
    pair.wait(lambda: max(step.iteration for step in pair.steps("first")) >= 20)
    first.machine.kill()
    killed = time.monotonic()
    pair.wait(lambda: pair.steps("second"))
    assert time.monotonic() - killed >= STALE - HEARTBEAT
    pair.end(second)
    begins = [step.iteration for step in pair.steps("second")][:SEEDS]
    assert min(begins) > 0
    assert len(pair.steps()) - SEEDS * ITERATIONS <= SEEDS * 20


def test_a_driver_that_stood_still_can_change_nothing_when_it_wakes_up(pair: Pair) -> None:
    first, second = pair.drivers
    pair.wait(lambda: max(step.iteration for step in pair.steps("first")) >= 10)
    first.machine.signal(signal.SIGSTOP)
    stopped, before = time.monotonic(), len(pair.steps("first"))
    pair.wait(lambda: len(pair.steps("second")) >= 4)
    assert time.monotonic() - stopped >= STALE - HEARTBEAT
    time.sleep(max(0.0, stopped + STOPPED - time.monotonic()))
    first.machine.signal(signal.SIGCONT)
    first.process.send_signal(signal.SIGCONT)  # `nsenter` stops with its child, and does not go on with it
    pair.wait(lambda: len(manifests := trainings(pair.out)) == SEEDS and manifests)
    made = trainings(pair.out)
    pair.end(first, second)
    assert trainings(pair.out) == made
    assert "another process has taken it over, since this one did not answer for a while" in first.said
    assert len(pair.steps("first")) - before < ITERATIONS / 2  # it stops where it would save its state


def trainings(out: Path) -> dict[str, bytes]:
    """The manifests of finished trainings."""
    return {path.parent.name: path.read_bytes() for path in out.glob(f"train/*/{MANIFEST}") if not path.parent.suffix}
