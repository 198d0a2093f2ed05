"""imported: a folder with a checkpoint -> Checkpoint. Takes the place of `train` where `--checkpoint` gives one."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from benchmark.config import Profile, Suite, SuiteRow, load_profile, names
from benchmark.core.artifacts import MANIFEST, Manifest
from benchmark.core.errors import UserError, unknown
from benchmark.importing.read import sha256
from benchmark.protocol import Subset
from benchmark.settings import documented
from benchmark.stages.base import Context, Made, Work
from benchmark.stages.train import CHECKPOINT, CheckpointStage, Described, describe_checkpoint
from benchmark.training.checkpoint import prefixed
from benchmark.training.trainer import WEIGHTS


class Imported(CheckpointStage):
    """A checkpoint that was made elsewhere; what it holds decides the key, not where it lies."""

    kind = "imported"

    def __init__(self, folder: Path) -> None:
        found = describe_checkpoint(folder)
        digests = {name: sha256(folder / name) for name in (CHECKPOINT, WEIGHTS)}
        _check_whole(folder, found, digests)
        self._folder, self._digests, self._facts = folder, digests, _facts(folder, found)
        self.method, self.method_class = found.method, found.method_class
        self.settings, self.shape = found.settings, found.shape
        self.iterations = self._facts["iterations"]
        self.origin = _origin(folder, found)
        self.imported = bool(found.text.get("imported"))
        settings = {
            "method": found.method,
            "method_version": found.method_class.version,
            "settings": dataclasses.asdict(found.settings),
            "shape": dataclasses.asdict(found.shape),
            "files": digests,
        }
        super().__init__(f"import {found.method} {digests[WEIGHTS][:8]}", settings, {})

    def title(self, subset: Subset) -> str:
        """`mtss F&P imported 01234567`."""
        return f"{self.method} {subset} imported {self._digests[WEIGHTS][:8]}"

    def work(self) -> Work:
        """Bytes to copy."""
        size = sum((self._folder / name).stat().st_size for name in self._digests)
        return Work("import", size, size)

    def run(self, context: Context, folder: Path) -> Made:
        """Copy it, so that the store has all that its reports rest on."""
        for name, digest in self._digests.items():
            shutil.copyfile(self._folder / name, folder / name)
            if sha256(folder / name) != digest:
                raise UserError(f"{self._folder / name} has changed while it was read")
        return Made([CHECKPOINT, WEIGHTS], self._facts)


def _facts(folder: Path, found: Described) -> dict[str, Any]:
    """What reports print of a training, as far as it is known. Raises UserError where it is nonsense."""
    counts = {name: found.text.get(name) for name in ("iterations", "images_seen")}
    by_network = {name: found.text.get(name, {}) for name in ("updates", "parameters")}
    changed = {"changed_settings": found.text.get("changed_settings", {})}
    wrong = [name for name, count in counts.items() if not (count is None or isinstance(count, int))]
    wrong += [name for name, table in {**by_network, **changed}.items() if not isinstance(table, dict)]
    wrong += [n for n in by_network if n not in wrong and not all(isinstance(c, int) for c in by_network[n].values())]
    if wrong:
        raise UserError(f"{folder / CHECKPOINT} is damaged: '{wrong[0]}' is {found.text[wrong[0]]!r}")
    return {**counts, **by_network, **changed}


def _origin(folder: Path, found: Described) -> str:
    """Where it is from, for a footnote."""
    text, name = found.text, found.method_class.__name__
    if not text.get("imported"):
        iterations, subset, seed = (text.get(key, "unknown") for key in ("iterations", "subset", "seed"))
        return f"{name} was not trained here: a training of {iterations} iterations on {subset}, seed {seed}"
    try:
        files = ", ".join(f"{file['name']}, SHA-256 {file['sha256'][:12]}..." for file in text["origin"]["files"])
        return f"{name} was not trained here: a checkpoint of {text['origin']['code']} ({files})"
    except (TypeError, KeyError) as error:
        raise UserError(f"the checkpoint {folder} is damaged: it does not say where it is from ({error})") from error


# -------------------------------------------------------------------------------------------- is it whole
def _check_whole(folder: Path, found: Described, digests: Mapping[str, str]) -> None:
    """Raises UserError where a file is not what was written, or not what its settings describe."""
    for name, digest in _recorded(folder, found).items():
        if name in digests and digests[name] != digest:
            raise UserError(f"the checkpoint {folder} is damaged: {name} is not what was written there")
    with torch.device("meta"):
        model = found.method_class(found.settings, found.shape)
    wanted = prefixed("model", model.state_dict())
    for name, network in model.averaged().items():
        wanted |= prefixed(f"average.{name}", network.state_dict())
    wanted = {name: tensor for name, tensor in wanted.items() if name.split(".")[1] not in found.absent}
    try:
        with safe_open(folder / WEIGHTS, "pt") as stream:
            shapes = {name: tuple(stream.get_slice(name).get_shape()) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"the checkpoint {folder} is damaged: {WEIGHTS} cannot be read ({error})") from error
    wrong = [name for name, tensor in wanted.items() if shapes.get(name) != tuple(tensor.shape)]
    wrong += [name for name in shapes if name not in wanted]
    if wrong:
        raise UserError(
            f"the checkpoint {folder} is not of {found.method_class.__name__} as its {CHECKPOINT} describes it: "
            f"{len(wrong)} tensors do not fit, '{wrong[0]}' for one"
        )


def _recorded(folder: Path, found: Described) -> dict[str, str]:
    """SHA-256 of its files by name, as far as an import or a training left a record."""
    try:
        recorded = {name: str(file["sha256"]) for name, file in dict(found.text.get("files", {})).items()}
        if (folder / MANIFEST).exists():
            recorded |= {name: file.sha256 for name, file in Manifest.read(folder / MANIFEST).files.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"the checkpoint {folder} is damaged: its record cannot be read ({error})") from error
    return recorded


# -------------------------------------------------------------------------------------------- whose rows
def choose_checkpoints(given: Sequence[str], suite: Suite, profile: Profile) -> dict[str, Imported]:
    """By row id, the checkpoint that `METHOD=DIR` or `ROW_ID=DIR` (which wins) give it.

    A method's rows are those whose variant it is. Raises UserError for what names no row, for a folder that holds no
    whole checkpoint, and for a checkpoint of another method, size or variant.
    """
    opened: dict[Path, Imported] = {}
    by_key: dict[str, Imported] = {}
    rows = {row.id: row for row in suite.rows}
    methods = {row.method for row in suite.rows}
    for item in given:
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
        found = opened[folder]
        method = rows[key].method if key in rows else key
        if found.method != method:
            raise UserError(f"--checkpoint {item}: it is a checkpoint of '{found.method}', not of '{method}'")
        _check_size(found, folder, profile)
        by_key[key] = found
    chosen: dict[str, Imported] = {}
    for key, found in by_key.items():
        of_method = [row for row in suite.rows if row.method == found.method]
        fits = [row for row in of_method if not _variant(row, of_method, found, profile)]
        if not fits or (key in rows and rows[key] not in fits):
            row = rows.get(key, of_method[0])
            raise UserError(f"--checkpoint {key}=...: row {row.id} {_variant(row, of_method, found, profile)}")
        chosen |= {row.id: found for row in fits if key == row.id or (key not in rows and row.id not in by_key)}
    return chosen


def _check_size(found: Imported, folder: Path, profile: Profile) -> None:
    size = found.shape.size
    if size == profile.size:
        return
    same = [name for name in names("profiles") if load_profile(name).size == size]
    raise UserError(
        f"the checkpoint {folder} edits pictures of {size} px, and profile {profile.name} has {profile.size} px: "
        f"choose a profile of {size} px ({', '.join(same) or 'none in the house: a YAML file of your own'})"
        + (f", or import it again with --size {profile.size}" if found.imported else "")
    )


def _variant(row: SuiteRow, rows: Sequence[SuiteRow], found: Imported, profile: Profile) -> str:
    """In which setting that the suite varies the checkpoint is not this row's; "" where in none."""
    defaults = {setting.name: setting.value for setting in documented(type(found.settings))}
    stated = profile.overrides.get(row.method)
    overrides: Mapping[str, Any] = stated.settings if stated else {}
    for name in sorted({name for other in rows for name in other.variant}):
        mine = getattr(found.settings, name, None)
        allowed = [row.variant[name]] if name in row.variant else [defaults[name], overrides.get(name, defaults[name])]
        if mine not in allowed:
            return f"has {name} = {allowed[0]!r}, and the checkpoint {mine!r}"
    return ""
