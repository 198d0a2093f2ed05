"""The comparison that MLflow opens on: what its web page reads, and what each row has of its own."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmark.core.mlflow_log import DatasetLog, RowDetails, SuiteDetails, SuiteLog
from benchmark.core.mlflow_server import opening_path
from benchmark.core.mlflow_session import NOTE_TAG
from benchmark.core.mlflow_view import COMPRESSED, VIEW_TAG, view_key, view_path, view_state
from benchmark.core.tracking import MlflowTracker
from tests.core.test_tracking import (
    FACE,
    FILE,
    PLAN,
    ROWS,
    client_of,
    experiment_of,
    history,
    out,
    runs_of,
    sqlite_uri,
    template,
)

__all__ = ["out", "template"]
HEADLINE = (("1/CA higher is better", "CA ↑"), ("1/FD lower is better", "FD ↓"))
STARTED, ENDED = 1_700_000_000_000, 1_700_000_120_000
DATASET = DatasetLog("faces", "0123456789abcdef", {"data": "faces"}, {"test identities": 20})


def read_view(value: str) -> dict[str, Any]:
    """The inverse of `view_state`."""
    content: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(value.removeprefix(COMPRESSED))))
    return content


def log_suite(out: Path, lines: list[str], private: tuple[str, ...] = ()) -> None:
    parameters = {"suite": "s", "profile": "p", "data": "d", "environment.commit": "c0ffee"}
    tracker = MlflowTracker(out, PLAN, "title", ROWS, lambda: parameters, "command", lines.append, lines.append)
    tracker.start()
    folder = out / "reports" / "r"
    folder.mkdir(parents=True)
    for name in (FILE, FACE, "manifest.json"):
        (folder / name).write_text(name)
    for row in ROWS:
        metrics = {"1/CA higher is better": 50.0, "1/FD lower is better": 3.0, "ca": 50.0, "ca/happy": 60.0, "fid": 3.0}
        files = {"checkpoint": ["reports/r/manifest.json", "reports/r/not there"]}
        details = RowDetails(STARTED, ENDED, files, "see {run}")
        tracker.row(row.name, history(2), metrics, (), details)
    details = SuiteDetails(HEADLINE, "run {run}: [[face]] [[other]]", DATASET)
    tracker.finish("reports/r", {"table": FILE, "face": FACE}, {"a/ca/mean": 50.0}, private, details)
    tracker.close()


def test_a_finished_suite_has_an_address_that_opens_on_its_rows(out: Path) -> None:
    lines: list[str] = []
    log_suite(out, lines)
    client, (line,) = client_of(out), lines
    experiment, runs = experiment_of(client), runs_of(client)
    parent = runs["title"]
    assert f"python -m benchmark.ui --out {out}" in line
    (address,) = re.findall(r"http://127\.0\.0\.1:5000(/#/\S+)$", line)
    page = urlsplit(urlsplit(address).fragment)
    assert page.path == f"/experiments/{experiment.experiment_id}/runs"
    query = parse_qs(page.query)
    assert query["workflowType"] == ["machine_learning"]
    assert query["compareRunsMode"] == ["CHART"]
    view = read_view(experiment.tags[VIEW_TAG + query["viewStateShareKey"][0]])
    assert [chart["metricKey"] for chart in view["compareRunCharts"]] == [name for name, _ in HEADLINE]
    first, *others = view["compareRunSections"]
    assert {chart["metricSectionId"] for chart in view["compareRunCharts"]} == {first["uuid"]}
    assert [first["display"], *(other["display"] for other in others)] == [True] + [False] * len(others)
    assert {"ca", "Model metrics", "loss"} <= {other["name"] for other in others}
    rows = client.search_runs([experiment.experiment_id], view["searchFilter"], order_by=[f"{view['orderByKey']} ASC"])
    assert [row.info.run_name for row in rows] == [row.name for row in ROWS]
    assert {row.data.tags["mlflow.parentRunId"] for row in rows} == {parent.info.run_id}
    assert opening_path(sqlite_uri(out / "mlflow.db")) == address
    assert len(experiment.tags[VIEW_TAG + view_key(parent.info.run_id)]) < 5000


def test_every_row_has_its_own_times_files_tags_and_data(out: Path) -> None:
    log_suite(out, [])
    client = client_of(out)
    for row in ROWS:
        run = runs_of(client)[row.name]
        assert (run.info.start_time, run.info.end_time) == (STARTED, ENDED)
        assert min(run.data.metrics) == HEADLINE[0][0]
        tags = run.data.tags
        assert [tags[f"fesbench.{name}"] for name in ("suite", "profile", "data", "commit")] == [
            "s",
            "p",
            "d",
            "c0ffee",
        ]
        assert tags["mlflow.source.git.commit"] == "c0ffee"
        assert tags[NOTE_TAG] == f"see {run.info.run_id}"
        files = [file.path for file in client.list_artifacts(run.info.run_id, "checkpoint")]
        assert files == ["checkpoint/manifest.json"]
        (given,) = run.inputs.dataset_inputs
        assert (given.dataset.name, given.dataset.digest) == (DATASET.name, DATASET.digest)
        assert [tag.key for tag in given.tags] == ["mlflow.data.context"]
    assert len(runs_of(client)["title"].inputs.dataset_inputs) == 1


@pytest.mark.parametrize("private", [(), ("face",)])
def test_a_description_shows_only_figures_that_are_there(
    out: Path, private: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    client_of(out).create_experiment("fesbench", (out.parent / "elsewhere").as_uri())  # faces do not leave the folder
    log_suite(out, [], private)
    parent = runs_of(client_of(out))["title"]
    run = parent.info.run_id
    picture = "" if private else f"![face](get-artifact?path=report%2F{FACE}&run_uuid={run})"
    assert parent.data.tags[NOTE_TAG] == f"run {run}: {picture} "


def test_a_journal_keeps_everything() -> None:
    log = SuiteLog("p", "t", "c", {}, [], headline=list(HEADLINE), note="n", dataset=DATASET)
    again = SuiteLog.of(json.loads(json.dumps(log.content())))
    assert again.dataset == DATASET
    assert [tuple(pair) for pair in again.headline] == list(HEADLINE)
    older = {
        "plan": "p",
        "title": "t",
        "command": "c",
        "parameters": {},
        "rows": [{"name": "r", "training": "t", "parameters": {}}],
    }
    assert SuiteLog.of(older).rows[0].started is None


def test_many_rows_and_metrics_have_room_in_a_tag() -> None:
    metrics = [f"loss/{part}/{number}" for part in "abcdefgh" for number in range(20)]
    headline = [(f"1/metric {number} lower is better", f"metric {number} ↓") for number in range(12)]
    state = view_state("0123456789abcdef" * 2, headline, metrics)
    assert len(state) < 5000
    assert len(read_view(state)["compareRunCharts"]) == 12
    assert view_path("7", "k").startswith("/#/experiments/7/runs?workflowType=machine_learning&")
