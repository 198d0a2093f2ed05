"""`python -m benchmark.compare`: which rows may be compared, and what is said of them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.compare import main
from benchmark.report.results import Row, SuiteResults
from benchmark.statistics.estimates import IdentityMeans
from tests.report.made_up import LITE0, certain_run, published_run


def written(folder: Path, results: SuiteResults) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(results.dump(), encoding="utf-8")
    return folder


def with_row(results: SuiteResults, name: str, change: Callable[[Row], Row]) -> SuiteResults:
    return dataclasses.replace(results, rows=tuple(change(row) if row.id == name else row for row in results.rows))


def with_scores(name: str, **changes: object) -> SuiteResults:
    """certain_run with other scores of one row."""

    def change(row: Row) -> Row:
        seeds = {seed: dataclasses.replace(scores, **changes) for seed, scores in row.seeds.items()}  # type: ignore[arg-type]
        return dataclasses.replace(row, seeds=seeds)

    return with_row(certain_run(), name, change)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("compare") / "reports" / "one", certain_run())


def test_a_line_of_words_for_each_metric_and_what_to_know(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stargan-t", "hisd-t", "--results", str(report)]) == 0
    lines = capsys.readouterr().out.splitlines()
    actual = {line.partition(":")[0]: line for line in lines}
    assert actual["CA"].startswith("CA: stargan-t is better than hisd-t; 93.00 and 90.00 %, difference +3.00 [+2.7")
    assert "over 10 test identities; p = 0.002, after Holm" in actual["CA"]
    assert actual["FD[lite0]"].startswith("FD[lite0]: stargan-t is better than hisd-t; 44.00 and 47.00, ")
    assert actual["PSNR-true"].startswith("PSNR-true: stargan-t cannot be told from hisd-t; ")
    assert "FD[lite0](Cp)" not in actual  # stargan-t has none
    assert [line for line in lines if line.startswith("note: ")] == [
        "note: one training seed of a row: this is about these trainings on other people, not about training again",
        "note: a Fréchet distance of few pictures is biased, and differently for each method: KID decides",
    ]


def test_json_has_the_numbers(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = [word for name in ("ca", "ssim", "ca") for word in ("--metric", name)]
    assert main(["stargan-t", "hisd-t", "--results", str(report), *metrics, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["first"] == {"row": "stargan-t", "results": str(report / "results.json")}
    ca, ssim = found["comparisons"]
    assert (ca["metric"], ssim["metric"]) == ("ca", "ssim")
    rows = {row.id: row for row in certain_run().rows}
    people = [rows[name].seeds[0].by_identity["ca"] for name in ("stargan-t", "hisd-t")]
    wanted = IdentityMeans(people[0]).minus(IdentityMeans(people[1]))
    assert (ca["difference"], ca["p"]) == (pytest.approx(wanted.value), wanted.p_value())
    assert (ca["low"], ca["high"]) == pytest.approx((wanted.interval().low, wanted.interval().high))
    assert ca["p_holm"] == pytest.approx(2 * ca["p"])
    assert (ca["better"], ca["seeds"], ca["seeds_low"]) == ("first", [1, 1], None)


def test_rows_of_two_results_by_path(report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = written(tmp_path / "other", certain_run())
    assert main([f"{report}:hisd-t", f"{other / 'results.json'}:stargan-t", "--metric", "ca"]) == 0
    assert f"{other / 'results.json'}:stargan-t is better than {report}:hisd-t" in capsys.readouterr().out


def test_the_newest_report_with_both_rows_counts(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    old = written(out / "reports" / "old", certain_run())
    few = dataclasses.replace(certain_run(), rows=certain_run().rows[:1])
    newest = written(out / "reports" / "newest", few)
    damaged = out / "reports" / "damaged"
    damaged.mkdir()
    (damaged / "results.json").write_text('{"schema": 1}')
    for index, folder in enumerate((old, newest, damaged)):
        os.utime(folder / "results.json", (1e9 + index, 1e9 + index))
    assert main(["stargan-t", "hisd-t", "--results", str(out), "--metric", "ca", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["first"]["results"] == str(old / "results.json")


def test_seeds_have_an_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "seeds", certain_run(published_run()))
    assert main(["mtss-t", "hisd-t", "--results", str(folder), "--metric", "fid"]) == 0
    out = capsys.readouterr().out
    assert "; over 3 and 3 seeds [-" in out
    assert "note: no p value over fewer than 5 seeds: look at their interval" in out


REFUSED = {
    "a row that is not there": (None, ["stargan-t", "hisd-q"], "unknown row 'hisd-q' in"),
    "a row without numbers": (None, ["stargan-t", "ganimation-r"], "has no numbers: the method 'ganimation' is not"),
    "one row": (None, ["hisd-t", "hisd-t"], "are the same row"),
    "an unknown metric": (None, ["stargan-t", "hisd-t", "--metric", "cca"], "unknown metric 'cca'; did you mean 'ca'?"),
    "a metric that one has not": (
        None, ["stargan-t", "hisd-t", "--metric", "fid_cropped"],
        "FD[lite0](Cp) of stargan-t and hisd-t cannot be compared: stargan-t has none (the data set has no landmarks",
    ),
    "other subsets": (None, ["mtss-r", "mtss-r-f"], "are of other subsets (F&P and F): not comparable"),
    "other edits": (
        with_scores("hisd-t", edits_key="others"), ["stargan-t", "hisd-t"], "answer other lists of edits: not",
    ),
    "no identities": (
        with_scores("hisd-t", by_identity={}), ["stargan-t", "hisd-t", "--metric", "ca"],
        "cannot be compared: hisd-t has too few test identities",
    ),
    "nothing at all": (
        with_scores("hisd-t", by_identity={}), ["stargan-t", "hisd-t"], "have no metric that can be compared",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_comparable_is_refused_in_one_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, arguments, message = REFUSED[case]
    folder = written(tmp_path / "r", results or certain_run())
    assert main([*arguments, "--results", str(folder)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"data": "rafd"}, [], "are of other data sets (rendered and rafd): not comparable"),
        ({"size": 128}, [], "are of other picture sizes (64 and 128): not comparable"),
        ({"faces": "nonaligned"}, [], "are of other faces (aligned and nonaligned): not comparable"),
        ({"keys": {"prepare rendered 64 px": "ab"}}, [], "are edits of other pictures (another data set): not"),
        (
            {"features": dataclasses.replace(LITE0, name="mine", identity="ff")}, ["--metric", "kid"],
            "cannot be compared: they are in other features (efficientnet-lite0 and mine)",
        ),
        ({"keys": {"judge F&P": "ab"}}, ["--metric", "ca"], "cannot be compared: their judges are not the same"),
    ],
)  # fmt: skip
def test_results_that_do_not_go_together_are_refused(
    changes: dict[str, object], arguments: list[str], message: str, report: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    other = written(tmp_path / "other", dataclasses.replace(certain_run(), **changes))  # type: ignore[arg-type]
    assert main([f"{report}:stargan-t", f"{other}:hisd-t", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_metrics_that_do_not_go_together_are_left_out(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = dataclasses.replace(certain_run(), features=dataclasses.replace(LITE0, identity="ff"))
    other = written(tmp_path / "other", changed)
    assert main([f"{report}:stargan-t", f"{other}:hisd-t", "--json"]) == 0
    found = [each["metric"] for each in json.loads(capsys.readouterr().out)["comparisons"]]
    assert "ca" in found
    assert not {"fid", "kid"} & set(found)


def test_a_folder_without_results_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "b", "--results", str(tmp_path)]) == 2
    assert "holds no results.json" in capsys.readouterr().err
    assert main(["a", "b", "--results", str(tmp_path / "none")]) == 2
    assert "holds no results.json" in capsys.readouterr().err
