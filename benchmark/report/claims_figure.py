"""The pair of edits that shows a verdict best: the source, both rows' edits, and the true picture if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from benchmark.report.canvas import INK, PAPER, Figure, load_font
from benchmark.report.strip import MARGIN, draw_strip
from benchmark.report.verdict_text import SIGNS
from benchmark.statistics.verdict import Evidence, Verdict

TITLE_SIZE = 18


@dataclass(frozen=True)
class ClaimPair:
    """Pictures of S x S x 3 uint8. labels: of the two rows. truth: None where the data set has no such picture."""

    verdict: Verdict
    caption: str
    labels: tuple[str, str]
    source: np.ndarray
    edits: tuple[np.ndarray, np.ndarray]
    truth: np.ndarray | None


def shown_evidence(verdict: Verdict, per_edit: set[str]) -> Evidence | None:
    """The first comparison of two rows in a metric of single edits (`per_edit`); None where the claim has none."""
    return next((each for each in verdict.evidence if each.over and each.metric in per_edit), None)


def best_edit(evidence: Evidence, first: pd.DataFrame, second: pd.DataFrame) -> int:
    """The place of the edit in which the two rows differ most, in the direction in which they differ on the whole.

    first, second: the same edits in the same order. Equal differences in accuracy are told apart by PSNR.
    """
    sign = 1 if evidence.value >= evidence.other else -1
    gap = sign * (first[evidence.metric] - second[evidence.metric]).to_numpy(float)
    other = sign * (first["psnr_true"] - second["psnr_true"]).to_numpy(float)
    return int(np.lexsort((-np.nan_to_num(other), -np.nan_to_num(gap, nan=-np.inf)))[0])


def draw_claims(pairs: Sequence[ClaimPair]) -> Figure | None:
    """A strip for each pair with the claim above it; None for no pairs."""
    if not pairs:
        return None
    strips = []
    for pair in pairs:
        last = [] if pair.truth is None else [(pair.truth, "true")]
        shown = [*zip(pair.edits, pair.labels, strict=True), *last]
        strips.append(draw_strip(pair.source, [picture for picture, _ in shown], [name for _, name in shown]).image)
    titles = [f"{SIGNS[pair.verdict.outcome]} {pair.verdict.id}: {pair.caption}" for pair in pairs]
    font, head = load_font(TITLE_SIZE), 2 * TITLE_SIZE
    width = max([strip.width for strip in strips] + [round(font.getlength(title)) + 2 * MARGIN for title in titles])
    image = Image.new("RGB", (width, sum(strip.height + head for strip in strips)), PAPER)
    draw, top = ImageDraw.Draw(image), 0
    for title, strip in zip(titles, strips, strict=True):
        draw.text((MARGIN, top + head - 0.4 * TITLE_SIZE), title, INK, font, anchor="ls")
        image.paste(strip, (0, top + head))
        top += head + strip.height
    return Figure(image)
