"""Intervals, ranks, the floor and the verdicts, in every format of a report."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

from benchmark.report.certainty_tables import ranks_table, seeds_table
from benchmark.report.claims_figure import ClaimPair, EditPair, best_edit, draw_claims, shown_evidence
from benchmark.report.comparison import compare
from benchmark.report.latex import latex
from benchmark.report.markdown import markdown
from benchmark.report.notes import notes
from benchmark.report.page import report_page
from benchmark.report.results import SuiteResults
from benchmark.report.spreadsheet import extended_csv, main_csv
from benchmark.report.summary import summary_metrics
from benchmark.report.tables import (
    Entry,
    Heading,
    Table,
    cost_table,
    expressions_table,
    main_table,
    measures_table,
    number,
    steps_table,
)
from benchmark.report.verdict_text import evidence_line, heading, rules, short
from benchmark.statistics.intervals import t_interval
from benchmark.statistics.verdict import Evidence, Verdict
from tests.report.made_up import certain_run, published_run, quick_run, timings
from tests.report.test_formats import shown

RUN = certain_run()
SEEDS = certain_run(published_run())


def lines(text: str) -> dict[str, dict[str, str]]:
    return {line["id"]: line for line in csv.DictReader(io.StringIO(text))}


def test_an_interval_is_that_of_the_means_of_people() -> None:
    row = next(row for row in RUN.rows if row.id == "hisd-r")
    wanted = t_interval(list(row.seeds[0].by_identity["ca"].values()), "identities")
    assert row.summary["ca"].identities == pytest.approx((wanted.low, wanted.high))
    assert row.summary["ca"].seeds is None
    assert (row.summary["ca"].mean, row.mean("ca")) == (90, 90)
    assert set(row.summary) == {key for key, value in row.seeds[0].metrics.items() if value is not None}


def test_tables_show_mean_and_interval() -> None:
    row = next(row for row in RUN.rows if row.id == "hisd-r")
    low, high = row.interval("ca") or (0, 0)
    text = f"90.00 [{low:.2f}, {high:.2f}]"
    for table in (main_table(compare(RUN)), measures_table(RUN)):
        assert any(text in entry.text for entries in table.rows for entry in entries)
        assert any(note.startswith("Brackets (95 % in the terminal): ") for note in table.notes)
    assert text.replace("[", r"\[").replace("]", r"\]") in markdown(main_table(compare(RUN)))
    inside = rf"\withinterval{{90.00}}{{{{[}}{low:.2f}, {high:.2f}{{]}}}}"
    assert f" & {inside} & " in latex([main_table(compare(RUN))])
    assert f"90.00 ± 0.00 [{low:.2f}, {high:.2f}]" in str(main_table(compare(SEEDS)).rows)


def test_numbers_in_latex_have_a_minus_sign_and_no_number_is_minus_zero() -> None:
    entries = (Entry(number(-0.004, 2, None, (-0.006, 0.004))), Entry(number(-1.5, 1, 0.5)), Entry("x [1, 2]"))
    assert [entry.text for entry in entries] == ["0.00 [-0.01, 0.00]", "-1.5 ± 0.5", "x [1, 2]"]
    text = latex([Table("Fréchet", "t", tuple(Heading("", "x") for _ in entries), (entries,), notes=("Fréchet",))])
    assert r"\withinterval{0.00}{{[}$-$0.01, 0.00{]}} & $-$1.5 $\pm$ 0.5 & x {[}1, 2{]} \\" in text.splitlines()
    assert text.count(r"\providecommand{\withinterval}[2]") == 1
    assert text.isascii()
    assert text.count(r"Fr\'echet") == 2


def test_runs_without_identities_are_as_they_were() -> None:
    assert "[" not in str(main_table(compare(quick_run())).rows).replace("FD[lite0]", "")
    assert ranks_table(quick_run()) is None
    assert seeds_table(quick_run()) is None
    assert "95 %" not in shown(quick_run(), 200)


def test_csv_has_all_of_it() -> None:
    main, extended = lines(main_csv(compare(RUN))), lines(extended_csv(RUN, timings()))
    low, high = next(row.summary["ca"].identities or (0, 0) for row in RUN.rows if row.id == "hisd-r")
    for actual in (main["hisd-r"], extended["hisd-r"]):
        assert (float(actual["CA_identities_low"]), float(actual["CA_identities_high"])) == (low, high)
    kid = next(row.seeds[0].by_identity["kid"] for row in RUN.rows if row.id == "hisd-r")
    jackknife = np.sqrt(9 / 10 * np.sum((np.array(list(kid.values())) - np.mean(list(kid.values()))) ** 2))
    assert float(extended["hisd-r"]["KD[lite0] × 1000_identities_se"]) == pytest.approx(jackknife)
    assert extended["ganimation-r"]["CA_identities_se"] == ""
    assert extended["hisd-r"]["FD[lite0]_rank"] == "5"
    assert extended["ganimation-r"]["CA_rank"] == ""
    assert "FD[lite0]_seed_0" not in extended["hisd-r"]  # one seed, whose number is the mean
    many = lines(extended_csv(SEEDS, timings()))["hisd-t"]
    assert [float(many[f"FID_seed_{seed}"]) for seed in range(3)] == [47, 48, 49]
    wanted = t_interval([47.0, 48.0, 49.0], "seeds")
    assert (float(many["FID_seeds_low"]), float(many["FID_seeds_high"])) == pytest.approx((wanted.low, wanted.high))


def test_ranks_have_ties() -> None:
    table = ranks_table(RUN)
    assert table is not None
    column = [heading.text for heading in table.headings].index("CA ↑")
    ranks = {(entries[0].text, entries[1].text): entries[column].text for entries in table.rows}
    assert ranks["StarGAN (T)", "F&P"] == "1"
    assert ranks["HiSD (R)", "F&P"] == ranks["Ours (R)", "F&P"] == "2–5"
    assert ("GANima (R)", "F&P") not in ranks
    assert ("Ours (R)", "F") not in ranks  # the only row of its list of edits


def test_a_run_that_stands_twice_is_ranked_once() -> None:
    rows = [row for row in RUN.rows if not row.missing]
    twin = dataclasses.replace(rows[0], id="twin", same_as=rows[0].id)
    doubled = certain_run(dataclasses.replace(quick_run(), rows=(*quick_run().rows, twin)))
    summaries = {row.id: row.summary for row in doubled.rows}
    assert (
        summaries["twin"] == summaries[rows[0].id] or summaries["twin"]["ca"].rank == summaries[rows[0].id]["ca"].rank
    )
    assert max(summary["ca"].rank[1] for summary in summaries.values() if summary and summary["ca"].rank) == 5


def test_each_seed_is_shown_with_its_interval() -> None:
    table = seeds_table(SEEDS)
    assert table is not None
    wanted = t_interval([47.0, 48.0, 49.0], "seeds")
    text = f"47.00, 48.00, 49.00 [{wanted.low:.2f}, {wanted.high:.2f}]"
    assert any(entry.text == text for entries in table.rows for entry in entries)
    assert "no p value" in table.notes[1]


def test_the_floor_stands_under_the_table() -> None:
    assert (
        "FD[lite0] of real pictures to real pictures of other people: 7.25 (Cp 12.50) between halves of 120 pictures "
        "(F&P) and 9.00 between halves of 40 pictures (F)."
    ) in notes(compare(RUN))


def test_the_terminal_has_intervals_and_a_line_for_each_claim() -> None:
    text = shown(RUN, 200)
    half = 2.1430
    assert f"± {half:.2f}" in text
    assert "95 %" in text
    assert heading(RUN) in text
    tested = [verdict for verdict in RUN.verdicts if verdict.outcome != "not testable here"]
    assert all(f"{verdict.outcome}: {verdict.id}" in text for verdict in tested)
    assert "–  not testable here (why: report.md): higher-quality, large-improvement-of-fid" in text
    assert shown(RUN, 80).count("undecided: ") == 4


def test_the_page_opens_with_verdicts_and_their_numbers() -> None:
    page = report_page(RUN, timings(), ["claims.png"])
    assert page.index("## Claims: ") < page.index("| Model")
    failing = next(verdict for verdict in RUN.verdicts if verdict.id == "hisd-reference-fails")
    assert (failing.outcome, failing.why) == ("contradicted", "CA of hisd-r is on the other side of 30")
    assert failing.place in page
    assert "CA of hisd-r, held to 30: 90.00, difference +60.00 " in page
    assert "](claims.png)" in page
    assert "](claims.png)" not in report_page(RUN, timings(), [])
    assert "## Claims" not in report_page(quick_run(), timings(), [])
    assert "one training seed" in rules(RUN)[1]
    assert "several seeds" in rules(SEEDS)[1]


def test_a_copy_of_a_suite_says_that_no_claim_is_about_it() -> None:
    mine = certain_run(dataclasses.replace(quick_run(), suite="mine"))
    assert (mine.claims, mine.verdicts) == (RUN.claims, ())
    assert "Claims: none is about suite mine (" in report_page(mine, timings(), [])
    assert "Claims: none is about suite mine" in shown(mine, 80)


def test_words_of_a_verdict() -> None:
    metrics = {metric.key: metric for metric in RUN.metrics}
    evidence = Evidence("a", "b", "ca", 50.0, 40.0, 8.0, 12.0, 3.0, 17.0, 10, "exact sign flip", 0.001, True)
    assert evidence_line(evidence, metrics) == (
        "CA of a and b: 50.00 and 40.00, difference +10.00 [+8.00, +12.00], over seeds [+3.00, +17.00], p = 0.001 "
        "(exact sign flip)"
    )
    number = dataclasses.replace(evidence, over="", other=30.0, seeds_low=None, seeds_high=None, decides=False)
    assert evidence_line(number, metrics) == (
        "CA of a, held to 30: 50.00, difference +20.00 [+8.00, +12.00] (biased: the next line decides)"
    )
    assert short(Verdict("x", "w", "p", "undecided", "why")) == "? undecided: x (why)"


def test_mlflow_has_mean_and_both_intervals_by_name() -> None:
    metrics = summary_metrics(SEEDS)
    assert metrics["hisd-t/fid/mean"] == 48
    wanted = t_interval([47.0, 48.0, 49.0], "seeds")
    assert metrics["hisd-t/fid/seeds_low"] == pytest.approx(wanted.low)
    assert {"hisd-t/fid/seeds_high", "hisd-t/fid/identities_low", "hisd-t/fid/identities_high"} <= metrics.keys()
    odd = dataclasses.replace(SEEDS, rows=(dataclasses.replace(SEEDS.rows[0], id="a/b & c"),))
    assert "a_b _ c/ca/mean" in summary_metrics(odd)


def test_results_are_read_back_as_they_were() -> None:
    from benchmark.core.models import parse_json

    assert parse_json(SuiteResults, RUN.dump(), "test") == RUN
    assert parse_json(SuiteResults, SEEDS.dump(), "test") == SEEDS


# ------------------------------------------------------------------------------------------------ the figure
def test_the_pair_shown_is_the_one_that_differs_most_in_the_direction_of_the_whole() -> None:
    first = pd.DataFrame({"ca": [100.0, 0.0, 100.0, 100.0], "psnr_true": [20.0, 20.0, 25.0, np.nan]})
    second = pd.DataFrame({"ca": [0.0, 100.0, 0.0, 0.0], "psnr_true": [20.0, 20.0, 20.0, 20.0]})
    evidence = Evidence("a", "b", "ca", 75.0, 25.0, None, None, None, None, 10, "", 0.1, True)
    assert best_edit(evidence, first, second) == 2
    assert best_edit(dataclasses.replace(evidence, value=20.0), first, second) == 1
    unknown = first.assign(ca=[np.nan, 100.0, np.nan, np.nan])
    assert best_edit(evidence, unknown, second.assign(ca=0.0)) == 1


def test_the_comparison_shown_is_the_one_that_the_verdict_hangs_on() -> None:
    first = Evidence("a", "b", "psnr_true", 25.0, 24.0, None, None, None, None, 10, "", 0.001, True)
    second = dataclasses.replace(first, metric="ca", p=0.2)
    distance = dataclasses.replace(first, metric="kid", contradicts=True)
    against = dataclasses.replace(second, contradicts=True)
    single = {"psnr_true", "ca"}
    for outcome, evidence, expected in (
        ("reproduced", (first, second), first),
        ("contradicted", (first, against), against),
        ("contradicted", (distance, first, second), first),
        ("undecided", (first, second), second),
    ):
        verdict = Verdict("x", "w", "p", outcome, "", evidence)  # type: ignore[arg-type]
        assert shown_evidence(verdict, single) == expected
    assert shown_evidence(Verdict("x", "w", "p", "undecided", ""), single) is None


def test_the_figure_has_a_strip_for_each_claim() -> None:
    evidence = Evidence("a", "b", "ca", 75.0, 25.0, None, None, None, None, 10, "", 0.1, True)
    verdict = Verdict("x", "w", "p", "reproduced", "", (dataclasses.replace(evidence, metric="fid"), evidence))
    assert shown_evidence(verdict, {"ca"}) == evidence
    assert shown_evidence(verdict, {"ssim"}) is None
    reds = np.zeros((4, 32, 32, 3), np.uint8)
    reds[..., 0] = np.array([50, 100, 150, 200])[:, None, None]
    edits = EditPair(("first", "second"), ("sad", "happy"), reds[0], (reds[1], reds[2]), reds[3])
    without = ClaimPair(dataclasses.replace(verdict, id="y"), "CA", dataclasses.replace(edits, truth=None))
    figure = draw_claims([ClaimPair(verdict, "CA", edits), without])
    assert figure is not None
    colours = {colour for _, colour in figure.image.getcolors(1 << 24) or []}
    assert {(level, 0, 0) for level in (50, 100, 150, 200)} <= colours
    assert draw_claims([]) is None


def test_a_failed_training_cuts_nothing_in_a_narrow_terminal() -> None:
    rows = [
        dataclasses.replace(row, failed={0: ["from iteration 5 on"]}) if row.id == "stargan-t" else row
        for row in RUN.rows
    ]
    text = shown(dataclasses.replace(RUN, rows=tuple(rows)), 80)
    assert "…" not in text
    assert "StarGAN (T), F&P" in text
    assert any(line.startswith("failed¹") for line in text.splitlines())


def test_a_failed_training_is_marked_in_every_table() -> None:
    results = certain_run(published_run())
    rows = [
        dataclasses.replace(row, failed={1: ["from iteration 5 on"]}) if row.id == "hisd-t" else row
        for row in results.rows
    ]
    results = dataclasses.replace(results, rows=tuple(rows), ladder=True)
    tables = [steps_table(results), measures_table(results), ranks_table(results), seeds_table(results)]
    tables += [cost_table(results, {}), expressions_table(results), main_table(compare(results))]
    for table in tables:
        assert table is not None
        labels = [row[0].text for row in table.rows]
        assert labels.count("HiSD (T), failed") == 1, table.title
        assert "HiSD (T)" not in labels
        assert "HiSD (R)" in labels
