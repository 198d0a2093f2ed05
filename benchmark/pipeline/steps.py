"""The steps of a suite whose options are checked: prepare the faces, plan, make what is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.core.artifacts import Store
from benchmark.core.environment import Environment
from benchmark.core.progress import Reporter
from benchmark.core.tracking import MlflowTracker, Tracker
from benchmark.pipeline.context import make_missing, open_context
from benchmark.pipeline.engines.options import EngineOptions
from benchmark.pipeline.plan import Plan, check_disk, prepare_stages
from benchmark.pipeline.request import PlanRequest, RunOptions, check_options
from benchmark.pipeline.requirements import check_request
from benchmark.stages.base import Context
from benchmark.training.device import choose_jobs

CLUSTER_JOBS = 1000
"""Stages of a plan that wait or run at once on a cluster; which of them run, its own scheduler decides."""


@dataclass(frozen=True)
class PlannedSuite:
    """A plan with the context that it is made in."""

    plan: Plan
    context: Context
    jobs: int
    engine: EngineOptions


def preview(options: RunOptions) -> PlannedSuite:
    """Plan and make nothing, for `--dry-run`. Raises UserError."""
    request, store = check_options(options)
    check_request(request)
    return plan(request, store, options)


def prepare(request: PlanRequest, store: Store, options: RunOptions) -> None:
    """Prepare the faces, which decide which rows can be measured. Raises UserError where it is known that none can."""
    check_request(request)
    stages = list(dict.fromkeys(prepare_stages(request)))
    check_disk(stages, store)
    make_missing(stages, open_context(store, request.device, options.threads, options.quiet))


def plan(request: PlanRequest, store: Store, options: RunOptions) -> PlannedSuite:
    """Expand the request into stages. Raises UserError where no row can be measured."""
    planned = Plan(request, store)
    jobs, threads = _jobs_and_threads(request, options)

    def track(environment: Environment, reporter: Reporter) -> Tracker:
        return _tracker(planned, store, options, environment, reporter)

    context = open_context(store, request.device, threads, options.quiet, jobs, track)
    return PlannedSuite(planned, context, jobs, options.engine)


def _jobs_and_threads(request: PlanRequest, options: RunOptions) -> tuple[int, int | None]:
    """Return the number of parallel stages and of threads in all; on a cluster `--threads` is for each stage."""
    threads = options.threads
    jobs = jobs_of(options, request.device, threads or os.cpu_count() or 1, request.profile.width)
    return (jobs, jobs * (threads or 1)) if options.engine.is_remote else (jobs, threads)


def jobs_of(options: RunOptions, device: str, threads: int, width: float) -> int:
    """Return the number of stages at a time on this machine (`choose_jobs`), or in the queue of a cluster."""
    if options.engine.is_remote and options.jobs == "auto":
        return CLUSTER_JOBS
    return choose_jobs(options.jobs, device, threads, width)


def make(planned: PlannedSuite) -> Path:
    """Make all stages that are missing; returns the folder of the report."""
    check_disk(planned.plan.needed(planned.context.store), planned.context.store)
    try:
        return planned.plan.run(planned.context, planned.jobs, planned.engine).folder
    except BaseException:
        planned.context.tracker.interrupted()
        raise


def _tracker(
    plan: Plan, store: Store, options: RunOptions, environment: Environment, reporter: Reporter
) -> MlflowTracker:
    def parameters() -> dict[str, Any]:
        described = environment.describe()
        packages = described.pop("packages")
        return {
            "suite": plan.suite.name,
            "profile": plan.profile.name,
            "data": options.data,
            "seeds": ",".join(map(str, plan.seeds)),
            **{f"environment.{key}": value for key, value in described.items()},
            **{f"version.{name}": value for name, value in packages.items()},
        }

    title = f"{plan.suite.name} {plan.profile.name} {options.data.partition(':')[0]}"
    rows = plan.tracked_rows()
    return MlflowTracker(
        store.root, plan.key, title, rows, parameters, environment.command, reporter.warn, reporter.say_plain
    )
