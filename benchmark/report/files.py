"""The files of a report, by the names that the terminal and `write_report` use."""

from __future__ import annotations

from pathlib import Path

WEB_PAGE = "web page"
FILES: dict[str, str] = {
    WEB_PAGE: "report.html",
    "page": "report.md",
    "results": "results.json",
    "timings": "timings.json",
    "table (Markdown)": "table.md",
    "table (CSV)": "table.csv",
    "table (LaTeX)": "table.tex",
    "extended table (Markdown)": "extended.md",
    "extended table (CSV)": "extended.csv",
    "extended table (LaTeX)": "extended.tex",
    "overview": "overview.png",
    "claims": "claims.png",
    "ablation": "ablation.png",
    "edits": "edits.png",
    "label-guided edits": "label-guided.png",
    "reference-guided edits": "reference-guided.png",
    "expression and identity": "plane.png",
    "loss curves": "losses.png",
}
FACES = frozenset({"overview", "ablation", "claims", "edits", "label-guided edits", "reference-guided edits"})
"""Names of the files that show faces."""


def files_with_faces(faces_in_page: bool) -> frozenset[str]:
    """Name the files that show faces of a data set that may not be passed on. faces_in_page: whether the page does."""
    return FACES | {WEB_PAGE} if faces_in_page else FACES


def report_files(folder: Path) -> dict[str, Path]:
    """Return the files of a finished report that exist; there are no figures of rows that were not run."""
    return {name: folder / file for name, file in FILES.items() if (folder / file).is_file()}
