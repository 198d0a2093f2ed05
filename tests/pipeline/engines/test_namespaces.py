"""Machines that are cut off for a while, or killed: the results are those of an undisturbed call.

Each machine is a namespace with a network of its own (`namespaces.py`). Links that are cut say nothing to either side:
what was sent is lost, and nobody hears of an end. What the trainings did is counted, iteration by iteration.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
from tests.pipeline.engines.namespaces import Network, network

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800), pytest.mark.usefixtures("needs_namespaces")]
NODES = ("node-1", "node-2", "node-3")
SHORT = 5.0
"""Seconds of a cut that nobody should notice."""


class Call:
    """A call of the suite on three nodes, from the machine of the head."""

    def __init__(self, suite: Suite, machines: Network, folder: Path, out: Path, *options: str, **more: str) -> None:
        """out: as the machines see it. more: variables of every machine."""
        self.machines, self._suite, self._out = machines, suite, out
        self._steps, self._said = folder / "steps.txt", folder / "said.txt"
        self._variables = {
            **more, "DUMMY_STEPS": str(self._steps), "DUMMY_PAUSE": str(PAUSE), "DUMMY_MEET": str(folder)
        }  # fmt: skip
        for name in NODES:
            self.start_node(name)
        words = [*suite.command, "--out", str(out), "--engine", "ray", "--address", machines.ray_address, *options]
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                machines.machines["head"].command(*words), env={**os.environ, **self._variables},
                stdout=subprocess.DEVNULL, stderr=said,
            )  # fmt: skip

    def start_node(self, name: str) -> None:
        """Start a machine, with the variables of the call."""
        self.machines.start_node(name, **self._variables)

    @property
    def said(self) -> str:
        """What the driver has said."""
        return self._said.read_text()

    def steps(self) -> list[Step]:
        """All iterations that were done so far."""
        return steps_of(self._steps)

    def wait(self, what: Callable[[], object], seconds: float = SLOW) -> None:
        """Wait until something is so, while the call runs."""

        def so() -> object:
            assert self._process.poll() is None, self.said
            return what()

        wait_for(so, seconds)

    def at_least(self, iteration: int) -> list[str]:
        """The machines whose training has come to an iteration."""
        return sorted({step.machine for step in self.steps() if step.iteration >= iteration})

    def begins(self) -> list[tuple[str, str]]:
        """Trainings and the machines that began with them, in order."""
        return re.findall(r"^\[\d+/\d+\] (train .*) @ (node-\d)", self.said, re.MULTILINE)

    def check(self, out: Path) -> list[Step]:
        """Wait for the end of the call; returns all iterations. out: as this machine sees it."""
        status = self._process.wait(SLOW)
        assert status == 0, self.said
        assert "Traceback" not in self.said
        self._suite.check(out)
        counts = Counter(step.iteration for step in self.steps())
        assert all(counts[number] >= SEEDS for number in range(ITERATIONS))
        return self.steps()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Network]:
    with network(tmp_path / "machines", tmp_path / "own") as made:
        made.start_head()
        yield made


@pytest.fixture
def shared(suite: Suite, tmp_path: Path) -> Path:
    """A store that lacks the trainings and all that is made from them."""
    return without_trainings(suite, tmp_path / "shared")


def repeated(steps: list[Step]) -> int:
    """How many iterations were done more than once."""
    return len(steps) - SEEDS * ITERATIONS


def test_a_link_that_is_cut_for_a_moment_costs_no_iteration(
    suite: Suite, machines: Network, shared: Path, tmp_path: Path
) -> None:
    call = Call(suite, machines, tmp_path, shared)
    call.wait(lambda: len(call.at_least(5)) == SEEDS)
    busy = call.at_least(5)[0]
    machines.link(busy, "down")
    time.sleep(SHORT)
    machines.link(busy, "up")
    assert repeated(call.check(shared)) == 0
    assert len(call.begins()) == SEEDS


def test_what_a_killed_machine_was_at_goes_on_elsewhere(
    suite: Suite, machines: Network, shared: Path, tmp_path: Path
) -> None:
    call = Call(suite, machines, tmp_path, shared)
    call.wait(lambda: len(call.at_least(20)) == SEEDS)
    killed = call.at_least(20)[0]
    machines.remove(killed)
    steps = call.check(shared)
    assert "it goes on elsewhere from what is saved" in call.said
    of_killed = [step for step in steps if step.machine == killed]
    (begun_again,) = (first for first in firsts(steps) if first)
    assert 0 < begun_again <= len(of_killed)
    assert repeated(steps) == len(of_killed) - begun_again


def test_a_machine_that_is_cut_off_and_one_that_is_killed(
    suite: Suite, machines: Network, shared: Path, tmp_path: Path
) -> None:
    """The store is cut off as well: it is one of objects, on the head's machine, and nothing else is shared."""
    url, out = "s3://bucket/runs", tmp_path / "own"
    credentials = machines.serve_objects("bucket")
    head = machines.machines["head"]
    head.run(sys.executable, "-m", "tests.pipeline.engines.upload", str(shared), str(out), url, **credentials)
    call = Call(suite, machines, tmp_path, out, "--store", url, **credentials)
    call.wait(lambda: len(call.at_least(45)) == SEEDS)  # so long that states are uploaded
    cut, killed = call.at_least(45)
    first_two = {(step.machine, step.process) for step in call.steps()}
    machines.link(cut, "down")
    down = time.monotonic()
    machines.remove(killed)
    call.wait(lambda: len(firsts(call.steps())) == 2 * SEEDS)
    assert time.monotonic() - down >= STALE - HEARTBEAT
    machines.link(cut, "up")
    steps = call.check(machines.folder / "head-1-own")
    begun_again = [first for first in firsts(steps) if first]
    assert len(begun_again) == SEEDS
    of_lost = [step for step in steps if (step.machine, step.process) in first_two]
    assert repeated(steps) == len(of_lost) - sum(begun_again)
    states = f"{credentials['AWS_ENDPOINT_URL']}/bucket?list-type=2&prefix=runs/states"
    listing = head.run(sys.executable, "-c", f"import urllib.request as u; print(u.urlopen('{states}').read())")
    assert "ListBucketResult" in listing
    assert "<Key>" not in listing


def firsts(steps: list[Step]) -> list[int]:
    """The iterations that processes began with, in order."""
    return [*{(step.machine, step.process): step.iteration for step in reversed(steps)}.values()][::-1]
