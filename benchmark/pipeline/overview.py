"""What a plan would do, for `--dry-run`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmark.core.progress import duration
from benchmark.pipeline.steps import PlannedSuite


def print_plan(planned: PlannedSuite, console: Console) -> None:
    """Print every stage with its state and estimated time, the rows left out with the reason, and the time in all."""
    plan, context, jobs = planned.plan, planned.context, planned.jobs
    title = f"{plan.suite.name}, profile {plan.profile.name}"
    table = Table("stage", "state", "about", "key", title=title, title_justify="left")
    steps = list(plan.steps(context.store, context.machine.threads))
    for step in steps:
        about = "" if step.state not in ("begun", "to do") else "?" if step.seconds is None else duration(step.seconds)
        table.add_row(step.stage.name, step.state, about, step.stage.recipe.key[:12])
    console.print(table)
    for entry in plan.rows:
        if entry.missing:
            console.print(f"row {entry.row.id}: left out, {entry.missing}", markup=False)
    if not plan.prepared and plan.prepare.source.folder is not None:
        console.print("the pictures have not been looked at yet: which rows they are enough for is found out first")
    if not any(step.state in ("begun", "to do") for step in steps):
        console.print("everything is there")
        return
    beside = f", {jobs} stages side by side" if jobs > 1 else ""
    unknown = sum(step.seconds is None for step in steps)
    rest = f", and {unknown} stages nobody has timed yet" if unknown else ""
    console.print(f"about {duration(plan.seconds(steps, jobs))} to do on this machine{beside}{rest}")
