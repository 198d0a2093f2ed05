"""Content of a suite's runs in MLflow: names of headline metrics, and descriptions in Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from benchmark.metrics.metric import MetricDescription
from benchmark.report.comparison import compare
from benchmark.report.markdown import bullets, escape_markdown, markdown
from benchmark.report.notes import data_line
from benchmark.report.results import Row, SuiteResults
from benchmark.report.summary import NOT_IN_A_NAME
from benchmark.report.tables import ARROWS, main_table
from benchmark.report.verdict_text import short_list

HEADLINE = "1"
"""Group of the headline metrics. Charts and columns are sorted by name, and show only its beginning."""
LONGEST_NOTE = 7500
"""Largest number of characters of a description; MLflow's databases take 8,000."""
LINKED = ("report.html", "report.md", "results.json")
"""Names of the files that a suite's description links to."""
FIGURES = ("overview", "claims")
"""Names of the figures in a suite's description, if they exist."""
CHECKPOINT_FILES = "checkpoint"
"""Folder of a row's small files."""


def headline_name(metric: MetricDescription) -> str:
    """Return a metric's name with its direction, in characters that MLflow allows: `1/FD lite0 Cp lower is better`."""
    label = " ".join(NOT_IN_A_NAME.sub(" ", metric.label).split())
    return f"{HEADLINE}/{label} {metric.direction} is better"


def headline(results: SuiteResults) -> tuple[tuple[str, str], ...]:
    """Return name and heading of each column of the main table."""
    metrics = dict.fromkeys(column.metric.key for column in compare(results).columns)
    known = {metric.key: metric for metric in results.metrics}
    return tuple((headline_name(known[key]), f"{known[key].label} {ARROWS[known[key].direction]}") for key in metrics)


def row_metrics(results: SuiteResults, row: Row, seed: int) -> dict[str, float]:
    """Return all metrics of a row and seed; those of the main table under headline names, too."""
    scores = row.seeds[seed]
    measured = {key: value for key, value in scores.metrics.items() if value is not None}
    columns = {column.metric.key: column.metric for column in compare(results).columns}
    first = {headline_name(metric): measured[key] for key, metric in columns.items() if key in measured}
    return {**first, **measured, **{f"ca/{name}": value for name, value in scores.ca_by_expression.items()}}


def suite_note(results: SuiteResults) -> str:
    """Return the description of a suite: main table, verdicts, a figure of edits, and the data.

    The table first, since MLflow folds a description after some lines.
    """
    table = main_table(compare(results))
    verdicts = bullets(short_list(results))
    report = ", ".join(f"[{name}]({file_link(f'report/{name}')})" for name in LINKED) + "\n"
    figures = "\n".join(f"[[{name}]]" for name in FIGURES)
    about = f"> {escape_markdown(results.notice)}\n\n{escape_markdown(data_line(results))}\n"
    bare = dataclasses.replace(table, notes=(), footnotes=())
    for body in (markdown(table), markdown(bare), ""):
        note = "\n".join(filter(None, [body, verdicts, report, figures, about]))
        if len(note) <= LONGEST_NOTE:
            break
    return note


def row_note(row: Row, seed: int, checkpoint: str, files: Sequence[str]) -> str:
    """Return the description of a row and seed. checkpoint: its folder. files: names of its small files."""
    guide = "label-guided" if row.guide == "T" else "reference-guided"
    failures = "".join(f"\n\n**The training failed by its own measure**: {why}" for why in row.failed.get(seed, ()))
    links = ", ".join(f"[{name}]({file_link(f'{CHECKPOINT_FILES}/{name}')})" for name in files)
    return (
        f"**{escape_markdown(row.label)}**, {guide}, {escape_markdown(row.subset)}, seed {seed}, "
        f"{row.seeds[seed].edits} edits.{escape_markdown(failures)}\n\nCheckpoint: `{checkpoint}` ({links})\n\n"
        f"    python -m benchmark.synthesize --checkpoint {checkpoint} --source a.jpg --target all --out strip.png\n"
    )


def file_link(path: str) -> str:
    """Return the address of a run's file on MLflow's server; `{run}` is a placeholder for the run's id."""
    return f"get-artifact?path={quote(path, safe='')}&run_uuid={{run}}"


def data_profile(results: SuiteResults) -> Mapping[str, Any]:
    """Return the sizes of the data set by name, for MLflow."""
    return {
        "size": results.size,
        "train identities": results.train_identities,
        "test identities": results.test_identities,
        "test pictures": dict(results.test_images),
    }
