"""The two rows without a method, and the plane of expression and identity: in every table and on the figure."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from benchmark.metrics.gain import GAIN
from benchmark.metrics.identity import IDENTITY
from benchmark.report.latex import latex
from benchmark.report.notes import reader_notes
from benchmark.report.page import report_page
from benchmark.report.plane_figure import _draw_panel, draw_plane
from benchmark.report.results import ReaderResult, Row, Scores, SuiteResults, load_results
from benchmark.report.row_lookup import find_rows
from benchmark.report.spreadsheet import extended_csv
from benchmark.report.summary import summary_metrics, with_statistics
from benchmark.report.tables import measures_table
from benchmark.report.terminal import print_tables
from benchmark.statistics.comparing import _better, compare_rows
from tests.report.made_up import quick_run, timings

PEOPLE = ("p1", "p2", "p3", "p4")
SUBSETS = ("F&P", "F")


def scored(scores: Scores, gain: float, identity: float) -> Scores:
    """With both numbers, spread a little over people."""
    values = {"gain": gain, "id_similarity": identity}
    spread = np.linspace(-0.03, 0.03, len(PEOPLE))
    by_identity = {key: dict(zip(PEOPLE, value + spread, strict=True)) for key, value in values.items()}
    return dataclasses.replace(scores, metrics={**scores.metrics, **values}, by_identity=by_identity)


def plane_run() -> SuiteResults:
    """A lazy row, one that exaggerates, others between, and the corners of both subsets."""
    run = quick_run()
    places = {"hisd-t": (0.3, 0.9), "stargan-t": (1.6, 0.7)}
    rows = []
    for row in run.rows:
        place = places.get(row.id, (0.9, 0.72))
        seeds = {seed: scored(scores, *place) for seed, scores in row.seeds.items()}
        rows.append(dataclasses.replace(row, seeds=seeds))
    some = next(iter(run.rows[0].seeds.values()))
    corners = tuple(
        Row(f"{answer} {subset}", label, "", "T", subset, {0: scored(some, *place)}, extended=True)
        for subset in SUBSETS
        for answer, label, place in (
            ("source", "source left as it is", (0.0, 1.0)), ("truth", "true picture", (1.0, 0.75)),
        )
    )  # fmt: skip
    metrics = (*run.metrics, GAIN.describe("FD[lite0]"), IDENTITY.describe("FD[lite0]"))
    readers = {"F&P": ReaderResult(240, {"AU01_r": 0.25, "AU12_r": 0.75}, 1.5, 6.25)}
    return with_statistics(
        dataclasses.replace(run, rows=tuple(rows), corners=corners, metrics=metrics, readers=readers), None  # type: ignore[arg-type]
    )  # fmt: skip


RUN = plane_run()


def test_corners_have_intervals_and_no_ranks() -> None:
    for corner in RUN.corners:
        summary = corner.summary["gain"]
        assert summary.identities is not None
        assert summary.identities[0] < summary.mean < summary.identities[1]
        assert summary.rank is None


def test_gain_has_no_ranks_and_identity_has() -> None:
    row = RUN.rows[0]
    assert row.summary["gain"].rank is None  # whether 0.8 or 1.3 is nearer to 1 is no matter of which is larger


def test_a_row_is_compared_with_a_corner(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(RUN.dump(), encoding="utf-8")
    first, second = find_rows(("hisd-t", "truth F&P"), [tmp_path])
    assert (first.row.label, second.row.label) == ("HiSD (T)", "true picture")
    samples = [each.row.samples(RUN.metrics) for each in (first, second)]
    (gain,) = compare_rows(*samples, [metric for metric in RUN.metrics if metric.key == "gain"], ("a", "b"))
    assert gain.difference == pytest.approx(-0.7)
    assert gain.better == ""  # four people can reject nothing


def test_the_nearer_to_one_is_better() -> None:
    assert _better(-0.7, 0.3, 1.0, "one") == "second"
    assert _better(0.4, 1.2, 1.6, "one") == "first"
    assert _better(-0.4, 0.9, 1.3, "one") == ""  # 1 lies between them: their difference decides nothing
    assert (_better(0.1, 2.0, 1.9, "higher"), _better(0.1, 2.0, 1.9, "lower")) == ("first", "second")


def test_results_with_corners_are_read_again(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(RUN.dump(), encoding="utf-8")
    assert load_results(tmp_path / "results.json") == RUN


def test_the_extended_table_ends_with_the_corners() -> None:
    last = measures_table(RUN).rows[-4:]
    assert [(row[0].text, row[1].text) for row in last] == [
        ("source left as it is", "F&P"), ("true picture", "F&P"), ("source left as it is", "F"), ("true picture", "F"),
    ]  # fmt: skip
    heads = [heading.text for heading in measures_table(RUN).headings]
    assert last[1][heads.index("Gain → 1")].text == "1.000 [0.959, 1.041]"
    assert "Gain" in latex([measures_table(RUN)])


def test_csv_has_the_corners_with_both_ends_of_their_intervals() -> None:
    lines = list(csv.DictReader(io.StringIO(extended_csv(RUN, timings()))))[-4:]
    assert [line["id"] for line in lines] == ["source F&P", "truth F&P", "source F", "truth F"]
    assert {line["guide"] for line in lines} == {line["method"] for line in lines} == {""}
    low, mean, high = (float(lines[1][name]) for name in ("Gain_identities_low", "Gain", "Gain_identities_high"))
    assert low < mean < high


def test_the_terminal_shows_them_with_intervals_in_any_width() -> None:
    for width in (80, 140, 400):
        console = Console(width=width, file=io.StringIO())
        print_tables(RUN, {}, timings(), console)
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        assert text.count("source left as it is") >= 1
        assert "± 0.041" in text
        assert "Dim: half of the 95 % interval" in text
        assert max(map(len, text.splitlines())) <= width


def test_the_readers_error_is_reported() -> None:
    (note,) = reader_notes(RUN)
    assert note == (
        "Of 240 real test pictures (F&P) the reader reads action units with a mean error of 0.50 on the scale from 0 "
        "to 5 (AU12: 0.75, the largest) and landmarks with a mean error of 1.50 px, 6.2 % of the distance between "
        "the eyes."
    )


def test_mlflow_has_rows_and_corners() -> None:
    logged = summary_metrics(RUN)
    assert logged["hisd-t/gain/mean"] == pytest.approx(0.3)
    assert logged["truth F_P/gain/identities_low"] < 1 < logged["truth F_P/gain/identities_high"]


def test_the_plane_is_drawn_with_a_panel_for_each_subset(tmp_path: Path) -> None:
    assert draw_plane(RUN, tmp_path / "plane.png")
    with Image.open(tmp_path / "plane.png") as image:
        assert image.width > 1.5 * image.height
    assert "](plane.png)" in report_page(RUN, timings(), ["plane.png"])


def test_points_stand_at_gain_and_identity_with_their_intervals() -> None:
    """The lazy row left of the true picture and above it, the exaggerating one right of it."""
    axes = Figure().add_subplot()
    rows = [row for row in RUN.rows if row.subset == "F&P" and row.seeds]
    _draw_panel(axes, "F&P", rows, [corner for corner in RUN.corners if corner.subset == "F&P"])
    half = RUN.corners[0].summary["gain"].identities[1]  # type: ignore[index]
    drawn = {}
    for container in axes.containers:
        point, _, bars = container.lines
        drawn[container.get_label()] = tuple(float(values[0]) for values in point.get_data())
        across, up = (bar.get_segments()[0] for bar in bars)
        x, y = drawn[container.get_label()]
        assert across[:, 0] == pytest.approx([x - half, x + half])
        assert up[:, 1] == pytest.approx([y - half, y + half])
    assert drawn["HiSD (T)"] == pytest.approx((0.3, 0.9))
    assert drawn["StarGAN (T)"] == pytest.approx((1.6, 0.7))
    corners = {text.get_text(): text.xy for text in axes.texts}
    assert corners == {"source left as it is": (0.0, 1.0), "true picture": (1.0, 0.75)}
    assert drawn["HiSD (T)"][0] < corners["true picture"][0] < drawn["StarGAN (T)"][0]


def test_without_both_numbers_there_is_no_plane(tmp_path: Path) -> None:
    assert not draw_plane(quick_run(), tmp_path / "plane.png")
    assert not list(tmp_path.iterdir())
