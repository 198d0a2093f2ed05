"""report.html as text: what it says, what it must never hold, and the numbers behind its plots."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import shlex

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.metrics.ca import CA
from benchmark.metrics.psnr import PSNR_TRUE
from benchmark.protocol import EXPRESSIONS
from benchmark.report.comparison import compare
from benchmark.report.html.content import PageContent, choose_edits, count_confusions
from benchmark.report.html.loss_panels import HEIGHT, WIDTH, loss_panels
from benchmark.report.html.page import parts, plane_metrics, report_html, sort_key
from benchmark.report.html.pictures import OverBudgetError, PagePictures
from benchmark.report.html.plots import planes, strip_plots
from benchmark.report.html.reproduce import row_commands
from benchmark.report.results import ReferenceNumber, ReferenceResults, ReferenceRow, SuiteResults
from benchmark.report.tables import main_table
from benchmark.run import parser
from tests.report.made_up import certain_run, published_run, quick_run
from tests.report.pages import BUDGET, FAILED, large_content, large_results
from tests.report.test_figures import history

SECTIONS = (
    "claims",
    "table",
    "plane",
    "metrics",
    "edits",
    "examples",
    "confusion",
    "losses",
    "costs",
    "again",
    "limits",
)


@pytest.fixture(scope="module")
def results() -> SuiteResults:
    return large_results(rows=6, seeds=2)


@pytest.fixture(scope="module")
def content(results: SuiteResults) -> PageContent:
    return large_content(results, edits=50, sources=2)


@pytest.fixture(scope="module")
def page(results: SuiteResults, content: PageContent) -> str:
    return report_html(results, content)


def test_the_sections_stand_in_their_order(page: str) -> None:
    assert tuple(re.findall(r'<section id="([a-z]+)"', page)) == SECTIONS
    assert re.findall(r'<a href="#([a-z]+)">', page) == list(SECTIONS)


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    without_pictures = re.sub(r"data:image/webp;base64,[\w+/=]+", "data:", page)
    assert "http" not in without_pictures.replace("http-equiv", "")
    assert re.findall(r"<(?:link|iframe|img|object|embed)\b", page) == []
    assert {uri.partition(":")[0] for uri in re.findall(r"url\(([^)]*)\)", page)} == {"data"}
    assert "default-src 'none'" in page


def test_words_of_others_are_escaped(results: SuiteResults) -> None:
    evil = '"><script>alert(1)</script>'
    rows = (dataclasses.replace(results.rows[0], label=evil, note=evil), *results.rows[1:])
    text = report_html(
        dataclasses.replace(results, title=evil, notice=evil, data_description=evil, rows=rows),
        PageContent(losses={f"{evil} seed 0": history(**{f"a/{evil}": [1.0, 2.0]})}, options=("--suite", evil)),
    )
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_pictures_that_are_withheld_are_nowhere(results: SuiteResults, content: PageContent) -> None:
    text = report_html(results, dataclasses.replace(content, withheld=True))
    assert "data:image" not in text
    assert "may not be passed on, so this page has none" in text
    assert "data:image" in report_html(results, content)
    shown = report_html(results, dataclasses.replace(content, shown=True))
    assert "who have not agreed to their publication" in shown


def test_a_failed_training_is_marked_in_every_section(page: str) -> None:
    for section in ("table", "metrics", "edits", "examples", "confusion", "losses", "costs", "again", "limits"):
        text = page[page.index(f'<section id="{section}"') :]
        text = text[: text.index("</section>")]
        assert 'class="bad"' in text if section == "metrics" else 'class="failed"' in text, section


def test_a_run_with_nothing_to_show_reports_it() -> None:
    text = report_html(published_run(), PageContent())
    for words in ("no such plane", "No edits are at hand", "No losses are at hand", "No single edits"):
        assert words in text
    assert "Claims:" not in text


def test_parts_of_an_entry() -> None:
    assert parts("44.20") == ("44.20", "", "")
    assert parts("44.20 ± 1.30 [42.00, 46.40]") == ("44.20", "± 1.30", "[42.00, 46.40]")
    assert parts("44.20 [42.00, 46.40]") == ("44.20", "", "[42.00, 46.40]")
    assert parts("–") == ("–", "", "")
    assert [sort_key(text) for text in ("1,680", "-0.5 x", "+2", "–", "12 each", "")] == [
        "1680",
        "-0.5",
        "2",
        "",
        "12",
        "",
    ]


# ---------------------------------------------------------------------------------------------- commands
def test_commands_are_what_the_command_takes(results: SuiteResults) -> None:
    options = ("--suite", "table1", "--profile", "quick", "--data", "rafd:/data/my faces", "--seeds", "0,1")
    actual = row_commands(results, options)
    assert len(actual) == len(results.rows)
    for row, each in zip(results.rows, actual, strict=True):
        words = shlex.split(each.command)
        assert words[:3] == ["python", "-m", "benchmark.run"]
        arguments = parser().parse_args(words[3:])
        assert (arguments.data, arguments.seeds, arguments.methods) == ("rafd:/data/my faces", "0,1", row.method)


# ---------------------------------------------------------------------------------------------- choices and counts
def test_best_median_and_worst() -> None:
    values = [3.0, np.nan, 1.0, 2.0, 5.0, 4.0]
    frame = pd.DataFrame({"psnr_true": values, "fid": values})
    assert choose_edits(frame, PSNR_TRUE) == {"best": 4, "median": 0, "worst": 2}
    lower = dataclasses.replace(PSNR_TRUE, key="fid", direction="lower")
    assert choose_edits(frame, lower) == {"best": 2, "median": 0, "worst": 4}
    near_one = dataclasses.replace(PSNR_TRUE, key="fid", direction="one")
    assert choose_edits(frame, near_one) == {"best": 2, "median": 0, "worst": 4}
    assert choose_edits(frame.assign(psnr_true=np.nan), PSNR_TRUE) == {}


def test_edits_that_a_metric_cannot_tell_apart_are_ordered_by_psnr() -> None:
    frame = pd.DataFrame({"ca": [1.0, 0.0, 1.0, 0.0, 1.0], "psnr_true": [20.0, 9.0, 30.0, 8.0, 10.0]})
    assert choose_edits(frame, CA) == {"best": 2, "median": 4, "worst": 3}


def test_confusions_are_pandas_own_counts() -> None:
    rng = np.random.default_rng(1)
    tables = [
        pd.DataFrame({name: rng.choice(EXPRESSIONS, 300) for name in ("target", "judged")}) for _ in range(3)
    ]  # fmt: skip
    both = pd.concat(tables)
    expected = pd.crosstab(both["target"], both["judged"]).reindex(index=EXPRESSIONS, columns=EXPRESSIONS, fill_value=0)
    assert np.array_equal(count_confusions(tables), expected.to_numpy())


# ---------------------------------------------------------------------------------------------- pictures
def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_every_picture_is_stored_once() -> None:
    album, rng = PagePictures(10**7), np.random.default_rng(2)
    pictures = [np.full((side, side, 3), rng.integers(0, 256, 3), np.uint8) for side in (32, 32, 64, 128)]
    assert [album.add(picture) for picture in pictures] == list(range(len(pictures)))
    assert album.add(pictures[2].copy()) == 2
    stored = [decoded(uri) for uri in album.uris()]
    assert [picture.shape for picture in stored] == [picture.shape for picture in pictures]
    for actual, expected in zip(stored, pictures, strict=True):
        assert np.abs(actual.astype(int) - expected).max() <= 12


def test_pictures_keep_to_the_budget() -> None:
    rng = np.random.default_rng(3)
    noise = [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(60)]
    sizes = {}
    for budget in (10**6, 200_000, 60_000):
        album = PagePictures(budget)
        for picture in noise:
            album.add(picture)
        sizes[budget] = sum(map(len, album.uris()))
        assert sizes[budget] <= budget
    assert sizes[10**6] > sizes[200_000] > sizes[60_000]
    album.budget = 1000
    with pytest.raises(OverBudgetError, match="60 pictures do not fit 1000 bytes"):
        album.uris()
    assert PagePictures(1000).uris() == []


# ---------------------------------------------------------------------------------------------- plots
def test_marks_lie_where_their_numbers_are(results: SuiteResults) -> None:
    comparison = compare(results)
    plot = next(plot for plot in strip_plots(results, comparison) if plot.heading == "CA")
    assert [row.label for row in plot.rows] == [f"{row.label} {row.subset}" for row in results.rows]
    for row, drawn in zip(results.rows, plot.rows, strict=True):
        assert [mark.x for mark in drawn.seeds] == [plot.axis.at(value) for value in row.values("ca")]
        assert [mark.failed for mark in drawn.seeds] == [seed in row.failed for seed in row.seeds]
        assert drawn.failed is (row.id == FAILED)
    assert plot.axis.at(plot.axis.low) == plot.axis.start
    assert plot.axis.at(plot.axis.high) == plot.axis.end
    assert all(plot.axis.start <= x <= plot.axis.end for x, _ in plot.axis.ticks)


def test_the_papers_numbers_are_drawn_where_they_may_be_compared() -> None:
    for run, drawn in ((published_run(), True), (quick_run(), False)):
        plots = strip_plots(run, compare(run))
        assert any(row.paper for plot in plots for row in plot.rows) is drawn


def test_the_page_has_a_plane_with_both_corners(page: str) -> None:
    (plane,) = re.findall(r'<div class="planes">(.*?)</div>', page, re.DOTALL)
    assert plane.count('class="dot corner"') == 2
    assert 'class="dot bad"' in plane
    for words in (
        "Gain (1 is best)",
        "Identity (higher is better)",
        "source as it is",
        "true picture",
        'class="truth"',
    ):
        assert words in plane


def test_stored_results_stand_in_table_and_plots(results: SuiteResults) -> None:
    numbers = {"ca": ReferenceNumber(88.5, (86.0, 91.0)), "fid": ReferenceNumber(31.25, None)}
    stored = ReferenceResults("reference", "FID", {"mtss-r": ReferenceRow((0, 1), 7000, "identities", numbers)})
    run = dataclasses.replace(results, reference=stored)
    for column, drawn in (("FD[lite0]", {"ca"}), ("FID", {"ca", "fid"})):
        run = dataclasses.replace(run, reference=dataclasses.replace(stored, column=column))
        plots = strip_plots(run, compare(run))
        marked = {plot.heading for plot in plots for row in plot.rows if row.reference}
        assert marked == {metric.label for metric in run.metrics if metric.key in drawn}
    page = report_html(run, PageContent())
    assert ">reference</span>" in page
    assert 'data-v="88.50">88.50<span class="interval">[86.00, 91.00]</span>' in page
    assert "stored reference result" in page
    assert "stored reference result" not in report_html(results, PageContent())


def test_a_stored_training_that_failed_is_marked_wherever_its_numbers_stand(results: SuiteResults) -> None:
    numbers = {"ca": ReferenceNumber(88.5, (86.0, 91.0))}
    row = ReferenceRow((0, 1), 7000, "identities", numbers, {1: ["from iteration 9: broken"]})
    note = "Of the reference result: Training failed by its own measure (1 of 2 seeds): seed 1 from iteration 9: broken"
    for failed in ({}, row.failed):
        beside = ReferenceResults("reference", "FID", {"mtss-r": dataclasses.replace(row, failed=failed)})
        run = dataclasses.replace(results, reference=beside)
        (mark,) = {entry.reference for plot in strip_plots(run, compare(run)) for entry in plot.rows if entry.reference}
        assert mark.failed == bool(failed)
        assert mark.title.endswith("failed") == bool(failed)
        assert (note in report_html(run, PageContent())) == bool(failed)
        assert (f"{note}." in main_table(compare(run)).footnotes) == bool(failed)


def test_the_plane_needs_both_of_its_metrics() -> None:
    run = certain_run()
    assert plane_metrics(run) is None
    metrics = {metric.key: metric for metric in run.metrics}
    corner = dataclasses.replace(run.rows[0], id="truth F&P", label="true picture")
    (drawn, frontal) = planes(dataclasses.replace(run, corners=(corner,)), metrics["ssim"], metrics["ca"])
    assert frontal.heading == "Frontal faces (F)"
    assert frontal.truth is None
    rows = [*(row for row in run.rows if row.subset == "F&P" and row.seeds), corner]
    for row, point in zip(rows, drawn.points, strict=True):
        assert point.x == drawn.x_axis.at(row.mean("ssim"))  # type: ignore[arg-type]
        assert point.y == drawn.y_axis.at(row.mean("ca"))  # type: ignore[arg-type]
        assert point.corner is (row is corner)
        assert point.label == row.label
    assert drawn.truth == (drawn.points[-1].x, drawn.points[-1].y)
    assert drawn.y_axis.at(100) < drawn.y_axis.at(0)  # up is better


def test_loss_curves_fill_their_panels() -> None:
    losses = {
        "mtss F&P seed 0": history(
            **{"generator/style": [4.0, 2.0, 1.0], "discriminator/real": [1.0, float("nan"), -1.0]}
        ),
        "mtss F&P seed 1": history(**{"generator/style": [3.0, 2.0, 2.0], "discriminator/real": [0.0, 0.0, 0.0]}),
    }
    (row,) = loss_panels(losses, {"mtss F&P seed 1"})
    assert (row.title, row.iterations) == ("mtss F&P", 15)
    assert [(panel.network, panel.term, panel.words) for panel in row.panels] == [
        ("G", "style", "1 to 4"), ("D", "real", "-1 to 1")
    ]  # fmt: skip
    style, real = row.panels
    assert [curve.failed for curve in style.curves] == [False, True]
    assert style.curves[0].points == f"{WIDTH / 3:.4g},2 {2 * WIDTH / 3:.4g},26 {WIDTH:.4g},38"
    assert style.zero is None
    assert real.zero == HEIGHT / 2
    assert real.curves[0].points.count(" ") == 1  # two values were measured


def test_a_page_of_128_pixels_keeps_to_the_budget() -> None:
    many = large_results(10, 1)
    text = report_html(many, large_content(many, edits=40, sources=4, size=128))
    assert len(text.encode()) < BUDGET
