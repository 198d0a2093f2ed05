"""`python -m benchmark.prepare`: check a data set, say what is there, missing or broken, and prepare it for a suite."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import DATA_HELP, Parser, run_command, writable_folder

EXAMPLES = (
    "python -m benchmark.prepare --data rafd:/data/RaFD",
    "python -m benchmark.prepare --data rafd:/data/RaFD,leave-out=kid --profile paper",
    "python -m benchmark.prepare --data folder:/data/mine --json",
)


def parser() -> Parser:
    """The arguments."""
    command = Parser("benchmark.prepare", __doc__ or "", EXAMPLES)
    command.add_argument("--data", required=True, help=DATA_HELP)
    command.add_argument("--profile", default="quick", help="quick, reference, paper, or a YAML file (default: quick)")
    command.add_argument(
        "--store", type=Path, default=Path("runs"), metavar="DIR", help="the --out of benchmark.run (default: runs)"
    )
    command.add_argument("--threads", type=int, help="pictures at once (default: one for each core)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--quiet", action="store_true", help="no progress")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: prepare(arguments))


def prepare(arguments: argparse.Namespace) -> int:
    """Prepare the set (a suite then finds it prepared), and say what it is."""
    from benchmark.config.profiles import load_profile
    from benchmark.core.artifacts import Store
    from benchmark.core.errors import UserError
    from benchmark.data.registry import open_source
    from benchmark.pipeline.context import make_missing, open_context
    from benchmark.stages.prepare import Prepare, load_faces

    profile = load_profile(arguments.profile)
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError(f"--threads must be at least 1, not {arguments.threads}")
    store = writable_folder(arguments.store, "--store")
    source = open_source(arguments.data, store / "cache")
    source.check()
    context = open_context(Store(store), "cpu", arguments.threads, arguments.quiet)
    stage = Prepare(source, profile.size)
    make_missing([stage], context)
    prepared = stage.artifact(context)

    from benchmark.checkup.checkup import check_up
    from benchmark.checkup.page import text, write_page
    from benchmark.core.hashes import write_text
    from benchmark.core.paths import printable_lines
    from benchmark.data.photos.set_aside import ASIDE

    result = check_up(source, prepared, profile)
    page = writable_folder(store / "checkups", "--store") / f"{prepared.folder.name}.html"
    write_page(result, load_faces(prepared.folder), page)
    aside = page.with_name(f"{prepared.folder.name}-{ASIDE}")
    write_text(aside, result.aside.to_csv(index=False))
    if arguments.json:
        fields = {**result.as_json(), "page": str(page), "prepared": str(prepared.folder)}
        sys.stdout.write(json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        sys.stdout.write(printable_lines(text(result, page, aside)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
