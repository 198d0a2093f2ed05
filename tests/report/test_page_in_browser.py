"""report.html in a browser: opened, read, sorted, clicked, and gone through with the keyboard alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.report.html.page import report_html
from tests.browser import accessibility_faults
from tests.report.pages import BUDGET, large_content, large_results

Open = Callable[..., Any]
SECONDS = 2.0
"""In which a page of 10 rows, 5 seeds and 7,000 edits opens."""


def written(folder: Path, rows: int, seeds: int, edits: int, sources: int, metrics: tuple[str, ...] = ()) -> Path:
    """A page; `metrics`: those whose best and worst edits it shows, all if none are named."""
    results = large_results(rows, seeds)
    content = large_content(results, edits, sources)
    shown = [each for each in content.examples if not metrics or each.metric in metrics]
    path = folder / "report.html"
    path.write_text(report_html(results, dataclasses.replace(content, examples=shown)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rows of two seeds, one source."""
    return written(tmp_path_factory.mktemp("page"), 3, 2, 50, 1, ("psnr_true", "ca"))


def test_a_large_page_is_small_and_opens_at_once(tmp_path: Path, open_page: Open) -> None:
    page = written(tmp_path, 10, 5, 7000, 4)
    assert page.stat().st_size < BUDGET
    empty = tmp_path / "empty.html"
    empty.write_text("<!doctype html>")
    opened = open_page(empty)
    session = opened.context.new_cdp_session(opened)
    # Of the thread, not of the clock: other processes of a test run take turns with this one.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    opened.goto(page.as_uri())
    opened.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
    assert 0 < metrics["TaskDuration"] < SECONDS
    assert opened.locator("[data-kind=edit]").count() > 400


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_nothing_serious_hinders_access(page: Path, open_page: Open, width: int, dark: bool) -> None:
    opened = open_page(page, width=width, dark=dark)
    opened.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert accessibility_faults(opened) == []
    opened.locator("#edits [data-kind=edit]").first.click()
    assert accessibility_faults(opened, "#view") == []
    box = opened.locator("#view").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_it_can_be_read_without_script(page: Path, open_page: Open) -> None:
    opened = open_page(page, script=False)
    text = opened.locator("main").text_content()
    for words in ("Claims: ", "HiSD (T), failed", "What limits the numbers", "python -m benchmark.run --suite table1"):
        assert words in text
    assert opened.locator("#view").is_hidden()
    picture = opened.locator("#edits .tile").first.evaluate("tile => getComputedStyle(tile).backgroundImage")
    assert picture.startswith('url("data:image/webp;')
    assert opened.locator("button").count() == opened.locator("#view button").count()


def test_a_heading_sorts_by_number_and_gives_the_order_back(page: Path, open_page: Open) -> None:
    opened = open_page(page)
    table = opened.locator("#table table.data").first
    models = lambda: table.locator("tbody th").all_inner_texts()  # noqa: E731
    numbers = lambda: [float(text.split()[0]) for text in table.locator("tbody td:nth-child(4)").all_inner_texts()]  # noqa: E731
    as_written, heading = models(), table.locator("thead th:nth-child(4)")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert numbers() == sorted(numbers())
    heading.locator("button").click()
    assert numbers() == sorted(numbers(), reverse=True)
    assert models() != as_written
    heading.locator("button").click()
    assert models() == as_written
    assert heading.get_attribute("aria-sort") is None


def test_an_edit_is_seen_with_the_keyboard_alone(page: Path, open_page: Open) -> None:
    opened = open_page(page)
    focused = lambda: opened.evaluate("document.activeElement.getAttribute('aria-label')")  # noqa: E731
    for grid in opened.locator("[data-grid]").all():
        assert grid.locator("[tabindex='0']").count() == 1
    opened.locator("#edits [data-kind=edit]").first.focus()
    assert focused() == "StarGAN (T): source 1, angry to contemptuous"
    for key, label in (
        ("ArrowRight", "StarGAN (T): source 1, angry to disgusted"),
        ("ArrowDown", "HiSD (T), failed: source 1, angry to disgusted"),
        ("ArrowLeft", "HiSD (T), failed: source 1, angry to contemptuous"),
        ("ArrowLeft", "HiSD (T), failed: source 1, angry to contemptuous"),
    ):
        opened.keyboard.press(key)
        assert focused() == label
    opened.keyboard.press("Enter")
    view = opened.locator("#view")
    assert view.is_visible()
    assert view.locator("h2").inner_text() == label
    assert view.locator("[data-part=choices]").inner_text().split("\n") == [
        "source", "edit to contemptuous", "true picture", "difference, × 2.5"
    ]  # fmt: skip
    slider = view.locator("input[type=range]")
    slider.focus()
    opened.keyboard.press("End")
    assert view.locator("[data-part=stage]").evaluate("stage => stage.style.getPropertyValue('--cut')") == "100%"
    view.get_by_label("source", exact=True).focus()
    opened.keyboard.press("Space")
    assert view.locator("[data-part=right]").inner_text() == "source"
    view.get_by_role("button", name="next").press("Enter")
    assert view.locator("h2").inner_text() == "HiSD (T), failed: source 1, angry to disgusted"
    opened.keyboard.press("Escape")
    assert view.is_hidden()
    assert focused() == "HiSD (T), failed: source 1, angry to disgusted"


def test_the_view_shows_the_pictures_of_its_edit(page: Path, open_page: Open) -> None:
    opened = open_page(page)
    block = opened.locator("#edits [data-block]").filter(has=opened.locator("[data-kind=reference]")).first
    edit = block.locator("[data-kind=edit][data-to=sad]").last
    picture = r"element => element.className.match(/\bp\d+\b/)[0]"
    expected = [
        block.locator(f"[data-kind={kind}]{of}").first.evaluate(picture)
        for kind, of in (("source", ""), ("reference", "[data-to=sad]"))
    ]
    expected += [edit.evaluate(picture), block.locator("[data-kind=truth][data-to=sad]").evaluate(picture)]
    edit.click()
    tiles = opened.locator("#view [data-part=choices] > * > .tile")
    assert [tile.evaluate(picture) for tile in tiles.all()] == expected
    difference = opened.locator("#view .difference .tile")
    assert [tile.evaluate(picture) for tile in difference.all()] == [expected[3], expected[2]]
    assert opened.locator("#view [data-part=under]").evaluate(picture) == expected[3]


def test_a_command_is_copied(page: Path, open_page: Open) -> None:
    opened = open_page(page, permissions=["clipboard-read", "clipboard-write"])
    opened.get_by_role("button", name="Copy the command").nth(1).click()
    opened.get_by_text("The command was copied.").wait_for(state="attached")
    command = opened.locator(".command code").nth(1).inner_text()
    assert command.startswith("python -m benchmark.run --suite table1")
    assert opened.evaluate("navigator.clipboard.readText()") == command


def test_on_paper_everything_is_unfolded(page: Path, open_page: Open) -> None:
    opened = open_page(page)
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.locator("details:not([open])").count() == 0
    opened.emulate_media(media="print")
    assert opened.locator("nav").is_hidden()
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.locator("details[open]").count() == 1
