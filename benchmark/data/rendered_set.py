"""Data source of rendered faces: the committed sets, or a folder written by `benchmark.render`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.core.hashes import recorded_sha256
from benchmark.data.face_table import NEEDED, read_face_table
from benchmark.data.faceset import ALIGNED, COLUMNS, PLACEMENT, FaceSet
from benchmark.data.layouts import layout_of
from benchmark.data.photo import read_upright
from benchmark.data.source import Advance, DataSource, NotThisDataSetError
from benchmark.data.split import SALT, draw_test_identities, listed_test_identities
from benchmark.rendering.placement import PLACEMENTS

if TYPE_CHECKING:
    import pandas as pd

COMMITTED = Path(__file__).parent / "rendered" / "faces-64.parquet"
NON_ALIGNED = COMMITTED.with_name("nonaligned-64.parquet")
TEST_FRACTION = 0.25
RESTORE = "restore it from git"
AGAIN = "the benchmark.render command that made the set makes it again"
RENDER = "render a set that has both with python -m benchmark.render --placements all --out DIR"


class Rendered(DataSource):
    """Aligned rendered faces: `rendered`, the committed set (80 identities, 64 px), or `rendered:DIR`, a folder's."""

    name = "rendered"
    needs_folder = False
    knows = frozenset({"units", "landmarks"})

    def __init__(self, folder: Path | None, cache: Path, chosen: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, cache, chosen)
        self._table: pd.DataFrame | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the table, which holds all pictures: another process reads it again."""
        return {**vars(self), "_table": None}

    @property
    def _committed(self) -> Path:
        return COMMITTED

    @classmethod
    def title_of(cls, folder: Path) -> str:
        """Return the set's title if the folder has its table, else an empty string."""
        return "a rendered set" if (folder / "faces.parquet").exists() else ""

    def uncropped(self) -> DataSource:
        """Return the source of the committed non-aligned set, or of the folder's non-aligned pictures."""
        if self.folder is not None and not any(
            placement_of(path.stem) != ALIGNED for path in self.folder.glob("*.png")
        ):
            raise UserError(f"{self.folder} has no non-aligned pictures: {RENDER}")
        return NonAligned(self.folder, self.cache, self.chosen)

    def _takes(self, placement: str) -> bool:
        return placement == ALIGNED

    def files(self) -> list[Path]:
        """Return the committed set's file, or the folder's table and pictures. Raises UserError."""
        if self.folder is None:
            return [self._committed]
        if not (self.folder / "faces.parquet").exists():
            from benchmark.rendering.output import SETTINGS_FILE

            layout = layout_of(self.folder)
            if (self.folder / SETTINGS_FILE).exists():
                layout = (
                    "no finished rendered set (no faces.parquet): run the command that began it again, and it continues"
                )
            holds = layout or "no rendered set (no faces.parquet): python -m benchmark.render makes one"
            raise NotThisDataSetError(f"{self.folder} holds {holds}", f"{self.folder} is no rendered set: it holds")
        pictures = sorted(self.folder.glob("*.png"))
        taken = [path for path in pictures if self._takes(placement_of(path.stem))]
        if pictures and not taken:
            raise UserError(
                f"{self.folder} has no aligned pictures, and those are what models are trained on: {RENDER}"
            )
        return [self.folder / "faces.parquet", *taken]

    def content_key(self) -> str:
        """Return the committed set's recorded SHA-256, which loading checks, or the folder's content hash."""
        if self.folder is not None:
            return super().content_key()
        if not self._committed.exists():
            raise UserError(f"the rendered set is missing ({self._committed}); check out the repository again")
        return recorded_sha256(self._committed) or ""

    def count(self) -> int:
        """Return the number of pictures."""
        return len(self._read())

    def split_settings(self) -> dict[str, Any]:
        """Return the listed test identities of the committed set; how a folder's are drawn."""
        listed = self._listed()
        return {"salt": SALT, "fraction": TEST_FRACTION} if listed is None else {"test": listed}

    def _listed(self) -> list[str] | None:
        return listed_test_identities(Rendered.name) if self.folder is None else None

    def describe(self) -> str:
        """Describe the set in one line."""
        table = self._read()
        where = "the repository's own set" if self.folder is None else "a set rendered with benchmark.render"
        return (
            f"{where}: {len(table)} pictures of {table['identity'].nunique()} identities{self._placed()}, "
            "exact landmarks and action units"
        )

    def _placed(self) -> str:
        return ""

    def _read(self) -> pd.DataFrame:
        """Return the table's rows of this source's placements."""
        table = self._whole()
        if PLACEMENT not in table:
            return table if self._takes(ALIGNED) else table[:0]
        return table[table[PLACEMENT].map(self._takes)].reset_index(drop=True)

    def _whole(self) -> pd.DataFrame:
        """Read the table and check it against the hash recorded beside it. Raises UserError."""
        if self._table is None:
            path = self._committed if self.folder is None else self.folder / "faces.parquet"
            try:
                self._table = read_face_table(path, NEEDED, optional=(PLACEMENT, "image"))
            except OSError as error:
                raise UserError(f"{path} cannot be read ({error.strerror})") from error
            except ValueError as error:
                raise UserError(f"{path} is damaged: {error}; {AGAIN if self.folder else RESTORE}") from error
        return self._table

    def load(self, size: int, advance: Advance) -> FaceSet:
        """Decode the pictures and reduce larger ones by area. Raises UserError for smaller or damaged ones."""
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
        listed, whole = self._listed(), self._whole()  # a person is on one side, aligned or not
        groups = dict(zip(whole["identity"], whole["group"], strict=True))
        test = set(listed if listed is not None else draw_test_identities(groups, TEST_FRACTION))
        split = ["test" if name in test else "train" for name in table["identity"]]
        columns = [*COLUMNS, *([] if self._takes(ALIGNED) else [PLACEMENT])]
        return FaceSet(images, table.assign(landmarks=pd.Series(landmarks, table.index), split=split)[columns])

    def _picture(self, table: pd.DataFrame, index: int) -> Image.Image:
        face = table["face_id"].iloc[index]
        source = bytes(table["image"].iloc[index]) if self.folder is None else self.folder / f"{face}.png"
        try:
            return read_upright(source)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UserError(
                f"picture {face} cannot be read ({reason}); the benchmark.render command renders it again"
            ) from error


class NonAligned(Rendered):
    """Non-aligned rendered faces: off the middle, tilted, far away."""

    name = "rendered-nonaligned"

    def __init__(self, folder: Path | None, cache: Path, chosen: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, cache, chosen)
        self.test_share = 1.0 if folder is None else Rendered.test_share

    @property
    def _committed(self) -> Path:
        return NON_ALIGNED

    def _takes(self, placement: str) -> bool:
        return placement != ALIGNED

    def _placed(self) -> str:
        placements = [name for name in PLACEMENTS if name in set(self._read()[PLACEMENT])]
        return f", not aligned ({', '.join(placements)})"


def placement_of(face_id: str) -> str:
    """Return the placement in a picture's name, as `003_happy_090_frontal_off` has it."""
    last = face_id.rpartition("_")[2]
    return last if last in PLACEMENTS else ALIGNED
