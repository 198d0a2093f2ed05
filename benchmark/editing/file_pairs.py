"""Which files are edited into which, and pictures that are written whole or not at all."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmark.core.errors import UserError
from benchmark.data.picture_folder import EXTENSIONS

KINDS = EXTENSIONS | {".avif", ".gif", ".jfif", ".jp2", ".tga"}
"""Files of a folder that are taken for pictures."""
NO_PICTURES = frozenset({".csv", ".json", ".parquet", ".txt", ".sha256"})
"""Files beside pictures that nobody takes for one."""
RECIPE = "fesbench"
"""The text of a PNG that says what it was made with."""


@dataclass(frozen=True)
class FilePair:
    """One picture to edit. name: its path below the folder that was asked for; fault: why it cannot be begun."""

    source: Path
    out: Path
    name: Path
    fault: str = ""


@dataclass(frozen=True)
class FilePairs:
    """All of a call. left_out: names of files that were not taken for pictures."""

    pairs: tuple[FilePair, ...]
    left_out: tuple[str, ...] = ()
    folder: bool = False


def find_pairs(source: Path, out: Path, inputs: Mapping[str, Path]) -> FilePairs:
    """The pairs for --source and --out: a file and a file, or a folder (with those in it) and a folder.

    `inputs` are other files that are read, by option. Raises UserError where nothing can be begun.
    """
    try:
        found = _of_folder(source, out) if source.is_dir() else _of_file(source, out)
    except OSError as error:
        raise UserError(f"--source {source} cannot be read ({error.strerror or error})") from error
    read = {pair.source.resolve(): "--source" for pair in found.pairs}
    read |= {path.resolve(): option for option, path in inputs.items()}
    for pair in found.pairs:
        if pair.out.resolve() in read:
            raise UserError(f"--out would overwrite {pair.out}, which {read[pair.out.resolve()]} reads: choose another")
    return found


def _of_file(source: Path, out: Path) -> FilePairs:
    if not source.is_file():
        raise UserError(f"--source {source} is {'neither a file nor a folder' if source.exists() else 'missing'}")
    if out.is_dir():
        raise UserError(
            f"--out {out} is a folder and --source a file: name the picture, {out / (source.stem + '.png')}"
        )
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: edits are written as PNG, so name it {out.with_suffix('.png')}")
    return FilePairs((FilePair(source, out, Path(source.name)),))


def _of_folder(source: Path, out: Path) -> FilePairs:
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file and --source a folder: name a folder")
    if out.suffix.lower() in KINDS and not out.exists():
        raise UserError(f"--out {out} has a picture's name and --source {source} is a folder: name a folder")
    if out.resolve() == source.resolve() or source.resolve() in out.resolve().parents:
        raise UserError(f"--out {out} is in --source {source}, whose pictures the next call would edit: choose another")
    files = sorted(path for path in _walk(source))
    names = [path.relative_to(source) for path in files if path.suffix.lower() in KINDS]
    left_out = [str(path.relative_to(source)) for path in files if path.suffix.lower() not in KINDS | NO_PICTURES]
    if not names:
        raise UserError(f"--source {source} has no pictures ({', '.join(sorted(KINDS))})")
    count = Counter(name.with_suffix(".png") for name in names)
    pairs = []
    for name in names:
        made = name.with_suffix(".png")
        fault = f"{count[made]} sources would be written to {made}: rename all but one" if count[made] > 1 else ""
        pairs.append(FilePair(source / name, out / made, name, fault))
    return FilePairs(tuple(pairs), tuple(left_out), folder=True)


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder but hidden ones."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place) / name for name in files if not name.startswith("."))


def write_png(image: Image.Image, path: Path, recipe: Mapping[str, Any]) -> None:
    """Write a PNG with its recipe, whole or not at all. Raises UserError where it cannot be written."""
    text = PngInfo()
    text.add_text(RECIPE, json.dumps(recipe, sort_keys=True))
    partial = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            image.save(partial, "PNG", pnginfo=text, optimize=True)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error})") from error


def recipe_of(path: Path) -> Any:
    """What a PNG says it was made with; None where it says nothing or is none."""
    try:
        with Image.open(path) as opened:
            return json.loads(opened.info[RECIPE])
    except Exception:  # decoders raise nearly anything on files that are not theirs
        return None
