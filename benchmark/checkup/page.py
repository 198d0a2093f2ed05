"""The check-up of a data set as text, and as one HTML page with a contact sheet of the faces' boxes.

The page embeds its pictures and loads nothing. It shows faces, so it is written beside the prepared set only.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from benchmark.checkup.checkup import SURE, CheckUp
from benchmark.core.hashes import write_text
from benchmark.data.faceset import FaceSet
from benchmark.data.photos.index import REASONS
from benchmark.metrics.crop import tight_box

if TYPE_CHECKING:
    import pandas as pd

THUMB = 112
FOUND, STAND_IN = (22, 163, 74), (234, 88, 12)
PER_CAMERA, DOUBTFUL = 48, 96
"""Pictures shown of each camera, and at most of the faces whose landmarks are a stand-in."""
SHOWN_ASIDE = 12
"""Length of the terminal's list of files set aside."""
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#18181b;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}table{border-collapse:collapse;margin:.6rem 0}
td,th{padding:.2rem .7rem;border-bottom:1px solid #e4e4e7;text-align:left;vertical-align:top}td.n{text-align:right}
.columns{columns:16rem;font-size:13px;overflow-wrap:anywhere}summary{cursor:pointer}
.sheet{display:flex;flex-wrap:wrap;gap:.5rem}figure{margin:0;width:112px}
figure img{width:112px;height:112px;display:block}
figcaption{font-size:11px;color:#52525b;overflow-wrap:anywhere;line-height:1.25;margin-top:2px}
.note{background:#fff7ed;border-left:4px solid #ea580c;padding:.5rem .8rem;margin:.4rem 0}
.quiet{color:#52525b}@media(prefers-color-scheme:dark){body{background:#18181b;color:#f4f4f5}
td,th{border-color:#3f3f46}.note{background:#3b2410}figcaption,.quiet{color:#a1a1aa}}
"""


def text(result: CheckUp, page: Path, aside: Path) -> str:
    """Return the report for the terminal. aside: path of the list of files set aside."""
    lines = [result.description, f"in {result.folder}", ""]
    lines += [f"{result.pictures:,} pictures can be used, of {len(result.train) + len(result.test)} people"]
    for why, count in result.facts.get("left_out", {}).items():
        lines.append(f"{count:,} left out: {why}")
    if result.facts.get("others"):
        lines.append(f"passed over: {_number(result.facts['others'], 'other file')} (tables, documents)")
    lines.append("")
    for kind, counts in result.counts.items():
        lines.append(f"by {kind}: {', '.join(f'{name} {count:,}' for name, count in counts.items())}")
    lines.append(f"by person: {_persons(result)}")
    lines += ["", *result.facts.get("notes", [])]
    useless = result.facts.get("useless", [])
    if useless:
        lines += ["", f"of no use: {_number(len(useless), 'file')} of OpenFace's"]
        lines += [f"  {why}" for why in useless[:SHOWN_ASIDE]]
        if len(useless) > SHOWN_ASIDE:
            lines.append(f"  and {len(useless) - SHOWN_ASIDE:,} more, which the page names")
    if len(result.aside):
        lines += ["", f"set aside: {_number(len(result.aside), 'file')}"]
        shown = result.aside.head(SHOWN_ASIDE)
        lines += [f"  {row.reason}: {row.path} ({row.detail})" for row in shown.itertuples()]
        if len(result.aside) > SHOWN_ASIDE:
            lines.append(f"  and {len(result.aside) - SHOWN_ASIDE:,} more: all are in {aside}")
    lines += ["", f"to train on ({len(result.train)} people): {' '.join(result.train)}"]
    lines += [f"to test on ({len(result.test)} people): {' '.join(result.test)}", ""]
    for suite in result.suites:
        lines.append(f"suite {suite.name}: {suite.rows - len(suite.missing)} of {suite.rows} rows can be measured")
        lines += [f"  not {label}: {why}" for label, why in suite.missing.items()]
        lines += [f"  {warning}" for warning in suite.warnings]
    return "\n".join([*lines, "", f"the boxes of the faces to look at: {page}"]) + "\n"


def write_page(result: CheckUp, faces: FaceSet, path: Path) -> None:
    """Write the report as an HTML page with a contact sheet."""
    write_text(path, "\n".join(_page(result, faces)) + "\n")


def _page(result: CheckUp, faces: FaceSet) -> Iterator[str]:
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{_e(result.description)}</title>"
    yield f"<style>{STYLE}</style><h1>{result.pictures:,} pictures, checked</h1>"
    yield f"<p>{_e(result.description)}<br><span class=quiet>{_e(result.folder)}</span></p>"
    for why, count in result.facts.get("left_out", {}).items():
        yield f"<p>{count:,} left out: {_e(why)}</p>"
    for note in result.facts.get("notes", []):
        yield f"<p class=note>{_e(note)}</p>"
    yield "<h2>Pictures</h2>"
    for kind, counts in result.counts.items():
        yield _table([kind.capitalize(), *counts], [["Pictures", *(f"{count:,}" for count in counts.values())]])
    yield f"<p>By person: {_e(_persons(result))}.</p>"
    yield from _folded("Pictures of every person", (f"{name}: {count}" for name, count in result.people.items()))
    yield "<h2>The split</h2>"
    for name, people in (("To train on", result.train), ("To test on", result.test)):
        yield f"<p>{name}, {len(people)} people: {_e(' '.join(people))}</p>"
    yield "<h2>Suites</h2>"
    rows = [
        [suite.name, f"{suite.rows - len(suite.missing)} of {suite.rows}",
         "; ".join([*(f"not {label}: {why}" for label, why in suite.missing.items()), *suite.warnings]) or "all"]
        for suite in result.suites
    ]  # fmt: skip
    yield _table(["Suite", "Rows", "Missing"], rows)
    yield f"<h2>Set aside: {_number(len(result.aside), 'file')}</h2>"
    if len(result.aside):
        yield "<p class=quiet>" + _e("; ".join(f"{reason}: {why}" for reason, why in REASONS.items()
                                              if (result.aside["reason"] == reason).any())) + "</p>"  # fmt: skip
        yield _table(["File", "Reason", "Detail"], result.aside[["path", "reason", "detail"]].to_numpy().tolist())
    useless = result.facts.get("useless", [])
    if useless:
        yield f"<h2>OpenFace's files that are of no use: {len(useless):,}</h2>"
        yield from _folded("Each file, and the reason", useless)
    if result.not_found:
        yield f"<h2>Faces that were not found: {len(result.not_found):,}</h2>"
        yield from _folded(
            "Each file, and the source of its landmarks", (f"{file}: {by}" for file, by in result.not_found.items())
        )
    yield from _sheets(faces)
    yield "</html>"


def _folded(title: str, entries: Iterable[str]) -> Iterator[str]:
    """Yield a list in a closed `details` element."""
    yield f"<details><summary>{_e(title)}</summary><p class=columns>{'<br>'.join(map(_e, entries))}</p></details>"


def _sheets(faces: FaceSet) -> Iterator[str]:
    """Yield a sheet of the faces without landmarks of their own, then one of each camera."""
    table = faces.table
    by = table["landmarks_by"] if "landmarks_by" in table else table["camera"].map(lambda _: "the renderer")
    boxes = tight_box(faces.landmarks, faces.size)
    yield "<h2>Faces and their boxes</h2><p class=quiet>The pictures as they are prepared, with the landmarks and the"
    yield "box that FID(Cp) is measured in: green where the face was found, orange where it is a stand-in, none where"
    yield "there are no landmarks.</p>"
    doubtful = np.flatnonzero(~by.isin(SURE).to_numpy())
    if len(doubtful):
        chosen = _spread(doubtful, DOUBTFUL)
        yield f"<h3>Not found: {len(doubtful):,}{_of(chosen, doubtful)}</h3>"
        yield _sheet(chosen, faces, boxes, by)
    for camera in sorted(table["camera"].unique()):
        rows = np.flatnonzero(((table["camera"] == camera) & by.isin(SURE)).to_numpy())
        if len(rows):
            chosen = _spread(rows, PER_CAMERA)
            yield f"<h3>Camera {camera:03d}: {len(rows):,}{_of(chosen, rows)}</h3>"
            yield _sheet(chosen, faces, boxes, by)


def _of(chosen: Sequence[int], every: np.ndarray) -> str:
    return "" if len(chosen) == len(every) else f", of which {len(chosen)} are shown"


def _spread(rows: np.ndarray, count: int) -> list[int]:
    """Choose at most `count` rows, evenly spaced."""
    positions = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return [int(row) for row in rows[positions]]


def _sheet(rows: Sequence[int], faces: FaceSet, boxes: np.ndarray, by: pd.Series[str]) -> str:
    table = faces.table
    figures = []
    for row in rows:
        colour = FOUND if by.iloc[row] in SURE else STAND_IN
        thumb = _thumb(faces.images[row], faces.landmarks_of(row), boxes[row], colour)
        name = table["file"].iloc[row] if "file" in table else table["face_id"].iloc[row]
        caption = _e(f"{Path(str(name)).name}: {by.iloc[row]}")
        figures.append(f'<figure><img loading=lazy alt="" src="{thumb}"><figcaption>{caption}</figcaption></figure>')
    return f"<div class=sheet>{''.join(figures)}</div>"


def _thumb(image: np.ndarray, landmarks: np.ndarray, box: np.ndarray, colour: tuple[int, int, int]) -> str:
    """A picture with its box and landmarks as a data URI."""
    scale = 2 * THUMB / len(image)
    picture = Image.fromarray(np.asarray(image)).resize((2 * THUMB, 2 * THUMB), Image.Resampling.BICUBIC)
    if np.isfinite(landmarks).all():
        draw = ImageDraw.Draw(picture)
        draw.rectangle([float(edge) for edge in (box + 0.5) * scale - 0.5], outline=colour, width=3)
        for x, y in (landmarks + 0.5) * scale - 0.5:
            draw.ellipse([float(x) - 1.5, float(y) - 1.5, float(x) + 1.5, float(y) + 1.5], fill=colour)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _persons(result: CheckUp) -> str:
    if not result.incomplete:
        return f"{result.fullest:,} pictures each"
    few = _few(result.incomplete)
    return (
        f"{result.fullest:,} pictures at most, fewer of {_number(len(result.incomplete), 'person', 'people')} ({few})"
    )


def _number(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def _few(counts: Mapping[str, int]) -> str:
    shown = [f"{name}: {count}" for name, count in sorted(counts.items(), key=lambda item: (item[1], item[0]))[:8]]
    return ", ".join(shown) + (", ..." if len(counts) > 8 else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    header = "".join(f"<th>{_e(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_e(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{header}</tr>{body}</table>"


def _e(words: str) -> str:
    return html.escape(words)
