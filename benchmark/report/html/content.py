"""Content of a report's page beside the results: pictures, single edits, counts, curves, commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from benchmark.metrics.metric import Direction, MetricDescription
from benchmark.protocol import EXPRESSIONS

if TYPE_CHECKING:
    from benchmark.report.claims_figure import EditPair
    from benchmark.report.figures import RowPictures

Which = Literal["best", "median", "worst"]
WHICH: tuple[Which, ...] = get_args(Which)
TIE_BREAKER = "psnr_true"
"""Metric that orders edits with equal values, such as all that the judge classifies correctly."""


@dataclass(frozen=True)
class EditExample:
    """One edit of a row, the best, median or worst in a metric. Pictures are S x S x 3 uint8; truth may be None."""

    row: str
    metric: str
    which: Which
    value: float
    source_expression: str
    target: str
    judged: str
    source: np.ndarray
    edit: np.ndarray
    truth: np.ndarray | None


@dataclass(frozen=True)
class PageContent:
    """All that `report.html` shows beside `results.json`.

    pictures: the galleries. examples: single edits. confusions: by row id, 8 x 8 counts over all seeds, a line for each
    target, a column for what the judge names. losses, failed: by training. timings: seconds by training.
    options: of the command that ran the suite, without the row's method. withheld: the pictures may not leave the
    machine, so there are none. shown: they may not, and were asked for. pairs: the edits that show verdicts best, by
    the claim's id.
    """

    pictures: Sequence[RowPictures] = ()
    examples: Sequence[EditExample] = ()
    confusions: Mapping[str, np.ndarray] = field(default_factory=dict)
    losses: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    options: Sequence[str] = ()
    withheld: bool = False
    shown: bool = False
    pairs: Mapping[str, EditPair] = field(default_factory=dict)


def choose_edits(per_edit: pd.DataFrame, metric: MetricDescription) -> dict[Which, int]:
    """Return the indices of a metric's best, median and worst edit; none if no edit has a value."""
    values = per_edit[metric.key].to_numpy(float)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return {}
    ties = np.nan_to_num(per_edit[TIE_BREAKER].to_numpy(float)) if TIE_BREAKER in per_edit else np.zeros(len(values))
    order = known[np.lexsort((ties[known], _goodness(values[known], metric.direction)))]
    return {"best": int(order[-1]), "median": int(order[len(order) // 2]), "worst": int(order[0])}


def _goodness(values: np.ndarray, direction: Direction) -> np.ndarray:
    """Return values on a scale on which higher is better."""
    return values if direction == "higher" else -values if direction == "lower" else -np.abs(values - 1)


def count_confusions(tables: Sequence[pd.DataFrame]) -> np.ndarray:
    """Count edits by target (lines) and judged expression (columns), 8 x 8, over the seeds of a row."""
    counts = np.zeros((len(EXPRESSIONS), len(EXPRESSIONS)), int)
    indices = {name: index for index, name in enumerate(EXPRESSIONS)}
    for table in tables:
        pairs = table["target"].map(indices).to_numpy(int), table["judged"].map(indices).to_numpy(int)
        np.add.at(counts, pairs, 1)
    return counts
