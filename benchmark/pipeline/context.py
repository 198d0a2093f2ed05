"""Running single stages without a plan: what a list and its scores need of the store."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmark.core.artifacts import Store
from benchmark.core.environment import Environment, command_line
from benchmark.core.progress import Reporter
from benchmark.core.tracking import Tracker
from benchmark.stages.base import Context, Machine, Stage, make_all


def open_context(store: Store, device: str, threads: int | None, quiet: bool) -> Context:
    """A context that logs nothing to MLflow: there is no suite behind it."""
    count = threads or os.cpu_count() or 1
    environment = Environment(command_line(), device, count)
    return Context(store, Reporter(quiet), Machine(device, count, count), environment, Tracker())


def make_missing(stages: Sequence[Stage], context: Context) -> None:
    """Make those that do not exist or are damaged, in the order given."""
    tell = context.reporter.warn
    make_all([stage for stage in stages if context.store.find_or_set_aside(stage.recipe, tell) is None], context)
