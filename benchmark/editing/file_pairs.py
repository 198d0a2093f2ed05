"""Pairs of source and output files, and PNG files that are written whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmark.core.errors import UserError
from benchmark.core.files import fault_of, read_regular
from benchmark.data.photo import MOST_BYTES
from benchmark.data.picture_files import PICTURE_SUFFIXES, FolderWalk, is_picture

NO_PICTURES = frozenset({".csv", ".json", ".parquet", ".txt", ".sha256"})
"""Files beside pictures that are not reported as left out."""
RECIPE = "fesbench"
"""Key of the PNG text that has the recipe of the picture."""


@dataclass(frozen=True)
class FilePair:
    """One picture to edit. name: its path below --source; fault: why it cannot be edited, or ""."""

    source: Path
    out: Path
    name: Path
    fault: str = ""


@dataclass(frozen=True)
class FilePairs:
    """The pairs of a call. others: names of files that are no pictures; left_out: number of files left out, by reason.
    folder: whether --source is one.
    """

    pairs: tuple[FilePair, ...]
    others: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    folder: bool = False


def find_pairs(source: Path, out: Path, inputs: Mapping[str, Path]) -> FilePairs:
    """Return the pairs for --source and --out: two files, or two folders with their subfolders.

    inputs: other files that are read, by option. Raises UserError for paths that do not fit together or cannot be read.
    """
    try:
        pairs = _of_folder(source, out) if source.is_dir() else _of_file(source, out)
    except OSError as error:
        option = f"--out {out}" if error.filename and Path(error.filename) == out else f"--source {source}"
        raise UserError(f"{option} cannot be read ({error.strerror or error})") from error
    read = {os.path.realpath(pair.source): "--source" for pair in pairs.pairs}
    read |= {os.path.realpath(path): option for option, path in inputs.items()}
    for pair in pairs.pairs:
        if reader := read.get(os.path.realpath(pair.out)):
            raise UserError(f"--out would overwrite {pair.out}, which {reader} reads: choose another")
    return pairs


def _of_file(source: Path, out: Path) -> FilePairs:
    if fault := fault_of(source):
        raise UserError(f"--source {source} {fault}")
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
    if is_picture(out) and not out.exists():
        raise UserError(f"--out {out} has a picture's name and --source {source} is a folder: name a folder")
    inside, folder = Path(os.path.realpath(out)), Path(os.path.realpath(source))
    if inside == folder or folder in inside.parents:
        raise UserError(f"--out {out} is in --source {source}, whose pictures the next call would edit: choose another")
    walk = FolderWalk(source)
    files = sorted(path.relative_to(source) for path in walk)
    names = [name for name in files if is_picture(name)]
    others = [str(name) for name in files if not is_picture(name) and name.suffix.lower() not in NO_PICTURES]
    left_out = walk.left_out()
    if not names:
        counts = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        detail = f"; left out: {counts}" if counts else f" ({', '.join(sorted(PICTURE_SUFFIXES))})"
        raise UserError(f"--source {source} has no pictures{detail}")
    count = Counter(name.with_suffix(".png") for name in names)
    pairs = []
    for name in names:
        output = name.with_suffix(".png")
        fault = f"{count[output]} sources would be written to {output}: rename all but one" if count[output] > 1 else ""
        pairs.append(FilePair(source / name, out / output, name, fault))
    return FilePairs(tuple(pairs), tuple(others), left_out, folder=True)


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
    """Return the recipe in a PNG; None where it has none or is no PNG."""
    try:
        with Image.open(io.BytesIO(read_regular(path, MOST_BYTES)), formats=("PNG",)) as opened:
            return json.loads(opened.info[RECIPE])
    except Exception:  # decoders raise nearly anything on files that are not theirs
        return None
