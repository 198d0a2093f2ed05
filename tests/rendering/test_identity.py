"""Identities from a seed."""

from __future__ import annotations

from collections import Counter

from benchmark.rendering.identity import GROUPS, draw_identity

LABELS = (
    "nose-hump-incr",
    "l-ear-wing-incr",
    "l-eye-scale-incr",
    "r-eye-scale-incr",
    "hip-scale-horiz-incr",
    "mouth-angles-up",
)


def test_the_same_seed_gives_the_same_person_and_another_another() -> None:
    assert draw_identity(0, 7, LABELS) == draw_identity(0, 7, LABELS)
    assert draw_identity(0, 7, LABELS) != draw_identity(1, 7, LABELS)
    assert draw_identity(0, 7, LABELS).skin != draw_identity(0, 13, LABELS).skin


def test_groups_are_balanced() -> None:
    sizes = Counter(draw_identity(0, index, LABELS).group for index in range(40))
    assert set(sizes) == set(GROUPS)
    assert set(sizes.values()) == {6, 7}


def test_shape_changes_are_of_the_head_symmetric_and_small() -> None:
    changes = dict(draw_identity(3, 5, LABELS).local_changes)
    assert set(changes) == {"nose-hump-incr", "l-eye-scale-incr", "r-eye-scale-incr", "mouth-angles-up"}
    assert changes["l-eye-scale-incr"] == changes["r-eye-scale-incr"]
    spread = [abs(dict(draw_identity(0, i, LABELS).local_changes)["mouth-angles-up"]) for i in range(60)]
    assert max(spread) < 0.25, "a mouth's resting angle must not look like a smile"


def test_women_have_no_beard() -> None:
    people = [draw_identity(0, index, LABELS) for index in range(60)]
    assert {who.female for who in people if who.beard} == {False}
    assert any(who.beard > 0.5 for who in people)
