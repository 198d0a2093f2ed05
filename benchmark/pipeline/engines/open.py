"""Choose the executor of an engine."""

from __future__ import annotations

from benchmark.pipeline import messages
from benchmark.pipeline.engines.executor import Executor
from benchmark.pipeline.engines.local import LocalExecutor
from benchmark.pipeline.engines.options import EngineOptions


def open_executor(options: EngineOptions, setup: messages.WorkerSetup, jobs: int) -> Executor:
    """Open the executor that makes `jobs` stages at a time. Raises UserError where its cluster is missing."""
    if options.engine == "ray":
        from benchmark.pipeline.engines.ray_cluster import RayExecutor  # an extra package, which takes a second

        return RayExecutor(options, setup, jobs)
    if options.engine == "slurm":
        from benchmark.pipeline.engines.slurm import SlurmExecutor  # an extra package

        return SlurmExecutor(options, setup, jobs)
    return LocalExecutor(setup, jobs)
