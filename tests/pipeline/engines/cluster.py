"""A cluster of three nodes on this machine, a suite to run on it, and ways to disturb it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.pipeline.test_pipeline import ROOT, configure, report_of

ITERATIONS = 60
SEEDS = 2
PAUSE = 1.0
"""Seconds that an iteration takes longer on machines that are namespaces."""
SLOW = 600.0
"""Seconds within which everything should have come, on a busy machine."""
WORKER, RELAY = b"benchmark.pipeline.worker", b"ray::make_job"


@dataclass(frozen=True)
class Suite:
    """A call, and the results of an undisturbed one on this machine alone."""

    command: list[str]
    results: bytes
    out: Path
    """Of the undisturbed call."""

    def start(
        self, out: Path, *options: str, command: str = "benchmark.run", **environment: str
    ) -> subprocess.Popen[str]:
        """Call it, in a group of processes of its own. command: a module with the arguments of `benchmark.run`."""
        words = [command if word == "benchmark.run" else word for word in self.command]
        return subprocess.Popen(
            [*words, "--out", str(out), *options], cwd=ROOT, env={**os.environ, **environment},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def call(self, out: Path, *options: str, **environment: str) -> None:
        """Call it to its end, and hold the results against those of the undisturbed call."""
        process = self.start(out, *options, **environment)
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        self.check(out)

    def check(self, out: Path) -> None:
        """Nothing is lost or changed, and nothing is left of what was cut."""
        assert (report_of(out) / "results.json").read_bytes() == self.results
        assert not [path for path in out.glob("*/*") if path.suffix in (".partial", ".damaged")]


def make_suite(folder: Path, faces: Path) -> Suite:
    """Two trainings of a few seconds, and an undisturbed call."""
    arguments = [argument for argument in configure(folder / "config") if argument != "--quiet"]
    profile = folder / "config" / "tiny.yaml"
    settings = {**yaml.safe_load(profile.read_text()), "iterations": {"default": ITERATIONS}}
    profile.write_text(yaml.safe_dump(settings))
    command = [
        sys.executable, "-m", "benchmark.run", *arguments, "--data", f"rendered:{faces}",
        "--seeds", ",".join(map(str, range(SEEDS))),
    ]  # fmt: skip
    done = subprocess.run(
        [*command, "--jobs", "2", "--threads", "2", "--out", str(folder / "out")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Suite(command, (report_of(folder / "out") / "results.json").read_bytes(), folder / "out")


def without_trainings(suite: Suite, out: Path) -> Path:
    """Copy the store of the undisturbed call, without the trainings and all that is made from them."""
    shutil.copytree(suite.out, out)
    for kind in ("train", "synth", "scores", "reports", "cache"):
        shutil.rmtree(out / kind, ignore_errors=True)
    return out


@dataclass(frozen=True)
class Step:
    """An iteration of a training, as the process that did it has noted it (`tests.dummy.disturb`)."""

    machine: str
    process: str
    iteration: int


def steps_of(file: Path) -> list[Step]:
    """All iterations that were done so far."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [Step(machine, process, int(number)) for machine, process, number in map(str.split, lines)]


class Nodes:
    """Three nodes of a Ray cluster, of one CPU each, and a head without any."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL}
        )
        self.nodes: list[Any] = []
        for _ in range(3):
            self.add()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return str(self._cluster.address)

    def add(self) -> None:
        """Add a node."""
        self.nodes.append(self._cluster.add_node(num_cpus=1, wait=False, **SMALL))

    def remove(self, node: Any) -> None:
        """Take a node away without a word: its raylet and all workers are killed."""
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        """End all."""
        self._cluster.shutdown()


SMALL: dict[str, object] = {"object_store_memory": 80_000_000}


@contextmanager
def three_nodes() -> Iterator[Nodes]:
    """Start a cluster, and end it."""
    nodes = Nodes()
    try:
        yield nodes
    finally:
        nodes.close()


def processes(marks: tuple[bytes, ...], root: int | None = None) -> list[int]:
    """Processes with one of the marks in their command lines; below a process, if one is given."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            if any(mark in command for mark in marks) and (root is None or root in ancestors(int(folder.name))):
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return found


def ancestors(pid: int) -> list[int]:
    """The parents of a process, up to the first."""
    line = []
    while pid > 1:
        line.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return line


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    late = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < late, "it did not come"
        time.sleep(0.05)
