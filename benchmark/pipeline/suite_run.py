"""Run a suite: check the options, prepare the faces, plan, make what is missing. The command and Python call this."""

from __future__ import annotations

from pathlib import Path

from benchmark.core.artifacts import MANIFEST, Manifest
from benchmark.core.progress import Reporter
from benchmark.core.tracking import deliver_missed
from benchmark.pipeline.finished import FinishedSuite
from benchmark.pipeline.request import RunOptions, check_options


def run(options: RunOptions) -> Path:
    """Run a suite unless it is finished; returns the folder of its report. Raises UserError and RunFailed."""
    request, store = check_options(options)
    finished = FinishedSuite(store, request)
    if folder := finished.report():
        reporter = Reporter(options.quiet)
        deliver_missed(store.root, Manifest.read(folder / MANIFEST).key, reporter.warn, reporter.say_plain)
        return folder
    from benchmark.pipeline import steps  # torch, which a finished suite does without

    steps.prepare(request, store, options)
    planned = steps.plan(request, store, options)
    folder = steps.make(planned)
    finished.remember(planned.plan.key, planned.plan.report.recipe.folder)
    return folder
