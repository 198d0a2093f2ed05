"""Identities from a seed."""

from __future__ import annotations

from collections import Counter

from benchmark.rendering import hair
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
    assert {who.female for who in people if who.beard != "none"} == {False}


def test_a_set_has_every_kind_of_hair_and_beard() -> None:
    people = [draw_identity(0, index, LABELS) for index in range(80)]
    assert {who.style for who in people} == set(hair.STYLES)
    assert {who.beard for who in people} == set(hair.BEARDS)
    for group in GROUPS:
        styles = Counter(who.style for who in people if who.group == group)
        assert len(styles) >= 7, group
        assert max(styles.values()) <= 2, group


def test_brows_are_darker_than_the_skin() -> None:
    """Brows show four of the eight expressions: also those of people with grey hair and dark skin are seen."""
    for index in range(80):
        who = draw_identity(0, index, LABELS)
        assert sum(who.brow_colour) < 0.55 * sum(who.skin), index
