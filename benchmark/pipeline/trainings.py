"""The trainings of several suites, side by side, until they are finished or time is up."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmark.core.artifacts import Store
from benchmark.core.cli import Interrupted
from benchmark.pipeline import steps
from benchmark.pipeline.context import open_context
from benchmark.pipeline.plan import Plan, check_disk
from benchmark.pipeline.request import PlanRequest, RunOptions, check_options
from benchmark.pipeline.schedule import Schedule
from benchmark.pipeline.workers import make_stages
from benchmark.stages.base import Stage
from benchmark.stages.rates import Rates
from benchmark.stages.stored import OfTraining
from benchmark.stages.train import Train, check_contracts
from benchmark.training.device import choose_jobs


@dataclass(frozen=True)
class Trainings:
    """Names of the trainings of some suites. begun: interrupted, here or in an earlier call, and resumable."""

    finished: Sequence[str]
    begun: Sequence[str]
    waiting: Sequence[str]
    stored: Sequence[str]
    """Trainings that are not needed, since their weights are stored."""


def train_missing(suites: Sequence[str], options: RunOptions, seconds: float | None) -> Trainings:
    """Run the trainings of suites that neither the store nor the stored results have; edit and measure nothing.

    options: of a run; its `suite` is each of `suites` in turn. seconds: after which all trainings save their state and
    end; None for no limit. Raises UserError, RunFailed and Interrupted.
    """
    plans: list[Plan] = []
    with time_limit(seconds) as limit:
        try:
            for name in suites:
                request, store = check_options(dataclasses.replace(options, suite=name))
                steps.prepare(request, store, options)
                plans.append(Plan(request, store))
                last = request
            _make(plans, last, store, options)
        except Interrupted:
            if not limit.reached:
                raise
    return trainings_of(plans, store)


def trainings_of(plans: Sequence[Plan], store: Store) -> Trainings:
    """Sort the trainings of some plans by state."""
    stages = _by_key(stage for plan in plans for stage in plan.stages if isinstance(stage, Train))
    needed = _by_key(stage for plan in plans for stage in plan.needed(store))
    finished = [stage.name for key, stage in stages.items() if store.exists(stage.recipe)]
    open_ = [stage for key, stage in stages.items() if not store.exists(stage.recipe) and key in needed]
    begun = [stage.name for stage in open_ if store.begun(stage.recipe)]
    waiting = [stage.name for stage in open_ if not store.begun(stage.recipe)]
    stored = [stage.name for key, stage in stages.items() if key not in needed and not store.exists(stage.recipe)]
    return Trainings(finished, begun, waiting, stored)


def _make(plans: Sequence[Plan], request: PlanRequest, store: Store, options: RunOptions) -> None:
    wanted = _by_key(stage for plan in plans for stage in plan.needed(store))
    kinds = (Train, OfTraining)
    missing = [stage for stage in wanted.values() if isinstance(stage, kinds) and not store.exists(stage.recipe)]
    stored = {stage.recipe.key for plan in plans for stage in plan.stages if plan.is_taken(stage)}
    missing = [stage for stage in missing if stage.recipe.key not in stored]
    if not missing:
        return
    threads = options.threads or os.cpu_count() or 1
    jobs = choose_jobs(options.jobs, request.device, threads, request.profile.width)
    context = open_context(store, request.device, options.threads, options.quiet, jobs)
    check_disk(missing, store)
    check_contracts(missing, request.device)
    rates = Rates(store, context.machine.threads)
    schedule = Schedule(missing, {stage.recipe.key: rates.expected(stage) for stage in missing})
    make_stages(schedule, None, context, jobs, options.engine, rates.memory)


def _by_key(stages: Iterator[Stage]) -> dict[str, Stage]:
    return {stage.recipe.key: stage for stage in stages}


# ------------------------------------------------------------------------------------------------ until when
@dataclass
class TimeLimit:
    """Whether the time limit was reached."""

    reached: bool = False


@contextmanager
def time_limit(seconds: float | None) -> Iterator[TimeLimit]:
    """Send this process SIGTERM after some seconds, so that trainings save their state; None for never."""
    limit = TimeLimit()

    def end() -> None:
        limit.reached = True
        os.kill(os.getpid(), signal.SIGTERM)

    timer = threading.Timer(seconds, end) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield limit
    finally:
        if timer is not None:
            timer.cancel()
