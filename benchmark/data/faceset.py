"""The face set: pictures of one size, and the table that describes each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.core.files import save_array
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, LANDMARKS, SUBSET_CAMERAS, Subset

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "face_id",
    "identity",
    "group",
    "expression",
    "camera",
    "gaze",
    *ACTION_UNITS,
    "landmarks",
    "visible",
    "split",
)
PLACEMENT, ALIGNED = "placement", "aligned"
"""Optional column: the placement of a face that is not aligned. Without it, all faces are aligned."""
MEASURED_LANDMARKS = ("the table", "OpenFace", "dlib")
"""Sources of landmarks that were detected in the photograph itself."""
IMAGES, TABLE = "images.npy", "faces.parquet"


@dataclass(frozen=True)
class FaceSet:
    """Faces of a data set, prepared.

    images: N x S x S x 3 uint8 (read-only, mapped from disk). table: N rows with `COLUMNS`, and `PLACEMENT` where there
    is one, in the order of the images; landmarks are 136 numbers x0, y0, x1, ... in pixels (centres at integers), NaN
    where unknown.
    """

    images: np.ndarray
    table: pd.DataFrame

    def __post_init__(self) -> None:
        if len(self.images) != len(self.table):
            raise ValueError(f"{len(self.images)} images but {len(self.table)} rows")
        missing = set(COLUMNS) - set(self.table.columns)
        if missing:
            raise ValueError(f"the table lacks {', '.join(sorted(missing))}")

    @property
    def size(self) -> int:
        """Width and height of the pictures in pixels."""
        return int(self.images.shape[1])

    @property
    def labels(self) -> np.ndarray:
        """N int64, index into `EXPRESSIONS`."""
        return self.table["expression"].map({name: i for i, name in enumerate(EXPRESSIONS)}).to_numpy(np.int64)

    @property
    def placements(self) -> np.ndarray:
        """N names: "aligned", or what else the set says of its pictures."""
        if PLACEMENT not in self.table:
            return np.full(len(self.table), ALIGNED, object)
        return self.table[PLACEMENT].to_numpy(object)

    @property
    def units(self) -> np.ndarray:
        """N x 17 float32 in [0, 5]; NaN where the data set has none."""
        return self.table[list(ACTION_UNITS)].to_numpy(np.float32)

    @property
    def landmarks(self) -> np.ndarray:
        """N x 68 x 2 float32 in pixels; NaN where unknown."""
        return np.stack([np.asarray(row, np.float32) for row in self.table["landmarks"]]).reshape(-1, LANDMARKS, 2)

    @property
    def measured_units(self) -> np.ndarray:
        """N x 17 float32; NaN also where the values are not the picture's own (prototypes, means of others)."""
        return self._own(self.units, "units_by", ("measured",))

    @property
    def measured_landmarks(self) -> np.ndarray:
        """N x 68 x 2 float32; NaN also where they are not the picture's own (stand-ins)."""
        return self._own(self.landmarks, "landmarks_by", MEASURED_LANDMARKS)

    def _own(self, values: np.ndarray, column: str, names: Sequence[str]) -> np.ndarray:
        """Return the values; NaN where `column`, which only photographs have, names a source other than the picture."""
        if column not in self.table:
            return values
        own = self.table[column].isin(names).to_numpy()
        return np.where(own.reshape(-1, *[1] * (values.ndim - 1)), values, np.float32(np.nan))

    def landmarks_of(self, row: int) -> np.ndarray:
        """Return the landmarks of one face, 68 x 2 float32."""
        return np.asarray(self.table["landmarks"].iloc[row], np.float32).reshape(LANDMARKS, 2)

    def rows(self, subset: Subset, split: str, identities: Sequence[str] | None = None) -> np.ndarray:
        """Return the indices of the faces of a subset and a split ("train" or "test"), ascending.

        identities: restrict them to these.
        """
        chosen = self.table["camera"].isin(SUBSET_CAMERAS[subset]) & (self.table["split"] == split)
        if identities is not None:
            chosen &= self.table["identity"].isin(identities)
        return np.flatnonzero(chosen.to_numpy())

    def identities(self, split: str) -> list[str]:
        """Return the identities of a split, sorted."""
        return sorted(self.table.loc[self.table["split"] == split, "identity"].unique())

    def save(self, folder: Path) -> None:
        """Write `images.npy` and `faces.parquet` into an existing folder."""
        save_array(folder / IMAGES, self.images)
        self.table.to_parquet(folder / TABLE, index=False)

    @classmethod
    def load(cls, folder: Path) -> FaceSet:
        """Map a saved set."""
        import pandas as pd  # half a second, which a finished suite does without

        return cls(np.load(folder / IMAGES, mmap_mode="r"), pd.read_parquet(folder / TABLE))
