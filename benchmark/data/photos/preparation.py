"""Prepare all pictures of an index in parallel, into one file; an interrupted call is resumed.

dlib and Pillow release Python's lock while they work, so threads are enough.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core.errors import UserError
from benchmark.core.files import create_array
from benchmark.core.hashes import write_text
from benchmark.data.faceset import IMAGES, TABLE
from benchmark.data.framing import Square
from benchmark.data.photos.action_units import Prototypes
from benchmark.data.photos.face_detection import FaceDetector
from benchmark.data.photos.index import PhotoIndex, Reason, SetAside, relative
from benchmark.data.photos.inspection import (
    Inspection,
    PrepareOptions,
    choose_square,
    cut_again,
    has_landmarks,
    inspect_photo,
)
from benchmark.data.photos.set_aside import ASIDE, aside_table, count_reasons
from benchmark.data.photos.stand_ins import LocatedFace, StandIn, find_stand_ins
from benchmark.data.photos.summary import UsedPhoto, face_table, preparation_facts
from benchmark.data.source import Advance, Prepared
from benchmark.protocol import SUBSET_CAMERAS

PIXELS_PART, INSPECTED_PART = "pixels.part.npy", "inspected.part.jsonl"
"""What an interrupted call leaves: pixels, and one line of JSON for each picture whose pixels are there."""
CHUNK = 16
"""Pictures per task of a thread."""
Split = Callable[[Mapping[str, str]], tuple[list[str], str]]
"""From people and their groups to the test identities and a note on a draw ("" where they are the repository's)."""
Problems = dict[int, tuple[Reason, str]]
"""Reason and detail of each photo that cannot be used, by its number."""


def prepare_photos(
    index: PhotoIndex,
    options: PrepareOptions,
    prototypes: Prototypes,
    split: Split,
    folder: Path,
    workers: int,
    advance: Advance,
) -> Prepared:
    """Prepare an index in `folder`: `IMAGES`, `TABLE` and `ASIDE`. Raises UserError where no picture can be used."""
    preparation = _Preparation(index, options, folder, workers)
    pixels, inspections = preparation.inspect_all(advance)
    problems, stand_ins, grey = preparation.find_problems(inspections)
    used = [
        _used_photo(number, index, inspections[number], stand_ins.get(number))
        for number in range(len(index.photos))
        if number not in problems
    ]
    aside = [
        *index.aside,
        *(SetAside(relative(index.photos[number].path, index.root), *why) for number, why in sorted(problems.items())),
    ]
    if not used:
        shown = "; ".join(f"{file.path}: {file.detail}" for file in aside[:3])
        raise UserError(
            f"none of the {len(index.photos):,} pictures of {index.root} can be used: {count_reasons(aside)} ({shown}"
            f"{'; ...' if len(aside) > 3 else ''})"
        )
    used = preparation.cut_remaining(used, pixels)
    try:
        test, how = split({photo.photo.identity: photo.photo.group for photo in used})
    except UserError as error:
        if not aside:
            raise
        first = f"{aside[0].path}: {aside[0].detail}"
        raise UserError(f"{error} (set aside: {count_reasons(aside)}; the first: {first})") from error
    table, units_note = face_table(used, index.root, options, prototypes, frozenset(test))
    facts = preparation_facts(index, options, inspections, used, table, aside, [units_note, how], grey)
    _write_images(folder, pixels, [photo.number for photo in used])
    table.to_parquet(folder / TABLE, index=False)
    aside_table(aside).to_csv(folder / ASIDE, index=False)
    (folder / PIXELS_PART).unlink(missing_ok=True)
    (folder / INSPECTED_PART).unlink()
    return Prepared([IMAGES, TABLE, ASIDE], facts)


def _used_photo(number: int, index: PhotoIndex, inspection: Inspection, stand_in: StandIn | None) -> UsedPhoto:
    photo = index.photos[number]
    if inspection.landmarks is not None and inspection.by is not None:
        return UsedPhoto(number, photo, inspection, inspection.landmarks, inspection.by)
    if stand_in is not None:
        return UsedPhoto(number, photo, inspection, stand_in.landmarks, stand_in.by)
    return UsedPhoto(number, photo, inspection, None, "nobody")


@dataclass(frozen=True)
class _Preparation:
    """The steps of one call."""

    index: PhotoIndex
    options: PrepareOptions
    folder: Path
    workers: int

    def inspect_all(self, advance: Advance) -> tuple[np.ndarray, list[Inspection]]:
        """Inspect every picture that no interrupted call has inspected. Returns N x S x S x 3 pixels, mapped from disk,
        and N inspections.
        """
        photos, size = self.index.photos, self.options.size
        detector = FaceDetector() if self.options.find and not all(map(has_landmarks, photos)) else None
        shape = (len(photos), size, size, 3)
        inspected: dict[int, Inspection] = {}
        with suppress(OSError, ValueError, TypeError):  # an interrupted call may have left anything
            pixels: np.ndarray = np.lib.format.open_memmap(self.folder / PIXELS_PART, "r+")
            inspected = _resume(self.folder, shape, pixels)
        if not inspected:
            pixels = create_array(self.folder / PIXELS_PART, shape)
        advance(len(inspected))
        remaining = [number for number in range(len(photos)) if number not in inspected]
        chunks = [remaining[start : start + CHUNK] for start in range(0, len(remaining), CHUNK)]

        def inspect_chunk(numbers: list[int]) -> list[tuple[int, Inspection]]:
            inspections = []
            for number in numbers:
                inspection, picture = inspect_photo(photos[number], self.options, detector)
                if picture is not None:
                    pixels[number] = picture
                inspections.append((number, inspection))
                advance(1)
            return inspections

        with (self.folder / INSPECTED_PART).open("a" if inspected else "w", encoding="utf-8") as log:
            if not inspected:
                log.write(json.dumps(shape) + "\n")
            for chunk in _run_in_parallel(inspect_chunk, chunks, self.workers):
                inspected |= dict(chunk)
                log.writelines(_log_line(number, inspection.as_json(), pixels) for number, inspection in chunk)
                log.flush()
        return pixels, [inspected[number] for number in range(len(photos))]

    def find_problems(self, inspections: Sequence[Inspection]) -> tuple[Problems, dict[int, StandIn], int]:
        """Return the pictures that cannot be used, the stand-ins, and the number of grey pictures in use.

        Stand-ins are landmarks for faces that were not found. Grey pictures are used where most of the set is grey.
        """
        problems: Problems = {
            number: (inspection.problem, inspection.detail)
            for number, inspection in enumerate(inspections)
            if inspection.problem
        }
        problems |= self._duplicates(inspections, problems)
        grey = [number for number, each in enumerate(inspections) if number not in problems and each.grey]
        mostly_grey = 2 * len(grey) > len(inspections) - len(problems)
        if not mostly_grey:
            problems |= dict.fromkeys(grey, ("grey", "no colour in it"))
        stand_ins = self._stand_ins(inspections, problems)
        if self.options.find:
            problems |= {
                number: ("no face", f"camera {photo.camera:03d}")
                for number, photo in enumerate(self.index.photos)
                if number not in problems and number not in stand_ins and inspections[number].landmarks is None
                and photo.camera in SUBSET_CAMERAS["F&P"]  # at other cameras no landmarks are needed
            }  # fmt: skip
        return problems, stand_ins, len(grey) if mostly_grey else 0

    def _duplicates(self, inspections: Sequence[Inspection], problems: Problems) -> Problems:
        """Find pictures with the bytes of others.

        Of those with equal labels the first is kept; of those with contradicting names none, since the right one is
        unknown.
        """
        same: dict[str, list[int]] = {}
        for number, inspection in enumerate(inspections):
            if number not in problems:
                same.setdefault(inspection.sha256, []).append(number)
        duplicates: Problems = {}
        for numbers in same.values():
            photos = [self.index.photos[number] for number in numbers]
            agree = len({(photo.identity, photo.expression, photo.camera, photo.gaze) for photo in photos}) == 1
            contradiction = "" if agree else ", whose name says something else: nobody can tell which is right"
            for number in (numbers[1:] if agree else numbers) if len(numbers) > 1 else ():
                other = photos[1] if number == numbers[0] else photos[0]
                detail = f"the same bytes as {relative(other.path, self.index.root)}{contradiction}"
                duplicates[number] = ("duplicate", detail)
        return duplicates

    def _stand_ins(self, inspections: Sequence[Inspection], problems: Problems) -> dict[int, StandIn]:
        """Find stand-ins. Raises UserError where no face was found in any picture."""
        usable = {number: each for number, each in enumerate(inspections) if number not in problems}
        located = {
            number: LocatedFace(inspection.landmarks, inspection.width, inspection.height)
            for number, inspection in usable.items()
            if inspection.landmarks is not None
        }
        if self.options.find and usable and not located:
            raise UserError(
                f"no face was found in any of {len(usable):,} pictures of {self.index.root}: are these faces, and "
                "upright? (faces=none, behind the folder and a comma, goes without)"
            )
        if not (self.options.find and self.options.fixed):
            return {}
        sizes = {number: (inspection.width, inspection.height) for number, inspection in usable.items()}
        return find_stand_ins(self.index.photos, located, sizes)

    def cut_remaining(self, used: list[UsedPhoto], pixels: np.ndarray) -> list[UsedPhoto]:
        """Cut the pictures whose square depends on a stand-in."""

        def cut(number: int) -> tuple[int, UsedPhoto]:
            photo, inspection = used[number], used[number].inspection
            size = (inspection.width, inspection.height)
            square = choose_square(photo.landmarks, *size, self.options.how) or Square.centred(*size)
            pixels[photo.number] = cut_again(photo.photo.path, inspection.turned, square, self.options.size)
            return number, replace(photo, inspection=replace(inspection, square=square))

        remaining = [number for number, photo in enumerate(used) if photo.inspection.square is None]
        cut_now = dict(_run_in_parallel(cut, remaining, self.workers))
        return [cut_now.get(number, photo) for number, photo in enumerate(used)]


def _log_line(number: int, fields: Any, pixels: np.ndarray) -> str:
    """Return an inspection, and a digest of it and of the pixels."""
    digest = hashlib.sha256(json.dumps([number, fields]).encode() + pixels[number].tobytes())
    return json.dumps([number, fields, digest.hexdigest()]) + "\n"


def _resume(folder: Path, shape: tuple[int, ...], pixels: np.ndarray) -> dict[int, Inspection]:
    """Return the intact inspections of an interrupted call; each line and its pixels are checked by a digest."""
    log = folder / INSPECTED_PART
    first, *lines = log.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
    if first != json.dumps(shape) + "\n" or pixels.shape != shape:
        return {}
    inspected, whole = {}, [first]
    for line in lines:
        with suppress(ValueError, TypeError, KeyError, IndexError):  # the last may be cut
            number, fields, _ = json.loads(line)
            if line == _log_line(number, fields, pixels):
                inspected[int(number)] = Inspection.from_json(fields)
                whole.append(line)
    write_text(log, "".join(whole))
    return inspected


def _run_in_parallel(work: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
    """Yield results as they come. Tasks that have not begun are dropped when the caller stops."""
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        for future in as_completed([pool.submit(work, item) for item in items]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _write_images(folder: Path, pixels: np.ndarray, numbers: Sequence[int]) -> None:
    """Write `IMAGES`: the pixels of some pictures."""
    if len(numbers) == len(pixels):
        pixels.flush()  # type: ignore[attr-defined]
        (folder / PIXELS_PART).rename(folder / IMAGES)
        return
    shape = (len(numbers), *pixels.shape[1:])
    images = create_array(folder / IMAGES, shape)
    for start in range(0, len(numbers), 512):
        images[start : start + 512] = pixels[list(numbers[start : start + 512])]
    images.flush()
