"""Edits of a few photographs with stored weights, as `benchmark.synthesize` makes them: read, framed, edited.

The photographs are enlarged test pictures, off the centre of a canvas, so that a square has to be cropped.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.data.faceset import FaceSet
from benchmark.editing.editor import Editor
from benchmark.editing.guides import EditRequest, edit_targets
from benchmark.editing.portraits import TABLE, PortraitReader
from benchmark.protocol import ACTION_UNITS, Guide, Subset

COUNT = 3
"""Number of edited photographs; the next photograph is the reference of each."""
ENLARGED = 2
LEFT, TOP, RIGHT, BOTTOM = 0.75, 0.25, 0.5, 0.35
"""Margins of the canvas, as shares of the enlarged picture's side."""
TARGET = "happy"


def write_photographs(faces: FaceSet, subset: Subset, folder: Path) -> list[Path]:
    """Write the photographs and their table, return the paths; none if landmarks or action units are unknown."""
    test = faces.rows(subset, "test")
    rows = test[np.linspace(0, len(test) - 1, COUNT + 1).astype(int)]
    if not (np.isfinite(faces.landmarks[rows]).all() and np.isfinite(faces.units[rows]).all()):
        return []
    side = faces.size * ENLARGED
    left, top = round(LEFT * side), round(TOP * side)
    size = (left + side + round(RIGHT * side), top + side + round(BOTTOM * side))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, row in enumerate(rows):
        canvas = Image.new("RGB", size, (150, 140, 130))
        canvas.paste(Image.fromarray(faces.images[row]).resize((side, side), Image.Resampling.NEAREST), (left, top))
        paths.append(folder / f"photograph-{number}.png")
        canvas.save(paths[-1])
    table = pd.DataFrame(faces.units[rows], columns=list(ACTION_UNITS))
    table["face_id"] = [path.stem for path in paths]
    table["expression"] = faces.table["expression"].iloc[rows].to_numpy()
    # Centres of pixels are at integers.
    moved = (faces.landmarks[rows].astype(np.float64) + 0.5) * ENLARGED - 0.5 + (left, top)
    table["landmarks"] = list(moved.reshape(len(rows), -1))
    table.to_parquet(folder / TABLE, index=False)
    return paths


def edit_photographs(paths: list[Path], checkpoint: Path, guide: Guide, device: str) -> np.ndarray:
    """Edit all but the last, by label or by the next photograph; return N x S x S x 3 uint8."""
    editor = Editor(checkpoint, device)
    reader = PortraitReader(editor.size, editor.framing, None, lambda _: None)
    edits = []
    for path, other in itertools.pairwise(paths):
        request = EditRequest(reference=other) if guide == "R" else EditRequest(target=TARGET)
        (target,) = edit_targets(request, type(editor.method), editor.name, reader)
        edits.append(editor.edit(reader.read(path), target))
    return np.stack(edits)
