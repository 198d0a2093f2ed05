"""A metric of one file and one entry is measured and printed everywhere, and a suite may name it as a column."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from benchmark import run
from benchmark.metrics.metric import PairMetric
from benchmark.report.results import load_results
from benchmark.stages.score import PER_EDIT
from tests.pipeline.test_pipeline import configure, report_of


def with_columns(folder: Path, **named: list[str]) -> None:
    """Add `columns` and `extra_columns` to the suite."""
    path = folder / "dummies.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **named}))


@pytest.mark.usefixtures("block_features")
def test_it_is_in_every_output(
    tmp_path: Path, make_faces: Callable[..., Path], capfd: pytest.CaptureFixture[str], toy_metric: PairMetric
) -> None:
    call = [*configure(tmp_path), "--data", f"rendered:{make_faces(identities=5)}", "--out", str(tmp_path / "out")]
    with_columns(tmp_path, columns=["mad", "fid"], extra_columns=["ssim", "ca"])
    assert run.main([*call, "--jobs", "1"]) == 0
    shown = capfd.readouterr().out
    report = report_of(tmp_path / "out")
    results = load_results(report / "results.json")
    assert results.metrics[-1] == toy_metric.describe("FD[lite0]")
    assert (results.columns, results.extra_columns) == (("mad", "fid"), ("ssim", "ca"))

    row = results.rows[0]
    (scores,) = (path for path in (tmp_path / "out" / "scores").iterdir() if "-t-" in path.name)
    per_edit = pd.read_parquet(scores / PER_EDIT)["mad"]
    assert row.seeds[0].metrics["mad"] == pytest.approx(per_edit.mean())
    assert np.ptp(per_edit) > 0
    value = f"{row.mean('mad'):.2f}"

    main, beyond = shown.split("Beyond the paper")
    assert next(line for line in main.splitlines() if line.startswith("Model")).split()[2:5] == [
        "MAD",
        "↓",
        "FD[lite0]",
    ]
    assert value in main
    assert "SSIM" in beyond
    assert "MAD" not in beyond
    tables = {
        path.name: path.read_text(encoding="utf-8") for path in report.iterdir() if path.suffix in (".md", ".tex")
    }
    for name in ("table.md", "extended.md", "report.md", "table.tex", "extended.tex"):
        assert "MAD" in tables[name], name
        assert value in tables[name], name
    assert f"**MAD**: {toy_metric.definition}, in levels; lower is better" in tables["report.md"]
    header = next(line for line in tables["extended.md"].splitlines() if line.startswith("| Model"))
    cells = [cell.strip().replace("\\", "") for cell in header.split("|")[1:-1]]
    assert cells == ["Model", "Data", "MAD ↓", "FD[lite0] ↓", "SSIM ↑", "CA ↑", "N"]
    for name, column in (("table.csv", "MAD_measured"), ("extended.csv", "MAD")):
        line = next(csv.DictReader(io.StringIO((report / name).read_text(encoding="utf-8"))))
        assert float(line[column]) == row.mean("mad")
    client = MlflowClient(f"sqlite:///{tmp_path / 'out' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fesbench")
    assert experiment is not None
    logged = {entry.info.run_name: entry.data.metrics for entry in client.search_runs([experiment.experiment_id])}
    assert logged["d-t seed 0"]["mad"] == pytest.approx(row.mean("mad"))
    assert logged["d-t seed 0"]["psnr_true"] == pytest.approx(row.mean("psnr_true"))
    assert any("judge_accuracy/F" in metrics for metrics in logged.values())


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({"columns": ["fid", "psnr"]}, "suite dummies: unknown metric 'psnr' in the columns; did you mean 'psnr_"),
        ({"extra_columns": ["fid_croped"]}, "did you mean 'fid_cropped'?"),
        ({"columns": ["ca"], "extra_columns": ["ca"]}, "metric 'ca' is named twice in the columns"),
    ],
)
def test_an_unknown_column_is_one_line_before_any_work(
    tmp_path: Path, make_faces: Callable[..., Path], capfd: pytest.CaptureFixture[str], named: dict[str, list[str]],
    error: str,
) -> None:  # fmt: skip
    call = [*configure(tmp_path), "--data", f"rendered:{make_faces(identities=5)}", "--out", str(tmp_path / "out")]
    with_columns(tmp_path, **named)
    assert run.main([*call, "--dry-run"]) == 2
    captured = capfd.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert error in captured.err
