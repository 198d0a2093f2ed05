"""`python -m benchmark.run`: train, synthesise, measure and report a suite."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config.precision import PRECISIONS
from benchmark.core.cli import DATA_HELP, Parser, run_command, writable_folder
from benchmark.core.errors import UserError
from benchmark.training.device import check_jobs, choose_device, choose_jobs

if TYPE_CHECKING:
    from benchmark.config.profiles import Profile
    from benchmark.config.suites import Suite
    from benchmark.core.artifacts import Store
    from benchmark.importing.stage import Imported
    from benchmark.pipeline.finished import Question
    from benchmark.pipeline.plan import Plan
    from benchmark.stages.base import Context
    from benchmark.stages.features import ExtractorChoice

EXAMPLES = (
    "python -m benchmark.run --suite table1",
    "python -m benchmark.run --suite table1 --dry-run",
    "python -m benchmark.run --suite table1 --profile reference --methods mtss,hisd --seeds 0,1,2",
    "python -m benchmark.run --suite table1 --profile paper --data rafd:/data/RaFD --device cuda",
)
MAX_SEED = 2**32 - 1


def parser(
    prog: str = "benchmark.run",
    suite: str | None = None,
    description: str = __doc__ or "",
    examples: Sequence[str] = EXAMPLES,
) -> Parser:
    """The arguments; with `suite` given, that is the default instead of being required."""
    made = Parser(prog, description, examples)
    default = f" (default: {suite})" if suite else ""
    made.add_argument(
        "--suite", required=suite is None, default=suite, help=f"name of a suite, or a YAML file{default}"
    )
    made.add_argument("--profile", default="quick", help="quick, reference, paper, or a YAML file (default: quick)")
    made.add_argument("--data", default="rendered", help=f"{DATA_HELP} (default: rendered)")
    made.add_argument("--methods", help="only the rows of these methods, by commas")
    made.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="METHOD=DIR",
        help="score this checkpoint (imported, or of a finished training) instead of training; ROW_ID=DIR for one row",
    )
    made.add_argument("--seeds", default="0", help="training seeds, by commas (default: 0)")
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    made.add_argument("--threads", type=int, help="CPU threads in all, shared by the jobs (default: one for each core)")
    made.add_argument(
        "--jobs", default="auto", metavar="N",
        help="stages that are made side by side (default: auto, one for each GPU; on a CPU two of small networks)",
    )  # fmt: skip
    made.add_argument(
        "--precision", choices=PRECISIONS, help="what trainings compute products in, in place of the profile's float32"
    )
    made.add_argument(
        "--features", choices=("inception", "efficientnet-lite0"), help="in place of the profile's feature extractor"
    )
    made.add_argument(
        "--fid-weights", type=Path, metavar="FILE", help="pt_inception-2015-12-05-6726825d.pth, if it lies elsewhere"
    )
    made.add_argument(
        "--allow-other-weights",
        action="store_true",
        help="take Inception weights with another SHA-256; the column is renamed",
    )
    made.add_argument("--allow-small", action="store_true", help="Fréchet distances of fewer pictures than the floor")
    made.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where everything is kept (default: runs)"
    )
    made.add_argument(
        "--dry-run", action="store_true", help="show the plan, what is there already, and an estimate of the time"
    )
    made.add_argument("--json", action="store_true", help="print results.json instead of the tables")
    made.add_argument("--quiet", action="store_true", help="no progress")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: run_suite(arguments))


def run_suite(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked at once, then work."""
    from benchmark.config.profiles import load_profile
    from benchmark.config.suites import load_suite
    from benchmark.core.artifacts import Store
    from benchmark.pipeline.finished import Finished

    suite, profile = load_suite(arguments.suite), load_profile(arguments.profile)
    if arguments.methods:
        suite = suite.only(_items(arguments.methods, "--methods"))
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError(f"--threads must be at least 1, not {arguments.threads}")
    check_jobs(arguments.jobs)
    seeds = _seeds(arguments.seeds)
    checkpoints = _checkpoints(arguments.checkpoint, suite, profile)
    store = Store(writable_folder(arguments.out, "--out"))
    question = _question(suite, profile, seeds, arguments, store)
    # Asked before anything is imported that could change while a suite runs.
    finished = Finished(store, question) if not checkpoints else None
    folder = finished.report() if finished is not None and not arguments.dry_run else None
    if folder is not None:
        _deliver_missed(folder, store, arguments.quiet)
        return _print_report(folder, arguments)
    question.source.check()

    from benchmark.pipeline.plan import Plan

    threads = arguments.threads or os.cpu_count() or 1

    def planned() -> Plan:
        return Plan(
            suite, question.profile, question.source, seeds, question.extractor, question.device, checkpoints, store
        )

    plan = planned()
    if not arguments.dry_run and not plan.prepared:
        _prepare(plan, question, store, threads, arguments.quiet)
        plan = planned()  # the faces tell which rows they are enough for
    jobs = choose_jobs(arguments.jobs, question.device, threads, profile.width)
    context = _context(plan, arguments, question.device, max(1, threads // jobs), jobs, threads, store)
    if arguments.dry_run:
        _print_plan(plan, context, jobs)
        return 0
    folder = _make(plan, context, jobs)
    if finished is not None:
        finished.remember(plan.key, plan.folders)
    return _print_report(folder, arguments)


def _question(
    suite: Suite, profile: Profile, seeds: tuple[int, ...], arguments: argparse.Namespace, store: Store
) -> Question:
    """All that the answer depends on."""
    import dataclasses

    from benchmark.config.profiles import features_for
    from benchmark.data.registry import open_source
    from benchmark.pipeline.finished import Question, device_at_a_glance

    source = open_source(arguments.data, store.root / "cache")
    features = features_for(profile.name, profile.features, arguments.features)
    if arguments.allow_small:
        profile = dataclasses.replace(profile, allow_small=True)
    if arguments.precision:
        profile = dataclasses.replace(profile, precision=arguments.precision)
    extractor = _extractor(features, arguments)
    device = device_at_a_glance(arguments.device) or choose_device(arguments.device)
    return Question(suite, profile, source, seeds, extractor, device)


def _prepare(plan: Plan, question: Question, store: Store, threads: int, quiet: bool) -> None:
    """Have the faces ready."""
    from benchmark.pipeline.context import make_missing, open_context
    from benchmark.pipeline.plan import check_disk

    check_disk(plan.stages, store)
    make_missing(list(dict.fromkeys((plan.prepare, plan.edited))), open_context(store, question.device, threads, quiet))


def _make(plan: Plan, context: Context, jobs: int) -> Path:
    """The folder of the report, when all is made."""
    from benchmark.pipeline.plan import check_disk

    check_disk(plan.stages, context.store)
    try:
        return plan.run(context, jobs).folder
    except BaseException:
        context.tracker.interrupted()
        raise


def _deliver_missed(folder: Path, store: Store, quiet: bool) -> None:
    """Log to MLflow what the call that wrote a report could not."""
    from benchmark.core.artifacts import MANIFEST, Manifest
    from benchmark.core.progress import Reporter
    from benchmark.core.tracking import deliver_missed

    deliver_missed(store.root, Manifest.read(folder / MANIFEST).key, Reporter(quiet).warn)


def _print_report(folder: Path, arguments: argparse.Namespace) -> int:
    if arguments.json:
        sys.stdout.write((folder / "results.json").read_text(encoding="utf-8"))
    else:
        from benchmark.report.terminal import print_report

        print_report(folder)
    return 0


def _items(text: str, option: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise UserError(f"{option} {text}: names by commas, none of them empty")
    return list(dict.fromkeys(items))


def _seeds(text: str) -> tuple[int, ...]:
    seeds = []
    for item in _items(text, "--seeds"):
        if not item.isdecimal() or int(item) > MAX_SEED:
            raise UserError(
                f"--seeds: '{item}' is no seed (whole numbers from 0 to {MAX_SEED}, by commas); "
                f"did you mean '{_nearest_seed(item)}'?"
            )
        seeds.append(int(item))
    return tuple(seeds)


def _nearest_seed(item: str) -> int:
    """The seed nearest to a wrong one: rounded and clipped if it is a number, else the digits in it."""
    try:
        return min(max(round(float(item)), 0), MAX_SEED)
    except (ValueError, OverflowError):
        digits = "".join(character for character in item if character in "0123456789")
        return min(int(digits or 0), MAX_SEED)


def _extractor(name: str, arguments: argparse.Namespace) -> ExtractorChoice:
    from benchmark.stages.features import choose_extractor

    return choose_extractor(name, arguments.fid_weights, arguments.allow_other_weights)


def _checkpoints(given: list[str], suite: Suite, profile: Profile) -> dict[str, Imported]:
    """By row id, what `--checkpoint` gives."""
    if not given:
        return {}
    from benchmark.importing.stage import choose_checkpoints

    return choose_checkpoints(given, suite, profile)


def _context(
    plan: Plan, arguments: argparse.Namespace, device: str, threads: int, jobs: int, cores: int, store: Store
) -> Context:
    from benchmark.core.environment import Environment, command_line
    from benchmark.core.progress import Reporter
    from benchmark.core.tracking import MlflowTracker
    from benchmark.stages.base import Context, Machine

    environment = Environment(command_line(), device, threads, jobs)

    def parameters() -> dict[str, Any]:
        described = environment.describe()
        packages = described.pop("packages")
        return {
            "suite": plan.suite.name,
            "profile": plan.profile.name,
            "data": arguments.data,
            "seeds": arguments.seeds,
            **{f"environment.{key}": value for key, value in described.items()},
            **{f"version.{name}": value for name, value in packages.items()},
        }

    title = f"{plan.suite.name} {plan.profile.name} {arguments.data.partition(':')[0]}"
    reporter = Reporter(arguments.quiet)
    tracker = MlflowTracker(
        store.root, plan.key, title, plan.tracked_rows(), parameters, environment.command, reporter.warn
    )
    return Context(store, reporter, Machine(device, threads, cores), environment, tracker)


def _print_plan(plan: Plan, context: Context, jobs: int) -> None:
    """The table of `--dry-run`."""
    from rich.console import Console
    from rich.table import Table

    from benchmark.core.progress import duration

    table = Table(
        "stage", "state", "about", "key", title=f"{plan.suite.name}, profile {plan.profile.name}", title_justify="left"
    )
    steps = list(plan.steps(context.store, context.machine.threads))
    for step in steps:
        about = "" if step.state == "there" else "?" if step.seconds is None else duration(step.seconds)
        table.add_row(step.stage.name, step.state, about, step.stage.recipe.key[:12])
    console = Console(highlight=False)
    console.print(table)
    for entry in plan.rows:
        if entry.missing:
            console.print(f"row {entry.row.id}: left out, {entry.missing}")
    total, unknown = plan.seconds(steps, jobs), sum(step.seconds is None for step in steps)
    beside = f", {jobs} stages side by side" if jobs > 1 else ""
    rest = f", and {unknown} stages nobody has timed yet" if unknown else ""
    if not plan.prepared and plan.prepare.source.folder is not None:
        console.print("the pictures have not been looked at yet: which rows they are enough for is found out first")
    done = all(step.state == "there" for step in steps)
    console.print("everything is there" if done else f"about {duration(total)} to do on this machine{beside}{rest}")


if __name__ == "__main__":
    raise SystemExit(main())
