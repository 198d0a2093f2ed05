"""Planted methods on real (rendered) pictures: a lazy one and an exaggerating one, told apart by gain and not by FD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.data.faceset import FaceSet
from benchmark.metrics.editing_score import EDITING
from benchmark.metrics.features import open_extractor
from benchmark.metrics.features.dlib_network import find_identity_weights
from benchmark.metrics.features.identity import open_dlib_identity
from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.gain import GAIN
from benchmark.metrics.identity import IDENTITY
from benchmark.metrics.metric import EditMetric, Edits
from benchmark.metrics.off_axis import OFF_AXIS
from benchmark.metrics.readings import read_edits, read_real
from benchmark.protocol import EXPRESSIONS
from benchmark.training.reader import ReaderSettings, reader_pictures, train_reader
from benchmark.training.sampling import TrainingSet
from tests.metrics.committed import committed_faces

PEOPLE, TEST = 80, 16
"""Of the committed set, from the front; the last ones are tested on."""
SETTINGS = ReaderSettings(pictures=5000)
METRICS: tuple[EditMetric, ...] = (GAIN, IDENTITY, EDITING, OFF_AXIS)


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
    extractor = open_extractor("efficientnet-lite0")
    distances = extractor.features(faces.images[rows])
    numbers = {}
    for name, pictures in methods.items():
        images = np.clip(np.rint(pictures), 0, 255).astype(np.uint8)
        readings = read_edits(images, table, faces, real, reader, network, {})
        edits = Edits(images, table, faces, np.zeros(len(table), int), readings)
        summaries = {metric.key: metric.summary(metric.values(edits), edits.lacking).value for metric in METRICS}
        numbers[name] = {key: value for key, value in summaries.items() if value is not None}
        if name in ("lazy", "honest", "exaggerating"):
            numbers[name]["fid"] = frechet_distance(extractor.features(images), distances)
    torch.set_num_threads(threads)
    return Planted(numbers)


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


def test_the_frechet_distance_ranks_them_wrongly(planted: Planted) -> None:
    """The lazy method's pictures are nearly real ones, so it is the best by FD, and the worst by what it was asked."""
    distance = {name: planted.numbers[name]["fid"] for name in ("lazy", "honest", "exaggerating")}
    assert distance["lazy"] < distance["honest"]
    assert distance["lazy"] < distance["exaggerating"]
