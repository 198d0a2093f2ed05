"""Apply a trained model to single photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmark.config.reference import stored_weights
from benchmark.core.artifacts import DAMAGED, PARTIAL
from benchmark.core.errors import UserError
from benchmark.core.files import A_FILE, folder_fault_of
from benchmark.core.hashes import sha256_of
from benchmark.data.framing import RAFD
from benchmark.editing.guides import EditTarget
from benchmark.editing.portraits import Portrait
from benchmark.interface import Faces, Method, Target
from benchmark.protocol import KNOWLEDGE
from benchmark.stages.checkpoints import CHECKPOINT, open_checkpoint
from benchmark.stages.synthesize import edit_pictures, to_tensor
from benchmark.training.device import compute_deterministically
from benchmark.training.trainer import WEIGHTS

SHOWN = 3


class Editor:
    """A loaded checkpoint. name: of the method; framing: of its training pictures (framing_known: whether the
    checkpoint has one); identity: SHA-256 of its weights.

    Pictures are edited one by one: the last bits of a convolution can depend on the size of the batch.
    """

    def __init__(self, folder: Path, device: str) -> None:
        if is_name(folder):
            folder = stored_weights(str(folder))
        if not (folder / CHECKPOINT).is_file():
            raise UserError(_no_checkpoint(folder))
        self.device = device
        checkpoint = open_checkpoint(folder)
        checkpoint.check_weights()
        self.identity = sha256_of(folder / WEIGHTS)
        checkpoint.check_record({CHECKPOINT: sha256_of(folder / CHECKPOINT), WEIGHTS: self.identity})
        self.method: Method = checkpoint.load(device)
        compute_deterministically(device)
        self.name = checkpoint.method
        self.framing, self.framing_known = checkpoint.framing or RAFD, checkpoint.framing is not None

    @property
    def size(self) -> int:
        """Return the side of its pictures in pixels."""
        return self.method.shape.size

    def edit(self, portrait: Portrait, target: EditTarget) -> np.ndarray:
        """Edit a picture: S x S x 3 uint8. Raises UserError where the method needs annotations that the source lacks,
        and where its output has another shape or is not finite.
        """
        lacking = portrait.lacks(self.method.source_needs)
        if lacking:
            lacked = " and ".join(KNOWLEDGE[each] for each in lacking)
            if portrait.not_found:
                raise UserError(f"{self.name} needs its {lacked}, and OpenFace found no face in it")
            raise UserError(f"{self.name} needs its {lacked}: put OpenFace's CSV beside it, or give --openface DIR")
        sources = Faces.of(
            to_tensor(portrait.image[None], self.device),
            torch.tensor([portrait.label], device=self.device),
            torch.from_numpy(portrait.units[None]).to(self.device),
            torch.from_numpy(portrait.landmarks[None]).to(self.device),
        )
        units = None if target.units is None else torch.from_numpy(target.units[None]).float().to(self.device)
        wanted = Target(
            target.guide,
            torch.tensor([target.label], device=self.device),
            [target.seed],
            None if target.reference is None else to_tensor(target.reference[None], self.device),
            units,
        )
        edited = edit_pictures(self.method, sources, wanted)
        if edited is None:
            raise UserError("the checkpoint makes a picture of it that has no finite numbers")
        return np.asarray(edited[0])


def is_name(folder: Path) -> bool:
    """Return whether a path is the name of stored weights, not an existing path."""
    return folder.name == str(folder) and not folder.exists()


def _no_checkpoint(folder: Path) -> str:
    """Return the error message for a folder without a checkpoint, with hints where to find one."""
    if fault := folder_fault_of(folder):
        hint = "benchmark.run --out runs puts checkpoints into runs/train/"
        if fault == A_FILE:
            hint += ", and benchmark.import_checkpoint makes one of a published file"
        return f"--checkpoint {folder} {fault}; {hint}"
    below = sorted(path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{CHECKPOINT}"))
    below = [path for path in below if path.suffix not in (PARTIAL, DAMAGED)]
    if folder.suffix == PARTIAL:
        hint = "its training is not finished; the same benchmark.run goes on with it"
    elif below:
        more = f" and {len(below) - SHOWN} more" if len(below) > SHOWN else ""
        hint = f"there {'is one' if len(below) == 1 else 'are some'} in it: {', '.join(map(str, below[:SHOWN]))}{more}"
    else:
        hint = "benchmark.run puts them into runs/train/, benchmark.import_checkpoint where its --out says"
    return f"--checkpoint {folder} holds no checkpoint ({CHECKPOINT} is missing); {hint}"
