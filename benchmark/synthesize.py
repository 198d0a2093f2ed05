"""`python -m benchmark.synthesize`: edit photographs with a trained model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import Parser, run_command
from benchmark.core.errors import RunFailed, UserError
from benchmark.core.files import fault_of

EXAMPLES = (
    "python -m benchmark.synthesize --checkpoint runs/train/DIR --source a.jpg --target happy --out happy.png",
    "python -m benchmark.synthesize --checkpoint mtss --source a.jpg --target all --out strip.png",
    "python -m benchmark.synthesize --checkpoint runs/train/DIR --source a.jpg --target all --out strip.png",
    "python -m benchmark.synthesize --checkpoint runs/train/DIR --source a.jpg --reference b.jpg --out edit.png",
    "python -m benchmark.synthesize --checkpoint runs/train/DIR --source photos/ --target sad --out sad/",
)
DESCRIPTION = f"""{__doc__}

Pictures of any size and kind are turned upright and cut to the square in which the face lies where the model's
training pictures have it. Landmarks for that, and the action units that some methods need of the source, come from
OpenFace's CSV beside the picture (a.csv for a.jpg) or in --openface, or from the faces.parquet of a rendered set;
without landmarks the centred square is taken. A method that is guided by action units (GANimation, EF-GAN) takes them
from --aus, from those known of --reference, or, for --target, from RaFD's prototype of the expression."""


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.synthesize", DESCRIPTION, EXAMPLES)
    command.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder of runs/train/, or an imported one; or the name of a method or row whose weights are stored in "
        "results/reference",
    )
    command.add_argument(
        "--source", type=Path, required=True, metavar="PATH", help="a picture, or a folder of pictures"
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help="the PNG to write; a folder, if --source is one"
    )
    guide = command.add_mutually_exclusive_group(required=True)
    guide.add_argument("--target", metavar="EXPRESSION", help="angry, ..., surprised; or all, for a strip of all eight")
    guide.add_argument("--reference", type=Path, metavar="FILE", help="a picture whose expression is to be taken")
    guide.add_argument(
        "--aus", type=Path, metavar="FILE", help="action units, 0 to 5: OpenFace's CSV, or lines such as AU12,3.5"
    )
    command.add_argument("--seed", type=int, metavar="N", help="draws the latent of a label-guided edit (default: 0)")
    command.add_argument(
        "--openface",
        type=Path,
        metavar="PATH",
        help="folder of OpenFace's CSV files, named as the pictures are; or its one file for all pictures of --source",
    )
    command.add_argument("--overwrite", action="store_true", help="make pictures anew that are there already")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--threads", type=int, help="CPU threads (default: one for each core)")
    command.add_argument("--json", action="store_true", help="print what was done with every picture as JSON")
    command.add_argument("--quiet", action="store_true", help="no progress, nothing but failures")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: synthesize(arguments))


def synthesize(arguments: argparse.Namespace) -> int:
    """Edit the pictures and print the outcomes."""
    if arguments.seed is not None and not arguments.target:
        raise UserError("--seed draws the latent of --target: without one it has no part in the edit")
    if arguments.openface is not None and not arguments.openface.is_dir() and (fault := fault_of(arguments.openface)):
        raise UserError(f"--openface {arguments.openface} {fault}")

    from benchmark.editing.guides import DEFAULT_SEED, EditRequest
    from benchmark.editing.session import SessionOptions, edit_files
    from benchmark.training.device import check_threads

    check_threads(arguments.threads)

    seed = DEFAULT_SEED if arguments.seed is None else arguments.seed
    request = EditRequest(arguments.target, seed, arguments.reference, arguments.aus)
    edited = edit_files(
        SessionOptions(
            checkpoint=arguments.checkpoint,
            source=arguments.source,
            out=arguments.out,
            request=request,
            openface=arguments.openface,
            overwrite=arguments.overwrite,
            device=arguments.device,
            threads=arguments.threads,
            quiet=arguments.quiet,
        )
    )
    text = json.dumps(edited.report(), indent=1) if arguments.json else edited.summary()
    sys.stdout.write(text + "\n")
    if edited.failed:
        raise RunFailed(
            f"{edited.failed} of {len(edited.outcomes)} pictures could not be edited (they are named above)"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
