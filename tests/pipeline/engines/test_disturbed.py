"""A cluster whose nodes, workers and drivers are lost at random moments: the results are those of an undisturbed call.

`tox -e cluster` makes DISTURBANCES of them (30), and prints each; so does
`DISTURBANCES=100 DISTURBANCE_SEED=1 pytest -m cluster tests/pipeline/engines/test_disturbed.py -s`.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.pipeline.engines.cluster import RELAY, WORKER, Nodes, Suite, processes, three_nodes

DISTURBANCES = int(os.environ.get("DISTURBANCES", "30"))
SEED = int(os.environ.get("DISTURBANCE_SEED", "0"))
STOPPED = float(os.environ.get("DISTURBANCE_STOP", "60"))
"""Seconds for which a process is stopped."""
LATEST = 300.0
"""Seconds that a call may take."""
ALL_WAYS = "node,worker,relay,stop,driver 9,driver 15,driver 2"
WAYS = os.environ.get("DISTURBANCE_WAYS", ALL_WAYS).split(",")
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600 + LATEST * DISTURBANCES)]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with three_nodes() as cluster:
        yield cluster


def disturb(way: str, driver: int, nodes: Nodes, rng: random.Random) -> bool:
    """Disturb a call that runs; returns whether there was anybody to disturb."""
    kind, _, number = way.partition(" ")
    if kind == "node":
        nodes.remove(rng.choice(nodes.nodes))
        nodes.add()
        return True
    if kind == "driver":
        os.kill(driver, int(number))
        return True
    targets = processes((RELAY,) if kind == "relay" else (WORKER,))
    if not targets:
        return False
    target = rng.choice(targets)
    with suppress(ProcessLookupError):
        os.kill(target, signal.SIGSTOP if kind == "stop" else signal.SIGKILL)
        if kind == "stop":
            time.sleep(STOPPED)
            os.kill(target, signal.SIGCONT)
    return True


def call(suite: Suite, out: Path, nodes: Nodes, ways: Iterator[str], rng: random.Random, counts: Counter[str]) -> int:
    """Call the suite once, disturbed as long as there are ways, mostly while a job runs; returns its status."""
    process = suite.start(out, "--engine", "ray", "--address", nodes.address)
    started = time.monotonic()
    while process.poll() is None and time.monotonic() < started + LATEST:
        anywhen = rng.random() < 0.2
        while process.poll() is None and not anywhen and not processes((RELAY,)):
            time.sleep(0.2)
        time.sleep(rng.uniform(0, 8))
        if process.poll() is None and (way := next(ways, None)):
            done = disturb(way, process.pid, nodes, rng)
            counts[way] += done
            print(f"  after {time.monotonic() - started:.0f} s: {way}{'' if done else ' (nobody)'}", flush=True)
    _, errors = process.communicate(timeout=LATEST)
    assert "Traceback" not in errors, errors
    assert process.returncode != 1 or "died 3 times without progress" in errors, errors
    return process.returncode


def test_results_are_those_of_an_undisturbed_call(suite: Suite, nodes: Nodes, tmp_path: Path) -> None:
    rng, counts = random.Random(SEED), Counter[str]()
    number = 0
    while counts.total() < DISTURBANCES:
        number += 1
        out = tmp_path / f"out-{number}"
        status = -1
        while status != 0:
            left = DISTURBANCES - counts.total()
            ways = iter([rng.choice(WAYS) for _ in range(min(left, 4))])
            status = call(suite, out, nodes, ways, rng, counts)
            print(f"run {number}: status {status}, {counts.total()} disturbances: {dict(counts)}", flush=True)
            assert status in (0, 1, -9, 128 + 15, 128 + 2, -15, -2)
        suite.check(out)
