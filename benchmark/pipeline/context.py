"""The context of stages: one way to open it, for suites and for single stages."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from benchmark.core.artifacts import Store
from benchmark.core.environment import Environment, command_line
from benchmark.core.progress import Reporter
from benchmark.core.tracking import Tracker
from benchmark.stages.base import Context, Machine, Stage, make_all


def open_context(
    store: Store,
    device: str,
    threads: int | None,
    quiet: bool,
    jobs: int = 1,
    track: Callable[[Environment, Reporter], Tracker] = lambda _environment, _reporter: Tracker(),
) -> Context:
    """Return a context for stages made `jobs` at a time with `threads` in all (None: one for each core).

    track: makes the tracker; without it nothing is logged to MLflow, since there is no suite behind single stages.
    """
    cores = threads or os.cpu_count() or 1
    each = max(1, cores // jobs)
    reporter, environment = Reporter(quiet), Environment(command_line(), device, each, jobs)
    return Context(store, reporter, Machine(device, each, cores), environment, track(environment, reporter))


def make_missing(stages: Sequence[Stage], context: Context) -> None:
    """Make the stages that do not exist or are damaged, in the order given."""
    tell = context.reporter.warn
    make_all([stage for stage in stages if context.store.find_or_set_aside(stage.recipe, tell) is None], context)
