"""Action units of the expressions (RaFD's prototypes), and what they do to the face."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from benchmark.rendering.facs import ACTIONS, CONTEMPT_SIDE, PROTOTYPES, draw, facial_actions

# Langner et al. (2010), Table 1, without the letters. AU24 is AU23 here: OpenFace has no AU24.
RAFD = {
    "angry": {4, 5, 7, 17, 23},
    "contemptuous": {14},
    "disgusted": {9, 10, 25},
    "fearful": {1, 2, 4, 5, 20, 25},
    "happy": {6, 12, 25},
    "neutral": set(),
    "sad": {1, 4, 15, 17},
    "surprised": {1, 2, 5, 26},
}
# The letters as intensities: A to E are 1 to 5, and a value rounds to its letter's.
LETTERS = {
    ("angry", 4): "CDE",
    ("angry", 5): "CDE",
    ("fearful", 5): "DE",
    ("happy", 12): "CDE",
    ("sad", 15): "ABC",
    ("surprised", 5): "AB",
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_has_the_units_of_rafd_and_no_others(expression: str) -> None:
    for seed in range(20):
        units = draw(expression, np.random.default_rng(seed))
        assert list(units) == list(ACTION_UNITS)
        assert {int(name[2:4]) for name, value in units.items() if value} == RAFD[expression]
        for (wanted, number), letters in LETTERS.items():
            if wanted == expression:
                assert "ABCDE"[round(units[f"AU{number:02d}_r"]) - 1] in letters


def test_intensities_vary_but_repeat_with_the_generator() -> None:
    first, again, other = (draw("happy", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert all(value == float(np.float32(value)) for value in first.values()), "the table's float32 holds them exactly"


def test_every_unit_moves_the_face_and_the_table_names_known_units() -> None:
    assert tuple(ACTIONS) == ACTION_UNITS
    assert set(PROTOTYPES) == set(EXPRESSIONS)
    for unit in ACTION_UNITS:
        assert facial_actions({unit: 5.0})
        assert facial_actions({unit: 0.0}) == {}


def test_weights_are_gain_times_intensity_and_add_up() -> None:
    assert facial_actions({"AU45_r": 2.5}) == {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5}
    both = facial_actions({"AU06_r": 5.0, "AU07_r": 5.0})
    gain = ACTIONS["AU06_r"]["eyeSquint*"] + ACTIONS["AU07_r"]["eyeSquint*"]
    assert both["eyeSquintLeft"] == pytest.approx(gain)


def test_contempt_moves_one_side_only() -> None:
    weights = facial_actions({"AU14_r": 5.0}, {"AU14_r": CONTEMPT_SIDE})
    assert CONTEMPT_SIDE == "right"
    assert weights
    assert not [name for name in weights if name.endswith("Left")]
    mirrored = facial_actions({"AU14_r": 5.0}, {"AU14_r": "left"})
    assert {name.replace("Right", "Left"): value for name, value in weights.items()} == mirrored


@pytest.mark.parametrize("units", [{"AU03_r": 1.0}, {"AU01_r": 5.1}, {"AU01_r": -0.1}])
def test_what_is_no_action_unit_is_refused(units: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="AU0"):
        facial_actions(units)
