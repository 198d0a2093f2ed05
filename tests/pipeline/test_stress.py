"""Cut at random moments by every signal, and called again at once: the results are those of a run left alone.

A few cuts here; `STRESS_KILLS=200 pytest tests/pipeline/test_stress.py -s` makes as many, and prints each.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from benchmark import run
from tests.pipeline.test_pipeline import ROOT, configure, report_of

KILLS = int(os.environ.get("STRESS_KILLS", "3"))
SEED = int(os.environ.get("STRESS_SEED", "0"))
LATEST = 120.0
"""Seconds that a call may take, also after a signal."""
START = 5.0
"""Seconds that a call's imports take, about."""
WORKER = b"benchmark.pipeline.worker"
pytestmark = pytest.mark.timeout(600 + LATEST * KILLS)
ENDING = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class Reference:
    """The call, the results of an undisturbed one, and about how long a call takes."""

    command: list[str]
    results: bytes
    seconds: float


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> Reference:
    folder = tmp_path_factory.mktemp("stress")
    arguments = configure(folder / "config")
    profile = folder / "config" / "tiny.yaml"
    profile.write_text(yaml.safe_dump({**yaml.safe_load(profile.read_text()), "iterations": {"default": 60}}))
    arguments += ["--data", f"rendered:{make_faces(identities=5)}"]
    started = time.monotonic()
    assert run.main([*arguments, "--out", str(folder / "out")]) == 0
    seconds = START + time.monotonic() - started
    command = [sys.executable, "-m", "benchmark.run", *arguments]
    return Reference(command, (report_of(folder / "out") / "results.json").read_bytes(), seconds)


@dataclass(frozen=True)
class Cut:
    """A signal for whom, after so many seconds."""

    signum: signal.Signals
    whom: str
    after: float

    @classmethod
    def drawn(cls, rng: random.Random, seconds: float) -> Cut:
        """At any moment of a call that lasts `seconds`."""
        signum = rng.choice([*ENDING, signal.SIGSTOP])
        return cls(signum, rng.choice(["process", "worker", "group"]), rng.uniform(0, seconds))

    def apply(self, process: subprocess.Popen[str]) -> bool:
        """Send it, if there is anybody; what is stopped goes on after a moment."""
        targets = workers_of(process.pid) if self.whom == "worker" else [process.pid]
        send: Callable[[int, int], None] = os.killpg if self.whom == "group" else os.kill
        for target in targets[:1]:
            try:
                send(target, self.signum)
                if self.signum == signal.SIGSTOP:
                    time.sleep(0.5)
                    send(target, signal.SIGCONT)
            except ProcessLookupError:
                return False
        return bool(targets)


def workers_of(parent: int) -> list[int]:
    """Worker processes that it has started."""
    collected = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            owner = int(status.read_text().rpartition(")")[2].split()[1])
            if owner == parent and WORKER in (status.parent / "cmdline").read_bytes():
                collected.append(int(status.parent.name))
        except (OSError, ValueError):
            continue
    return collected


def cut_call(command: list[str], cut: Cut | None) -> tuple[int, str, bool]:
    """Status and stderr of a call, and whether it was cut before its end."""
    applied = False
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        if cut is not None:
            try:
                process.wait(cut.after)
            except subprocess.TimeoutExpired:
                applied = cut.apply(process)
        _, errors = process.communicate(timeout=LATEST)
        return process.returncode, errors, applied
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def check(status: int, errors: str, cut: Cut | None) -> None:
    """Ended as the signal asks, in few lines."""
    lines = errors.splitlines()
    assert "Traceback" not in errors
    assert len(lines) <= 3, errors
    if status == 0:
        assert not lines, errors
        return
    assert cut is not None, errors
    if cut.whom == "worker" or cut.signum == signal.SIGKILL:
        assert status in (1, -signal.SIGKILL, 128 + cut.signum), errors
    else:
        assert status in (128 + cut.signum, -cut.signum), errors  # before Python is up, the signal's own end


def test_cut_at_random_and_called_again_at_once_gives_the_same_bytes(reference: Reference, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    kills, number = 0, 0
    while kills < KILLS:
        number += 1
        out, finished = tmp_path / f"out-{number}", False
        while not finished:
            jobs = rng.choice(["1", "2"])
            cut = Cut.drawn(rng, reference.seconds) if kills < KILLS else None
            status, errors, applied = cut_call([*reference.command, "--jobs", jobs, "--out", str(out)], cut)
            print(f"run {number}, kill {kills}, jobs {jobs}: {cut} -> {status} {errors.strip()}")
            check(status, errors, cut)
            kills += applied
            finished = status == 0
        assert (report_of(out) / "results.json").read_bytes() == reference.results
        assert not [path for path in out.glob("*/*") if path.suffix in (".partial", ".damaged")]
        check_tracking(out)


def check_tracking(out: Path) -> None:
    """All is logged, once."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fesbench")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(str(entry.info.run_name) for entry in runs) == ["d-r seed 0", "d-t seed 0", "dummies tiny rendered"]
    assert {entry.info.status for entry in runs} == {"FINISHED"}
    for entry in runs:
        if "seed" in str(entry.info.run_name):
            steps = [point.step for point in client.get_metric_history(entry.info.run_id, "loss/distance")]
            assert steps == list(range(1, 61))
    assert not (out / "tracking").exists()
