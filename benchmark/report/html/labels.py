"""Place the names of a plot's points beside them, without overlap with other names and points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

LETTER, LINE = 8.0, 15.0
"""Approximate width of a letter and height of a line on a phone, where text is largest."""
MARK = 7.0
"""Half the side of a point."""
NEAR = 12.0
"""Distance of a name from its point."""
REACH = (0.0, 8.0, 16.0, 26.0, 38.0, 52.0, 70.0, 90.0)
"""Distances that a name may have in addition to `NEAR`."""
WAYS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
"""Directions of names: beside a point first, then above and below, then oblique."""
ROUNDS = 4
"""Number of passes; in each, every name is placed anew, given all others."""
CROSSED = 400.0
"""Cost of a leader through a point or a name, in square units of overlap."""

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Label:
    """Position of a name: x of its anchor, y of its middle. leader: end of the line from the point, or None."""

    x: float
    y: float
    anchor: Anchor
    box: Box
    leader: Point | None


def place_labels(points: Sequence[Point], names: Sequence[str], within: Box) -> list[Label]:
    """Place a name for each point inside `within`, with the least overlap; short distances are preferred."""
    options = [list(_options(point, LETTER * len(name), within)) for point, name in zip(points, names, strict=True)]
    chosen = [each[0] for each in options]
    for _ in range(ROUNDS):
        for index, (point, offered) in enumerate(zip(points, options, strict=True)):
            others = [pair for number, pair in enumerate(zip(points, chosen, strict=True)) if number != index]
            costs = [_cost(point, label, others) for label in offered]
            chosen[index] = offered[costs.index(min(costs))]
    return chosen


def overlap(a: Box, b: Box) -> float:
    """Return the area that two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _options(point: Point, width: float, within: Box) -> Iterator[Label]:
    for reach in REACH:
        for across, down in WAYS:
            yield _label(point, width, across * (NEAR + reach), down * (LINE + reach), within)


def _label(point: Point, width: float, across: float, down: float, within: Box) -> Label:
    """Make the label off a point by a vector, moved to lie inside `within`."""
    anchor: Anchor = "start" if across > 0 else "end" if across < 0 else "middle"
    shift = {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    left = min(max(point[0] + across - shift, within[0]), max(within[2] - width, within[0]))
    middle = min(max(point[1] + down, within[1] + LINE / 2), within[3] - LINE / 2)
    box = left, middle - LINE / 2, left + width, middle + LINE / 2
    nearest = min(max(point[0], box[0]), box[2]), min(max(point[1], box[1]), box[3])
    leader = nearest if math.dist(point, nearest) > NEAR + 1 else None
    return Label(round(left + shift, 2), round(middle, 2), anchor, box, leader)


def _mark(point: Point) -> Box:
    return point[0] - MARK, point[1] - MARK, point[0] + MARK, point[1] + MARK


def _cost(point: Point, label: Label, others: Sequence[tuple[Point, Label]]) -> float:
    """Return the cost of a label: overlap, crossed lines, length of its own line."""
    boxes = [box for other, placed in others for box in (_mark(other), placed.box)]
    cost = 10 * sum(overlap(label.box, box) for box in (*boxes, _mark(point)))
    if label.leader:
        cost += math.dist(point, label.leader) + CROSSED * sum(_crosses(point, label.leader, box) for box in boxes)
    leaders = ((other, placed.leader) for other, placed in others if placed.leader)
    return cost + CROSSED * sum(_crosses(start, end, label.box) for start, end in leaders)


def _crosses(start: Point, end: Point, box: Box) -> bool:
    """Whether a line segment, without its ends, meets a box; tested at twelve steps."""
    for step in range(1, 12):
        x, y = (a + (b - a) * step / 12 for a, b in zip(start, end, strict=True))
        if box[0] < x < box[2] and box[1] < y < box[3]:
            return True
    return False
