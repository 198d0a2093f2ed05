"""`python -m benchmark.synthesize`: edit photographs with a trained model."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core.cli import Parser, run_command
from benchmark.core.errors import RunFailed, UserError
from benchmark.core.files import fault_of

if TYPE_CHECKING:
    from benchmark.core.progress import Reporter
    from benchmark.editing.file_pairs import FilePairs
    from benchmark.editing.guides import EditRequest, EditTarget
    from benchmark.editing.tasks import EditTask, Outcome

EXAMPLES = (
    "python -m benchmark.synthesize --checkpoint runs/train/DIR --source a.jpg --target happy --out happy.png",
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
SCHEMA = 1
SHOWN = 3


def parser() -> Parser:
    """The arguments."""
    command = Parser("benchmark.synthesize", DESCRIPTION, EXAMPLES)
    command.add_argument(
        "--checkpoint", type=Path, required=True, metavar="DIR", help="a folder of runs/train/, or an imported one"
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
    """The command."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: synthesize(arguments))


def synthesize(arguments: argparse.Namespace) -> int:
    """Check what can be checked at once, load the model, edit."""
    request = _request(arguments)
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError(f"--threads must be at least 1, not {arguments.threads}")
    if arguments.openface is not None and not arguments.openface.is_dir() and (fault := fault_of(arguments.openface)):
        raise UserError(f"--openface {arguments.openface} {fault}")

    from benchmark.core.progress import Reporter
    from benchmark.editing.file_pairs import find_pairs

    inputs = {"--reference": request.reference, "--aus": request.aus}
    pairs = find_pairs(arguments.source, arguments.out, {name: path for name, path in inputs.items() if path})
    reporter = Reporter(arguments.quiet)
    tell = _line_printer(reporter)
    task = _task(arguments, request, pairs, tell)
    if pairs.others:
        more = f" and {len(pairs.others) - SHOWN} more" if len(pairs.others) > SHOWN else ""
        tell(f"left out, for they are no pictures: {', '.join(pairs.others[:SHOWN])}{more}")
    for why, count in pairs.left_out.items():
        tell(f"left out: {count:,} {why}")
    outcomes = _folder(task, pairs, reporter) if pairs.folder else [_single(task, pairs)]
    if arguments.json:
        sys.stdout.write(json.dumps(_report(arguments, request, task, outcomes), indent=1) + "\n")
    else:
        sys.stdout.write(_summary(outcomes, arguments.out, pairs.folder) + "\n")
    failed = sum(outcome.state == "failed" for outcome in outcomes)
    if failed:
        raise RunFailed(f"{failed} of {len(outcomes)} pictures could not be edited (they are named above)")
    return 0


def _request(arguments: argparse.Namespace) -> EditRequest:
    from benchmark.editing.guides import DEFAULT_SEED, EditRequest

    if arguments.seed is not None and not arguments.target:
        raise UserError("--seed draws the latent of --target: without one it has no part in the edit")
    seed = DEFAULT_SEED if arguments.seed is None else arguments.seed
    return EditRequest(arguments.target, seed, arguments.reference, arguments.aus)


def _line_printer(reporter: Reporter) -> Callable[[str], None]:
    """One line on stderr, as it is: names of files may have brackets that rich would read."""
    from benchmark.editing.tasks import encodable

    def tell(text: str) -> None:
        if not reporter.quiet:
            reporter.console.print(encodable(text), markup=False, emoji=False, soft_wrap=True)

    return tell


def _task(
    arguments: argparse.Namespace, request: EditRequest, pairs: FilePairs, tell: Callable[[str], None]
) -> EditTask:
    """The model, and what it is to do."""
    import warnings

    import torch

    from benchmark.editing.editor import Editor
    from benchmark.editing.guides import ALL, edit_targets
    from benchmark.editing.portraits import PortraitReader
    from benchmark.editing.tasks import EditTask
    from benchmark.training.device import choose_device

    # Pillow's remarks on a photograph (its EXIF is damaged, it is very large) are no concern of the user's.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    torch.set_num_threads(arguments.threads or os.cpu_count() or 1)
    editor = Editor(arguments.checkpoint, choose_device(arguments.device))
    if not editor.framing_known:
        tell("the checkpoint does not say where its training pictures have the face: RaFD's centred square is assumed")
    reader = PortraitReader(editor.size, editor.framing, arguments.openface, tell)
    reader.find_tables(
        arguments.source if pairs.folder else arguments.source.parent, [pair.source for pair in pairs.pairs]
    )
    targets = edit_targets(request, type(editor.method), editor.name, reader)
    tell(_announcement(editor.name, targets, request))
    return EditTask(editor, reader, targets, arguments.overwrite, request.target == ALL)


def _announcement(name: str, targets: Sequence[EditTarget], request: EditRequest) -> str:
    """How the method is guided, in a line."""
    from benchmark.editing.guides import ALL, units_text

    first = targets[0]
    if first.guide == "T":
        return f"{name}, label-guided: {request.target}, seed {request.seed}"
    if first.units is None or first.reference is not None:
        return f"{name}, reference-guided: {first.name}"
    if request.target is None:
        return f"{name}, guided by action units: {first.name} ({units_text(first.units)})"
    detail = f" ({units_text(first.units)})" if len(targets) == 1 else ""
    what = "RaFD's prototypes" if request.target == ALL else f"RaFD's prototype of {request.target}"
    return f"{name}, guided by action units: {what}{detail}"


def _single(task: EditTask, pairs: FilePairs) -> Outcome:
    """The one pair. Raises UserError where it cannot be done, or would do away with something else."""
    (pair,) = pairs.pairs
    (outcome,) = task.run(pairs.pairs, check_sources=True)
    if outcome.state == "failed":
        raise UserError(f"{pair.source}: {outcome.reason}")
    if outcome.state == "other":
        raise UserError(f"--out {pair.out} is there already and was made otherwise: --overwrite makes it anew")
    return outcome


def _folder(task: EditTask, pairs: FilePairs, reporter: Reporter) -> list[Outcome]:
    """All pairs, with a line for each that failed."""
    from benchmark.editing.tasks import encodable

    outcomes = []
    with reporter.bar("edit", len(pairs.pairs)) as bar:
        for pair, outcome in zip(pairs.pairs, task.run(pairs.pairs, check_sources=False), strict=True):
            if outcome.state == "failed":
                text = encodable(f"failed: {pair.name}: {outcome.reason}")
                reporter.console.print(text, markup=False, emoji=False, soft_wrap=True)
            outcomes.append(outcome)
            bar.advance(1)
    return outcomes


def _summary(outcomes: Sequence[Outcome], out: Path, folder: bool) -> str:
    """What was done, in a line."""
    from benchmark.editing.tasks import encodable

    if not folder:
        there = ", there already (--overwrite makes it anew)" if outcomes[0].state == "there" else ""
        return encodable(f"{out}{there}")
    count = Counter(outcome.state for outcome in outcomes)
    parts = [f"{count['made']} made"]
    left_alone = count["there"] + count["other"]
    if left_alone:
        other = f", {count['other']} of them made otherwise" if count["other"] else ""
        parts.append(f"{left_alone} there already{other} (--overwrite makes them anew)")
    if count["failed"]:
        parts.append(f"{count['failed']} failed")
    return encodable(f"{out}: {'; '.join(parts)}")


def _report(
    arguments: argparse.Namespace, request: EditRequest, task: EditTask, outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """The schema of --json."""
    import dataclasses

    from benchmark.protocol import ACTION_UNITS

    first = task.targets[0]
    units = None if first.units is None or task.strip else dict(zip(ACTION_UNITS, first.units.tolist(), strict=True))
    guided = {
        "target": request.target,
        "seed": request.seed if first.guide == "T" else None,
        "reference": str(request.reference) if request.reference else None,
        "aus": str(request.aus) if request.aus else None,
        "units": units,
        "checkpoint": str(arguments.checkpoint),
    }
    return {
        "schema": SCHEMA,
        "method": task.editor.name,
        "checkpoint": str(arguments.checkpoint),
        "weights_sha256": task.editor.identity,
        "size": task.editor.size,
        "edits": [{**dataclasses.asdict(outcome), **guided} for outcome in outcomes],
    }


if __name__ == "__main__":
    raise SystemExit(main())
