"""The folder of a report as a whole."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmark.core.errors import UserError
from benchmark.report.claims_figure import ClaimPair, EditPair
from benchmark.report.files import FILES
from benchmark.report.results import load_results
from benchmark.report.terminal import print_report
from benchmark.report.write import write_report
from tests.report.made_up import certain_run, published_run, timings
from tests.report.test_figures import history, pictures

TARGETS = "edits"
"""The figure of a suite with some targets, which has no figure for each guide."""
PLANE = "expression and identity"
"""The figure of what these results have not measured (`test_corners.py`)."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("reports") / "table1"
    rows = [pictures("stargan-t", "T"), pictures("mtss-r", "R")]
    losses = {"mtss F&P seed 0": history(a=[1.0, 2.0])}
    results = certain_run()
    edits = np.zeros((3, 32, 32, 3), np.uint8)
    edit = EditPair(("a", "b"), ("sad", "happy"), edits[0], (edits[1], edits[2]), None)
    pair = ClaimPair(results.verdicts[0], "CA", edit)
    files = write_report(result, results, rows, losses, timings(), "ablation", [pair])
    assert files == {name: result / file for name, file in FILES.items() if name not in (TARGETS, PLANE)}
    return result


def test_every_file_is_there_and_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        set(FILES.values()) - {FILES[TARGETS], FILES[PLANE]}
    )
    assert all(path.stat().st_size for path in folder.iterdir())


def test_results_and_timings_are_what_was_given(folder: Path) -> None:
    assert (folder / "results.json").read_text(encoding="utf-8") == certain_run().dump()
    assert load_results(folder / "results.json") == certain_run()
    assert json.loads((folder / "timings.json").read_text()) == timings()


def test_the_page_has_all_parts(folder: Path) -> None:
    page = (folder / "report.md").read_text(encoding="utf-8")
    table = (folder / "table.md").read_text(encoding="utf-8")
    head, _, numbers = table.partition("\n\n|")
    assert page.startswith(f"{head}\n\n## Claims: ")
    assert numbers in page
    assert "> Profile quick proves the pipeline, not the science: dozens of iterations." in page.splitlines()
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Claims: 1 contradicted, 4 undecided, 8 not testable here",
        "## At a glance",
        "## The ablation in pictures",
        "## Label-guided edits",
        "## Reference-guided edits",
        "## All measures of table1",
        "## Ranks of table1",
        "## Agreement of rankings of table1",
        "## Training of table1",
        "## CA by target expression (%)",
        "## Losses",
        "## Settings that differ from the published ones",
        "## Measured with",
        "## Definitions",
        "## Content keys",
    ]
    for name in ("claims.png", "ablation.png", "label-guided.png", "reference-guided.png", "losses.png"):
        assert f"]({name})" in page
    assert "`learning_rate` = `0.001`, `width` = `0.125`" in page
    assert "- hisd: The published rates show noise.\n" in page
    assert "- **FD\\[lite0\\]**: Fréchet distance between the features" in page
    assert f"judge F&P   {'1e' * 32}" in page.splitlines()
    assert "93.33 % of 240 pictures (F&P)" in page


def test_csv_files_have_a_line_for_every_row(folder: Path) -> None:
    for name in ("table.csv", "extended.csv"):
        rows = list(csv.DictReader((folder / name).open(encoding="utf-8", newline="")))
        assert [row["id"] for row in rows] == [row.id for row in certain_run().rows]


def test_a_run_without_pictures_and_losses_has_no_figures(tmp_path: Path) -> None:
    files = write_report(tmp_path / "r", published_run(), [pictures("stargan-t", "T")], {}, {})
    assert set(FILES) - set(files) == {TARGETS, PLANE, "claims", "ablation", "reference-guided edits", "loss curves"}
    page = (tmp_path / "r" / "report.md").read_text(encoding="utf-8")
    assert "reference-guided.png" not in page
    assert "losses.png" not in page
    assert "label-guided.png" in page


def test_a_finished_report_is_printed_with_its_paths(folder: Path) -> None:
    console = Console(width=100, file=io.StringIO())
    print_report(folder, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert str(folder / "report.md") in text
    assert "FD[lite0](Cp) ↓" in text


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_a_folder_without_a_readable_report_is_one_clear_line(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(UserError, match="holds no readable report"):
        print_report(tmp_path)


def test_a_suite_of_some_targets_has_one_figure(tmp_path: Path) -> None:
    rows = [pictures("stargan-t", "T"), pictures("mtss-r", "R")]
    files = write_report(tmp_path / "r", dataclasses.replace(published_run(), targets=("happy",)), rows, {}, {})
    assert set(FILES) - set(files) == {
        PLANE,
        "ablation",
        "claims",
        "label-guided edits",
        "reference-guided edits",
        "loss curves",
    }
    assert "(edits.png)" in files["page"].read_text(encoding="utf-8")
