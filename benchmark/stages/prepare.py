"""prepare: a data set -> FaceSet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from benchmark.core.errors import UserError
from benchmark.core.models import STRICT
from benchmark.data.faceset import IMAGES, TABLE, FaceSet
from benchmark.data.source import DataSource
from benchmark.protocol import Subset
from benchmark.stages.base import Context, Stage, StageResult, Work


@dataclass(frozen=True, config=STRICT)
class FaceFacts:
    """What a prepared data set holds. The fields that are None are known of photographs alone."""

    description: str
    """One line of what the pictures are."""
    pictures: int
    identities: Mapping[Literal["train", "test"], int]
    test_identities: list[str]
    cameras: Mapping[str, int]
    """Pictures by RaFD's code."""
    notes: list[str] = field(default_factory=list)
    """Sentences that a report repeats."""
    aside: Mapping[str, int] | None = None
    """Files that were set aside, by reason."""
    left_out: Mapping[str, int] | None = None
    others: int | None = None
    landmarks_by: Mapping[str, int] | None = None
    units_by: Mapping[str, int] | None = None
    turned: int | None = None
    useless: list[str] | None = None
    detector: Mapping[str, str] | None = None


class Prepare(Stage[FaceFacts]):
    """All faces of a data set at one size, with their split."""

    kind = "faces"
    facts_type = FaceFacts
    files = (IMAGES, TABLE)

    def __init__(self, source: DataSource, size: int) -> None:
        self.source, self.size = source, size
        settings = {
            "source": source.name,
            "source_version": source.version,
            "content": source.content_key(),
            "split": source.split_settings(),
            "size": size,
        }
        super().__init__(f"prepare {source.name} {size} px", settings, {})

    def work(self) -> Work:
        """Pictures to decode; what is set aside leaves a second copy of the rest for a moment."""
        count = self.source.count()
        return Work(f"prepare {self.source.name}", count, count * self.size**2 * 3 * (2 if self.source.licensed else 1))

    def test_pictures(self, subset: Subset) -> float:
        """Estimate the number of test pictures in a subset."""
        return self.source.count() * self.source.test_share * (1 if subset == "F&P" else 0.32)

    def run(self, context: Context, folder: Path) -> StageResult[FaceFacts]:
        """Decode the pictures and count them."""
        with context.reporter.bar(self.name, self.source.count()) as bar:
            prepared = self.source.prepare(self.size, folder, context.machine.cores, bar.advance)
        faces = FaceSet.load(folder)
        table = faces.table
        cameras = table["camera"].value_counts().sort_index()
        facts = FaceFacts(
            description=self.source.describe(),
            pictures=len(table),
            identities={"train": len(faces.identities("train")), "test": len(faces.identities("test"))},
            test_identities=faces.identities("test"),
            cameras={f"{camera:03d}": int(count) for camera, count in cameras.items()},
            **prepared.facts,
        )
        return StageResult(facts, prepared.files)


def load_faces(folder: Path) -> FaceSet:
    """Return the face set of a finished prepare stage."""
    return FaceSet.load(folder)


def load_faces_for(subset: Subset, folder: Path) -> FaceSet:
    """Return the face set for long work on a subset. Raises UserError where its pictures cannot be edited."""
    from benchmark.data.edit_lists import why_no_edits  # pandas, which a finished suite does without

    faces = load_faces(folder)
    why = why_no_edits(faces, subset)
    if why:
        raise UserError(f"{why}: python -m benchmark.prepare says what the data set has")
    return faces
