"""CSV files as OpenFace writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.protocol import ACTION_UNITS

IMAGE_COLUMNS = (
    "face", " confidence", " gaze_0_x", " gaze_angle_x", " eye_lmk_x_0", " eye_lmk_X_0", " pose_Tx",
    *(f" {axis}_{point}" for axis in "xyXYZ" for point in range(68)), " p_scale", " p_0",
    *(f" {unit}" for unit in ACTION_UNITS), *(f" {unit[:4]}_c" for unit in (*ACTION_UNITS, "AU28_r")),
)  # fmt: skip
"""FaceLandmarkImg's, with decoys whose names are nearly those that are wanted."""


def row(landmarks: np.ndarray, units: Sequence[float], **others: float) -> dict[str, float]:
    """The cells of one face; columns not given are -7."""
    cells = {f"{axis}_{point}": landmarks[point, index] for index, axis in enumerate("xy") for point in range(68)}
    return {**cells, **dict(zip(ACTION_UNITS, units, strict=True)), **others}


def write(
    path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str] = IMAGE_COLUMNS, separator: str = ", "
) -> Path:
    """A file with these columns and rows."""
    lines = [",".join(columns)]
    lines += [separator.join(str(cells.get(name.strip(), -7)) for name in columns) for cells in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
