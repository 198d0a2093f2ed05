"""The pair of edits that shows a verdict best: the source, both rows' edits, and the true picture if there is one.

`claims.png` says in its own text where its pictures are, if they may be passed on, so that pages over several results
show them too.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from pydantic import Field
from pydantic.dataclasses import dataclass as model

from benchmark.core.errors import UserError
from benchmark.core.models import STRICT, dump, parse_json
from benchmark.report.canvas import INK, PAPER, Figure, load_font
from benchmark.report.strip import MARGIN, draw_strip
from benchmark.report.verdict_text import SIGNS
from benchmark.statistics.verdict import Evidence, Verdict

TITLE_SIZE = 18
TEXT = "fesbench"
"""Name of the text in `claims.png`."""
LARGEST_FIGURE = 50_000_000
"""Largest number of pixels of a `claims.png`; with thirty claims in pictures of 256 px it has 30 million."""


@dataclasses.dataclass(frozen=True)
class EditPair:
    """One edit by two rows, pictures of S x S x 3 uint8.

    labels: of the two rows. change: the source's expression and the target. truth: None where the data set has no such
    picture.
    """

    labels: tuple[str, str]
    change: tuple[str, str]
    source: np.ndarray
    edits: tuple[np.ndarray, np.ndarray]
    truth: np.ndarray | None

    @property
    def pictures(self) -> list[np.ndarray]:
        """Source, both edits, and the true picture if there is one."""
        return [self.source, *self.edits, *([] if self.truth is None else [self.truth])]


@dataclasses.dataclass(frozen=True)
class ClaimPair:
    """The edit that shows a verdict best. caption: the numbers of both rows."""

    verdict: Verdict
    caption: str
    pair: EditPair


@model(frozen=True, config=STRICT)
class PairBoxes:
    """Where in the figure the pictures of a pair are: left and top of each, its side in pixels before enlarging."""

    labels: tuple[str, str]
    change: tuple[str, str]
    corners: tuple[tuple[int, int], ...] = Field(min_length=3, max_length=4)
    side: int = Field(ge=1)
    scale: int = Field(ge=1)


@model(frozen=True, config=STRICT)
class FigureText:
    """The text in the figure: its pairs by the claim's id."""

    pairs: dict[str, PairBoxes]


def shown_evidence(verdict: Verdict, metrics: Collection[str]) -> Evidence | None:
    """Return the comparison of two rows in single edits that decides a verdict; None if the claim has none.

    This is the comparison that contradicts the claim, for an undecided claim the least certain one, else the first.
    metrics: keys of the metrics of single edits.
    """
    single = [each for each in verdict.evidence if each.over and each.metric in metrics]
    if verdict.outcome == "undecided":
        return max(single, key=lambda each: each.p, default=None)
    return next((each for each in single if each.contradicts), next(iter(single), None))


def best_edit(evidence: Evidence, first: pd.DataFrame, second: pd.DataFrame) -> int:
    """Return the index of the edit in which the rows differ most, in the direction of their mean difference.

    first, second: the same edits in the same order. Ties in accuracy are broken by PSNR.
    """
    sign = 1 if evidence.value >= evidence.other else -1
    gap = sign * (first[evidence.metric] - second[evidence.metric]).to_numpy(float)
    other = sign * (first["psnr_true"] - second["psnr_true"]).to_numpy(float)
    return int(np.lexsort((-np.nan_to_num(other), -np.nan_to_num(gap, nan=-np.inf)))[0])


def draw_claims(pairs: Sequence[ClaimPair], public: bool = False) -> Figure | None:
    """Draw a strip for each pair with the claim above it; None for no pairs.

    public: whether the pictures may be passed on, so that the figure says where they are (`read_pairs`).
    """
    if not pairs:
        return None
    strips = []
    for each in pairs:
        names = [*each.pair.labels, "true"]
        source, *others = each.pair.pictures
        strips.append(draw_strip(source, others, names[: len(others)]))
    titles = [f"{SIGNS[each.verdict.outcome]} {each.verdict.id}: {each.caption}" for each in pairs]
    font, head = load_font(TITLE_SIZE), 2 * TITLE_SIZE
    widths = [strip.image.width for strip in strips]
    width = max(widths + [round(font.getlength(title)) + 2 * MARGIN for title in titles])
    image = Image.new("RGB", (width, sum(strip.image.height + head for strip in strips)), PAPER)
    draw, top = ImageDraw.Draw(image), 0
    boxes: dict[str, PairBoxes] = {}
    for each, title, strip in zip(pairs, titles, strips, strict=True):
        draw.text((MARGIN, top + head - 0.4 * TITLE_SIZE), title, INK, font, anchor="ls")
        image.paste(strip.image, (0, top + head))
        corners = tuple((left, top + head + below) for left, below in strip.corners)
        side = len(each.pair.source)
        boxes[each.verdict.id] = PairBoxes(each.pair.labels, each.pair.change, corners, side, strip.scale)
        top += head + strip.image.height
    text = {TEXT: json.dumps(dump(FigureText(boxes)), sort_keys=True)} if public else {}
    return Figure(image, text=text)


def read_pairs(path: Path) -> dict[str, EditPair]:
    """Read the pairs in a `claims.png`, by the claim's id; none if it does not say where they are.

    Raises UserError if the file is damaged or no figure of claims.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > LARGEST_FIGURE:
                raise ValueError(f"it has more than {LARGEST_FIGURE:,} pixels")
            image.load()
            text = getattr(image, "text", {}).get(TEXT)
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read as a figure of claims ({error})") from error
    if text is None:
        return {}
    pairs = {}
    for name, box in parse_json(FigureText, text, path).pairs.items():
        long = box.side * box.scale
        pictures = []
        for left, top in box.corners:
            if min(left, top) < 0 or left + long > pixels.shape[1] or top + long > pixels.shape[0]:
                raise UserError(f"{path}: the pictures of '{name}' lie outside the figure")
            pictures.append(pixels[top : top + long : box.scale, left : left + long : box.scale])
        source, first, second, *truth = pictures
        pairs[name] = EditPair(box.labels, box.change, source, (first, second), truth[0] if truth else None)
    return pairs
