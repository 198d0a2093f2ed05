"""prepare: a data set -> FaceSet."""

from __future__ import annotations

from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.data.faceset import IMAGES, TABLE, FaceSet
from benchmark.data.source import DataSource
from benchmark.protocol import Subset
from benchmark.stages.base import Context, Made, Stage, Work


class Prepare(Stage):
    """All faces of a data set at one size, with their split."""

    kind = "faces"
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

    def run(self, context: Context, folder: Path) -> Made:
        """Decode, and say what there is."""
        with context.reporter.bar(self.name, self.source.count()) as bar:
            made = self.source.prepare(self.size, folder, context.machine.cores, bar.advance)
        faces = FaceSet.load(folder)
        table = faces.table
        facts = {
            "description": self.source.describe(),
            "pictures": len(table),
            "identities": {split: len(faces.identities(split)) for split in ("train", "test")},
            "test_identities": faces.identities("test"),
            "cameras": {
                f"{camera:03d}": int(count) for camera, count in table["camera"].value_counts().sort_index().items()
            },
            **made.facts,
        }
        return Made(made.files, facts)


def load_faces(folder: Path) -> FaceSet:
    """The face set of a finished prepare stage."""
    return FaceSet.load(folder)


def load_faces_for(subset: Subset, folder: Path) -> FaceSet:
    """The same, for long work on a subset. Raises UserError where its pictures cannot be edited in the end."""
    from benchmark.data.edit_lists import why_no_edits  # pandas, which a finished suite does without

    faces = load_faces(folder)
    why = why_no_edits(faces, subset)
    if why:
        raise UserError(f"{why}: python -m benchmark.prepare says what the data set has")
    return faces
