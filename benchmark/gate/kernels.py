"""The probes, computed with other kernels than this processor's best, as on another processor.

`python -m benchmark.gate.kernels OPTIONS.json OUT.json` computes them in its own process, since torch and oneDNN select
their kernels when they are loaded.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.core.errors import RunFailed
from benchmark.core.hashes import write_text
from benchmark.gate.reference import Numbers
from benchmark.pipeline.request import RunOptions


@dataclass(frozen=True)
class Kernels:
    """A choice of kernels: environment variables and the number of threads of each stage."""

    name: str
    variables: Mapping[str, str]
    threads: int = 1
    scores: bool = False
    """Whether to score the stored weights, too, which takes most of the time."""


OTHERS = (
    Kernels("AVX2", {"ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2"}),
    Kernels("SSE4.1", {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41"}, scores=True),
    Kernels("two threads", {}, threads=2),
)
"""Kernels to compare with the processor's own with one thread."""


@dataclass(frozen=True)
class Probed:
    """The numbers of both probes."""

    losses: Numbers
    scores: Numbers
    """Empty if they were not requested."""


def probe_elsewhere(
    options: RunOptions, weights: Mapping[str, Path], others: Sequence[Kernels] = OTHERS
) -> Iterator[Probed]:
    """Compute both probes with other kernels, one after the other. Raises RunFailed."""
    for number, kernels in enumerate(others):
        folder = options.out / f"kernels-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        request = {
            "options": {**_plain(options), "out": str(folder), "fid_weights": None, "jobs": "1"},
            "weights": {row: str(path) for row, path in weights.items()} if kernels.scores else {},
            "threads": kernels.threads,
        }
        write_text(folder / "request.json", json.dumps(request))
        command = [
            sys.executable,
            "-m",
            "benchmark.gate.kernels",
            str(folder / "request.json"),
            str(folder / "out.json"),
        ]
        done = subprocess.run(command, env={**os.environ, **kernels.variables}, capture_output=True, text=True)
        if done.returncode:
            raise RunFailed(f"the probes with kernels {kernels.name} failed: {done.stderr.strip()[-500:]}")
        yield Probed(**json.loads((folder / "out.json").read_text(encoding="utf-8")))


def _plain(options: RunOptions) -> dict[str, Any]:
    """Return the options as JSON values; the probe runs on this machine, whatever the engine."""
    named = dataclasses.asdict(options)
    del named["engine"]
    return named


def main(arguments: Sequence[str]) -> None:
    """Compute the probes that a request asks for."""
    from benchmark.gate.plans import Suite

    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    options = request["options"]
    suite = Suite(RunOptions(**{**options, "out": Path(options["out"])}), request["threads"])
    weights = {row: Path(path) for row, path in request["weights"].items()}
    probed = Probed(suite.losses(), suite.scores(weights) if weights else {})
    write_text(Path(arguments[1]), json.dumps(dataclasses.asdict(probed)))


if __name__ == "__main__":
    main(sys.argv[1:])
