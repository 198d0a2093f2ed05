"""Editing files: one after another, each whole or not at all, and a word on each that failed."""

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
    """What became of one source. state: made; there, and left alone; other: there, left alone, and made otherwise or by
    another program; failed, for `reason`. box: left, top, right, bottom of what was cut out of the upright picture.
    """

    source: str
    out: str
    state: State
    box: tuple[float, float, float, float] | None = None
    framed: How | None = None
    reason: str = ""


@dataclass(frozen=True)
class Task:
    """One editor, one target or a strip of all (`names`: what stands under its pictures), one way to read pictures."""

    editor: Editor
    reader: PortraitReader
    targets: Sequence[EditTarget]
    overwrite: bool
    strip: bool

    def recipe(self) -> dict[str, Any]:
        """All that decides what is made of a source."""
        editor = self.editor
        made = self.targets[0].recipe() if not self.strip else {"strip": [target.recipe() for target in self.targets]}
        method = {"method": editor.name, "version": editor.method.version, **code_setting(editor.name)}
        return {**method, "checkpoint": editor.identity[:16], **made}

    def run(self, pairs: Sequence[FilePair], check_sources: bool) -> Iterator[Outcome]:
        """Every pair's outcome. `check_sources`: hold the source, too, against what an existing output was made of (an
        existing output is then not left alone without its source having been read).
        """
        for pair in pairs:
            source, out = str(pair.source), str(pair.out)
            try:
                if pair.fault:
                    raise UserError(pair.fault)
                portrait = self.reader.read(pair.source, pair.name) if check_sources or self._wanted(pair) else None
                recipe = {**self.recipe(), **({"source": portrait.hash} if portrait else {})}
                if portrait is None or not self._wanted(pair):
                    found = recipe_of(pair.out)
                    same = isinstance(found, dict) and recipe.items() <= found.items()
                    yield Outcome(source, out, "there" if same else "other")
                    continue
                write_png(self._drawn(portrait), pair.out, recipe)
                yield Outcome(source, out, "made", portrait.framed.square.box(), portrait.framed.how)
            except UserError as error:
                yield Outcome(source, out, "failed", reason=str(error))

    def _wanted(self, pair: FilePair) -> bool:
        return self.overwrite or not pair.out.exists()

    def _drawn(self, portrait: Portrait) -> Image.Image:
        """The edit, or the strip."""
        edits = [self.editor.edit(portrait, target) for target in self.targets]
        if self.strip:
            return draw_strip(portrait.image, edits, [target.name for target in self.targets]).image
        return Image.fromarray(edits[0])


def shown(path: Path | str) -> str:
    """A path for people, whatever bytes are in it."""
    return str(path).encode("utf-8", "replace").decode()
