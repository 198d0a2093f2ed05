"""Planted methods on real (rendered) pictures: a lazy one and an exaggerating one, told apart by gain and not by FD."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmark.data.faceset import FaceSet
from benchmark.metrics.density import coverage, density
from benchmark.metrics.editing_score import EDITING
from benchmark.metrics.expression import EXPRESSION
from benchmark.metrics.features import open_extractor
from benchmark.metrics.features.dlib_network import find_identity_weights
from benchmark.metrics.features.identity import open_dlib_identity
from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.gain import GAIN
from benchmark.metrics.identity import IDENTITY
from benchmark.metrics.landmark_error import LANDMARK_ERROR
from benchmark.metrics.metric import EditMetric, Edits
from benchmark.metrics.off_axis import OFF_AXIS
from benchmark.metrics.readings import read_edits, read_real
from benchmark.protocol import EXPRESSIONS
from benchmark.training.reader import ReaderSettings, reader_pictures, train_reader
from benchmark.training.sampling import TrainingSet
from tests.metrics.committed import committed_faces
from tests.metrics.halfway import FILE as HALFWAY

PEOPLE, TEST = 80, 16
"""Of the committed set, from the front; the last ones are tested on."""
SETTINGS = ReaderSettings(pictures=5000)
METRICS: tuple[EditMetric, ...] = (GAIN, EXPRESSION, IDENTITY, EDITING, OFF_AXIS, LANDMARK_ERROR)


@dataclass(frozen=True)
class Planted:
    """Measured numbers of each planted method, by its name."""

    numbers: dict[str, dict[str, float]]


def blurred(images: np.ndarray) -> np.ndarray:
    """The mean of each pixel with its four neighbours: an honest method that is a little soft."""
    soft = images.astype(float)
    padded = np.pad(soft, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    rows, columns = padded[:, :, 1:-1], padded[:, 1:-1]
    return np.mean([soft, rows[:, :-2], rows[:, 2:], columns[:, :, :-2], columns[:, :, 2:]], axis=0)


@pytest.fixture(scope="module")
def planted() -> Planted:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    faces = committed_faces(PEOPLE, EXPRESSIONS)
    people = sorted(faces.table["identity"].unique())
    test = faces.table["identity"].isin(people[-TEST:]).to_numpy()
    train, rows = np.flatnonzero(~test), np.flatnonzero(test)
    data = TrainingSet(faces.images, faces.labels[train], faces.units[train], faces.landmarks[train], train)
    people_of = faces.table["identity"].iloc[train].astype("category").cat.codes.to_numpy()
    reader = train_reader(reader_pictures(data, people_of, SETTINGS.side, 0), SETTINGS, 0)
    weights = find_identity_weights()
    assert weights is not None
    network = open_dlib_identity(weights, "cpu")
    table = edits_of(faces, rows)
    source, truth, other = (faces.images[table[name]].astype(float) for name in ("source", "truth", "reference"))
    methods = {
        "copy": source,
        "lazy": source + 0.3 * (truth - source),
        "honest": blurred(truth),
        "exaggerating": source + 1.5 * (truth - source),
        "true": truth,
        "stranger": other,
    }
    real = read_real(table, faces, reader, network, {})

    def measured(images: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        some = table.iloc[rows].reset_index(drop=True)
        readings = read_edits(images, some, faces, real.of(rows), reader, network, {})
        edits = Edits(images, some, faces, np.zeros(len(some), int), readings)
        found = {metric.key: metric.summary(metric.values(edits), edits.lacking).value for metric in METRICS}
        return {key: value for key, value in found.items() if value is not None}

    extractor = open_extractor("efficientnet-lite0")
    distances = extractor.features(faces.images[rows])
    described = network.describe(faces.images[rows], faces.landmarks[rows])

    def as_set(images: np.ndarray, edits: np.ndarray, features: np.ndarray | None = None) -> dict[str, float]:
        """Measures of whole sets. features: of the pictures, where they are known."""
        seen = extractor.features(images) if features is None else features
        points = faces.landmarks[table["source"].iloc[edits]]
        return {
            "density": density(seen, distances), "coverage": coverage(seen, distances),
            "fd_faces": frechet_distance(network.describe(images, points), described),
        }  # fmt: skip

    numbers = {}
    for name, pictures in methods.items():
        images = np.clip(np.rint(pictures), 0, 255).astype(np.uint8)
        numbers[name] = measured(images, np.arange(len(table)))
        if name in ("lazy", "honest", "exaggerating"):
            numbers[name]["fid"] = frechet_distance(extractor.features(images), distances)
    some, halves = halfway_edits(faces, table)
    numbers["half-way"] = measured(halves, some)
    third = np.array([other_expression(faces, edit.source, edit.truth) for edit in table.iloc[some].itertuples()])
    numbers["another expression"] = measured(np.asarray(faces.images[third]), some)
    noise = np.random.default_rng(0).integers(0, 256, halves.shape).astype(np.uint8)
    numbers["noise"] = measured(noise, some)
    numbers["true of these"] = measured(np.asarray(faces.images[table["truth"].iloc[some]]), some)
    numbers["half-way"] |= as_set(halves, some)
    numbers["noise"] |= as_set(noise, some)
    shown = np.asarray(faces.images[third])
    numbers["another expression"] |= as_set(shown, some, distances[np.searchsorted(rows, third)])
    for name, column in (("copy", "source"), ("true", "truth"), ("stranger", "reference")):
        pictures, every = table[column].to_numpy(), np.arange(len(table))
        known = distances[np.searchsorted(rows, pictures)]
        numbers[name] |= as_set(np.asarray(faces.images[pictures]), every, known)
    torch.set_num_threads(threads)
    return Planted(numbers)


def halfway_edits(faces: FaceSet, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the edits that were rendered half-way, and their pictures."""
    stored = pd.read_parquet(HALFWAY)
    stored = stored.set_index(["identity", "source", "target"])["image"]
    shown = faces.table[["identity", "expression"]]
    names = [(*shown.iloc[edit.source], edit.target) for edit in table.itertuples()]
    rows = np.array([row for row, name in enumerate(names) if name in stored.index])
    assert len(rows) == len(stored)
    pictures = [Image.open(io.BytesIO(stored[names[row]])).convert("RGB") for row in rows]
    return rows, np.stack([np.asarray(picture) for picture in pictures])


def other_expression(faces: FaceSet, source: int, truth: int) -> int:
    """A picture of the same person that shows neither of two expressions."""
    first = source - source % len(EXPRESSIONS)
    return next(row for row in range(first, first + len(EXPRESSIONS)) if row not in (source, truth))


def edits_of(faces: FaceSet, rows: np.ndarray) -> pd.DataFrame:
    """Every test picture to one other expression."""
    edits = []
    for place, row in enumerate(rows):
        person, shown = divmod(place, len(EXPRESSIONS))
        target = (shown + 1 + person % (len(EXPRESSIONS) - 1)) % len(EXPRESSIONS)
        truth = rows[len(EXPRESSIONS) * person + target]
        other = rows[len(EXPRESSIONS) * ((person + 1) % TEST) + target]
        shows = faces.table["expression"].iloc[truth]
        edits.append({"source": row, "truth": truth, "reference": other, "target": shows})
    return pd.DataFrame(edits)


def test_gain_tells_lazy_from_right_from_exaggerated(planted: Planted) -> None:
    gain = {name: numbers["gain"] for name, numbers in planted.numbers.items()}
    assert gain["copy"] == pytest.approx(0)
    assert gain["true"] == pytest.approx(1)
    assert gain["lazy"] < 0.6
    assert gain["honest"] == pytest.approx(1, abs=0.2)
    assert gain["exaggerating"] > gain["honest"] + 0.1


def test_on_the_plane_each_is_where_it_belongs(planted: Planted) -> None:
    identity = {name: numbers["id_similarity"] for name, numbers in planted.numbers.items()}
    assert identity["copy"] == pytest.approx(1)
    assert identity["copy"] > identity["lazy"] > identity["true"] > identity["stranger"]


def test_the_editing_score_ranks_them_rightly(planted: Planted) -> None:
    score = {name: numbers["editing"] for name, numbers in planted.numbers.items()}
    assert score["true"] == pytest.approx(1)
    assert score["honest"] > score["lazy"] > score["copy"]
    assert score["honest"] > score["exaggerating"]
    assert score["copy"] == pytest.approx(0)
    assert score["stranger"] < 0.35


def test_a_half_way_edit_that_was_rendered_is_half_the_way(planted: Planted) -> None:
    """No blend of pixels: a third picture by the renderer, of action units half-way."""
    half, true = planted.numbers["half-way"], planted.numbers["true of these"]
    assert half["gain"] == pytest.approx(0.5, abs=0.1)
    assert half["expression"] == pytest.approx(0.4, abs=0.15)
    assert half["id_similarity"] > true["id_similarity"]
    assert half["editing"] == pytest.approx(0.55, abs=0.2)
    assert half["off_axis"] < planted.numbers["another expression"]["off_axis"]
    assert true["landmark_error"] < half["landmark_error"] < planted.numbers["copy"]["landmark_error"]


def test_another_expression_keeps_the_person_and_goes_elsewhere(planted: Planted) -> None:
    """Its gain is not 0: it leaves the source's expression behind, as a right edit does."""
    other, true = planted.numbers["another expression"], planted.numbers["true of these"]
    assert other["gain"] < 0.7
    assert other["expression"] < 0.1
    assert other["off_axis"] > 3 * true["off_axis"]
    assert other["id_similarity"] == pytest.approx(true["id_similarity"], abs=0.06)
    assert other["editing"] < 0.2


def test_noise_is_nobody(planted: Planted) -> None:
    """The reader sees a mean face in it, which is no expression; the identity network sees nobody."""
    noise, half = planted.numbers["noise"], planted.numbers["half-way"]
    assert noise["expression"] < half["expression"]
    assert noise["off_axis"] > half["off_axis"]
    assert noise["landmark_error"] > half["landmark_error"]
    assert noise["id_similarity"] < planted.numbers["stranger"]["id_similarity"]
    assert noise["editing"] < 0.15


def test_measures_of_sets_see_noise_and_neither_a_copy_nor_a_stranger(planted: Planted) -> None:
    """Sources, true pictures and other people's are the same real pictures in another order."""
    numbers = planted.numbers
    for name in ("copy", "true", "stranger"):
        assert (numbers[name]["density"], numbers[name]["coverage"]) == pytest.approx((1, 1))
    assert (numbers["noise"]["density"], numbers["noise"]["coverage"]) == (0, 0)
    for name in ("half-way", "another expression"):  # real enough, a quarter as many
        assert numbers[name]["density"] > 0.7
        assert numbers[name]["coverage"] > 0.5
    faces = {name: numbers[name]["fd_faces"] for name in numbers if "fd_faces" in numbers[name]}
    assert faces["copy"] == pytest.approx(0, abs=1e-6)
    # Cut out by the landmarks of the sources, which fit the source's own face best.
    assert faces["copy"] < faces["true"] < faces["stranger"]
    assert faces["noise"] > 4 * max(value for name, value in faces.items() if name != "noise")


def test_the_frechet_distance_ranks_them_wrongly(planted: Planted) -> None:
    """The lazy method's pictures are nearly real ones, so it is the best by FD, and the worst by what it was asked."""
    distance = {name: planted.numbers[name]["fid"] for name in ("lazy", "honest", "exaggerating")}
    assert distance["lazy"] < distance["honest"]
    assert distance["lazy"] < distance["exaggerating"]
