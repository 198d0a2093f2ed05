"""imported: a folder with a checkpoint -> Checkpoint. Replaces `train` for the rows that `--checkpoint` names."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.config.loading import names
from benchmark.config.profiles import PROFILES, Profile, load_profile
from benchmark.config.suites import Suite, SuiteRow
from benchmark.core.errors import UserError, unknown
from benchmark.importing.read import sha256
from benchmark.protocol import Subset
from benchmark.settings import documented
from benchmark.stages.base import Context, StageResult, Work
from benchmark.stages.checkpoints import CHECKPOINT, Checkpoint, first_not_finite, open_checkpoint
from benchmark.stages.train import CheckpointStage, TrainFacts
from benchmark.training.checkpoint import load_tensors
from benchmark.training.row_settings import row_settings
from benchmark.training.trainer import WEIGHTS


class Imported(CheckpointStage):
    """A checkpoint that was trained elsewhere. Its key depends on its content, not on its path."""

    kind = "imported"
    files = (CHECKPOINT, WEIGHTS)

    def __init__(self, folder: Path) -> None:
        checkpoint = open_checkpoint(folder)
        digests = {name: sha256(folder / name) for name in (CHECKPOINT, WEIGHTS)}
        _check_whole(checkpoint, digests)
        text = checkpoint.text
        self._folder, self._digests = folder, digests
        self._facts = TrainFacts(
            iterations=text.iterations,
            images_seen=text.images_seen,
            updates=text.updates,
            parameters=text.parameters,
            changed_settings=text.changed_settings,
            failures=list(text.failures),
        )
        self.method, self.method_class = checkpoint.method, checkpoint.method_class
        self.settings, self.shape = checkpoint.settings, checkpoint.shape
        self.iterations, self.imported = text.iterations, text.imported
        self.origin = _origin(checkpoint)
        settings = {
            "method": checkpoint.method,
            "method_version": checkpoint.method_class.version,
            "settings": dataclasses.asdict(checkpoint.settings),
            "shape": dataclasses.asdict(checkpoint.shape),
            "files": digests,
        }
        super().__init__(f"import {checkpoint.method} {digests[WEIGHTS][:8]}", settings, {})

    def title(self, subset: Subset) -> str:
        """Return `mtss F&P imported 01234567`."""
        return f"{self.method} {subset} imported {self._digests[WEIGHTS][:8]}"

    def work(self) -> Work:
        """Return the bytes to copy."""
        size = sum((self._folder / name).stat().st_size for name in self._digests)
        return Work("import", size, size)

    def run(self, context: Context, folder: Path) -> StageResult[TrainFacts]:
        """Copy the checkpoint into the store, so that its reports stay reproducible."""
        for name, digest in self._digests.items():
            shutil.copyfile(self._folder / name, folder / name)
            if sha256(folder / name) != digest:
                raise UserError(f"{self._folder / name} has changed while it was read")
        return StageResult(self._facts)


def _origin(checkpoint: Checkpoint) -> str:
    """Describe the checkpoint's origin, for a footnote."""
    text, name = checkpoint.text, checkpoint.method_class.__name__
    if text.origin is None:
        iterations, subset, seed = (
            "unknown" if value is None else value for value in (text.iterations, text.subset, text.seed)
        )
        return f"{name} was not trained here: a training of {iterations} iterations on {subset}, seed {seed}"
    files = ", ".join(f"{file.name}, SHA-256 {file.sha256[:12]}..." for file in text.origin.files)
    return f"{name} was not trained here: a checkpoint of {text.origin.code} ({files})"


def _check_whole(checkpoint: Checkpoint, digests: Mapping[str, str]) -> None:
    """Raise UserError where a file has changed, does not fit the settings, or holds NaN or infinity."""
    checkpoint.check_record(digests)
    checkpoint.check_weights()
    tensors, _ = load_tensors(checkpoint.folder / WEIGHTS)
    if name := first_not_finite(tensors):
        raise UserError(f"{checkpoint.folder / WEIGHTS}: '{name}' holds numbers that are not finite")


# ------------------------------------------------------------------------------------------------ choosing rows
def choose_checkpoints(arguments: Sequence[str], suite: Suite, profile: Profile) -> dict[str, Imported]:
    """Return the checkpoint of each row id that `METHOD=DIR` or `ROW_ID=DIR` (which wins) name.

    `METHOD=DIR` is for the method's rows whose variant the checkpoint has. Raises UserError for an unknown name, for a
    folder without a whole checkpoint, and for a checkpoint of another method, size or variant.
    """
    opened: dict[Path, Imported] = {}
    by_key: dict[str, Imported] = {}
    rows = {row.id: row for row in suite.rows}
    methods = {row.method for row in suite.rows}
    for item in arguments:
        key, sign, text = item.partition("=")
        if not (key and sign and text):
            raise UserError(f"--checkpoint {item}: METHOD=DIR or ROW_ID=DIR is needed")
        if key in by_key:
            raise UserError(f"--checkpoint {item}: '{key}' has one already")
        if key not in rows and key not in methods:
            raise unknown("method or row", key, {*rows, *methods}, f"in suite {suite.name}")
        folder = Path(text)
        if folder not in opened:
            opened[folder] = Imported(folder)
        checkpoint = opened[folder]
        method = rows[key].method if key in rows else key
        if checkpoint.method != method:
            raise UserError(f"--checkpoint {item}: it is a checkpoint of '{checkpoint.method}', not of '{method}'")
        _check_size(checkpoint, folder, profile)
        by_key[key] = checkpoint
    chosen: dict[str, Imported] = {}
    for key, checkpoint in by_key.items():
        of_method = [row for row in suite.rows if row.method == checkpoint.method]
        fits = [row for row in of_method if not _variant(row, of_method, checkpoint, profile)]
        if not fits or (key in rows and rows[key] not in fits):
            row = rows.get(key, of_method[0])
            raise UserError(f"--checkpoint {key}=...: row {row.id} {_variant(row, of_method, checkpoint, profile)}")
        chosen |= {row.id: checkpoint for row in fits if key == row.id or (key not in rows and row.id not in by_key)}
    return chosen


def _check_size(checkpoint: Imported, folder: Path, profile: Profile) -> None:
    size = checkpoint.shape.size
    if size == profile.size:
        return
    same = [name for name in names(PROFILES) if load_profile(name).size == size]
    raise UserError(
        f"the checkpoint {folder} edits pictures of {size} px, and profile {profile.name} has {profile.size} px: "
        f"choose a profile of {size} px ({', '.join(same) or 'none is built in: a YAML file of your own'})"
        + (f", or import it again with --size {profile.size}" if checkpoint.imported else "")
    )


def _variant(row: SuiteRow, rows: Sequence[SuiteRow], checkpoint: Imported, profile: Profile) -> str:
    """Describe the first setting that the suite varies and in which checkpoint and row differ; "" if there is none."""
    defaults = {setting.name: setting.value for setting in documented(type(checkpoint.settings))}
    wanted = row_settings(row.method, profile, row.variant)
    for name in sorted({name for other in rows for name in other.variant}):
        actual, stated = getattr(checkpoint.settings, name, None), getattr(wanted, name)
        if actual != stated and (name in row.variant or actual != defaults[name]):
            expected = stated if name in row.variant else defaults[name]
            return f"has {name} = {expected!r}, and the checkpoint {actual!r}"
    return ""
