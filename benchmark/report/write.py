"""Write the files of a report into a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config.suites import SuiteFigure
from benchmark.protocol import Guide
from benchmark.report.ablation_figure import draw_ablation
from benchmark.report.canvas import Figure
from benchmark.report.claims_figure import ClaimPair, draw_claims
from benchmark.report.comparison import compare
from benchmark.report.curves import draw_losses
from benchmark.report.figures import RowPictures, draw_edits
from benchmark.report.files import FILES, WEB_PAGE, report_files
from benchmark.report.html.content import PageContent
from benchmark.report.html.page import report_html
from benchmark.report.latex import latex
from benchmark.report.notes import data_line
from benchmark.report.overview_figure import draw_overview
from benchmark.report.page import extended_page, extended_tables, report_page, table_page
from benchmark.report.plane_figure import draw_plane
from benchmark.report.results import SuiteResults, failed_trainings
from benchmark.report.spreadsheet import extended_csv, main_csv
from benchmark.report.tables import main_table
from benchmark.report.targets_figure import draw_targets

if TYPE_CHECKING:
    import pandas as pd

GUIDES: dict[Guide, str] = {"T": "label-guided edits", "R": "reference-guided edits"}


def write_report(
    folder: Path,
    results: SuiteResults,
    pictures: Sequence[RowPictures],
    losses: Mapping[str, pd.DataFrame],
    timings: Mapping[str, float],
    figure: SuiteFigure | None = None,
    pairs: Sequence[ClaimPair] = (),
    page: PageContent | None = None,
) -> dict[str, Path]:
    """Write all files into `folder`; return the paths of those that exist, by the names of `FILES`.

    losses: by training name, a frame with `iteration` and a column for each loss. timings: seconds, by training name.
    figure: the suite's own figure. pairs: the edits that show the verdicts on claims. page: the content of
    `report.html`; pictures, losses, timings and pairs alone if not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = {each.verdict.id: each.pair for each in pairs}
    page = page or PageContent(pictures=pictures, losses=losses, timings=timings, pairs=shown)
    for name, drawing in _figures(results, pictures, figure, pairs, page).items():
        if drawing is not None:
            drawing.save(folder / FILES[name])
    draw_plane(results, folder / FILES["expression and identity"])
    draw_losses(losses, folder / FILES["loss curves"], failed_trainings(results))
    drawn = [path.name for path in report_files(folder).values()]
    for name, text in _texts(results, timings, page, drawn).items():
        (folder / FILES[name]).write_text(text, encoding="utf-8", newline="\n")
    write_timings(folder, timings)
    return report_files(folder)


def _figures(
    results: SuiteResults,
    pictures: Sequence[RowPictures],
    figure: SuiteFigure | None,
    pairs: Sequence[ClaimPair],
    page: PageContent,
) -> dict[str, Figure | None]:
    """Draw the figures that show faces, by the names of `FILES`; None where there is nothing to show.

    A suite of some targets has one figure of all rows, any other has one for each guide.
    """
    caption = data_line(results)
    figures: dict[str, Figure | None] = {}
    if figure == "ablation":
        main = {row.id for row in results.rows if not row.extended}
        figures["ablation"] = draw_ablation([row for row in pictures if row.row in main], caption)
    if results.targets:
        figures["edits"] = draw_targets(pictures, results.targets, caption)
    else:
        figures |= {name: draw_edits(pictures, guide, caption) for guide, name in GUIDES.items()}
    figures["overview"] = draw_overview(pictures, results.targets)
    figures["claims"] = draw_claims(pairs, public=not (page.withheld or page.shown))
    return figures


def _texts(
    results: SuiteResults, timings: Mapping[str, float], page: PageContent, drawn: Sequence[str]
) -> dict[str, str]:
    """Results, tables and pages, by the names of `FILES`. drawn: names of the files of the figures."""
    comparison = compare(results)
    return {
        "results": results.dump(),
        "table (Markdown)": table_page(results),
        "table (CSV)": main_csv(comparison),
        "table (LaTeX)": latex([main_table(comparison)]),
        "extended table (Markdown)": extended_page(results, timings),
        "extended table (CSV)": extended_csv(results, timings),
        "extended table (LaTeX)": latex(extended_tables(results, timings)),
        "page": report_page(results, timings, drawn),
        WEB_PAGE: report_html(results, page),
    }


def write_timings(folder: Path, timings: Mapping[str, float]) -> None:
    """Write `timings.json` anew: what depends on the clock and the machine, by its name."""
    text = json.dumps(dict(timings), indent=1, sort_keys=True, allow_nan=False) + "\n"
    (folder / FILES["timings"]).write_text(text, encoding="utf-8", newline="\n")
