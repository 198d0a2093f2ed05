"""The notebook runs from top to bottom, and is committed without outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.editing.test_demo import store
from tests.report.made_up import certain_run, published_run

__all__ = ["store"]
ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "results.ipynb"


def test_it_runs_on_a_finished_suite(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = store / "reports" / "table1-quick"
    report.mkdir(parents=True)
    (report / "results.json").write_text(certain_run(published_run()).dump(), encoding="utf-8")
    monkeypatch.setenv("FESBENCH_RUNS", str(store))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # tox sets one that shows no pictures
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
    (table,) = (output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {}))
    assert "hisd-t" in table


def test_it_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 4
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert NOTEBOOK.stat().st_size < 20_000
