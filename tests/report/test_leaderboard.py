"""Several results on one page: what is grouped, ranked, merged, and kept as not comparable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.page import main
from benchmark.report.html.leaderboard_page import reasons
from benchmark.report.leaderboard import BoardGroup, board, find_results
from benchmark.report.results import SuiteResults
from benchmark.statistics.decisions import Rank
from tests.browser import accessibility_faults
from tests.report.made_up import LITE0, certain_run, published_run, quick_run

RUN = certain_run()
HERE, THERE = Path("here.json"), Path("there.json")


def other_run(shift: float = 3.0, **changes: object) -> SuiteResults:
    """The same rows under other names, each number higher by `shift`."""
    run = dataclasses.replace(RUN, suite="mine", **changes)  # type: ignore[arg-type]
    rows = []
    for row in run.rows:
        seeds = {
            seed: dataclasses.replace(
                scores,
                metrics={key: value and value + shift for key, value in scores.metrics.items()},
                by_identity={
                    key: {name: value + shift for name, value in values.items()}
                    for key, values in scores.by_identity.items()
                },
            )
            for seed, scores in row.seeds.items()
        }
        rows.append(dataclasses.replace(row, id=f"my-{row.id}", label=f"My {row.label}", seeds=seeds))
    return dataclasses.replace(run, rows=tuple(rows))


def cells(group: BoardGroup, metric: str) -> dict[str, Any]:
    column = [each.key for each in group.metrics].index(metric)
    return {entry.row.id: entry.cells[column] for entry in group.rows}


def test_rows_of_one_list_of_edits_stand_in_one_table() -> None:
    groups = board([(HERE, RUN), (THERE, other_run())])
    assert [group.heading for group in groups] == [
        "Rendered faces, 64 px: Frontal and posed faces (F&P), 240 edits of 10 people",
        "Rendered faces, 64 px: Frontal faces (F), 80 edits of 10 people",
    ]
    assert [group.why for group in groups] == ["", "are of other subsets (F&P and F)"]
    measured = {row.id for row in RUN.rows if row.seeds and row.subset == "F&P"}
    assert {entry.row.id for entry in groups[0].rows} == measured | {f"my-{name}" for name in measured}


def test_ranks_are_over_all_rows_that_were_measured_alike() -> None:
    other = other_run()
    (group, _) = board([(HERE, RUN), (THERE, dataclasses.replace(other, rows=other.rows[:1]))])
    ranks = {name: cell.rank for name, cell in cells(group, "ca").items()}
    assert ranks["my-stargan-t"] == Rank(1, 1)  # 96 %
    assert ranks["stargan-t"] == Rank(2, 2)  # 93 %
    assert {rank for name, rank in ranks.items() if "stargan" not in name} == {Rank(3, 6)}  # 90 %
    alone = board([(HERE, RUN)])[0]
    for row in RUN.rows:
        if row.seeds and row.subset == "F&P":
            for metric, summary in row.summary.items():
                rank = cells(alone, metric)[row.id].rank
                assert (rank.best, rank.worst) == summary.rank


def test_rows_are_in_the_order_of_the_first_metric() -> None:
    (group, _) = board([(HERE, RUN), (THERE, other_run())], ["fid", "ca"])
    assert [metric.key for metric in group.metrics] == ["fid", "ca"]
    values = [entry.cells[0].value for entry in group.rows]
    assert values == sorted(values)
    (group, _) = board([(HERE, RUN), (THERE, other_run())], ["ca"])
    values = [entry.cells[0].value for entry in group.rows]
    assert values == sorted(values, reverse=True)


def test_what_was_measured_otherwise_is_kept_and_not_ranked() -> None:
    other = other_run(features=dataclasses.replace(LITE0, identity="ff"), keys={**RUN.keys, "judge F&P": "00" * 32})
    (group, _) = board([(HERE, RUN), (THERE, other)])
    for metric, why in (("fid", "other features"), ("kid", "other features"), ("ca", "their judges are not the same")):
        mine = cells(group, metric)["my-hisd-t"]
        assert mine.rank is None
        assert mine.value is not None
        assert mine.why.startswith("not comparable: ")
        assert why in mine.why
        assert cells(group, metric)["hisd-t"].why == ""
        assert max(cell.rank.worst for cell in cells(group, metric).values() if cell.rank) == 5
    names = reasons(group)["not comparable: their judges are not the same"]
    assert names.count("; ") == 4  # five rows
    assert "CA of My HiSD (T) (mine, profile quick)" in names
    assert cells(group, "ssim")["my-hisd-t"].rank is not None
    assert group.rows[-1].row.id.startswith("my-")  # not comparable in the first metric


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"size": 128}, "are of other picture sizes (64 and 128)"),
        ({"data": "cfee"}, "are of other data sets (rendered and cfee)"),
        ({"faces": "nonaligned"}, "are of other faces (aligned and nonaligned)"),
        ({"keys": {"prepare rendered 64 px": "ab"}}, "are edits of other pictures (another data set)"),
    ],
)
def test_other_edits_are_another_table_that_says_why(change: dict[str, object], why: str) -> None:
    groups = board([(HERE, RUN), (THERE, other_run(**change))])  # type: ignore[arg-type]
    assert why in [group.why for group in groups]
    assert {row.row.id[:3] for group in groups for row in group.rows if group.why == why} == {"my-"}


def test_equal_scores_are_one_row_that_names_both_results() -> None:
    again = dataclasses.replace(RUN, suite="table2", rows=RUN.rows[:1])
    (group, _) = board([(HERE, RUN), (THERE, again)])
    entry = next(entry for entry in group.rows if entry.row.id == "stargan-t")
    assert entry.also == ("in table2, profile quick",)
    assert len(group.rows) == 5


def test_an_unknown_metric_and_nothing_at_all() -> None:
    with pytest.raises(UserError, match="unknown metric 'fidd' in these results; did you mean 'fid'"):
        board([(HERE, RUN)], ["fidd"])
    with pytest.raises(UserError, match="no row with a number"):
        board([(HERE, dataclasses.replace(RUN, rows=()))])


# ---------------------------------------------------------------------------------------------- the command
def written(path: Path, results: SuiteResults) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(results.dump(), encoding="utf-8")
    return path


def test_the_page_of_several_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], open_page: Callable[..., Any]
) -> None:
    failed = {0: ["<b>attention</b> was above 0.99"]}
    rows = tuple(dataclasses.replace(row, failed=failed if row.id == "hisd-t" else {}) for row in RUN.rows)
    first = written(tmp_path / "runs/reports/a/results.json", dataclasses.replace(RUN, rows=rows))
    other = other_run(keys={**RUN.keys, "judge F&P": "00" * 32})
    second = written(tmp_path / "b/results.json", other)
    written(tmp_path / "runs/reports/old/results.json", published_run()).write_text('{"schema": 1}')
    out = tmp_path / "page.html"
    paths = [str(tmp_path / "runs"), str(second.parent), str(first)]
    assert main([*paths, "--title", "Mine & yours", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert "12 rows of 2 results, in 2 groups" in printed.err
    assert "old/results.json has schema 1" in printed.err
    text = out.read_text(encoding="utf-8")
    assert "<title>Mine &amp; yours</title>" in text
    assert "<b>attention" not in text
    assert "data:image" not in text
    page = open_page(out, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert accessibility_faults(page) == []
    assert page.get_by_text("not comparable", exact=True).count() == 5
    names = page.locator("table").first.locator("tbody th", has_text="failed").all_inner_texts()
    assert [name.splitlines()[0] for name in names] == ["HiSD (T), failed"]
    box = page.locator("table").first.locator("th.number:not(.origin)").first.bounding_box()
    assert box["x"] + box["width"] <= 390, "a phone shows the first metric"
    heading = page.locator("table").first.locator("th", has_text="PSNR-true")
    folder = heading.evaluate("cell => cell.cellIndex")
    heading.get_by_role("button").click()
    numbers = page.locator("table").first.locator(f"tbody td:nth-child({folder + 1})").evaluate_all(
        "cells => cells.map(cell => Number(cell.dataset.v))"
    )  # fmt: skip
    assert numbers == sorted(numbers)


def test_what_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nothing")]) == 2
    assert "holds no results.json" in capsys.readouterr().err
    old = written(tmp_path / "old.json", quick_run())
    old.write_text('{"schema": 1}')
    assert main([str(old), "--out", str(tmp_path / "page.html")]) == 2
    assert "has schema 1 and this version reads" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_results_are_found_once(tmp_path: Path) -> None:
    one = written(tmp_path / "reports/a/results.json", RUN)
    entries, unread = find_results([tmp_path, one, one.parent])
    assert [path for path, _ in entries] == [one]
    assert unread == []
