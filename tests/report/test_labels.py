"""Names of a plot's points: inside the plot, off one another, off the points, near their own."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.report.html.labels import MARK, NEAR, Box, Label, Point, overlap, place_labels

WITHIN = (58.0, 12.0, 460.0, 334.0)
inside = st.tuples(st.floats(60, 455), st.floats(20, 330))


def mark(point: Point) -> Box:
    return point[0] - MARK, point[1] - MARK, point[0] + MARK, point[1] + MARK


def covered(points: list[Point], labels: list[Label]) -> float:
    """Return the area of names that lie on other names or on points."""
    pairs = itertools.combinations([label.box for label in labels], 2)
    on_points = (overlap(label.box, mark(point)) for label in labels for point in points)
    return sum(overlap(*pair) for pair in pairs) + sum(on_points)


def bare(points: list[Point], names: list[str]) -> list[Label]:
    """Place every name right of its point, wherever the others are: known to be wrong."""
    return [place_labels([point], [name], (0, 0, 900, 900))[0] for point, name in zip(points, names, strict=True)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(inside, st.text("abc", min_size=1, max_size=19)), min_size=1, max_size=7))
def test_names_are_inside_and_apart_where_there_is_room(drawn: list[tuple[Point, str]]) -> None:
    points, names = [point for point, _ in drawn], [name for _, name in drawn]
    labels = place_labels(points, names, WITHIN)
    for label, point in zip(labels, points, strict=True):
        left, top, right, bottom = label.box
        assert left >= WITHIN[0]
        assert right <= WITHIN[2]
        assert top >= WITHIN[1]
        assert bottom <= WITHIN[3]
        start = {"start": left, "middle": (left + right) / 2, "end": right}[label.anchor]
        assert (label.x, label.y) == pytest.approx((start, (top + bottom) / 2), abs=0.01)
        if label.leader is None:
            nearest = min(max(point[0], left), right), min(max(point[1], top), bottom)
            assert math.dist(point, nearest) <= NEAR + 1
    if all(abs(a[0] - b[0]) > 2 * MARK or abs(a[1] - b[1]) > 2 * MARK for a, b in itertools.combinations(points, 2)):
        assert covered(points, labels) == 0


def test_a_name_alone_stands_beside_its_point() -> None:
    (label,) = place_labels([(100.0, 100.0)], ["Ours (R)"], WITHIN)
    assert (label.x, label.y, label.anchor, label.leader) == (112.0, 100.0, "start", None)
    (label,) = place_labels([(430.0, 200.0)], ["true picture"], WITHIN)
    assert (label.anchor, label.leader) == ("end", None)


def test_a_cluster_is_told_apart() -> None:
    names = ["StarGAN (T)", "GANima (R), failed", "HiSD (R)", "HiSD (T)", "Ours (R)", "Ours (T)", "true picture"]
    points = [
        (345.0, 310.0),
        (380.0, 230.0),
        (303.0, 301.0),
        (324.0, 306.0),
        (329.0, 266.0),
        (337.0, 269.0),
        (412.0, 261.0),
    ]
    assert covered(points, place_labels(points, names, WITHIN)) == 0
    assert covered(points, bare(points, names)) > 0
