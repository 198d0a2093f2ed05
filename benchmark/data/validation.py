"""The train identities of a data set, split anew: some to train on, some to validate on; no test identities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core.errors import UserError
from benchmark.data.faceset import FaceSet
from benchmark.data.source import Advance, DataSource, Prepared
from benchmark.data.split import draw_test_identities

FRACTION = 0.25
"""Of the train identities."""


class Validation(DataSource):
    """A data set without its test identities. In its face set, "test" are the identities to validate on."""

    def __init__(self, source: DataSource) -> None:
        self.source = source
        self.folder, self.cache, self.chosen = source.folder, source.cache, source.chosen
        self.name, self.version, self.knows = source.name, source.version, source.knows  # type: ignore[misc]
        self.licensed, self.stand_ins = source.licensed, source.stand_ins  # type: ignore[misc]
        self.test_share = source.test_share

    def files(self) -> list[Path]:
        """Return the files of the data set."""
        return self.source.files()

    def count(self) -> int:
        """Return the number of pictures of the data set: all are read."""
        return self.source.count()

    def content_key(self) -> str:
        """That of the data set."""
        return self.source.content_key()

    def split_settings(self) -> dict[str, Any]:
        """Return how test identities are drawn, and validation identities from the rest."""
        return {"without_test_of": self.source.split_settings(), "fraction": FRACTION}

    def describe(self) -> str:
        """Return the description of the data set, without its test identities."""
        return f"validation: {self.source.describe()}; its test identities are left out"

    def check(self) -> None:
        """That of the data set."""
        self.source.check()

    def load(self, size: int, advance: Advance) -> FaceSet:
        """Return the faces of the train identities."""
        return without_test_identities(self.source.load(size, advance))

    def prepare(self, size: int, folder: Path, workers: int, advance: Advance) -> Prepared:
        """Prepare the data set, then remove its test identities."""
        prepared = self.source.prepare(size, folder, workers, advance)
        faces = FaceSet.load(folder)
        kept = without_test_identities(FaceSet(np.array(faces.images), faces.table))
        del faces
        kept.save(folder)
        facts: Mapping[str, Any] = prepared.facts
        return Prepared(prepared.files, facts)


def without_test_identities(faces: FaceSet) -> FaceSet:
    """Return the faces of the train identities, of whom a share is now "test". Raises UserError for too few."""
    kept = np.flatnonzero((faces.table["split"] == "train").to_numpy())
    table = faces.table.iloc[kept].reset_index(drop=True)
    groups = {str(name): str(group) for name, group in zip(table["identity"], table["group"], strict=True)}
    try:
        validated = draw_test_identities(groups, FRACTION)
    except UserError as error:
        raise UserError(f"no identities to validate on: {error}") from error
    split = np.where(table["identity"].isin(validated), "test", "train")
    return FaceSet(faces.images[kept], table.assign(split=split))
