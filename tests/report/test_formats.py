"""The tables as Markdown, LaTeX, CSV and in the terminal, cell by cell."""

from __future__ import annotations

import csv
import dataclasses
import io
import re

import pytest
from rich.console import Console

from benchmark.report.comparison import compare
from benchmark.report.files import FILES
from benchmark.report.latex import escape_latex, latex
from benchmark.report.markdown import escape_markdown, markdown
from benchmark.report.notes import notes
from benchmark.report.page import extended_tables
from benchmark.report.results import SuiteResults
from benchmark.report.spreadsheet import extended_csv, main_csv
from benchmark.report.tables import cost_table, expressions_table, main_table, measures_table
from benchmark.report.terminal import print_tables
from tests.report.made_up import NO_LANDMARKS, published_run, quick_run, timings

RUNS = {"published": published_run(), "quick": quick_run()}


def markdown_cells(text: str) -> list[list[str]]:
    """The cells of the first table, unescaped, without the rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    split = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [[re.sub(r"\\(.)", r"\1", cell) for cell in line] for index, line in enumerate(split) if index != 1]


def shown(results: SuiteResults, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_tables(results, {}, timings(), console)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


# ------------------------------------------------------------------------------------------------ Markdown
def test_main_table_in_markdown() -> None:
    actual = markdown_cells(markdown(main_table(compare(published_run()))))
    assert actual[0] == [
        "Model", "Data", "FID ↓ paper", "FID ↓ measured", "FID(Cp) ↓ paper", "FID(Cp) ↓ measured", "PSNR ↑ paper",
        "PSNR-ref ↑ measured", "PSNR-true ↑ measured", "CA ↑ paper", "CA ↑ measured", "N",
    ]  # fmt: skip
    assert actual[1] == [
        "StarGAN (T)", "F&P", "45.31", "45.00 ± 1.00 ▼ 0.31 better", "–", "–¹", "13.44", "13.50 ± 0.00 ▲ 0.06 better",
        "24.00 ± 0.00", "93.45", "93.20 ± 0.20 ▼ 0.25 worse", "1,680",
    ]  # fmt: skip
    assert actual[2] == ["GANima (R)", "F&P", "–", "–²", "23.99", "–²", "–", "–²", "–²", "77.01", "–²", "–"]
    assert actual[3][3] == "49.30 ± 0.00 = equal"
    assert actual[8] == [
        "Ours (R)³", "F", "36.19", "39.00 ± 1.00 ▲ 2.81 worse", "–", "20.00 ± 0.00", "25.75",
        "13.50 ± 0.00", "24.00 ± 0.00 ▼ 1.75 worse", "92.88", "90.00 ± 0.00 ▼ 2.88 worse", "560",
    ]  # fmt: skip


def test_main_table_of_a_quick_run_in_markdown() -> None:
    actual = markdown_cells(markdown(main_table(compare(quick_run()))))
    assert actual[0][2:6] == ["FID ↓ paper", "FD[lite0] ↓ measured", "FID(Cp) ↓ paper", "FD[lite0](Cp) ↓ measured"]
    assert actual[6] == [
        "Ours (T)³",
        "F&P",
        "42.52",
        "41.00",
        "22.60",
        "20.00",
        "13.80",
        "13.50",
        "24.00",
        "93.38",
        "90.00",
        "240",
    ]


@pytest.mark.parametrize("run", RUNS)
def test_markdown_columns_line_up(run: str) -> None:
    for table in (main_table(compare(RUNS[run])), *extended_tables(RUNS[run], timings())):
        lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
        assert len({len(line) for line in lines}) == 1
        bars = {tuple(index for index, sign in enumerate(line) if sign == "|") for line in lines}
        assert len(bars) == 1


def test_footnotes_are_those_that_the_table_points_at() -> None:
    table = main_table(compare(published_run()))
    assert table.footnotes == (
        f"{NO_LANDMARKS[0].upper()}{NO_LANDMARKS[1:]}.",
        "Not available: the method 'ganimation' is not in this version.",
        "MTSS: the training step is reconstructed from the paper (docs/methods.md).",
        "Not available: the method 'efgan' is not in this version.",
    )
    used = {mark for row in table.rows for entry in row for mark in entry.marks}
    assert used == {1, 2, 3, 4}
    assert "\n¹ The data set has no landmarks" in markdown(table)


def test_markdown_shows_brackets_and_bars_as_they_are() -> None:
    assert escape_markdown("FD[lite0](Cp) a|b <c> *d* e_f") == r"FD\[lite0\](Cp) a\|b \<c\> \*d\* e\_f"
    assert r"FD\[lite0\](Cp) ↓ measured" in markdown(main_table(compare(quick_run())))


# ------------------------------------------------------------------------------------------------ notes
def test_notes_of_a_quick_run() -> None:
    assert notes(compare(quick_run())) == (
        "Read CA beside the judge's accuracy on the real test pictures, 93.33 % of 240 pictures (F&P) and 95.00 % of "
        "80 pictures (F): edits can score lower or higher.",
        "N: edits for each seed, made from pictures of 10 test identities, measured against 240 (F&P) and 80 (F) real "
        "ones; 30 other identities were trained on.",
        "One training seed (0), so no spread is known.",
        "No column is compared with the paper's: measured on rendered faces (the paper: RaFD), pictures of 64 px (the "
        "paper: 128 px); FID and FID(Cp) moreover in the features of efficientnet-lite0 (the paper: Inception as "
        "published), trained by profile quick (the paper: in full).",
        "The paper's PSNR is set beside the reading that its numbers fit: PSNR-ref (F&P rows) and PSNR-true (F rows).",
        '"Ours" is MTSS, as the paper calls its own method; "measured" are the numbers of this run.',
        "FD[lite0] of fewer than 2,048 pictures is biased upwards (here as few as 80): at most rows of equal N can be "
        "ordered by it. KD[lite0], in the extended table, has no such bias.",
        "Profile quick overrides published settings of hisd and mtss: report.md has the values and the reasons.",
    )


def test_notes_of_a_published_run() -> None:
    actual = notes(compare(published_run()))
    assert "3 training seeds (0, 1 and 2): mean ± sample standard deviation." in actual
    assert not any("compared" in note for note in actual)
    many = dataclasses.replace(published_run(), test_images={"F&P": 5000, "F": 5000})
    rows = tuple(
        dataclasses.replace(
            row, seeds={seed: dataclasses.replace(scores, edits=4000) for seed, scores in row.seeds.items()}
        )
        for row in many.rows
    )
    assert not any("biased" in note for note in notes(compare(dataclasses.replace(many, rows=rows))))


def test_only_distances_are_kept_apart_where_only_they_differ() -> None:
    texts = notes(compare(dataclasses.replace(published_run(), profile="reference")))
    assert (
        "FID and FID(Cp) are not compared with the paper's: trained by profile reference (the paper: in full)." in texts
    )


# ------------------------------------------------------------------------------------------------ the other tables
def test_extended_tables() -> None:
    measures = markdown_cells(markdown(measures_table(quick_run())))
    assert measures[0] == [
        "Model", "Data", "FD[lite0] ↓", "FD[lite0](Cp) ↓", "PSNR-ref ↑", "PSNR-true ↑", "CA ↑", "PSNR-src ↑", "SSIM ↑",
        "KD[lite0] × 1000 ↓", "KD[lite0](Cp) × 1000 ↓", "N",
    ]  # fmt: skip
    assert measures[3] == [
        "HiSD (R)", "F&P", "49.30", "20.00", "13.50", "24.00", "90.00", "27.25", "0.8125", "31.50", "11.00", "240",
    ]  # fmt: skip
    cost = markdown_cells(markdown(cost_table(published_run(), timings())))
    assert cost[1] == [
        "StarGAN (T)", "F&P", "300,000", "4,800,000", "generator 60,000, discriminator 300,000",
        "generator 8.44, discriminator 44.79", "2 min 00 s",
    ]  # fmt: skip
    assert cost[2] == ["GANima (R)", "F&P", "–", "–", "–", "–", "–"]
    by_expression = markdown_cells(markdown(expressions_table(quick_run())))
    assert by_expression[1][2:5] == ["93.0", "92.0", "91.0"]
    assert by_expression[-1] == ["real pictures", "F", "95.0", "94.0", "93.0", "92.0", "91.0", "90.0", "89.0", "88.0"]


# ------------------------------------------------------------------------------------------------ LaTeX
def test_latex_escapes_what_latex_would_read() -> None:
    assert escape_latex(r"a&b 5% $x #1 y_z {k} ~ ^ \cmd") == (
        r"a\&b 5\% \$x \#1 y\_z \{k\} \textasciitilde{} \textasciicircum{} \textbackslash{}cmd"
    )
    assert escape_latex('FD[lite0] ↓ 1 ± 2 "Ours" – <3> → 1') == (
        r"FD{[}lite0{]} $\downarrow$ 1 $\pm$ 2 ``Ours'' -- $<$3$>$ $\rightarrow$ 1"
    )


@pytest.mark.parametrize("run", RUNS)
def test_latex_is_well_formed(run: str) -> None:
    text = latex([main_table(compare(RUNS[run])), *extended_tables(RUNS[run], timings())])
    bare = re.sub(r"\\[&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert text.isascii()
    for body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        columns, lines = len(body[0]), [line for line in body[1].splitlines() if line.endswith(r"\\")]
        for line in lines:
            spans = sum(int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == columns
    assert re.findall(r"\\(begin|end)\{table\*\}", text) == ["begin", "end"] * 5


def test_main_table_in_latex() -> None:
    lines = latex([main_table(compare(published_run()))]).splitlines()
    assert (
        r"StarGAN (T) & F\&P & 45.31 & 45.00 $\pm$ 1.00 ($-0.31$, better) & -- & --\textsuperscript{1} & 13.44 & "
        r"13.50 $\pm$ 0.00 ($+0.06$, better) & 24.00 $\pm$ 0.00 & 93.45 & 93.20 $\pm$ 0.20 ($-0.25$, worse) & 1,680 \\"
    ) in lines
    assert r"\caption{Facial expression synthesis, reference-guided (R) and label-guided (T)}" in lines
    assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-6}\cmidrule(lr){10-11}" in lines
    assert "% Needs \\usepackage{booktabs,graphicx}." in lines


# ------------------------------------------------------------------------------------------------ CSV
def test_main_table_in_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(main_csv(compare(published_run())))))
    assert [row["id"] for row in rows] == [row.id for row in published_run().rows]
    ours = rows[5]
    assert {name: ours[name] for name in ours if name.startswith("FID_")} == {
        "FID_paper": "42.52", "FID_measured": "41.5", "FID_sd": "0.5", "FID_metric": "fid", "FID_difference": "-1.02",
        "FID_verdict": "better", "FID_obstacles": "", "FID_note": "",
    }  # fmt: skip
    assert (ours["seeds"], ours["N"], ours["PSNR-ref_metric"], ours["PSNR-true_metric"]) == (
        "3", "1680", "psnr_ref", "psnr_true",
    )  # fmt: skip
    assert (ours["PSNR_paper"], ours["PSNR_difference"], ours["PSNR-ref_measured"]) == ("13.8", "-0.3", "13.5")
    assert (rows[7]["PSNR_paper"], rows[7]["PSNR_difference"], rows[7]["PSNR-true_measured"]) == (
        "25.75",
        "-1.75",
        "24.0",
    )
    missing = rows[1]
    assert missing["not_available"] == "the method 'ganimation' is not in this version"
    assert (missing["FID(Cp)_paper"], missing["FID(Cp)_measured"], missing["N"]) == ("23.99", "", "")


def test_quick_csv_names_and_verdicts() -> None:
    rows = list(csv.DictReader(io.StringIO(main_csv(compare(quick_run())))))
    assert "FID_measured" not in rows[0]
    assert rows[0]["FD[lite0]_measured"] == "44.0"
    assert (rows[0]["FID_difference"], rows[0]["FID_verdict"]) == ("", "not compared")
    assert rows[0]["FID(Cp)_verdict"] == ""
    assert rows[0]["FD[lite0](Cp)_note"] == NO_LANDMARKS
    assert (
        rows[0]["CA_obstacles"] == "measured on rendered faces (the paper: RaFD); pictures of 64 px (the paper: 128 px)"
    )


def test_extended_table_in_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(extended_csv(published_run(), timings()))))
    hisd = rows[2]
    assert float(hisd["KID × 1000"]) == 31.5
    assert float(rows[4]["FID_sd"]) == pytest.approx(1.1)
    assert (hisd["iterations"], hisd["images_seen"], hisd["training_seconds"]) == ("300000", "4800000", "120.0")
    assert (hisd["updates_discriminator"], hisd["parameters_generator"], hisd["CA_surprised"]) == (
        "300000", "8439936", "83.0",
    )  # fmt: skip
    assert {rows[1][name] for name in ("FID", "iterations", "training_seconds", "CA_angry", "FID_note")} == {""}


# ------------------------------------------------------------------------------------------------ the terminal
def test_terminal_shows_the_papers_above_the_measured_with_decimals_in_line() -> None:
    lines = shown(published_run(), 120).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("Ours (T)"))
    assert [line.removeprefix("Ours (T)³") for line in lines[start : start + 3]] == [
        "    F&P   paper       42.52          22.60          13.80              –         93.38           1,680",
        "                   measured    41.50 ± 0.50   20.00 ± 0.00   13.50 ± 0.00   24.00 ± 0.00  90.00 ± 0.00",
        "                   difference  ▼ 1.02 better  ▼ 2.60 better  ▼ 0.30 worse                 ▼ 3.38 worse",
    ]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("width", [80, 100, 160])
def test_terminal_cuts_nothing(run: str, width: int) -> None:
    text = shown(RUNS[run], width)
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    for number in ("45.31", "23.99", "92.88", "0.8125", "27.25"):
        assert number in text
    assert "Not available: the method 'efgan' is not in this version." in text


def test_terminal_does_not_wrap_a_main_table_of_one_seed_at_100_columns() -> None:
    """One of several seeds, with both readings of PSNR, takes 112."""
    for run, width in ((quick_run(), 100), (published_run(), 112)):
        lines = shown(run, width).splitlines()
        wide = shown(run, 160).splitlines()
        first, last = (next(n for n, line in enumerate(lines) if line.startswith(word)) for word in ("Model", "¹"))
        assert lines[first:last] == wide[wide.index(lines[first]) :][: last - first]


def test_terminal_headings_name_both_measures() -> None:
    lines = shown(quick_run(), 100).splitlines()
    heading = next(index for index, line in enumerate(lines) if line.startswith("Model"))
    assert re.split(r"\s{2,}", lines[heading - 1].strip()) == ["paper", "FID ↓", "FID(Cp) ↓", "PSNR ↑", "PSNR ↑"]
    assert re.split(r"\s{2,}", lines[heading]) == [
        "Model", "Data", "measured", "FD[lite0] ↓", "FD[lite0](Cp) ↓", "PSNR-ref ↑", "PSNR-true ↑", "CA ↑", "N",
    ]  # fmt: skip


def test_terminal_ends_with_whole_paths() -> None:
    console = Console(width=60, file=io.StringIO(), highlight=False)
    from pathlib import Path

    folder = Path("runs/reports/table1-quick-rendered-0123456789abcdef-a-long-name-that-is-cut-nowhere")
    print_tables(quick_run(), {name: folder / file for name, file in FILES.items()}, timings(), console)
    assert isinstance(console.file, io.StringIO)
    tail = console.file.getvalue().rstrip().splitlines()[-len(FILES) :]
    assert [line.split()[-1] for line in tail] == [str(folder / file) for file in FILES.values()]
