"""Hair, beards and creases: where they are on the face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmark.rendering.appearance import FOLDS
from benchmark.rendering.hair import (
    BEARDS,
    STYLES,
    beard_field,
    beard_lift,
    hair_field,
    hair_lift,
    paint_beard,
    paint_hair,
)
from benchmark.rendering.identity import Identity, draw_identity
from benchmark.rendering.shots import ShotRenderer

FOREHEAD, BROW, CROWN, NOSE = (0, -0.02, 0.050), (0.03, -0.02, 0.024), (0, 0.08, 0.109), (0, -0.04, -0.03)
UPPER_LIP, CHIN, CHEEK, NECK = (0.006, -0.03, -0.052), (0, -0.02, -0.100), (0.04, -0.01, -0.04), (0, 0.03, -0.13)
JAW, BESIDE_MOUTH = (0.052, 0.03, -0.07), (0.032, -0.02, -0.068)


def person(style: str = "cropped", beard: str = "none") -> Identity:
    """A man of one hair style and beard, with a high hair line."""
    return replace(draw_identity(0, 3, ()), style=style, beard=beard, hairline=0.066)  # type: ignore[arg-type]


def inside(field: np.ndarray) -> list[bool]:
    """Which values are positive."""
    return [bool(value > 0) for value in field]


@pytest.mark.parametrize("style", STYLES)
def test_hair_grows_on_the_crown_and_not_in_the_face(style: str) -> None:
    points = np.array([CROWN, BROW, NOSE, CHEEK, CHIN])
    assert inside(hair_field(points, person(style))) == [True, False, False, False, False]
    ears = np.zeros(len(points))
    lift = hair_lift(points, ears, person(style))
    assert (lift[1:] == 0).all()
    assert (lift[0] > 0) == (style != "bald")
    skin = np.full((len(points), 3), 0.7)
    painted = paint_hair(skin, points, ears, person(style))
    assert np.array_equal(painted[1:], skin[1:])
    assert np.array_equal(painted[0], skin[0]) == (style == "bald")


def test_a_fringe_covers_the_forehead_and_a_receding_line_bares_the_temples() -> None:
    temple = (0.034, -0.01, 0.072)
    covered = {style: inside(hair_field(np.array([FOREHEAD, temple]), person(style))) for style in STYLES}
    assert [style for style, (forehead, _) in covered.items() if forehead] == ["fringe", "bangs"]
    assert [style for style, (_, bare) in covered.items() if not bare] == ["shaved", "receding"]


def test_a_beard_covers_its_parts_and_leaves_the_lips_free() -> None:
    points = np.array([UPPER_LIP, CHIN, BESIDE_MOUTH, JAW, CHEEK, NECK])
    covered = {kind: inside(beard_field(points, parts)) for kind, parts in BEARDS.items()}
    assert covered == {
        "none": [False] * 6,
        "stubble": [True, True, True, True, False, False],
        "moustache": [True, False, False, False, False, False],
        "goatee": [True, True, True, False, False, False],
        "short": [True, True, True, True, False, False],
        "full": [True, True, True, True, False, False],
    }
    lips = np.array([1.0, 0, 0, 0, 0, 0])
    skin = np.full((6, 3), 0.7)
    painted = paint_beard(skin, points, lips, person(beard="full"))
    assert np.array_equal(painted[[0, 4, 5]], skin[[0, 4, 5]])
    assert (painted[[1, 2, 3]] < 0.4).all()
    lift = beard_lift(points, lips, person(beard="full"))
    assert (lift[[0, 4, 5]] == 0).all()
    assert lift[1] > 0.003


def test_hanging_hair_surrounds_the_head_and_leaves_the_face_free(renderer: ShotRenderer) -> None:
    builder = renderer.builder
    for style, kind in STYLES.items():
        points = builder.hanging.points(person(style), builder.body.template)
        if kind.ends is None:
            assert np.ptp(points, axis=0).max() < 1e-3, "out of sight"
            assert abs(points[0, 2]) < 0.05
            continue
        assert points[:, 2].min() == pytest.approx(kind.ends, abs=0.01)
        assert points[:, 1].min() > 0.01, "not in front of the cheeks"
        ears = builder.body.template[builder.painter.ears > 0.5]
        beside = points[np.abs(points[:, 2] - ears[:, 2].mean()) < 0.02]
        assert np.abs(beside[:, 0]).max() > np.abs(ears[:, 0]).max()


def test_creases_end_without_a_step(renderer: ShotRenderer) -> None:
    body, painter = renderer.builder.body, renderer.builder.painter
    flat = body.template[:, [0, 2]]
    for fold, depth in zip(FOLDS, painter.folds[1], strict=True):
        assert np.abs(depth).max() < 0.0021
        ends = [fold.curve[-1]] if fold.curve[0][0] == 0 else [fold.curve[0], fold.curve[-1]]
        for end in ends:
            near = (np.linalg.norm(flat - np.array(end) / 1000, axis=1) < 0.001) & painter.front
            assert np.abs(depth[near]).max() < 0.3 * depth.max(), fold
