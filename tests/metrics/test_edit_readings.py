"""Expression, gain, off-axis and landmark error, identity, editing score: edits whose right answer is known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from benchmark.data.faceset import FaceSet
from benchmark.metrics.editing_score import EDITING, kept_identity, measure_editing
from benchmark.metrics.expression import EXPRESSION
from benchmark.metrics.gain import GAIN
from benchmark.metrics.identity import IDENTITY
from benchmark.metrics.landmark_error import LANDMARK_ERROR
from benchmark.metrics.metric import EditMetric, Edits
from benchmark.metrics.off_axis import OFF_AXIS
from benchmark.metrics.readings import RealReadings, read_edits, read_pictures, read_real
from benchmark.protocol import ACTION_UNITS, LANDMARKS
from benchmark.training.reader import Reader, Readings

SIZE, STEP = 32, 40.0
"""Levels of a pixel for each step of an action unit's intensity; the pictures of this test are codes, not faces."""
PEOPLE, EXPRESSIONS_SHOWN = 4, ("neutral", "happy", "sad")
UNITS = np.zeros((3, len(ACTION_UNITS)))
UNITS[1, [4, 8, 14]] = (4.0, 5.0, 4.5)
UNITS[2, [0, 10, 11]] = (5.0, 3.0, 4.0)


def picture(person: int, units: np.ndarray) -> np.ndarray:
    """Row 0 has the action units, row 1 the person."""
    code = np.full((SIZE, SIZE, 3), 128, np.uint8)
    code[0, : len(ACTION_UNITS)] = np.rint(units * STEP)[:, None]
    code[1, :] = 60 * person
    return code


class Decoder(Reader):
    """Reads the code, `scale` times too strong and `offset` too high, as a bad reader would."""

    def __init__(self, scale: float = 1.0, offset: float = 0.0) -> None:
        self.size, self.scale, self.offset = SIZE, scale, offset

    def read(self, images: np.ndarray) -> Readings:
        units = images[:, 0, : len(ACTION_UNITS), 0].astype(np.float32) / np.float32(STEP)
        landmarks = np.stack([points(row) for row in units])
        return Readings(units * np.float32(self.scale) + np.float32(self.offset), landmarks)


def points(units: np.ndarray) -> np.ndarray:
    """68 points that action unit 12 (index 8) moves down by a pixel a step; the eyes are 20 px apart."""
    grid = np.stack([np.linspace(2, 30, LANDMARKS), np.full(LANDMARKS, 16.0)], 1)
    grid[[36, 45]] = (6.0, 10.0), (26.0, 10.0)
    return (grid + np.array([0.0, units[8]])).astype(np.float32)


@dataclass(frozen=True)
class Line:
    """An identity network whose space is a line: the person's code."""

    key: str = "line"
    dimensions: int = 1

    def describe(self, images: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        return images[:, 1, :, 0].mean(1, dtype=np.float32)[:, None] / np.float32(60)


def face_set() -> FaceSet:
    rows, images = [], []
    for person in range(PEOPLE):
        for number, name in enumerate(EXPRESSIONS_SHOWN):
            images.append(picture(person, UNITS[number]))
            rows.append(
                {
                    "face_id": f"{person}-{name}", "identity": f"p{person}", "group": "all", "expression": name,
                    "camera": 90, "gaze": "frontal", **dict(zip(ACTION_UNITS, UNITS[number], strict=True)),
                    "landmarks": points(UNITS[number]).ravel(), "visible": np.ones(LANDMARKS, bool), "split": "test",
                }
            )  # fmt: skip
    return FaceSet(np.stack(images), pd.DataFrame(rows))


def edit_table() -> pd.DataFrame:
    rows = []
    for source in range(3 * PEOPLE):
        person, shown = divmod(source, 3)
        for number, name in enumerate(EXPRESSIONS_SHOWN):
            if number != shown:
                other = (person + 1) % PEOPLE
                references = {"truth": 3 * person + number, "reference": 3 * other + number}
                rows.append({"source": source, **references, "target": name})
    return pd.DataFrame(rows)


LINE = Line()
FACES, TABLE = face_set(), edit_table()
SOURCE, TRUTH, OTHER = (FACES.images[TABLE[name]].astype(float) for name in ("source", "truth", "reference"))
METRICS: tuple[EditMetric, ...] = (EXPRESSION, GAIN, OFF_AXIS, LANDMARK_ERROR, IDENTITY, EDITING)


def part_of_the_way(share: float) -> np.ndarray:
    """The closed form: a blend of the codes is a blend of the intensities."""
    return np.clip(np.rint(SOURCE + share * (TRUTH - SOURCE)), 0, 255).astype(np.uint8)


def read(images: np.ndarray, reader: Reader | None, network: Line | None = LINE) -> Edits:
    real = read_real(TABLE, FACES, reader, network, {})
    readings = read_edits(images, TABLE, FACES, real, reader, network, {})
    return Edits(images, TABLE, FACES, np.zeros(len(TABLE), int), readings)


def measure(images: np.ndarray, reader: Reader | None = None) -> dict[str, float]:
    edits = read(images, reader or Decoder())
    found = {metric.key: metric.summary(metric.values(edits), edits.lacking).value for metric in METRICS}
    return {key: value for key, value in found.items() if value is not None}


def test_a_copy_has_no_expression_and_all_identity() -> None:
    found = measure(SOURCE.astype(np.uint8))
    assert found["expression"] == pytest.approx(0)
    assert found["gain"] == pytest.approx(0)
    assert found["off_axis"] == pytest.approx(0)
    assert found["id_similarity"] == pytest.approx(1)
    assert found["editing"] == 0
    # AU12 of the true picture is 5 where one of both is happy (4 of 6 edits), so 5 px of the 20 between the eyes.
    assert found["landmark_error"] == pytest.approx(100 * 5 / 20 * 4 / 6, rel=1e-3)


@pytest.mark.parametrize("reader", [Decoder(), Decoder(scale=0.7, offset=0.4)])
def test_the_true_picture_has_one_whatever_the_reader_does(reader: Reader) -> None:
    found = measure(TRUTH.astype(np.uint8), reader)
    assert found["expression"] == pytest.approx(1)
    assert found["gain"] == pytest.approx(1)
    assert found["editing"] == pytest.approx(1)
    assert found["landmark_error"] == pytest.approx(0, abs=1e-4)
    assert found["off_axis"] == pytest.approx(0)


@pytest.mark.parametrize("reader", [Decoder(), Decoder(scale=0.7, offset=0.4)])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_part_of_the_way_is_that_part(share: float, reader: Reader) -> None:
    found = measure(part_of_the_way(share), reader)
    assert found["gain"] == pytest.approx(share, abs=0.01)
    assert found["expression"] == pytest.approx(share, abs=0.01)
    assert found["editing"] == pytest.approx(2 * share / (1 + share), abs=0.01)


def test_too_far_is_gain_above_one_and_less_expression() -> None:
    units = 1.2 * (TRUTH - SOURCE) + SOURCE
    images = TRUTH.copy()
    images[:, 0] = units[:, 0]
    assert images.min() > -60
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8)  # what falls below 0 is lost, in half of the changes
    found = measure(images)
    assert 1.05 < found["gain"] < 1.2
    assert 0.8 < found["expression"] < 0.95
    assert found["gain"] > measure(TRUTH.astype(np.uint8))["gain"] > measure(part_of_the_way(0.8))["gain"]


def test_another_persons_face_keeps_the_expression_and_no_identity() -> None:
    found = measure(OTHER.astype(np.uint8))
    assert found["expression"] == pytest.approx(1)
    assert found["gain"] == pytest.approx(1)
    assert found["id_similarity"] < 1
    assert found["editing"] == 0


def test_another_expression_is_off_axis() -> None:
    wrong = FACES.images[[3 * (row.source // 3) + 3 - row.source % 3 - row.truth % 3 for row in TABLE.itertuples()]]
    found = measure(wrong)
    assert found["expression"] < 0.2
    assert abs(found["gain"]) < 0.6
    assert found["off_axis"] > 0.5
    assert found["editing"] < 0.2


def test_noise_is_far_off() -> None:
    rng = np.random.default_rng(0)
    found = measure(rng.integers(0, 256, SOURCE.shape).astype(np.uint8))
    assert found["expression"] < 0
    assert found["off_axis"] > 1
    assert found["editing"] == 0


def test_a_persons_number_is_the_slope_of_least_squares() -> None:
    """With a perfect reader, gain is the slope through the origin of the edit's change on the true change."""
    rng = np.random.default_rng(1)
    images = part_of_the_way(0.6)
    images[:, 0, : len(ACTION_UNITS)] = np.clip(
        images[:, 0, : len(ACTION_UNITS)] + rng.integers(0, 20, (len(images), len(ACTION_UNITS), 1)), 0, 255
    )
    values = GAIN.values(read(images, Decoder()))
    mine = (TABLE["source"] // 3 == 2).to_numpy()
    change = (images[mine, 0, : len(ACTION_UNITS), 0] - SOURCE[mine, 0, : len(ACTION_UNITS), 0]).ravel() / STEP
    true = (TRUTH[mine, 0, : len(ACTION_UNITS), 0] - SOURCE[mine, 0, : len(ACTION_UNITS), 0]).ravel() / STEP
    slope = np.linalg.lstsq(true[:, None], change, rcond=None)[0][0]
    assert values[mine].mean() == pytest.approx(slope, rel=1e-3)


def test_kept_identity_is_between_the_true_picture_and_another_person() -> None:
    half = TRUTH.copy()
    half[:, 1] = (SOURCE[:, 1] + OTHER[:, 1]) / 2
    images = np.rint(half).astype(np.uint8)
    assert kept_identity(read(images, Decoder())) == pytest.approx(np.full(len(TABLE), 0.5), abs=0.01)
    assert measure(images)["editing"] == pytest.approx(2 / 3, abs=0.01)


def test_the_score_alone_is_the_column() -> None:
    images, reader = part_of_the_way(0.5), Decoder()
    real = read_real(TABLE, FACES, reader, LINE, {})
    assert measure_editing(images, TABLE, FACES, reader, LINE, real).value == measure(images)["editing"]


def test_what_is_missing_is_reported() -> None:
    images = SOURCE.astype(np.uint8)
    edits = read(images, None, None)
    reasons = {metric.key: metric.summary(metric.values(edits), edits.lacking).reason for metric in METRICS}
    assert "no action units were measured" in reasons["gain"]
    assert "fesbench[photos]" in reasons["id_similarity"]
    assert "no action units" not in reasons["id_similarity"]
    assert "no landmarks are known" in reasons["landmark_error"]
    without_truth = Edits(images, TABLE.assign(truth=-1), FACES, edits.judged, None)
    assert "true picture" not in GAIN.summary(GAIN.values(edits), edits.lacking).reason
    unmeasured = FaceSet(FACES.images, FACES.table.assign(units_by="prototype", landmarks_by="mirrored pose"))
    of_stand_ins = dataclasses.replace(read(images, Decoder()), faces=unmeasured)
    for metric, words in ((GAIN, "no action units were measured"), (LANDMARK_ERROR, "no landmarks are known")):
        summary = metric.summary(metric.values(of_stand_ins), of_stand_ins.lacking)
        assert summary.value is None
        assert words in summary.reason
    assert "no picture of the same person" in GAIN.summary(GAIN.values(without_truth), without_truth.lacking).reason


def test_real_readings_of_some_edits_are_theirs() -> None:
    real = read_real(TABLE, FACES, Decoder(), LINE, {})
    rows = np.array([5, 1])
    some = read_real(TABLE.iloc[rows].reset_index(drop=True), FACES, Decoder(), LINE, {})
    for name in vars(real):
        assert np.array_equal(getattr(real.of(rows), name), getattr(some, name))
    assert isinstance(some, RealReadings)


def test_sources_and_true_pictures_are_not_described_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two rows without a method cost nothing, and have the same numbers."""
    real = read_real(TABLE, FACES, None, LINE, {})
    asked: list[int] = []

    def describe(self: Line, images: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        return original(self, images, landmarks)

    original = Line.describe
    monkeypatch.setattr(Line, "describe", describe)
    images = SOURCE.astype(np.uint8)
    images[:3] = TRUTH[:3]
    images[5] = OTHER[5]
    faces = read_edits(images, TABLE, FACES, real, None, LINE, {}).faces
    assert asked == [1]
    np.testing.assert_array_equal(faces, original(LINE, images, FACES.landmarks[TABLE["source"]]))


def test_faces_that_stand_elsewhere_are_read_where_they_stand() -> None:
    """The reader is shown a face where it has learned faces, and its landmarks are brought back into the picture."""
    angle = np.deg2rad(20)
    turn = 0.8 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    learned = points(UNITS[0]).astype(np.float64)
    placed = (learned @ turn.T + (5.0, 2.0)).astype(np.float32)
    table = FACES.table.iloc[:1].assign(landmarks=[placed.ravel()])
    faces = FaceSet(FACES.images[:1], table)

    class Steady(Decoder):
        """Sees faces where it has learned them."""

        def read(self, images: np.ndarray) -> Readings:
            return Readings(
                np.zeros((len(images), 17), np.float32), np.stack([learned.astype(np.float32)] * len(images))
            )

    read_back = read_pictures(Steady(), faces, np.array([0]), {90: learned})
    np.testing.assert_allclose(read_back.landmarks[0], placed, atol=1e-3)
    np.testing.assert_allclose(read_pictures(Steady(), faces, np.array([0]), {}).landmarks[0], learned, atol=1e-4)


def test_stand_ins_are_not_learned_from() -> None:
    table = FACES.table.assign(units_by="measured", landmarks_by="dlib")
    table.loc[1, "units_by"], table.loc[2, "landmarks_by"] = "prototype", "mirrored pose"
    faces = FaceSet(FACES.images, table)
    assert np.flatnonzero(np.isnan(faces.measured_units).all(1)).tolist() == [1]
    assert np.flatnonzero(np.isnan(faces.measured_landmarks).all((1, 2))).tolist() == [2]
    assert np.isfinite(faces.units).all()
    assert np.array_equal(FACES.measured_units, FACES.units)  # rendered faces say nothing of sources
