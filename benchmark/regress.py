"""`python -m benchmark.regress`: did a change make anything worse? Compare with stored results, or store them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.cli import DATA_HELP, Parser, run_command, writable_file, writable_folder
from benchmark.core.errors import UserError, did_you_mean, quoted
from benchmark.core.files import fault_of
from benchmark.pipeline.engines.options import add_engine_arguments, check_engine, engine_options
from benchmark.run import parse_seeds
from benchmark.training.device import check_jobs

if TYPE_CHECKING:
    from benchmark.gate.comparison import Margins
    from benchmark.gate.gate import GateOptions
    from benchmark.gate.reference import Reference

EXAMPLES = (
    "python -m benchmark.regress --against results/reference/smoke.json",
    "python -m benchmark.regress --against results/reference/smoke.json --junit gate.xml --summary gate.md",
    "python -m benchmark.regress --against results/reference/smoke.json --up-to auto",
    "python -m benchmark.regress --against mine.json --results runs/reports/table1-quick-rendered-0123456789ab",
    "python -m benchmark.regress --store mine.json --suite table1 --profile quick --seeds 0,1,2,3,4",
    "python -m benchmark.regress --store results/reference/smoke.json     renews what CI compares with",
)
STATUSES = "exit status: 0 pass, 1 regressed, 2 wrong call, 3 inconclusive, 4 not comparable"
SUITE, PROFILE, SEEDS = "smoke", "smoke", 8
"""What --store runs if nothing else is asked for."""
TO_STORE = frozenset({"gated", "probes_only"})
TO_RUN = frozenset({"seeds", "up_to", "always", "all_levels", "strip"})
TO_COMPARE = frozenset({"margin", "assume_normal", "results", "json", "junit", "summary"}) | TO_RUN - {"seeds"}
"""Options by purpose: to store results, to run the suite for a comparison, to compare."""
WHY = {"--results": ": what is finished is compared as it is", "--against": ": it is declared with --store"}


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.regress", f"{__doc__}\n\n{STATUSES}", EXAMPLES)
    mode = command.add_mutually_exclusive_group(required=True)
    mode.add_argument("--against", type=Path, metavar="REF", help="compare with these stored results")
    mode.add_argument("--store", type=Path, metavar="FILE", help="run a suite with several seeds and store its results")
    _add_suite(command)
    _add_rules(command)
    _add_files(command)
    command.add_argument(
        "--jobs", default="auto", metavar="N", help="stages that are made side by side (default: auto)"
    )
    command.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where it works (default: runs)")
    command.add_argument("--quiet", action="store_true", help="no progress")
    add_engine_arguments(command, object_store=False)
    return command


def _add_suite(command: Parser) -> None:
    """Add the options that select the suite and its seeds."""
    command.add_argument("--suite", help=f"to store: name of a suite, or a YAML file (default: {SUITE})")
    command.add_argument("--profile", help=f"to store: name of a profile, or a YAML file (default: {PROFILE})")
    command.add_argument("--data", help=f"to store: {DATA_HELP} (default: rendered)")
    command.add_argument(
        "--seeds",
        help=f"training seeds, by commas (default: 0 to {SEEDS - 1} to store, the first stored one to compare)",
    )


def _add_rules(command: Parser) -> None:
    """Add the options that set how much is run and how results are compared."""
    command.add_argument(
        "--up-to", type=_up_to, default=0, metavar="N",
        help="where a doubt is left, run further seeds, N in all at most; auto: as many as tell a regression",
    )  # fmt: skip
    command.add_argument(
        "--margin", action="append", default=[], metavar="METRIC=VALUE",
        help="a worsening below which the metric does not matter: a number, or a share (2%%); may be given again",
    )  # fmt: skip
    command.add_argument(
        "--gated", metavar="METRICS",
        help="to store: the metrics that can regress, by commas (default: the suite's columns, else fid,psnr_true,ca)",
    )  # fmt: skip
    command.add_argument(
        "--assume-normal", action="store_true",
        help="take seeds to be normally distributed, so that one seed can tell a regression: no training ever fails",
    )  # fmt: skip
    command.add_argument(
        "--results", type=Path, metavar="FILE", help="compare these finished results instead of running the suite"
    )
    command.add_argument(
        "--probes-only",
        action="store_true",
        help="to store: one training of each method and its probes, no seeds; those that FILE has are kept if they are "
        "of the same keys",
    )
    command.add_argument("--always", action="store_true", help="measure, even where nothing can differ")
    command.add_argument("--all-levels", action="store_true", help="go on after a level has found a regression")


def _add_files(command: Parser) -> None:
    """Add the options that name files to write."""
    command.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found ('-' prints it)")
    command.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    command.add_argument(
        "--summary", type=Path, metavar="FILE", help="append a page of Markdown, as for a CI's summary"
    )
    command.add_argument("--strip", type=Path, metavar="FILE", help="write a PNG of edits of the stored weights")


def _up_to(text: str) -> int | None:
    """Parse a number of seeds, None for `auto`. Raises ArgumentTypeError for anything else."""
    if text != "auto" and (not text.isdecimal() or len(text) > 9):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is neither a number of seeds nor 'auto'")
    return None if text == "auto" else int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    command = parser()
    arguments = command.parse_args(argv)

    def run() -> int:
        given = {name for name, value in vars(arguments).items() if value != command.get_default(name)}
        _check_mode(arguments, given)
        return store(arguments) if arguments.store else compare(arguments)

    return run_command(run)


def _check_mode(arguments: argparse.Namespace, given: Set[str]) -> None:
    """Raise UserError for an option of another mode. given: options that differ from their defaults."""
    mode, foreign = ("--store", TO_COMPARE) if arguments.store else ("--against", TO_STORE)
    if arguments.results and not arguments.store:
        mode, foreign = "--results", TO_STORE | TO_RUN
    if strange := sorted(given & foreign):
        raise UserError(f"--{strange[0].replace('_', '-')} has no part in {mode}{WHY.get(mode, '')}")


def compare(arguments: argparse.Namespace) -> int:
    """Compare this code, or finished results, with stored ones; return the status of the verdict."""
    from benchmark.gate.gate import check_against, check_results, edits_strip
    from benchmark.gate.reference import find_reference, load_reference
    from benchmark.gate.writing import as_json, print_result, write_json, write_junit, write_strip, write_summary

    path = find_reference(arguments.against)
    reference = load_reference(path)
    _check_suite(arguments, path, reference)
    options = _gate_options(arguments, reference)
    if arguments.results:
        from benchmark.report.results import load_results
        from benchmark.report.row_lookup import results_file

        result = check_results(reference, load_results(results_file(arguments.results)), options)
    else:
        result = check_against(reference, path, options, _tell(arguments.quiet))
    if arguments.json and str(arguments.json) != "-":
        write_json(result, arguments.json)
    if arguments.junit:
        write_junit(result, arguments.junit)
    strip = b""
    if (arguments.summary or arguments.strip) and not arguments.results:
        strip = edits_strip(reference, path, options)
    if arguments.strip and strip:
        write_strip(strip, arguments.strip)
    if arguments.summary:
        write_summary(result, arguments.summary, strip)
    if str(arguments.json) == "-":
        sys.stdout.write(as_json(result))
    else:
        print_result(result)
    return result.status


def _check_suite(arguments: argparse.Namespace, path: Path, reference: Reference) -> None:
    """Raise UserError for a suite, profile or data set other than the stored one."""
    for name, stored in (("suite", reference.suite), ("profile", reference.profile), ("data", reference.data)):
        if getattr(arguments, name) not in (None, stored):
            raise UserError(f"--{name} {getattr(arguments, name)}: {path} stores {stored}, which is what is compared")


def _gate_options(arguments: argparse.Namespace, reference: Reference) -> GateOptions:
    """Check the arguments and build the comparison's options. Raises UserError."""
    from benchmark.gate.comparison import Rule
    from benchmark.gate.gate import GateOptions

    seeds = parse_seeds(arguments.seeds) if arguments.seeds else ()
    if arguments.up_to and arguments.up_to < max(1, len(seeds)):
        raise UserError(f"--up-to {arguments.up_to}: it must be at least the number of seeds, {max(1, len(seeds))}")
    engine = engine_options(arguments)
    check_engine(engine)
    check_jobs(arguments.jobs)
    _check_files(arguments)
    return GateOptions(
        seeds=seeds,
        up_to=arguments.up_to,
        rule=Rule(margins=_margins(arguments.margin, reference), assume_normal=arguments.assume_normal),
        always=arguments.always,
        all_levels=arguments.all_levels,
        out=arguments.out,
        jobs=arguments.jobs,
        quiet=arguments.quiet,
        engine=engine,
    )


def store(arguments: argparse.Namespace) -> int:
    """Run the suite with every seed and write the reference."""
    from benchmark.gate.storing import store as store_results
    from benchmark.pipeline.request import RunOptions

    if arguments.store.suffix != ".json":
        raise UserError(f"--store {arguments.store}: the name of a file that ends in .json is needed")
    writable_file(arguments.store, "--store")
    seeds = parse_seeds(arguments.seeds) if arguments.seeds else tuple(range(SEEDS))
    if len(seeds) < 2 and not arguments.probes_only:
        raise UserError("--seeds: two seeds at least are needed to know how far seeds differ; five and more are better")
    options = RunOptions(
        suite=arguments.suite or SUITE,
        profile=arguments.profile or PROFILE,
        data=arguments.data or "rendered",
        out=arguments.out / "stored",
        retrain=True,
        jobs=arguments.jobs,
        quiet=arguments.quiet,
        engine=engine_options(arguments),
    )
    gated = _gated(arguments.gated) if arguments.gated else ()
    reference = store_results(arguments.store, options, seeds, 1, arguments.probes_only, gated, _tell(arguments.quiet))
    sys.stdout.write(
        f"stored {len(reference.runs)} seeds of {reference.suite}, {reference.profile}: {arguments.store}\n"
    )
    return 0


def _gated(text: str) -> tuple[str, ...]:
    from benchmark.metrics.registry import METRICS

    known = [metric.key for metric in METRICS]
    keys = tuple(key.strip() for key in text.split(","))
    if strange := [key for key in keys if key not in known]:
        raise UserError(f"--gated {text}: unknown metric {quoted(strange[0])}{did_you_mean(strange[0], known)}")
    return tuple(dict.fromkeys(keys))


def _check_files(arguments: argparse.Namespace) -> None:
    """Raise UserError, before any work, where a file that is to be written cannot be."""
    for name in ("json", "junit", "strip"):
        path = getattr(arguments, name)
        if path is not None and not (name == "json" and str(path) == "-"):
            writable_file(path, f"--{name}")
    if arguments.summary is not None:
        _check_appendable(arguments.summary, "--summary")


def _check_appendable(path: Path, option: str) -> None:
    """Raise UserError where nothing can be appended to a path; it may be a pipe or a device, such as /dev/stdout."""
    fault = fault_of(path)
    if fault == "is missing":
        writable_folder(path.parent, option)
    elif fault == "is a folder, not a file" or not os.access(path, os.W_OK):
        raise UserError(f"{option} {path} {fault or 'cannot be written (Permission denied)'}: choose another name")


def _tell(quiet: bool) -> Callable[[str], None]:
    from benchmark.core.progress import Reporter

    return Reporter(quiet).say


def _margins(arguments: Sequence[str], reference: Reference) -> Margins:
    from benchmark.gate.comparison import Margins

    stated: dict[str, float] = {}
    shares: dict[str, float] = {}
    for item in arguments:
        key, sign, text = item.partition("=")
        if not sign or not text:
            raise UserError(f"--margin {item}: METRIC=VALUE is needed")
        if key not in reference.metrics:
            raise UserError(f"--margin {item}: unknown metric {quoted(key)}{did_you_mean(key, reference.metrics)}")
        try:
            value = float(text.removesuffix("%"))
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise UserError(f"--margin {item}: {quoted(text)} is neither a number from 0 on nor a share like 2%")
        (shares if text.endswith("%") else stated)[key] = value / 100 if text.endswith("%") else value
    return Margins(stated, shares)


if __name__ == "__main__":
    raise SystemExit(main())
