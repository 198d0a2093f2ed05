"""A folder of pictures held against the list that asked for them: what is missing, wrong, and not asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.data.photo import read_pixels
from benchmark.data.picture_folder import READERS, BrokenFile
from benchmark.protocol import Subset


@dataclass(frozen=True)
class Pictures:
    """All edits of one subset, in the order of its list. digest: SHA-256 over their pixels."""

    paths: tuple[Path, ...]
    digest: str


@dataclass(frozen=True)
class Answer:
    """What a folder has for a list. A subset of which it has no file at all is `absent`, and nothing of it missing."""

    subsets: Mapping[Subset, Pictures]
    """Those that are complete."""
    absent: tuple[Subset, ...]
    missing: tuple[str, ...]
    wrong: tuple[BrokenFile, ...]
    """Files that are there and can't be taken."""
    extra: tuple[str, ...]


def find_answer(folder: Path, expected: Mapping[Subset, Sequence[str]]) -> Mapping[Subset, Sequence[str]]:
    """The subsets of which the folder has at least one file. Raises UserError where it has none, or can't be read."""
    if not folder.is_dir():
        raise UserError(f"--results {folder} is {'not a folder' if folder.exists() else 'missing'}")
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise UserError(f"--results {folder} cannot be read ({error.strerror})") from error
    found = {subset: names for subset, names in expected.items() if not present.isdisjoint(names)}
    if not found:
        total = sum(map(len, expected.values()))
        example = next(iter(expected.values()))[0]
        raise UserError(f"--results {folder} has none of the {total:,} pictures that are asked for ({example}, ...)")
    return found


def examine_answer(
    folder: Path, expected: Mapping[Subset, Sequence[str]], size: int, progress: Callable[[int], None]
) -> Answer:
    """Read every picture once. `progress` is called with how many are done. Raises UserError as `find_answer`."""
    asked = find_answer(folder, expected)
    present = {path.name for path in folder.iterdir()}
    subsets: dict[Subset, Pictures] = {}
    missing: list[str] = []
    wrong: list[BrokenFile] = []
    done = 0
    for subset, names in asked.items():
        there = [folder / name for name in names if name in present]
        lacking = [_missing(name, present) for name in names if name not in present]
        outcomes = []
        with ThreadPoolExecutor(READERS) as pool:
            for outcome in pool.map(lambda path: _digest_or_reason(path, size), there):
                outcomes.append(outcome)
                done += 1
                progress(done)
        bad = [outcome for outcome in outcomes if isinstance(outcome, BrokenFile)]
        missing += lacking
        wrong += bad
        if not lacking and not bad:
            subsets[subset] = Pictures(tuple(there), digest_of([str(outcome) for outcome in outcomes]))
    known = {name for names in expected.values() for name in names}
    extra = sorted(name for name in present - known if not name.startswith("."))
    absent = tuple(subset for subset in expected if subset not in asked)
    return Answer(subsets, absent, tuple(missing), tuple(wrong), tuple(extra))


def digest_of(digests: Sequence[str]) -> str:
    """One SHA-256 of those of all pictures, in order."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _digest_or_reason(path: Path, size: int) -> str | BrokenFile:
    if not path.is_file():
        return BrokenFile(path, "is no file")
    try:
        pixels = read_pixels(path, size)
    except Exception as error:  # decoders raise nearly anything on damaged files, and each is an answer here
        reason = " ".join(str(error).split()).replace(str(path), path.name) or type(error).__name__
        return BrokenFile(path, reason if isinstance(error, ValueError) else f"cannot be read ({reason})")
    return pixels_digest(pixels.tobytes())


def pixels_digest(pixels: bytes) -> str:
    """SHA-256 of one picture's pixels."""
    return hashlib.sha256(pixels).hexdigest()


def _missing(name: str, present: set[str]) -> str:
    """The name, and what stands in its place where a file differs in its ending or its case alone."""
    stem = name.removesuffix(".png")
    near = sorted(other for other in present if other.rpartition(".")[0].lower() == stem)
    return f"{name} ({near[0]} is there: the name must be exact, and the format PNG)" if near else name
