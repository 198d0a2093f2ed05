"""`python -m benchmark.edits`: write the edits that a suite asks for as pictures and CSV files, for other programs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import DATA_HELP, Parser, run_command, writable_folder

EXAMPLES = (
    "python -m benchmark.edits --suite table1 --out edits",
    "python -m benchmark.edits --suite nonaligned --out edits-nonaligned",
    "python -m benchmark.edits --suite table1 --profile paper --data rafd:/data/RaFD --out edits --without-training",
)


def parser() -> Parser:
    """The arguments."""
    made = Parser("benchmark.edits", __doc__ or "", EXAMPLES)
    made.add_argument("--suite", required=True, help="name of a suite, or a YAML file")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the list, made by this call")
    made.add_argument("--profile", default="quick", help="quick, reference, paper, or a YAML file (default: quick)")
    made.add_argument("--data", default="rendered", help=f"{DATA_HELP} (default: rendered)")
    made.add_argument("--without-training", action="store_true", help="leave out the pictures to train on")
    made.add_argument(
        "--store", type=Path, default=Path("runs"), metavar="DIR", help="the --out of benchmark.run (default: runs)"
    )
    made.add_argument("--quiet", action="store_true", help="no progress")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: write_edits(arguments))


def write_edits(arguments: argparse.Namespace) -> int:
    """Prepare the faces, then write the list, unless it is there."""
    from benchmark.config.profiles import load_profile
    from benchmark.config.suites import load_suite
    from benchmark.core.artifacts import Store
    from benchmark.data.registry import open_source
    from benchmark.external.write import PreparedFaces, gather, is_there, write
    from benchmark.pipeline.context import make_missing, open_context
    from benchmark.stages.prepare import Prepare, load_faces

    suite, profile = load_suite(arguments.suite), load_profile(arguments.profile)
    store = writable_folder(arguments.store, "--store")
    source = open_source(arguments.data, store / "cache")
    context = open_context(Store(store), "cpu", None, arguments.quiet)
    sources = [source, source.uncropped()] if suite.faces == "nonaligned" else [source]
    stages = [Prepare(one, profile.size) for one in sources]
    make_missing(stages, context)
    prepared = [PreparedFaces(stage, load_faces(stage.folder(context))) for stage in stages]
    training = not arguments.without_training
    content = gather(suite, profile, source.spec, prepared[0], prepared[-1], training)
    if is_there(arguments.out, content):
        sys.stdout.write(f"{arguments.out} holds this list already\n")
        return 0
    with context.reporter.bar("write pictures", len(content.pictures)) as bar:
        write(arguments.out, content, bar.advance)
    for subset, sheet in content.listing.sheets.items():
        sys.stdout.write(
            f"{arguments.out / sheet.file}: {sheet.edits} edits of {sheet.test_images} pictures ({subset})\n"
        )
    if content.listing.training:
        part = content.listing.training
        where = arguments.out / part.file
        sys.stdout.write(f"{where}: {part.pictures} pictures of {part.identities} people to train on\n")
    sys.stdout.write(f"{arguments.out / 'README.txt'} says what to do with them\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
