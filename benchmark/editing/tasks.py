"""Edit files one after another; each output is written whole or not at all, and each failure has its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from benchmark.core.errors import UserError
from benchmark.data.framing import How
from benchmark.editing.editor import Editor
from benchmark.editing.file_pairs import FilePair, recipe_of, write_png
from benchmark.editing.guides import EditTarget
from benchmark.editing.portraits import Portrait, PortraitReader
from benchmark.report.strip import draw_strip
from benchmark.stages.train import code_setting

State = Literal["made", "there", "other", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The result for one source. state: made; there (exists, left alone); other (exists, left alone, made by another
    recipe or program); failed, for `reason`. box: left, top, right, bottom of the square cut out of the upright
    picture.
    """

    source: str
    out: str
    state: State
    box: tuple[float, float, float, float] | None = None
    framed: How | None = None
    reason: str = ""


@dataclass(frozen=True)
class EditTask:
    """The work on every source: an edit to one target, or to all of them as a strip."""

    editor: Editor
    reader: PortraitReader
    targets: Sequence[EditTarget]
    overwrite: bool
    strip: bool

    def recipe(self) -> dict[str, Any]:
        """Return what decides the output beside the source."""
        editor = self.editor
        edits = self.targets[0].recipe() if not self.strip else {"strip": [target.recipe() for target in self.targets]}
        method = {"method": editor.name, "version": editor.method.version, **code_setting(editor.name)}
        return {**method, "checkpoint": editor.identity[:16], **edits}

    def run(self, pairs: Sequence[FilePair], check_sources: bool) -> Iterator[Outcome]:
        """Edit every pair. check_sources: compare the source, too, with the recipe of an existing output; else a source
        whose output exists is not read.
        """
        for pair in pairs:
            source, out = str(pair.source), str(pair.out)
            try:
                if pair.fault:
                    raise UserError(pair.fault)
                portrait = self.reader.read(pair.source, pair.name) if check_sources or self._is_wanted(pair) else None
                recipe = {**self.recipe(), **({"source": portrait.hash} if portrait else {})}
                if portrait is None or not self._is_wanted(pair):
                    existing = recipe_of(pair.out)
                    same = isinstance(existing, dict) and recipe.items() <= existing.items()
                    yield Outcome(source, out, "there" if same else "other")
                    continue
                write_png(self._draw(portrait), pair.out, recipe)
                yield Outcome(source, out, "made", portrait.framed.square.box(), portrait.framed.how)
            except UserError as error:
                yield Outcome(source, out, "failed", reason=str(error))

    def _is_wanted(self, pair: FilePair) -> bool:
        return self.overwrite or not pair.out.exists()

    def _draw(self, portrait: Portrait) -> Image.Image:
        """Draw the edit, or the strip of all."""
        edits = [self.editor.edit(portrait, target) for target in self.targets]
        if self.strip:
            return draw_strip(portrait.image, edits, [target.name for target in self.targets]).image
        return Image.fromarray(edits[0])


def encodable(path: Path | str) -> str:
    """Replace every byte of a path that is not UTF-8 by a question mark."""
    return str(path).encode("utf-8", "replace").decode()
