"""`python -m tests.pipeline.engines.local_slurm ...`: `benchmark.run` with submitit's local executor for a queue.

As jobs of Slurm do, its jobs outlive the call, and a later call finds them by their numbers, which are processes.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from functools import partialmethod
from pathlib import Path
from typing import Any

from submitit.local.local import LocalJob

from benchmark import run
from benchmark.pipeline import request
from benchmark.pipeline.engines.slurm import SlurmExecutor
from tests.pipeline.engines.cluster import WORKER, processes

CONTROLLER = b"submitit.local._local"
TASK = b"submitit.core._submit"


def _info(job: LocalJob[Any], mode: str = "force") -> dict[str, str]:
    """submitit knows the state of its own children only."""
    try:
        runs = CONTROLLER in Path(f"/proc/{job.job_id}/cmdline").read_bytes()
    except OSError:
        runs = False
    return {"jobState": "RUNNING" if runs else "FINISHED" if job.paths.result_pickle.exists() else "FAILED"}


def _cancel(job: LocalJob[Any], check: bool = True) -> None:
    controller = int(job.job_id)
    for process in (controller, *processes((TASK, WORKER), controller)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    LocalJob.get_info, LocalJob.cancel = _info, _cancel  # type: ignore[method-assign]
    SlurmExecutor.__init__ = partialmethod(SlurmExecutor.__init__, cluster="local")  # type: ignore[assignment, method-assign]
    request.check_sbatch = lambda: None
    sys.exit(run.main())
