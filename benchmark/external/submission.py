"""Compare a folder of submitted pictures with the list of edits: missing, unusable and surplus files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UserError, one_line
from benchmark.core.files import folder_fault_of
from benchmark.data.photo import read_pixels
from benchmark.data.picture_folder import READERS, BrokenFile
from benchmark.protocol import Subset


@dataclass(frozen=True)
class SubmittedPictures:
    """All pictures of one subset, in the order of its list. digest: SHA-256 over their pixels."""

    paths: tuple[Path, ...]
    digest: str


@dataclass(frozen=True)
class Submission:
    """The content of a folder compared with the list. Files of `absent` subsets do not count as `missing`."""

    complete: Mapping[Subset, SubmittedPictures]
    absent: tuple[Subset, ...]
    """Subsets without a file."""
    missing: tuple[str, ...]
    """Names of files."""
    unusable: tuple[BrokenFile, ...]
    """Files of another format, size or kind, and damaged ones."""
    surplus: tuple[str, ...]
    """Names of files that are not in the list."""


def find_submitted(folder: Path, expected: Mapping[Subset, Sequence[str]]) -> Mapping[Subset, Sequence[str]]:
    """Return the file names of each subset with a file in the folder. Raises UserError if there is no such file."""
    if fault := folder_fault_of(folder):
        raise UserError(f"--results {folder} {fault}")
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise UserError(f"--results {folder} cannot be read ({error.strerror})") from error
    submitted = {subset: names for subset, names in expected.items() if not present.isdisjoint(names)}
    if not submitted:
        total = sum(map(len, expected.values()))
        example = next(iter(expected.values()))[0]
        raise UserError(f"--results {folder} has none of the {total:,} pictures that are asked for ({example}, ...)")
    return submitted


def examine_submission(
    folder: Path, expected: Mapping[Subset, Sequence[str]], size: int, progress: Callable[[int], None]
) -> Submission:
    """Read each picture once. progress: called with the number read so far. Raises UserError as `find_submitted`."""
    submitted = find_submitted(folder, expected)
    present = {path.name for path in folder.iterdir()}
    complete: dict[Subset, SubmittedPictures] = {}
    missing: list[str] = []
    unusable: list[BrokenFile] = []
    done = 0
    for subset, names in submitted.items():
        paths = [folder / name for name in names if name in present]
        lacking = [_missing(name, present) for name in names if name not in present]
        outcomes = []
        with ThreadPoolExecutor(READERS) as pool:
            for outcome in pool.map(lambda path: _digest_or_reason(path, size), paths):
                outcomes.append(outcome)
                done += 1
                progress(done)
        bad = [outcome for outcome in outcomes if isinstance(outcome, BrokenFile)]
        missing += lacking
        unusable += bad
        if not lacking and not bad:
            complete[subset] = SubmittedPictures(tuple(paths), digest_of([str(outcome) for outcome in outcomes]))
    known = {name for names in expected.values() for name in names}
    surplus = sorted(name for name in present - known if not name.startswith("."))
    absent = tuple(subset for subset in expected if subset not in submitted)
    return Submission(complete, absent, tuple(missing), tuple(unusable), tuple(surplus))


def digest_of(digests: Sequence[str]) -> str:
    """Return the SHA-256 over the digests of all pictures, in order."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _digest_or_reason(path: Path, size: int) -> str | BrokenFile:
    if not path.is_file():
        return BrokenFile(path, "is no file")
    try:
        pixels = read_pixels(path, size)
    except Exception as error:  # decoders raise almost any exception on damaged files
        reason = one_line(error).replace(str(path), path.name) or type(error).__name__
        return BrokenFile(path, reason if isinstance(error, ValueError) else f"cannot be read ({reason})")
    return pixels_digest(pixels.tobytes())


def pixels_digest(pixels: bytes) -> str:
    """Return the SHA-256 of one picture's pixels."""
    return hashlib.sha256(pixels).hexdigest()


def _missing(name: str, present: set[str]) -> str:
    """Return the name; with a hint if a file in the folder differs only in suffix or case."""
    stem = name.removesuffix(".png")
    near = sorted(other for other in present if other.rpartition(".")[0].lower() == stem)
    return f"{name} ({near[0]} is there: the name must be exact, and the format PNG)" if near else name
