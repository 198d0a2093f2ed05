"""The list of metrics: one entry is all that a new metric takes."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.core.progress import Reporter
from benchmark.data.picture_folder import examine, find_pictures
from benchmark.metrics.ca import CA
from benchmark.metrics.features import FLOOR, open_extractor
from benchmark.metrics.folder_scores import measure
from benchmark.metrics.metric import REASONS, EditMetric, Edits, MetricDescription, PairMetric, SetMetric
from benchmark.metrics.psnr import CAP_DB, PSNR_REF, PSNR_SRC, PSNR_TRUE, psnr
from benchmark.metrics.registry import METRICS
from benchmark.protocol import EXPRESSIONS, SUBSETS
from benchmark.stages.score import measure_edits
from tests.metrics.test_score import crops, write
from tests.metrics.toy import MAD
from tests.report.made_up import INCEPTION, LITE0


class Faces:
    """A face set with pictures and their identities alone."""

    images = crops(5, seed=0)
    table = pd.DataFrame({"identity": ["a", "b", "c", "d", "e"]})


def some_edits() -> Edits:
    table = pd.DataFrame(
        {"source": [0, 1, 2], "reference": [3, 3, 4], "truth": [4, -1, 2], "target": ["happy", "sad", "happy"]}
    )
    images = crops(3, seed=1)
    images[2] = Faces.images[2]
    return Edits(images, table, Faces(), np.array([EXPRESSIONS.index("happy")] * 3))  # type: ignore[arg-type]


def test_keys_and_labels_are_one_name_each() -> None:
    for names in ([metric.key for metric in METRICS], [metric.heading("FID") for metric in METRICS]):
        assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z_0-9]*", metric.key) for metric in METRICS)
    for metric in (PSNR_REF, PSNR_TRUE, PSNR_SRC):  # a reading is called the same in tables and in JSON
        assert metric.label.lower().replace("-", "_") == metric.key


def test_each_metric_is_in_a_file_of_its_name_or_of_its_family() -> None:
    files = {path.stem for path in (Path(__file__).parents[2] / "benchmark/metrics").glob("*.py")}
    assert {"frechet", "kid", "psnr", "ssim", "ca"} <= files
    assert all(not metric.definition.endswith(".") and metric.version >= 1 for metric in METRICS)


def test_each_column_of_the_paper_has_one_reading_for_each_subset() -> None:
    for subset in SUBSETS:
        columns = [metric.paper[subset] for metric in METRICS if subset in metric.paper]
        assert columns == ["FID", "FID(Cp)", "PSNR", "CA"]


def test_only_the_published_features_give_fid() -> None:
    for features in (INCEPTION, LITE0):
        labels = [metric.heading(features.column) for metric in METRICS if isinstance(metric, SetMetric)]
        assert any("FID" in label for label in labels) == features.comparable
    unnamed = SetMetric(key="x", label="Density", direction="higher", definition="", distance=lambda *_: 0.0)
    assert (unnamed.heading("FID"), unnamed.heading("FD[lite0]")) == ("Density", "Density[lite0]")


def test_values_are_those_of_the_partner_and_empty_without_one() -> None:
    edits = some_edits()
    actual = measure_edits(edits)
    read = ["editing", "expression", "gain", "off_axis", "landmark_error", "id_similarity"]
    measured = ["identity", "psnr_ref", "psnr_true", "ca", "psnr_src", "ssim", *read, "judged"]
    assert list(actual.columns) == [*edits.table, *measured]
    assert actual["identity"].tolist() == ["a", "b", "c"]
    for metric, partners in ((PSNR_SRC, [0, 1, 2]), (PSNR_REF, [3, 3, 4])):
        assert actual[metric.key].tolist() == psnr(edits.images, Faces.images[partners]).tolist()
    assert actual["psnr_true"].tolist()[::2] == psnr(edits.images[::2], Faces.images[[4, 2]]).tolist()
    assert math.isnan(actual["psnr_true"][1])
    assert math.isnan(actual["ssim"][1])
    assert actual["ca"].tolist() == [1.0, 0.0, 1.0]
    assert actual["judged"].tolist() == ["happy"] * 3
    assert PSNR_TRUE.summary(actual["psnr_true"].to_numpy()).value == (actual["psnr_true"][0] + CAP_DB) / 2
    assert CA.summary(actual["ca"].to_numpy()).value == 100 * (2 / 3)
    assert PSNR_TRUE.summary(np.full(3, np.nan)).reason == REASONS["true picture"]


def test_small_sets_have_no_distance_unless_asked_for() -> None:
    metric = next(metric for metric in METRICS if isinstance(metric, SetMetric))
    few, many = np.zeros((FLOOR - 1, 3)), np.ones((FLOOR, 3))
    assert metric.between(many, many, False).value == pytest.approx(0)
    assert metric.between(few, many, False).reason.startswith(f"{FLOOR - 1} pictures are fewer than {FLOOR} ")
    assert metric.between(few, many, True).value == pytest.approx(3)
    assert metric.between(None, many, True).reason == REASONS["landmarks"]


def test_a_description_is_all_that_is_printed_of_a_metric() -> None:
    actual = METRICS[0].describe("FD[lite0]")
    assert type(actual) is MetricDescription
    assert dataclasses.asdict(actual) == {
        "key": "fid", "label": "FD[lite0]", "direction": "lower", "definition": METRICS[0].definition, "per": "set",
        "decimals": 2, "unit": "", "paper": {"F": "FID", "F&P": "FID"},
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- one more
def test_one_entry_adds_a_column_to_the_edits_and_to_the_scores_of_folders(
    tmp_path: Path, toy_metric: PairMetric
) -> None:
    edits = some_edits()
    known = measure_edits(edits)["mad"]
    assert known[0] == np.abs(edits.images[0].astype(float) - Faces.images[4]).mean()
    assert known[2] == 0
    folders = (write(tmp_path / "real", crops(4, 0)), write(tmp_path / "fake", crops(4, 1)))
    real, fake = (examine(find_pictures(folder, "--real"), lambda _: None)[0] for folder in folders)
    assert real is not None
    assert fake is not None
    result = measure(real, fake, open_extractor("efficientnet-lite0"), Reporter(True))
    assert result.scores["mad"] == pytest.approx(np.abs(crops(4, 0).astype(float) - crops(4, 1)).mean())
    assert result.metrics[-1] == toy_metric.describe("FD[lite0]")


def test_a_metric_may_measure_edits_in_any_way() -> None:
    counted = EditMetric(
        key="n", label="N", direction="higher", definition="", measure=lambda edits: np.arange(len(edits.images)) + 0.5
    )
    assert counted.needs == ()
    assert counted.summary(counted.values(some_edits())).value == 1.5
    assert isinstance(MAD, PairMetric)
    assert MAD.needs == ("true picture",)
