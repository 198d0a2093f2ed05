"""Write imported weights as a checkpoint like those of a training, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.core.artifacts import whole_folder
from benchmark.core.errors import UserError
from benchmark.core.hashes import write_text
from benchmark.importing.convert import Weights
from benchmark.importing.read import sha256
from benchmark.stages.checkpoints import CHECKPOINT
from benchmark.stages.train import changed_settings
from benchmark.training.checkpoint import save_tensors
from benchmark.training.trainer import WEIGHTS


def check_free(out: Path) -> None:
    """Raise UserError where `out` exists and is not an empty folder."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise UserError(f"--out {out} exists and is not an empty folder: choose another, or remove it")


def write_checkpoint(out: Path, weights: Weights, files: Sequence[Path]) -> None:
    """Build the folder under another name and rename it to `out`. Raises UserError where it cannot be written."""
    with whole_folder(out, "--out") as partial:
        save_tensors(partial / WEIGHTS, weights.tensors, {"imported": True})
        text = json.dumps(_text(weights, files, partial / WEIGHTS), indent=1, sort_keys=True)
        write_text(partial / CHECKPOINT, text + "\n")


def _text(weights: Weights, files: Sequence[Path], stored: Path) -> dict[str, Any]:
    """`checkpoint.json`: what that of a training has, as far as it is known, and the origin of the weights."""
    return {
        "method": weights.method,
        "method_version": weights.method_class.version,
        "settings": dataclasses.asdict(weights.settings),
        "changed_settings": changed_settings(weights.settings),
        "shape": dataclasses.asdict(weights.shape),
        "parameters": dict(weights.parameters),
        "absent": list(weights.absent),
        "imported": True,
        "origin": {
            "code": weights.code,
            "files": [{"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)} for path in files],
        },
        "files": {WEIGHTS: {"bytes": stored.stat().st_size, "sha256": sha256(stored)}},
        # Of somebody else's training nothing is known.
        "subset": None,
        "train_identities": None,
        "iterations": None,
        "images_seen": None,
        "updates": {},
        "seed": None,
        "device": None,
        "framing": None,
        "final_losses": {},
    }
