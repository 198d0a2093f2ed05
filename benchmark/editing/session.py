"""One call of `benchmark.synthesize`: load the model, edit all pictures, report each outcome."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.core.errors import UserError
from benchmark.core.progress import Reporter
from benchmark.editing.editor import Editor
from benchmark.editing.file_pairs import FilePairs, find_pairs
from benchmark.editing.guides import ALL, EditRequest, EditTarget, edit_targets, units_text
from benchmark.editing.portraits import PortraitReader
from benchmark.editing.tasks import EditTask, Outcome, encodable
from benchmark.protocol import ACTION_UNITS
from benchmark.training.device import choose_device

SCHEMA = 1
SHOWN = 3


@dataclass(frozen=True)
class SessionOptions:
    """The options of `benchmark.synthesize`."""

    checkpoint: Path
    source: Path
    out: Path
    request: EditRequest
    openface: Path | None
    overwrite: bool
    device: str
    threads: int | None
    quiet: bool


@dataclass(frozen=True)
class EditedFiles:
    """The outcome of each source."""

    options: SessionOptions
    task: EditTask
    outcomes: Sequence[Outcome]
    folder: bool
    """Whether the source is a folder."""

    @property
    def failed(self) -> int:
        """Return the number of sources that could not be edited."""
        return sum(outcome.state == "failed" for outcome in self.outcomes)

    def summary(self) -> str:
        """Return the counts of outcomes in one line."""
        out = self.options.out
        if not self.folder:
            there = ", there already (--overwrite makes it anew)" if self.outcomes[0].state == "there" else ""
            return encodable(f"{out}{there}")
        count = Counter(outcome.state for outcome in self.outcomes)
        parts = [f"{count['made']} made"]
        left_alone = count["there"] + count["other"]
        if left_alone:
            other = f", {count['other']} of them made otherwise" if count["other"] else ""
            parts.append(f"{left_alone} there already{other} (--overwrite makes them anew)")
        if count["failed"]:
            parts.append(f"{count['failed']} failed")
        return encodable(f"{out}: {'; '.join(parts)}")

    def report(self) -> dict[str, Any]:
        """Return the content of `--json`."""
        request, task = self.options.request, self.task
        first = task.targets[0]
        units = (
            None if first.units is None or task.strip else dict(zip(ACTION_UNITS, first.units.tolist(), strict=True))
        )
        guided = {
            "target": request.target,
            "seed": request.seed if first.guide == "T" else None,
            "reference": str(request.reference) if request.reference else None,
            "aus": str(request.aus) if request.aus else None,
            "units": units,
            "checkpoint": str(self.options.checkpoint),
        }
        return {
            "schema": SCHEMA,
            "method": task.editor.name,
            "checkpoint": str(self.options.checkpoint),
            "weights_sha256": task.editor.identity,
            "size": task.editor.size,
            "edits": [{**dataclasses.asdict(outcome), **guided} for outcome in self.outcomes],
        }


def edit_files(options: SessionOptions) -> EditedFiles:
    """Check the options, load the model and edit. Raises UserError where no picture can be edited."""
    inputs = {"--reference": options.request.reference, "--aus": options.request.aus}
    pairs = find_pairs(options.source, options.out, {name: path for name, path in inputs.items() if path})
    reporter = Reporter(options.quiet)
    tell = _line_printer(reporter)
    task = _task(options, pairs, tell)
    if pairs.others:
        more = f" and {len(pairs.others) - SHOWN} more" if len(pairs.others) > SHOWN else ""
        tell(f"left out, for they are no pictures: {', '.join(pairs.others[:SHOWN])}{more}")
    for why, count in pairs.left_out.items():
        tell(f"left out: {count:,} {why}")
    outcomes = _edit_folder(task, pairs, reporter) if pairs.folder else [_edit_one(task, pairs)]
    return EditedFiles(options, task, outcomes, pairs.folder)


def _line_printer(reporter: Reporter) -> Callable[[str], None]:
    """Return a function that prints lines unchanged: file names may have brackets, which rich would interpret."""

    def tell(text: str) -> None:
        if not reporter.quiet:
            reporter.console.print(encodable(text), markup=False, emoji=False, soft_wrap=True)

    return tell


def _task(options: SessionOptions, pairs: FilePairs, tell: Callable[[str], None]) -> EditTask:
    """Load the model and its guides."""
    # Pillow warns about damaged EXIF and large photographs, which are handled here.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    editor = Editor(options.checkpoint, choose_device(options.device))
    if not editor.framing_known:
        tell("the checkpoint does not say where its training pictures have the face: RaFD's centred square is assumed")
    reader = PortraitReader(editor.size, editor.framing, options.openface, tell)
    reader.find_tables(options.source if pairs.folder else options.source.parent, [pair.source for pair in pairs.pairs])
    targets = edit_targets(options.request, type(editor.method), editor.name, reader)
    tell(_announcement(editor.name, targets, options.request))
    return EditTask(editor, reader, targets, options.overwrite, options.request.target == ALL)


def _announcement(name: str, targets: Sequence[EditTarget], request: EditRequest) -> str:
    """Describe the guide of the method in one line."""
    first = targets[0]
    if first.guide == "T":
        return f"{name}, label-guided: {request.target}, seed {request.seed}"
    if first.units is None or first.reference is not None:
        return f"{name}, reference-guided: {first.name}"
    if request.target is None:
        return f"{name}, guided by action units: {first.name} ({units_text(first.units)})"
    detail = f" ({units_text(first.units)})" if len(targets) == 1 else ""
    guide = "RaFD's prototypes" if request.target == ALL else f"RaFD's prototype of {request.target}"
    return f"{name}, guided by action units: {guide}{detail}"


def _edit_one(task: EditTask, pairs: FilePairs) -> Outcome:
    """Edit the only pair. Raises UserError where it fails, or would overwrite something else."""
    (pair,) = pairs.pairs
    (outcome,) = task.run(pairs.pairs, check_sources=True)
    if outcome.state == "failed":
        raise UserError(f"{pair.source}: {outcome.reason}")
    if outcome.state == "other":
        raise UserError(f"--out {pair.out} is there already and was made otherwise: --overwrite makes it anew")
    return outcome


def _edit_folder(task: EditTask, pairs: FilePairs, reporter: Reporter) -> list[Outcome]:
    """Edit all pairs, and print a line for each that fails."""
    outcomes = []
    with reporter.bar("edit", len(pairs.pairs)) as bar:
        for pair, outcome in zip(pairs.pairs, task.run(pairs.pairs, check_sources=False), strict=True):
            if outcome.state == "failed":
                text = encodable(f"failed: {pair.name}: {outcome.reason}")
                reporter.console.print(text, markup=False, emoji=False, soft_wrap=True)
            outcomes.append(outcome)
            bar.advance(1)
    return outcomes
