"""synthesize: Checkpoint, FaceSet, guide -> SynthSet."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmark.core.errors import RunFailed, UserError
from benchmark.core.files import create_array, read_memory
from benchmark.core.hashes import write_text
from benchmark.core.source_code import PROJECT, error_line
from benchmark.data.edit_lists import EditList
from benchmark.data.faceset import FaceSet
from benchmark.interface import Faces, Method, Target
from benchmark.protocol import EXPRESSIONS, Guide
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.checkpoints import load_checkpoint
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.train import CheckpointStage, code_setting
from benchmark.training.device import compute_deterministically

EDITED, EDITS, DONE = "edited.npy", "edits.parquet", "done.json"
BATCH = 16
"""Fixed: the last bits of a convolution can depend on how many pictures share a batch."""


@dataclass(frozen=True)
class EditFacts:
    """The number of edits."""

    edits: int


class Synthesize(Stage[EditFacts]):
    """All edits of a list, made by one checkpoint under one guide."""

    kind = "synth"
    facts_type = EditFacts
    files = (EDITED, EDITS)

    def __init__(self, train: CheckpointStage, prepare: Prepare, guide: Guide, edits: EditList, device: str) -> None:
        self.train, self.faces, self.guide, self.edits = train, prepare, guide, edits
        # What was not trained here has not the profile's width.
        self._width = f", width {getattr(train.settings, 'width', 1):g}" if train.origin else ""
        gallery = "gallery " if edits.gallery is not None else ""
        settings = {"guide": guide, "edits": edits.settings, "batch": BATCH, "device": device}
        settings |= code_setting(train.method)
        targets = f" to {', '.join(edits.targets)}" if edits.targets else ""
        name = f"synthesize {gallery}{train.title(edits.subset)} {guide}{targets}"
        super().__init__(name, settings, {"checkpoint": train, "faces": prepare})

    def work(self) -> Work:
        """Count the edits, at most."""
        targets = min(self.edits.targets_per_source or len(EXPRESSIONS), len(self.edits.wanted), len(EXPRESSIONS) - 1)
        sources = self.faces.test_pictures(self.edits.subset) if self.edits.gallery is None else self.edits.gallery
        count, size = sources * targets, self.faces.size
        return Work(f"synthesize {self.train.method} {size} px{self._width}", count, int(count * size**2 * 3))

    def run(self, context: Context, folder: Path) -> StageResult[EditFacts]:
        """Edit in batches; those of an interrupted call are kept."""
        torch.set_num_threads(context.machine.threads)
        compute_deterministically(context.machine.device)
        faces = load_faces(self.faces.folder(context))
        method = load_checkpoint(self.train.folder(context), context.machine.device)
        if method.shape.size != faces.size:
            raise UserError(
                f"the checkpoint edits pictures of {method.shape.size} px and these are of {faces.size} px: "
                "choose a profile of that size"
            )
        edits = self.edits.make(faces)
        images, begun, digest = _open_images(folder, (len(edits), faces.size, faces.size, 3))
        if begun == 0 and (folder / DONE).exists():
            context.reporter.warn(f"{self.name}: what an earlier call has made is damaged: it begins anew")
        with context.reporter.bar(self.name, len(edits), begun) as bar:
            for start in range(begun, len(edits), BATCH):
                rows = edits.iloc[start : start + BATCH]
                edited = edit_batch(method, faces, rows, self.guide, context.machine.device)
                if edited is None:
                    raise RunFailed(f"{self.name}: the checkpoint makes pictures that are not finite numbers")
                images[start : start + len(rows)] = edited
                images.flush()
                digest.update(edited.tobytes())
                write_text(folder / DONE, json.dumps({"done": start + len(rows), "sha256": digest.hexdigest()}))
                bar.advance(len(rows))
        del images
        edits.to_parquet(folder / EDITS, index=False)
        return StageResult(EditFacts(len(edits)))


def _open_images(folder: Path, shape: tuple[int, ...]) -> tuple[np.memmap, int, hashlib._Hash]:
    """Open the array on disk; also return how many pictures an earlier call has made, and their digest, which must be
    the one that the call has noted.
    """
    path = folder / EDITED
    with suppress(OSError, ValueError, TypeError, KeyError):
        noted = read_memory(folder / DONE)
        images = np.lib.format.open_memmap(path, mode="r+")
        digest = hashlib.sha256(images[: noted["done"]].tobytes())
        if images.shape == shape and digest.hexdigest() == noted["sha256"]:
            return images, int(noted["done"]), digest
    return create_array(path, shape), 0, hashlib.sha256()


@torch.no_grad()
def edit_batch(method: Method, faces: FaceSet, rows: pd.DataFrame, guide: Guide, device: str) -> np.ndarray | None:
    """Edit some rows of an edit list: n x S x S x 3 uint8, or None where a value is not finite."""
    source, reference = rows["source"].to_numpy(), rows["reference"].to_numpy()
    by_reference = guide == "R"
    units = faces.units
    target = Target(
        guide,
        torch.tensor([EXPRESSIONS.index(name) for name in rows["target"]], device=device),
        [int(seed) for seed in rows["seed"]],
        to_tensor(faces.images[reference], device) if by_reference else None,
        torch.from_numpy(units[reference]).to(device) if by_reference else None,
    )
    sources = Faces(
        to_tensor(faces.images[source], device),
        torch.from_numpy(faces.labels[source]).to(device),
        torch.from_numpy(units[source]).to(device),
        torch.from_numpy(faces.landmarks[source]).to(device),
    )
    return edit_pictures(method, sources, target)


@torch.no_grad()
def edit_pictures(method: Method, sources: Faces, target: Target) -> np.ndarray | None:
    """Edit: N x S x S x 3 uint8, or None where a value is not finite.

    Raises UserError where `edit` returns something else than N x 3 x S x S floating-point numbers, or raises, in a
    method from outside this repository: no training has checked the method of an imported checkpoint.
    """
    name = type(method).__name__
    try:
        edited: object = method.edit(sources, target)
    except UserError:
        raise
    except Exception as error:
        if type(method).__module__.partition(".")[0] in PROJECT:
            raise
        raise UserError(f"method {name}: edit raises {error_line(error)}") from error
    wanted = " x ".join(map(str, sources.images.shape))
    if not isinstance(edited, Tensor):
        returned = f"a value of type {type(edited).__name__}"
    elif edited.shape != sources.images.shape:
        returned = f"a tensor of {' x '.join(map(str, edited.shape)) or 'no dimension'}"
    elif not edited.is_floating_point():
        returned = f"a tensor of {edited.dtype}"
    else:
        return to_pictures(edited) if bool(torch.isfinite(edited).all()) else None
    raise UserError(f"method {name}: edit returns {returned}, and must return a float tensor of {wanted} in [-1, 1]")


def to_tensor(images: np.ndarray, device: str) -> Tensor:
    """N x S x S x 3 uint8 to N x 3 x S x S in [-1, 1]."""
    return (
        torch.from_numpy(np.ascontiguousarray(images))
        .to(device)
        .permute(0, 3, 1, 2)
        .float()
        .div(127.5)
        .sub(1)
        .contiguous()
    )


def to_pictures(images: Tensor) -> np.ndarray:
    """N x 3 x S x S in [-1, 1] (clipped to it) to N x S x S x 3 uint8, rounded."""
    pictures = images.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
    return np.ascontiguousarray(pictures.cpu().numpy())
