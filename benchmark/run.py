"""`python -m benchmark.run`: train, synthesise, measure and report a suite."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config.precision import PRECISIONS
from benchmark.core.cli import DATA_HELP, Parser, run_command
from benchmark.core.errors import UserError, quoted
from benchmark.pipeline.engines.options import add_engine_arguments, engine_options
from benchmark.protocol import MAX_SEED

if TYPE_CHECKING:
    from benchmark.pipeline.request import RunOptions

EXAMPLES = (
    "python -m benchmark.run --suite table1",
    "python -m benchmark.run --suite table1 --dry-run",
    "python -m benchmark.run --suite table1 --network arcface.onnx --network clip.pt",
    "python -m benchmark.run --suite table1 --profile reference --methods mtss,hisd --seeds 0,1,2",
    "python -m benchmark.run --suite table1 --profile paper --data rafd:/data/RaFD --device cuda",
)


def parser(
    prog: str = "benchmark.run",
    suite: str | None = None,
    description: str = __doc__ or "",
    examples: Sequence[str] = EXAMPLES,
) -> Parser:
    """Build the parser. suite: the default of `--suite`, which is required without one."""
    command = Parser(prog, description, examples)
    _add_suite(command, suite)
    _add_compute(command)
    _add_measurement(command)
    _add_output(command)
    add_engine_arguments(command)
    return command


def _add_suite(command: Parser, suite: str | None) -> None:
    """Add the options that select rows, data, checkpoints and seeds."""
    default = f" (default: {suite})" if suite else ""
    command.add_argument(
        "--suite", required=suite is None, default=suite, help=f"name of a suite, or a YAML file{default}"
    )
    command.add_argument("--profile", default="quick", help="quick, reference, paper, or a YAML file (default: quick)")
    command.add_argument("--data", default="rendered", help=f"{DATA_HELP} (default: rendered)")
    command.add_argument("--methods", help="only the rows of these methods, by commas")
    command.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="METHOD=DIR",
        help="score this checkpoint (imported, or of a finished training) instead of training; ROW_ID=DIR for one row",
    )
    command.add_argument(
        "--reference", type=Path, metavar="DIR",
        help="stored results, whose trainings are taken instead of training (default: results/reference)",
    )  # fmt: skip
    command.add_argument("--retrain", action="store_true", help="train also what is stored there")
    command.add_argument("--seeds", default="0", help="training seeds, by commas (default: 0)")


def _add_compute(command: Parser) -> None:
    """Add the options of device, parallel work and precision."""
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument(
        "--threads", type=int, help="CPU threads in all, shared by the jobs (default: one for each core)"
    )
    command.add_argument(
        "--jobs", default="auto", metavar="N",
        help="stages that are made side by side (default: auto, one for each GPU; on a CPU two of small networks)",
    )  # fmt: skip
    command.add_argument(
        "--precision", choices=PRECISIONS, help="what trainings compute products in, in place of the profile's float32"
    )


def _add_measurement(command: Parser) -> None:
    """Add the options of feature extractors."""
    command.add_argument(
        "--features", choices=("inception", "efficientnet-lite0"), help="in place of the profile's feature extractor"
    )
    command.add_argument(
        "--fid-weights", type=Path, metavar="FILE", help="pt_inception-2015-12-05-6726825d.pth, if it lies elsewhere"
    )
    command.add_argument(
        "--allow-other-weights",
        action="store_true",
        help="take Inception weights with another SHA-256; the column is renamed",
    )
    command.add_argument(
        "--allow-small", action="store_true", help="Fréchet distances of fewer pictures than the floor"
    )
    command.add_argument(
        "--network", action="append", default=[], metavar="FILE",
        help="measure in a network of your own, too: a TorchScript (.pt) or ONNX (.onnx) file with its preprocessing "
        "in a .yaml beside it (docs/metrics.md); a TorchScript file is a program that runs with your rights",
    )  # fmt: skip


def _add_output(command: Parser) -> None:
    """Add the options of output and progress."""
    command.add_argument(
        "--faces-in-page",
        action="store_true",
        help="put pictures that may not be passed on (RaFD, CFEE, folders) into report.html, too",
    )
    command.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where everything is kept (default: runs)"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="show the plan, what is there already, and an estimate of the time"
    )
    command.add_argument("--json", action="store_true", help="print results.json instead of the tables")
    command.add_argument("--quiet", action="store_true", help="no progress")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: run(arguments))


def options_of(arguments: argparse.Namespace) -> RunOptions:
    """Return the options that arguments ask for. Raises UserError."""
    from benchmark.pipeline.request import RunOptions

    return RunOptions(
        suite=arguments.suite,
        profile=arguments.profile,
        data=arguments.data,
        methods=methods_of(arguments),
        checkpoints=arguments.checkpoint,
        seeds=parse_seeds(arguments.seeds),
        device=arguments.device,
        threads=arguments.threads,
        jobs=arguments.jobs,
        precision=arguments.precision,
        features=arguments.features,
        fid_weights=arguments.fid_weights,
        allow_other_weights=arguments.allow_other_weights,
        allow_small=arguments.allow_small,
        networks=arguments.network,
        faces_in_page=arguments.faces_in_page,
        out=arguments.out,
        reference=arguments.reference,
        retrain=arguments.retrain,
        quiet=arguments.quiet,
        engine=engine_options(arguments),
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the suite and print its results, or show its plan."""
    options = options_of(arguments)
    if arguments.dry_run:
        _show_plan(options)
        return 0
    from benchmark.pipeline.api import run_suite

    folder = run_suite(**vars(options)).folder
    if arguments.json:
        sys.stdout.write((folder / "results.json").read_text(encoding="utf-8"))
    else:
        from benchmark.report.terminal import print_report

        print_report(folder)
    return 0


def _show_plan(options: RunOptions) -> None:
    from rich.console import Console

    from benchmark.pipeline.overview import print_plan
    from benchmark.pipeline.steps import preview

    print_plan(preview(options), Console(highlight=False))


def methods_of(arguments: argparse.Namespace) -> list[str] | None:
    """Return the names given to `--methods`, or None for all methods. Raises UserError."""
    return None if arguments.methods is None else items(arguments.methods, "--methods")


def items(text: str, option: str) -> list[str]:
    """Parse names separated by commas. Raises UserError, which names the option, where one is empty."""
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise UserError(f"{option} {quoted(text)[1:-1]}: names by commas, none of them empty")
    return list(dict.fromkeys(items))


def parse_seeds(text: str, option: str = "--seeds") -> tuple[int, ...]:
    """Parse seeds separated by commas. Raises UserError, which names the option, for anything else."""
    seeds = []
    for item in items(text, option):
        if not item.isdecimal() or len(item) > 10 or int(item) > MAX_SEED:
            raise UserError(
                f"{option}: {quoted(item)} is no seed (whole numbers from 0 to {MAX_SEED}, by commas); "
                f"did you mean '{_nearest_seed(item)}'?"
            )
        seeds.append(int(item))
    return tuple(seeds)


def _nearest_seed(item: str) -> int:
    """Return the seed nearest to a wrong one: rounded and clipped if it is a number, else the digits in it."""
    try:
        return min(max(round(float(item)), 0), MAX_SEED)
    except (ValueError, OverflowError):
        digits = "".join(character for character in item if character in "0123456789")
        return min(int(digits[:10] or 0), MAX_SEED)


if __name__ == "__main__":
    raise SystemExit(main())
