"""corner: a list of edits answered without a method, by the source as it is or by the true picture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from benchmark.core.files import create_array
from benchmark.data.edit_lists import EditList
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.synthesize import EDITED, EDITS, EditFacts

Answer = Literal["source", "truth"]
CORNERS: dict[Answer, str] = {"source": "source left as it is", "truth": "true picture"}
"""What answers an edit where no method does, and the label of the row."""


class Corner(Stage[EditFacts]):
    """Sources or true pictures in place of edits; edits without a true picture are left out of the latter."""

    kind = "corner"
    facts_type = EditFacts
    files = (EDITED, EDITS)

    def __init__(self, prepare: Prepare, edits: EditList, answer: Answer) -> None:
        self.faces, self.edits, self.answer = prepare, edits, answer
        settings = {"edits": edits.settings, "answer": answer}
        super().__init__(f"corner {answer} {edits.subset}", settings, {"faces": prepare})

    def work(self) -> Work:
        """Count the edits; most pictures are real ones, whose features are known."""
        count = self.faces.test_pictures(self.edits.subset) * (self.edits.targets_per_source or 7)
        return Work("corner", count, int(count * self.faces.size**2 * 3))

    def run(self, context: Context, folder: Path) -> StageResult[EditFacts]:
        """Copy the pictures."""
        faces = load_faces(self.faces.folder(context))
        edits = self.edits.make(faces)
        edits = edits[edits[self.answer] >= 0].reset_index(drop=True)
        images = create_array(folder / EDITED, (len(edits), faces.size, faces.size, 3))
        for index, row in enumerate(edits[self.answer]):
            images[index] = faces.images[row]
        images.flush()
        edits.to_parquet(folder / EDITS, index=False)
        return StageResult(EditFacts(len(edits)))
