"""The rendered faces: the set that the repository holds, or a folder that `benchmark.render` has written."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from benchmark.data.faceset import COLUMNS, FaceSet
from benchmark.data.source import Advance, DataSource
from benchmark.data.split import SALT, draw_test_identities, listed_test_identities
from benchmark.errors import UserError
from benchmark.protocol import LANDMARKS

if TYPE_CHECKING:
    import pandas as pd

COMMITTED = Path(__file__).parent / "rendered" / "faces-64.parquet"
COMMITTED_SHA256 = COMMITTED.with_suffix(".sha256")
TEST_FRACTION = 0.25


class Rendered(DataSource):
    """`rendered` (40 identities, cameras 045, 090, 135, 64 px) or `rendered:DIR`."""

    name = "rendered"
    needs_folder = False
    knows = frozenset({"units", "landmarks"})

    def __init__(self, folder: Path | None, cache: Path, chosen: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, cache, chosen)
        self._table: pd.DataFrame | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the table, which holds all pictures: another process reads it when it needs it."""
        return {**vars(self), "_table": None}

    def files(self) -> list[Path]:
        """The one file of the committed set, or the table and every picture of the folder."""
        if self.folder is None:
            return [COMMITTED]
        if not (self.folder / "faces.parquet").exists():
            raise UserError(
                f"{self.folder} holds no finished rendered set (no faces.parquet); the benchmark.render command that "
                "began it goes on where it was"
            )
        return [self.folder / "faces.parquet", *sorted(self.folder.glob("*.png"))]

    def content_key(self) -> str:
        """The committed set's recorded SHA-256 (held against the file when it is loaded), or the folder's content
        hash.
        """
        if self.folder is not None:
            return super().content_key()
        if not COMMITTED.exists():
            raise UserError(f"the rendered set is missing ({COMMITTED}); check out the repository again")
        return COMMITTED_SHA256.read_text(encoding="ascii").split()[0]

    def count(self) -> int:
        """Pictures in the table."""
        return len(self._read())

    def split_settings(self) -> dict[str, Any]:
        """The repository's list for its own set; a folder's is drawn by rank."""
        listed = self._listed()
        return {"salt": SALT, "fraction": TEST_FRACTION} if listed is None else {"test": listed}

    def _listed(self) -> list[str] | None:
        return listed_test_identities(self.name) if self.folder is None else None

    def describe(self) -> str:
        """Count and origin."""
        table = self._read()
        where = "the repository's own set" if self.folder is None else "a set rendered with benchmark.render"
        return (
            f"{where}: {len(table)} pictures of {table['identity'].nunique()} identities, "
            "exact landmarks and action units"
        )

    def _read(self) -> pd.DataFrame:
        """The table, checked against its hash where it is the committed one."""
        import pandas as pd

        if self._table is None:
            path = COMMITTED if self.folder is None else self.folder / "faces.parquet"
            raw = path.read_bytes()
            if self.folder is None and hashlib.sha256(raw).hexdigest() != self.content_key():
                raise UserError(
                    f"the rendered set is damaged (its SHA-256 is not the recorded one): restore {path} from git"
                )
            try:
                self._table = pd.read_parquet(io.BytesIO(raw))
            except (OSError, ValueError) as error:
                raise UserError(f"{path} is damaged: {error}") from error
        return self._table

    def load(self, size: int, advance: Advance) -> FaceSet:
        """Decode; larger pictures are reduced by area, smaller ones refused."""
        import pandas as pd

        table = self._read()
        images = np.empty((len(table), size, size, 3), np.uint8)
        scale = 1.0
        for index in range(len(table)):
            face = table["face_id"].iloc[index]
            picture = self._picture(table, index)
            if picture.width < size or picture.width != picture.height:
                raise UserError(
                    f"{face} is {picture.width} x {picture.height} px, and the profile needs {size} px: "
                    f"render a set with python -m benchmark.render --size {size} --out DIR and pass --data rendered:DIR"
                )
            scale = size / picture.width
            images[index] = np.asarray(picture if scale == 1 else picture.resize((size, size), Image.Resampling.BOX))
            advance(1)
        # Pixel centres are at integers, so the corner of the picture lies at -0.5 whatever its size.
        landmarks = [
            np.asarray((np.asarray(row, np.float64) + 0.5) * scale - 0.5, np.float32) for row in table["landmarks"]
        ]
        if any(len(row) != 2 * LANDMARKS for row in landmarks):
            raise UserError(f"{self.files()[0]} is damaged: a picture has not {LANDMARKS} landmarks")
        listed = self._listed()
        groups = dict(zip(table["identity"], table["group"], strict=True))
        test = set(listed if listed is not None else draw_test_identities(groups, TEST_FRACTION))
        split = ["test" if name in test else "train" for name in table["identity"]]
        return FaceSet(images, table.assign(landmarks=pd.Series(landmarks, table.index), split=split)[list(COLUMNS)])

    def _picture(self, table: pd.DataFrame, index: int) -> Image.Image:
        face = table["face_id"].iloc[index]
        source = io.BytesIO(table["image"].iloc[index]) if self.folder is None else self.folder / f"{face}.png"
        try:
            with Image.open(source) as opened:
                return opened.convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(
                f"picture {face} cannot be read ({error}); the benchmark.render command renders it again"
            ) from error
