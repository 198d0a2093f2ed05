"""A training that failed by its own measure is marked wherever its numbers stand."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from benchmark import run
from benchmark.report.results import load_results
from tests.dummy import Dummy
from tests.pipeline.test_pipeline import configure, report_of

SAID = "from iteration 2: the colours run away: train slower"


class RunsAway(Dummy):
    def warnings(self, means: Mapping[str, float]) -> list[str]:
        return ["the colours run away: train slower"] if means["distance"] < 100 else []


class Trains(Dummy):
    pass


@pytest.mark.usefixtures("block_features")
def test_it_is_marked_in_tables_json_mlflow_and_on_stderr(
    tmp_path: Path, make_faces: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [*configure(tmp_path), "--data", f"rendered:{make_faces(identities=5)}", "--out", str(tmp_path / "out")]
    rows = [
        {"id": name, "label": name, "method": f"{__name__}:{name}", "guide": "T", "data": "F"}
        for name in ("RunsAway", "Trains")
    ]
    (tmp_path / "dummies.yaml").write_text(yaml.safe_dump({"title": "One failed", "rows": rows}))
    profile = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**profile, "log_every": 2}))
    assert run.main([text for text in arguments if text != "--quiet"]) == 0
    out, err = capfd.readouterr()
    assert f"train {__name__}:RunsAway F seed 0 failed by its own measure {SAID}" in " ".join(err.split())
    assert "RunsAway, failed" in out
    assert f"Training failed by its own measure: seed 0 {SAID}." in " ".join(out.split())

    report = report_of(tmp_path / "out")
    failed, trained = load_results(report / "results.json").rows
    assert failed.failed == {0: [SAID]}
    assert trained.failed == {}
    page = (report / "report.md").read_text()
    assert "RunsAway, failed" in page
    assert f"Training failed by its own measure: seed 0 {SAID}." in page
    assert "Trains, failed" not in page
    for table in report.glob("*.csv"):
        lines = list(csv.DictReader(io.StringIO(table.read_text())))
        runs_away, *rest = [bool(line["failed"]) for line in lines]
        assert runs_away
        assert not any(rest)

    client = MlflowClient(f"sqlite:///{tmp_path / 'out' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fesbench")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    tags = {entry.info.run_name: entry.data.tags.get("fesbench.failed") for entry in runs}
    assert tags["RunsAway seed 0"] == SAID
    assert tags["Trains seed 0"] is None
