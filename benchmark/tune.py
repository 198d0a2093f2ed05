"""`python -m benchmark.tune`: as many equally long trials of settings for every method, on validation identities."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import DATA_HELP, Parser, check_writable, run_command
from benchmark.pipeline.engines.options import add_engine_arguments, engine_options
from benchmark.run import methods_of

EXAMPLES = (
    "python -m benchmark.tune --suite table1 --profile reference --dry-run",
    "python -m benchmark.tune --suite table1 --profile reference --trials 8",
    "python -m benchmark.tune --suite table1 --profile reference --methods hisd,mtss --share 0.1",
)
DESCRIPTION = """Trials of settings of optimisation, the same number of the same length for every method. The first has
the published values, the second the profile's, and the others are drawn up front from a space. They are trained,
edited with and measured on identities taken from the training ones; no test identity is in any trial."""


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.tune", DESCRIPTION, EXAMPLES)
    command.add_argument("--suite", default="table1", help="whose methods are tuned (default: table1)")
    command.add_argument("--profile", default="reference", help="whose overrides are tuned (default: reference)")
    command.add_argument("--data", default="rendered", help=f"{DATA_HELP} (default: rendered)")
    command.add_argument("--methods", help="only these methods, by commas; their trials are the same")
    command.add_argument(
        "--space", default="optimisation", help="what is varied: a name, or a YAML file (default: optimisation)"
    )
    command.add_argument("--trials", type=int, default=8, metavar="N", help="of each method (default: 8)")
    command.add_argument(
        "--share", type=float, default=0.33, metavar="S",
        help="length of a trial, as a share of the mean length of the profile's trainings (default: 0.33)",
    )  # fmt: skip
    command.add_argument("--seed", type=int, default=0, help="of the draws; trainings have seed 0 (default: 0)")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--threads", type=int, help="CPU threads in all (default: one for each core)")
    command.add_argument("--jobs", default="auto", metavar="N", help="stages made side by side (default: auto)")
    command.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where everything is kept")
    command.add_argument(
        "--to", type=Path, metavar="DIR", help="where the outcome is written (default: tuning/NAME below --out)"
    )
    command.add_argument("--dry-run", action="store_true", help="show the trials, and what is to do")
    command.add_argument("--quiet", action="store_true", help="no progress")
    add_engine_arguments(command, object_store=False)
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: tune(arguments))


def tune(arguments: argparse.Namespace) -> int:
    """Run the trials, write their outcome and print the chosen settings."""
    from benchmark.core.errors import UserError
    from benchmark.pipeline.request import RunOptions
    from benchmark.protocol import MAX_SEED
    from benchmark.tuning.run import TuneOptions, preview_trials, run_trials

    if not 0 <= arguments.seed <= MAX_SEED:
        raise UserError(f"--seed must be a whole number from 0 to {MAX_SEED}, not {arguments.seed}")
    options = RunOptions(
        suite=arguments.suite, profile=arguments.profile, data=arguments.data, methods=methods_of(arguments),
        device=arguments.device, threads=arguments.threads, jobs=arguments.jobs, out=arguments.out,
        quiet=arguments.quiet, engine=engine_options(arguments),
    )  # fmt: skip
    asked = TuneOptions(arguments.space, arguments.trials, arguments.share, arguments.seed)
    if arguments.dry_run:
        from rich.console import Console

        from benchmark.pipeline.overview import print_plan

        tuning, planned = preview_trials(options, asked)
        for trial in tuning.trials:
            settings = ", ".join(f"{name} = {value}" for name, value in trial.settings.items())
            sys.stdout.write(f"{trial.name} ({trial.kind}), {trial.iterations:,} iterations: {settings}\n")
        print_plan(planned, Console(highlight=False))
        return 0
    if arguments.to is not None:
        check_writable(arguments.to, "--to")
    from benchmark.tuning.outcome import outcomes
    from benchmark.tuning.write import PAGE, write_tuning

    run = run_trials(options, asked)
    chosen = outcomes(run)
    folder = arguments.to or arguments.out / "tuning" / run.report.name
    paths = write_tuning(run, chosen, folder, arguments.seed)
    text = (folder / PAGE).read_text(encoding="utf-8")
    chosen = text.partition("## Chosen")[2].partition("\n## ")[0].strip()
    sys.stdout.write("\n".join([chosen, "", *map(str, paths)]) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
