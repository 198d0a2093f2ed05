"""`python -m benchmark.import_checkpoint`: make a checkpoint of this benchmark from a published one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.cli import Parser, run_command
from benchmark.core.errors import UserError

if TYPE_CHECKING:
    from benchmark.importing.convert import Weights

EXAMPLES = (
    "python -m benchmark.import_checkpoint --method stargan --from 200000-G.ckpt --out checkpoints/stargan",
    "python -m benchmark.import_checkpoint --method mtss --from gen_00200000.pt dis_00200000.pt --out checkpoints/mtss",
    "python -m benchmark.run --suite table1 --profile paper --checkpoint mtss=checkpoints/mtss",
)


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.import_checkpoint", __doc__ or "", EXAMPLES)
    command.add_argument("--method", required=True, help="stargan, ganimation, hisd or mtss: whose checkpoint it is")
    command.add_argument(
        "--from", required=True, nargs="+", type=Path, metavar="FILE", dest="files",
        help="the generator's file, and if wanted the discriminator's; read as data, never run",
    )  # fmt: skip
    command.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new folder for the checkpoint")
    command.add_argument(
        "--size", type=int, metavar="PX", help="side of the pictures, where the files do not tell (default: 128)"
    )
    command.add_argument("--json", action="store_true", help="print the new checkpoint.json")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: import_checkpoint(arguments))


def import_checkpoint(arguments: argparse.Namespace) -> int:
    """Read, check, write, and say what was found."""
    if arguments.size is not None and arguments.size < 1:
        raise UserError(f"--size must be at least 1, not {arguments.size}")

    from benchmark.importing.convert import import_weights
    from benchmark.importing.fit import DoesNotFit
    from benchmark.importing.write import check_free, write_checkpoint
    from benchmark.stages.checkpoints import CHECKPOINT

    check_free(arguments.out)
    try:
        weights = import_weights(arguments.method, arguments.files, arguments.size)
    except DoesNotFit as error:
        sys.stderr.write("".join(f"{line}\n" for line in error.lists))
        raise
    write_checkpoint(arguments.out, weights, arguments.files)
    for line in weights.notes:
        sys.stderr.write(f"note: {line}\n")
    text = (arguments.out / CHECKPOINT).read_text(encoding="utf-8") if arguments.json else _summary(weights, arguments)
    sys.stdout.write(text)
    return 0


def _summary(weights: Weights, arguments: argparse.Namespace) -> str:
    """Format what was imported from which files."""
    parts = [f"{name} {count:,}" for name, count in weights.parameters.items()]
    lines = [
        f"{arguments.out}: {weights.method_class.__name__} as {weights.code} saves it",
        f"  from        {', '.join(str(path) for path in arguments.files)}",
        f"  network     width {getattr(weights.settings, 'width', 1):g}, pictures of {weights.shape.size} px",
        f"  parameters  {', '.join(parts)}" + (f" (without {', '.join(weights.absent)})" if weights.absent else ""),
        f"  next        python -m benchmark.run --suite table1 --checkpoint {weights.method}={arguments.out} ...",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
