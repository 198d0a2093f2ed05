"""All pictures of an index, inspected in parallel and written into one file; an interrupted call is resumed.

dlib and Pillow let go of Python's lock while they work, so threads are enough.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.core.errors import UserError
from benchmark.core.files import read_regular
from benchmark.core.hashes import write_text
from benchmark.core.paths import readable
from benchmark.data.faceset import COLUMNS, IMAGES, PLACEMENT, TABLE
from benchmark.data.framing import Square
from benchmark.data.photo import MOST_BYTES
from benchmark.data.photos.action_units import Prototypes, action_units_of
from benchmark.data.photos.face_detection import FaceDetector, needed_packages
from benchmark.data.photos.index import REASONS, Photo, PhotoIndex, Reason, SetAside, relative
from benchmark.data.photos.inspection import (
    Inspection,
    PrepareOptions,
    choose_square,
    cut_again,
    has_landmarks,
    inspect_photo,
)
from benchmark.data.photos.stand_ins import ORDER, LocatedFace, StandIn, find_stand_ins
from benchmark.data.source import Advance, Prepared
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, LANDMARKS, SUBSET_CAMERAS

if TYPE_CHECKING:
    import pandas as pd

ASIDE, ASIDE_COLUMNS = "set-aside.csv", ("path", "reason", "detail")
_PIXELS, _INSPECTED = "pixels.part.npy", "inspected.part.jsonl"
SHOWN_NAMES = 3
CHUNK = 16
"""Pictures that a thread takes at once."""
Split = Callable[[Mapping[str, str]], tuple[list[str], str]]
"""From people and their groups to the test identities, and a word on how they were chosen ("" where by the list)."""


@dataclass(frozen=True)
class _Kept:
    """A picture that is used: its number in the index, what was seen, and its landmarks, found or stood in for."""

    number: int
    photo: Photo
    inspection: Inspection
    landmarks: np.ndarray | None
    by: str


def prepare_photos(
    index: PhotoIndex,
    options: PrepareOptions,
    prototypes: Prototypes,
    split: Split,
    folder: Path,
    workers: int,
    advance: Advance,
) -> Prepared:
    """Prepare an index in `folder`: `IMAGES`, `TABLE` and `ASIDE`. Raises UserError where nothing is left to use."""
    detector = FaceDetector() if options.find and not all(map(has_landmarks, index.photos)) else None
    pixels, inspections = _inspect_all(index, options, detector, folder, workers, advance)
    aside = {number: (seen.problem, seen.detail) for number, seen in enumerate(inspections) if seen.problem}
    aside |= _duplicates(index, inspections, aside)
    greys = [number for number, seen in enumerate(inspections) if number not in aside and seen.grey]
    mostly_grey = 2 * len(greys) > len(inspections) - len(aside)
    if not mostly_grey:
        aside |= dict.fromkeys(greys, ("grey", "no colour in it"))
    stand_ins = _stand_ins(index, options, inspections, aside)
    aside |= _faceless(index, options, inspections, aside, stand_ins)
    kept = [
        _keep(number, photo, inspections[number], stand_ins)
        for number, photo in enumerate(index.photos)
        if number not in aside
    ]
    refused = [
        *index.aside,
        *(SetAside(relative(index.photos[n].path, index.root), *why) for n, why in sorted(aside.items())),
    ]
    if not kept:
        shown = "; ".join(f"{one.path}: {one.detail}" for one in refused[:3])
        raise UserError(
            f"none of the {len(index.photos):,} pictures of {index.root} can be used: {_counts(refused)} ({shown}"
            f"{'; ...' if len(refused) > 3 else ''})"
        )
    kept = _cut_late(kept, options, pixels, workers)
    try:
        table, notes = _table(kept, index, options, prototypes, split)
    except UserError as error:
        if not refused:
            raise
        first = f"{refused[0].path}: {refused[0].detail}"
        raise UserError(f"{error} (set aside: {_counts(refused)}; the first: {first})") from error
    _write_images(folder, pixels, [one.number for one in kept])
    table.to_parquet(folder / TABLE, index=False)
    aside_table(refused).to_csv(folder / ASIDE, index=False)
    (folder / _PIXELS).unlink(missing_ok=True)
    (folder / _INSPECTED).unlink()
    turned = int((table["turned"] != 0).sum())
    if turned:
        lay = "1 picture lay" if turned == 1 else f"{turned:,} pictures lay"
        notes.append(f"{lay} on the side or upside down; faces showed which way is up.")
    useless = [one.inspection.useless for one in kept if one.inspection.useless]
    useless = [text.replace(f"{index.root}/", "") for text in (*index.unusable, *useless)]
    if useless:
        notes.append(f"{_files(len(useless))} written by OpenFace and could not be used: benchmark.prepare names them.")
    notes += _enlarged(kept, options)
    notes += _copy_notes(index, inspections)
    several = "In {} several faces were found; of those of comparable confidence the largest was taken"
    notes += _listed(kept, lambda inspection: inspection.other_faces > 0, several)
    animated = "Of {} that are animations or have several pages the first picture was taken"
    notes += _listed(kept, lambda inspection: not inspection.still, animated)
    if mostly_grey:
        notes.append(f"{len(greys):,} pictures are grey: most of the set is, so they were kept.")
    facts = {
        "aside": dict(Counter(one.reason for one in refused)),
        "left_out": dict(index.left_out),
        "others": index.others,
        "landmarks_by": _counted(table["landmarks_by"], ORDER),
        "units_by": {name: int(count) for name, count in table["units_by"].value_counts().items()},
        "turned": turned,
        "useless": useless,
        "detector": needed_packages() if "dlib" in set(table["landmarks_by"]) else {},
        "notes": [
            *notes,
            *([f"{_files(len(refused))} set aside: {_counts(refused)} ({ASIDE} has each)."] if refused else []),
        ],
    }
    return Prepared([IMAGES, TABLE, ASIDE], facts)


# ------------------------------------------------------------------------------------------------------------ looking
def _inspect_all(
    index: PhotoIndex,
    options: PrepareOptions,
    detector: FaceDetector | None,
    folder: Path,
    workers: int,
    advance: Advance,
) -> tuple[np.ndarray, list[Inspection]]:
    """N x S x S x 3, mapped, and what was seen of each; goes on from what the folder holds."""
    count, shape = len(index.photos), (len(index.photos), options.size, options.size, 3)
    done = _resumed(folder, shape)
    place = folder / _PIXELS
    pixels: np.ndarray = np.lib.format.open_memmap(
        place, "r+" if done else "w+", np.uint8, None if done else shape
    )  # fmt: skip
    advance(len(done))
    missing = [number for number in range(count) if number not in done]
    chunks = [missing[start : start + CHUNK] for start in range(0, len(missing), CHUNK)]

    def look_at(numbers: list[int]) -> list[tuple[int, Inspection]]:
        seen = []
        for number in numbers:
            found, picture = inspect_photo(index.photos[number], options, detector)
            if picture is not None:
                pixels[number] = picture
            seen.append((number, found))
            advance(1)
        return seen

    with (folder / _INSPECTED).open("a" if done else "w", encoding="utf-8") as log:
        if not done:
            log.write(json.dumps(shape) + "\n")
        for result in _side_by_side(look_at, chunks, workers):
            done |= dict(result)
            log.writelines(json.dumps([number, found.fact()]) + "\n" for number, found in result)
            log.flush()
    return pixels, [done[number] for number in range(count)]


def _resumed(folder: Path, shape: tuple[int, ...]) -> dict[int, Inspection]:
    """What an interrupted call has seen, all of whose pixels are there."""
    log = folder / _INSPECTED
    if not log.exists() or not (folder / _PIXELS).exists():
        return {}
    first, *lines = log.read_text(encoding="utf-8").splitlines() or [""]
    if first != json.dumps(shape):
        return {}
    done = {}
    for line in lines:
        try:
            number, fact = json.loads(line)
        except ValueError:  # cut off in the middle of a line: only the last can be
            break
        done[int(number)] = Inspection.of(fact)
    # Whole lines only, so that new ones do not follow half a one.
    write_text(log, "".join(f"{line}\n" for line in (first, *lines[: len(done)])))
    return done


def _side_by_side(work: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
    """Results as they come. What has not begun is dropped when the caller goes away."""
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        for future in as_completed([pool.submit(work, item) for item in items]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


# -------------------------------------------------------------------------------------------------------- setting aside
Aside = dict[int, tuple[Reason, str]]


def _duplicates(index: PhotoIndex, inspections: Sequence[Inspection], aside: Mapping[int, Any]) -> Aside:
    """Pictures with the bytes of others. Where all show the same, the first is kept; where their names contradict each
    other, none is, for nobody can tell which is right.
    """
    same: dict[str, list[int]] = {}
    for number, seen in enumerate(inspections):
        if number not in aside:
            same.setdefault(seen.sha256, []).append(number)
    found: Aside = {}
    for numbers in same.values():
        photos = [index.photos[number] for number in numbers]
        shown = {(photo.identity, photo.expression, photo.camera, photo.gaze) for photo in photos}
        contradiction = "" if len(shown) == 1 else ", whose name says something else: nobody can tell which is right"
        for number in (numbers[1:] if len(shown) == 1 else numbers) if len(numbers) > 1 else ():
            other = photos[1] if number == numbers[0] else photos[0]
            found[number] = ("duplicate", f"the same bytes as {relative(other.path, index.root)}{contradiction}")
    return found


def _stand_ins(
    index: PhotoIndex, options: PrepareOptions, inspections: Sequence[Inspection], aside: Mapping[int, Any]
) -> dict[int, StandIn]:
    used = [number for number in range(len(inspections)) if number not in aside]
    seen = {
        number: LocatedFace(found.landmarks, found.width, found.height)
        for number, found in ((number, inspections[number]) for number in used)
        if found.landmarks is not None
    }
    if options.find and used and not seen:
        raise UserError(
            f"no face was found in any of {len(used):,} pictures of {index.root}: are these faces, and upright? "
            "(faces=none, behind the folder and a comma, goes without)"
        )
    if not (options.find and options.fixed):
        return {}
    return find_stand_ins(
        index.photos, seen, {number: (inspections[number].width, inspections[number].height) for number in used}
    )


def _faceless(
    index: PhotoIndex,
    options: PrepareOptions,
    inspections: Sequence[Inspection],
    aside: Mapping[int, Any],
    stand_ins: Mapping[int, StandIn],
) -> Aside:
    """Pictures that have no landmarks and need some; at cameras that no subset has, none are needed."""
    if not options.find:
        return {}
    return {
        number: ("no face", f"camera {photo.camera:03d}")
        for number, photo in enumerate(index.photos)
        if number not in aside and number not in stand_ins and inspections[number].landmarks is None
        and photo.camera in SUBSET_CAMERAS["F&P"]
    }  # fmt: skip


def _keep(number: int, photo: Photo, seen: Inspection, stand_ins: Mapping[int, StandIn]) -> _Kept:
    if seen.landmarks is not None and seen.by is not None:
        return _Kept(number, photo, seen, seen.landmarks, seen.by)
    stand_in = stand_ins.get(number)
    if stand_in is not None:
        return _Kept(number, photo, seen, stand_in.landmarks, stand_in.by)
    return _Kept(number, photo, seen, None, "nobody")


def _cut_late(kept: list[_Kept], options: PrepareOptions, pixels: np.ndarray, workers: int) -> list[_Kept]:
    """Cut those whose square waited for a face that stands in."""

    def cut(place: int) -> tuple[int, _Kept]:
        one = kept[place]
        width, height = one.inspection.width, one.inspection.height
        square = choose_square(one.landmarks, width, height, options.how) or Square.centred(width, height)
        pixels[one.number] = cut_again(one.photo.path, one.inspection.turned, square, options.size)
        return place, replace(one, inspection=replace(one.inspection, square=square))

    late = [place for place, one in enumerate(kept) if one.inspection.square is None]
    cut_now = dict(_side_by_side(cut, late, workers))
    return [cut_now.get(place, one) for place, one in enumerate(kept)]


# ------------------------------------------------------------------------------------------------------------- writing
def _table(
    kept: Sequence[_Kept], index: PhotoIndex, options: PrepareOptions, prototypes: Prototypes, split: Split
) -> tuple[pd.DataFrame, list[str]]:
    """The face table, and what a report has to say of it."""
    import pandas as pd

    photos = [one.photo for one in kept]
    units = action_units_of(photos, [one.inspection.units for one in kept], prototypes)
    tested, how = split({photo.identity: photo.group for photo in photos})
    test = set(tested)
    landmarks = [_in_square(one, options.size) for one in kept]
    known = [np.isfinite(points).all() for points in landmarks]
    squares = [one.inspection.square for one in kept]
    table = pd.DataFrame(
        {
            "face_id": [photo.face_id for photo in photos],
            "identity": [photo.identity for photo in photos],
            "group": [photo.group for photo in photos],
            "expression": [photo.expression for photo in photos],
            "camera": [photo.camera for photo in photos],
            "gaze": [photo.gaze for photo in photos],
            **{unit: units.values[:, place].astype(np.float32) for place, unit in enumerate(ACTION_UNITS)},
            "landmarks": landmarks,
            "visible": [np.full(LANDMARKS, whether) for whether in known],
            "split": ["test" if photo.identity in test else "train" for photo in photos],
            "file": [relative(photo.path, index.root) for photo in photos],
            "width": [one.inspection.width for one in kept],
            "height": [one.inspection.height for one in kept],
            "turned": [one.inspection.turned for one in kept],
            "landmarks_by": [one.by for one in kept],
            "units_by": units.by,
            "square": [list(square.box()) if square else [] for square in squares],
        }
    )
    if options.how == "uncropped":
        table[PLACEMENT] = options.how
    lost = [name for name in EXPRESSIONS if name not in set(table["expression"])]
    notes = [units.note, _landmark_note(table), how, f"No picture shows: {', '.join(lost)}." if lost else ""]
    assert set(COLUMNS) <= set(table.columns)
    return table, [note for note in notes if note]


def _in_square(one: _Kept, size: int) -> np.ndarray:
    """136 float32 in pixels of the prepared picture."""
    if one.landmarks is None or one.inspection.square is None:
        return np.full(2 * LANDMARKS, np.nan, np.float32)
    return one.inspection.square.moved(one.landmarks, size).astype(np.float32).ravel()


def _landmark_note(table: pd.DataFrame) -> str:
    counts = _counted(table["landmarks_by"], ORDER)
    if set(counts) == {"nobody"}:
        return "Landmarks: none were inspections for."
    unused = sorted({f"{camera:03d}" for camera in table["camera"][table["landmarks_by"] == ORDER[-1]]})
    where = f" at cameras {' and '.join(unused)}, which no suite uses" if unused else ""
    return f"Landmarks are by {', '.join(f'{name} ({count:,})' for name, count in counts.items())}{where}."


def _counted(values: pd.Series[str], order: Sequence[str]) -> dict[str, int]:
    """How often each comes, in an order."""
    counts = Counter(values)
    return {name: counts[name] for name in order if counts[name]}


def _files(count: int) -> str:
    return "1 file was" if count == 1 else f"{count:,} files were"


def _counts(refused: Sequence[SetAside]) -> str:
    """`3 broken, 2 misnamed`."""
    counts = Counter(one.reason for one in refused)
    return ", ".join(f"{counts[reason]:,} {reason}" for reason in REASONS if counts[reason])


def _enlarged(kept: Sequence[_Kept], options: PrepareOptions) -> list[str]:
    """How many faces are smaller than they are shown."""
    factors = [options.size / one.inspection.square.side for one in kept if one.inspection.square is not None]
    large = [factor for factor in factors if factor > 1.05]
    if not large:
        return []
    return [f"Enlarged, because their faces are small: {len(large):,} of the pictures, {max(large):.1f} times at most."]


def _copy_notes(index: PhotoIndex, inspections: Sequence[Inspection]) -> list[str]:
    """That faces are there twice in pictures of different content, and from which folders the pictures were taken."""
    used = {photo.path: seen.sha256 for photo, seen in zip(index.photos, inspections, strict=True)}
    folders: Counter[tuple[str, str]] = Counter()
    for copy, original in index.copies:
        if original in used and _sha256(copy) != used[original]:
            folders[relative(original.parent, index.root), relative(copy.parent, index.root)] += 1
    if not folders:
        return []
    pairs = [f"{used}/ and not {other}/ ({count:,})" for (used, other), count in folders.most_common(4)]
    more = ", ..." if len(folders) > len(pairs) else ""
    return [
        f"{folders.total():,} faces are there in two pictures of DIFFERENT content; those used are from "
        f"{', '.join(pairs)}{more}: move the folder away whose pictures are not meant."
    ]


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(read_regular(path, MOST_BYTES)).hexdigest()
    except OSError:
        return ""


def _listed(kept: Sequence[_Kept], chosen: Callable[[Inspection], bool], sentence: str) -> list[str]:
    """A sentence on some pictures, `{}` in it being their number, with the first of their names."""
    names = [one.photo.path.name for one in kept if chosen(one.inspection)]
    if not names:
        return []
    count = "1 picture" if len(names) == 1 else f"{len(names):,} pictures"
    shown = ", ".join(map(readable, names[:SHOWN_NAMES])) + (", ..." if len(names) > SHOWN_NAMES else "")
    return [f"{sentence.format(count)} ({shown})."]


def _write_images(folder: Path, pixels: np.ndarray, numbers: Sequence[int]) -> None:
    if len(numbers) == len(pixels):
        pixels.flush()  # type: ignore[attr-defined]
        (folder / _PIXELS).rename(folder / IMAGES)
        return
    shape = (len(numbers), *pixels.shape[1:])
    images: np.ndarray = np.lib.format.open_memmap(folder / IMAGES, "w+", np.uint8, shape)
    for start in range(0, len(numbers), 512):
        images[start : start + 512] = pixels[list(numbers[start : start + 512])]
    images.flush()  # type: ignore[attr-defined]


def read_aside(path: Path) -> pd.DataFrame:
    """A list of `aside_table` as it was written."""
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False)


def aside_table(refused: Iterable[SetAside]) -> pd.DataFrame:
    """path, reason, detail: by reason, then by path."""
    import pandas as pd

    rows = sorted(refused, key=lambda one: (list(REASONS).index(one.reason), one.path))
    return pd.DataFrame([vars(one) for one in rows], columns=list(ASIDE_COLUMNS))
