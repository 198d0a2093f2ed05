"""external: a folder of submitted pictures -> edits, as the synthesize stage writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.core.errors import UserError
from benchmark.core.files import create_array
from benchmark.data.edit_lists import EditList
from benchmark.data.photo import read_pixels
from benchmark.external.submission import SubmittedPictures, digest_of, pixels_digest
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.synthesize import EDITED, EDITS, EditFacts


class ExternalEdits(Stage[EditFacts]):
    """The submitted pictures of one subset; its key depends on their pixels, not on their folder or the row's name."""

    kind = "external"
    facts_type = EditFacts
    files = (EDITED, EDITS)

    def __init__(self, name: str, prepare: Prepare, edits: EditList, pictures: SubmittedPictures) -> None:
        self.faces, self.edits, self.size, self._pictures = prepare, edits, prepare.size, pictures
        settings = {"edits": edits.settings, "pictures": pictures.digest}
        plain = re.sub(r"[^\w .-]", "", name)  # progress bars parse brackets as markup
        super().__init__(f"external {plain} {edits.subset}", settings, {"faces": prepare})

    def work(self) -> Work:
        """Estimate from the number of pictures."""
        count = len(self._pictures.paths)
        return Work("external", count, count * self.size**2 * 3)

    def run(self, context: Context, folder: Path) -> StageResult[EditFacts]:
        """Decode the pictures into one array. Raises UserError if they changed since they were hashed."""
        edits = self.edits.make(load_faces(self.faces.folder(context)))
        if len(edits) != len(self._pictures.paths):
            raise _changed(self._pictures.paths)
        shape = (len(edits), self.size, self.size, 3)
        images = create_array(folder / EDITED, shape)
        digests = []
        with context.reporter.bar(self.name, len(edits)) as bar:
            for index, path in enumerate(self._pictures.paths):
                images[index] = _read_again(path, self.size)
                digests.append(pixels_digest(images[index].tobytes()))
                bar.advance(1)
        if digest_of(digests) != self._pictures.digest:
            raise _changed(self._pictures.paths)
        images.flush()
        del images
        edits.to_parquet(folder / EDITS, index=False)
        return StageResult(EditFacts(len(edits)))


def _read_again(path: Path, size: int) -> np.ndarray:
    try:
        return read_pixels(path, size)
    except (OSError, ValueError, SyntaxError) as error:
        raise _changed([path]) from error


def _changed(paths: Sequence[Path]) -> UserError:
    return UserError(f"pictures in {paths[0].parent} changed while they were read: leave them, and call again")
