"""What is on the pictures: geometry, visibility, gaze, determinism."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmark.protocol import EXPRESSIONS, LANDMARK_MIRROR
from benchmark.rendering.anatomy import refine
from benchmark.rendering.facs import CONTEMPT_SIDE
from benchmark.rendering.landmarks import Projection
from benchmark.rendering.scene import Scene, smooth
from benchmark.rendering.shots import ShotName, ShotRenderer

RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)


BALD = 21
"""An identity without hair, which would hide landmarks."""


def landmarks(renderer: ShotRenderer, units: dict[str, float], yaw: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks in pixels of a 100 px picture of a bald man, and which are visible."""
    head = renderer.head(BALD)
    sides = {"AU14_r": CONTEMPT_SIDE}
    pose = head.pose(units, sides, "frontal")
    renderer.scene.set_pose(pose)
    camera = renderer.scene.projection(head, yaw, 100)
    return camera(pose.landmarks), renderer.scene.visible(camera, pose.landmarks, pose.landmark_normals)


def test_the_same_picture_twice_whatever_came_before(renderer: ShotRenderer) -> None:
    shot = ShotName(0, "happy", "frontal")
    first = list(renderer.render(shot))
    for between in (
        ShotName(1, "surprised", "left"),
        ShotName(0, "neutral", "frontal"),
        ShotName(0, "neutral", "frontal"),
    ):
        list(renderer.render(between))
    again = list(renderer.render(shot))
    for (picture, row), (same, same_row) in zip(first, again, strict=True):
        assert np.array_equal(picture, same)
        assert row == same_row
    other = next(iter(renderer.render(replace(shot, expression="sad"))))
    assert not np.array_equal(first[0][0], other[0])


def test_every_scene_renders_the_same_picture(renderer: ShotRenderer) -> None:
    """Mitsuba loads what a dictionary describes in any order; lamps in another order would be another sampling."""
    head = renderer.head(0)
    pose = head.pose({}, {}, "frontal")
    pictures = []
    for _ in range(4):
        scene = Scene(renderer.builder)
        scene.set_head(head)
        scene.set_pose(pose)
        pictures.append(scene.render(scene.projection(head, 0, 32), 1))
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


def test_a_neutral_face_is_symmetric_and_in_order(renderer: ShotRenderer) -> None:
    points, visible = landmarks(renderer, {})
    mirrored = points[list(LANDMARK_MIRROR)] * [-1, 1] + [99, 0]
    assert np.abs(points - mirrored).max() < 1.3, "a brow's landmark is the vertex nearest to its curve"
    assert visible[17:].all()
    assert points[0, 0] < points[8, 0] < points[16, 0]
    brows, eyes, nose, mouth = (points[a:b, 1].mean() for a, b in ((17, 27), (36, 48), (31, 36), (48, 68)))
    assert brows < eyes < nose < mouth < points[8, 1]
    assert (np.diff(points[:17, 0]) > 0).all()
    assert (np.diff(points[17:27, 0]) > 0).all()
    assert (np.diff(points[27:31, 1]) > 0).all()
    assert (points[60:65, 1].mean() <= points[[67, 66, 65], 1].mean() + 0.5).all()


def test_the_face_is_centred_and_fills_the_picture_at_every_camera(renderer: ShotRenderer) -> None:
    for yaw in (-90, -45, 0, 45, 90):
        points, _ = landmarks(renderer, {}, yaw)
        assert points.min() > 5
        assert points.max() < 94
        assert np.abs((points.min(0) + points.max(0)) / 2 - 49.5).max() < 7
        assert 66 < points[8, 1] - points[17:27, 1].min() < 72


@pytest.mark.parametrize(
    ("yaw", "hidden", "shown"), [(90, slice(0, 8), slice(9, 16)), (-90, slice(9, 17), slice(1, 8))]
)
def test_in_profile_the_far_side_is_hidden(renderer: ShotRenderer, yaw: float, hidden: slice, shown: slice) -> None:
    _, visible = landmarks(renderer, {}, yaw)
    assert not visible[hidden].any()
    assert visible[shown].all()
    far, near = (RIGHT_EYE, LEFT_EYE) if yaw > 0 else (LEFT_EYE, RIGHT_EYE)
    assert not visible[far].any()
    assert visible[near].any()


def test_camera_codes_below_90_see_the_subjects_right_side(renderer: ShotRenderer) -> None:
    rows = [row for _, row in renderer.render(ShotName(0, "neutral", "frontal"))]
    assert [row["camera"] for row in rows] == [0, 90, 180]
    assert rows[0]["visible"][36:42].count(True) > rows[0]["visible"][42:48].count(True)
    assert rows[2]["visible"][36:42].count(True) < rows[2]["visible"][42:48].count(True)


@pytest.mark.parametrize(
    ("units", "low", "high"),
    [
        ({"AU26_r": 5.0}, 57, 8),  # the chin goes down with the lower lip
        ({"AU12_r": 5.0}, 48, None),  # mouth corners up
        ({"AU15_r": 3.0}, None, 48),  # mouth corners down
        ({"AU01_r": 5.0}, 21, None),  # inner brows up
        ({"AU04_r": 5.0}, None, 21),  # brows down
    ],
)
def test_action_units_move_their_part_of_the_face(
    renderer: ShotRenderer, units: dict[str, float], low: int | None, high: int | None
) -> None:
    neutral, _ = landmarks(renderer, {})
    moved, _ = landmarks(renderer, units)
    if units == {"AU26_r": 5.0}:
        assert (moved[[8, 57, 66], 1] > neutral[[8, 57, 66], 1] + 3).all()
        assert moved[66, 1] - moved[62, 1] > 4
    elif low is not None:
        assert moved[low, 1] < neutral[low, 1] - 0.8
    elif high is not None:
        assert moved[high, 1] > neutral[high, 1] + 0.8
    assert np.abs(moved[:4] - neutral[:4]).max() < 2.0


def test_contempt_pulls_the_subjects_right_mouth_corner(renderer: ShotRenderer) -> None:
    neutral, _ = landmarks(renderer, {})
    moved, _ = landmarks(renderer, {"AU14_r": 5.0})
    right, left = moved[48] - neutral[48], moved[54] - neutral[54]
    assert right[1] < -1.5
    assert abs(left[1]) < 1.0
    assert np.abs(moved[42:48] - neutral[42:48]).max() < 0.5


def test_gaze_moves_the_irises(renderer: ShotRenderer) -> None:
    """The dark of the iris and pupil moves in the picture; to the subject's left is the picture's right."""
    head = renderer.head(1)
    places = {}
    for gaze in ("frontal", "left", "right"):
        pose = head.pose({"AU05_r": 5.0}, {}, gaze)
        renderer.scene.set_pose(pose)
        camera = renderer.scene.projection(head, 0, 128)
        picture = renderer.scene.render(camera, 0).astype(float).mean(-1)
        points = camera(pose.landmarks)
        collected = []
        for eye in (points[RIGHT_EYE], points[LEFT_EYE]):
            (x0, y0), (x1, y1) = eye.min(0).astype(int), eye.max(0).astype(int) + 1
            cut = picture[y0 + 1 : y1, x0 + 1 : x1]
            dark = np.clip(np.median(cut) - cut, 0, None)
            collected.append(float((dark.sum(0) * np.arange(cut.shape[1])).sum() / dark.sum() / cut.shape[1]))
        places[gaze] = np.mean(collected)
    assert places["left"] > places["frontal"] + 0.05
    assert places["right"] < places["frontal"] - 0.05


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_corners_are_never_black_and_faces_not_grainy(renderer: ShotRenderer, expression: str) -> None:
    for picture, _ in renderer.render(ShotName(1, expression, "frontal")):
        assert picture.shape == (32, 32, 3)
        assert picture[:3, 0].min() > 120 or picture[:3, -1].min() > 120, "a white room above the shoulders"
        assert picture.std() > 25


def test_projection_has_pixel_centres_at_integers() -> None:
    camera = Projection(np.array([0.0, -2.0, 0.0]), np.zeros(3), 1.0, 10)
    assert camera(np.zeros((1, 3))) == pytest.approx(np.array([[4.5, 4.5]]))
    assert camera(np.array([[0.5, 0.0, -0.5]])) == pytest.approx(np.array([[9.5, 9.5]]))
    nearer = camera(np.array([[0.25, -1.0, 0.25]]))
    assert nearer == pytest.approx(np.array([[9.5, -0.5]])), "half as far, twice as large"


def test_subdivision_keeps_planes_and_converges_to_known_points() -> None:
    """Catmull and Clark: a cube's corner moves to the mean that their rule gives, 5/9 of the way out."""
    corners = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    cube = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    matrix, quads = refine(cube, 8)
    points = matrix @ corners
    assert points.shape == (8 + 12 + 6, 3)
    assert len(quads) == 24
    assert points[7] == pytest.approx(np.full(3, 5 / 9))
    assert sorted(map(tuple, np.abs(points[-6:]).round(9).tolist())) == sorted(2 * [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
    flat = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0]], float)
    sheet, _ = refine(np.array([[0, 1, 4, 3], [1, 2, 5, 4]]), 6)
    assert np.asarray(sheet.sum(1)).ravel() == pytest.approx(1)
    assert (sheet @ flat)[:, 2] == pytest.approx(0)


def test_smoothing_removes_noise_and_keeps_edges() -> None:
    rng = np.random.default_rng(0)
    clean = np.where(np.arange(32)[None, :, None] < 16, 0.2, 0.8) * np.ones((32, 1, 3))
    noisy = (clean + rng.normal(0, 0.05, clean.shape)).astype(np.float32)
    guide = (clean[..., :1] * 20).astype(np.float32)
    out = smooth(noisy, guide, np.ones((32, 32), np.float32))
    assert np.abs(out - clean).mean() < 0.25 * np.abs(noisy - clean).mean()
    assert np.abs(out[:, 15].mean() - 0.2) < 0.02
    assert np.abs(out[:, 16].mean() - 0.8) < 0.02
