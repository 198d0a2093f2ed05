"""Faces off the middle, tilted and far: exact projections, names, and sets that have none as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import render
from benchmark.core.errors import UserError
from benchmark.protocol import CAMERAS
from benchmark.rendering import output
from benchmark.rendering.landmarks import Projection
from benchmark.rendering.placement import FAR_FIELD, OFF_SHIFT, PLACEMENTS, TILT, Framing, Placement, draw_framing
from benchmark.rendering.shots import RENDERER, SetSettings, ShotName, ShotRenderer

ALIGNED_SET = SetSettings(identities=1, size=32, cameras=(90,), gazes=("frontal",), seed=5)
POINTS = np.random.default_rng(0).uniform(-0.1, 0.1, (68, 3))
MIDDLE = 31.5


def camera(yaw: float = 40.0) -> Projection:
    """A camera 1.4 m before a head, a little above it."""
    angle = np.radians(yaw)
    origin = np.array([np.sin(angle), -np.cos(angle), 0.05]) * 1.4
    return Projection(origin, np.array([0.01, 0.02, -0.02]), 0.3, 64)


@pytest.mark.parametrize("roll", [25.0, -20.0, 90.0])
def test_a_rolled_camera_turns_the_picture_about_its_middle(roll: float) -> None:
    upright, rolled = camera()(POINTS), camera().framed(Framing(roll=roll))(POINTS)
    angle = np.radians(roll)
    clockwise = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # y is down
    assert rolled == pytest.approx((upright - MIDDLE) @ clockwise.T + MIDDLE, abs=1e-9)


def test_a_wider_field_makes_everything_smaller_about_the_middle() -> None:
    near, far = camera()(POINTS), camera().framed(Framing(field=2.0))(POINTS)
    assert far == pytest.approx((near - MIDDLE) / 2 + MIDDLE, abs=1e-9)


@pytest.mark.parametrize(("right", "down"), [(0.2, 0.0), (0.0, -0.2), (-0.14, 0.14)])
def test_an_aim_beside_the_face_shifts_it_as_far_as_it_says(right: float, down: float) -> None:
    plain = camera()
    off = plain.framed(Framing(right=right, down=down))
    assert np.linalg.norm(off.target - off.origin) == pytest.approx(np.linalg.norm(plain.target - plain.origin))
    assert off(plain.target[None])[0] == pytest.approx([MIDDLE + 64 * right, MIDDLE + 64 * down], abs=0.1)
    moved = off(POINTS) - plain(POINTS)
    assert moved.mean(0) == pytest.approx([64 * right, 64 * down], abs=0.7)
    assert np.abs(moved - moved.mean(0)).max() < 2.5, "perspective only"


def test_framings_vary_by_person_and_camera_within_their_ranges() -> None:
    drawn = {
        placement: [draw_framing(placement, 0, person, yaw, "frontal") for person in range(40) for yaw in CAMERAS]
        for placement in PLACEMENTS
    }
    assert set(drawn["aligned"]) == {Framing()}
    rolls = np.array([framing.roll for framing in drawn["tilted"]])
    assert TILT[0] <= np.abs(rolls).min() < np.abs(rolls).max() <= TILT[1]
    assert 60 < (rolls > 0).sum() < 140
    shifts = np.array([(framing.right, framing.down) for framing in drawn["off"]])
    assert OFF_SHIFT[0] <= np.hypot(*shifts.T).min() < np.hypot(*shifts.T).max() <= OFF_SHIFT[1]
    assert (np.abs(shifts.mean(0)) < 0.03).all(), "every direction"
    fields = np.array([framing.field for framing in drawn["far"]])
    assert FAR_FIELD[0] <= fields.min() < fields.max() <= FAR_FIELD[1]
    for placement in PLACEMENTS[1:]:
        assert len(set(drawn[placement])) == 200
    assert draw_framing("off", 0, 3, 90, "frontal") != draw_framing("off", 1, 3, 90, "frontal")
    assert draw_framing("off", 0, 3, 90, "frontal") != draw_framing("off", 0, 3, 90, "left")


@pytest.fixture
def quick(renderer: ShotRenderer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShotRenderer]:
    """The shared renderer, for sets that are rendered in this process."""
    before = renderer.settings

    def engage(settings: SetSettings) -> ShotRenderer:
        renderer.settings = settings
        return renderer

    monkeypatch.setattr(output, "ShotRenderer", engage)
    yield renderer
    renderer.settings = before


def pictures_of(renderer: ShotRenderer, *framings: Framing, size: int = 32) -> list[np.ndarray]:
    """A neutral face, frontal, through cameras of some framings."""
    head = renderer.head(0)
    renderer.scene.set_pose(head.pose({}, {}, "frontal"))
    plain = renderer.scene.projection(head, 0, size)
    return [renderer.scene.render(plain.framed(framing), 1).astype(float) for framing in framings]


def test_the_renderer_sees_what_the_projection_says(renderer: ShotRenderer) -> None:
    plain, rolled, off, far = pictures_of(
        renderer, Framing(), Framing(roll=90.0), Framing(right=0.25), Framing(field=2.0)
    )
    core = np.s_[8:24, 8:24]
    assert np.abs(np.rot90(plain, -1) - rolled)[core].mean() < 4, "clockwise"
    assert np.abs(np.rot90(plain, 1) - rolled)[core].mean() > 10
    assert np.abs(plain[:, 8:20] - off[:, 16:28]).mean() < 8, "to the right"
    assert np.abs(plain[:, 8:20] - off[:, 8:20]).mean() > 15
    (large,) = pictures_of(renderer, Framing(field=2.0), size=64)
    assert np.abs(large[16:48, 16:48] - plain)[4:28, 4:28].mean() < 8, "half as large"
    assert np.abs(large.reshape(32, 2, 32, 2, 3).mean((1, 3)) - far).mean() < 4


def test_every_placement_of_a_shot_shows_the_same_moment(quick: ShotRenderer) -> None:
    quick.settings = replace(ALIGNED_SET, cameras=(0, 90), placements=PLACEMENTS)
    taken = {str(row["face_id"]): (picture, row) for picture, row in quick.render(ShotName(0, "happy", "frontal"))}
    assert list(taken)[:4] == [f"000_happy_000_frontal{end}" for end in ("", "_off", "_tilted", "_far")]
    assert [row["placement"] for _, row in taken.values()] == 2 * list(PLACEMENTS)
    for code in ("000", "090"):
        upright = taken[f"000_happy_{code}_frontal"][1]
        points = np.array(upright["landmarks"]).reshape(68, 2)
        for placement in PLACEMENTS[1:]:
            row = taken[f"000_happy_{code}_frontal_{placement}"][1]
            assert {name: row[name] for name in row if name.startswith("AU")} == {
                name: upright[name] for name in upright if name.startswith("AU")
            }
            here = np.array(row["landmarks"]).reshape(68, 2)
            inside = ((here >= -0.5) & (here < 31.5)).all(1)
            assert row["visible"] == (np.array(upright["visible"]) & inside).tolist()
            framing = draw_framing(placement, 5, 0, int(code), "frontal")
            if placement == "tilted":
                angle = np.radians(framing.roll)
                turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
                assert here == pytest.approx((points - 15.5) @ turn.T + 15.5, abs=1e-4)
            else:
                shift = [32 * framing.right, 32 * framing.down]
                assert here == pytest.approx((points - 15.5) / framing.field + 15.5 + shift, abs=0.6)


def test_all_expressions_of_a_person_share_a_framing(quick: ShotRenderer) -> None:
    """Else no edit had a true picture."""
    quick.settings = replace(ALIGNED_SET, placements=("tilted",))
    jaws = []
    for expression in ("neutral", "angry"):
        ((_, row),) = quick.render(ShotName(1, expression, "frontal"))
        points = np.array(row["landmarks"]).reshape(68, 2)
        jaws.append(np.degrees(np.arctan2(*(points[16] - points[0])[::-1])))
    assert abs(jaws[0] - jaws[1]) < 5
    assert min(np.abs(jaws)) > 15


@pytest.mark.usefixtures("quick")
def test_a_set_with_placements_and_one_without(tmp_path: Path) -> None:
    plain = output.render_set(ALIGNED_SET, tmp_path / "plain", 1)
    assert "placement" not in plain.columns
    assert json.loads((tmp_path / "plain" / "settings.json").read_text()) == {
        "identities": 1, "size": 32, "cameras": [90], "gazes": ["frontal"], "seed": 5, "renderer": RENDERER
    }  # fmt: skip
    both = replace(ALIGNED_SET, identities=2, only=(0,), placements=("aligned", "far"))
    assert both.pictures() == 16
    calls: list[tuple[int, int]] = []
    table = output.render_set(both, tmp_path / "both", 1, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (16, 16)
    assert table["placement"].value_counts().to_dict() == {"aligned": 8, "far": 8}
    for name in plain["face_id"]:
        here, there = ((tmp_path / folder / f"{name}.png").read_bytes() for folder in ("plain", "both"))
        assert here == there, "the same people, and the same pictures of them"
    aligned = table[table["placement"] == "aligned"].drop(columns="placement").reset_index(drop=True)
    pd.testing.assert_frame_equal(aligned, plain)
    output.render_set(both, tmp_path / "both", 1)
    with pytest.raises(UserError, match=r"other settings \(identities, placements, only\)"):
        output.render_set(ALIGNED_SET, tmp_path / "both", 1)


@pytest.mark.parametrize(
    ("arguments", "placements", "only"),
    [
        ([], ("aligned",), ()),
        (["--placements", "far,off"], ("off", "far"), ()),
        (["--placements", "all", "--only", "7, 0,7"], PLACEMENTS, (0, 7)),
    ],
)
def test_the_command_takes_placements_and_people(
    arguments: list[str], placements: tuple[Placement, ...], only: tuple[int, ...]
) -> None:
    settings = render.settings_of(render.parser().parse_args([*arguments, "--out", "x"]))
    assert (settings.placements, settings.only, settings.numbers) == (placements, only, only or tuple(range(80)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--placements", "of"], "unknown placement 'of'; did you mean 'off'?"),
        (["--only", "3,80"], "--only: '80' is no number from 0 to 79"),
        (["--only", "x"], "--only: 'x' is no number from 0 to 79"),
    ],
)
def test_wrong_placements_and_people_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render.main([*arguments, "--out", str(tmp_path / "set")]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "set").exists()
