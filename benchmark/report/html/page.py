"""report.html: a suite's results in one file that needs no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from benchmark.metrics.metric import MetricDescription
from benchmark.protocol import EXPRESSIONS
from benchmark.report.certainty_tables import agreement_table, ranks_table, seeds_table
from benchmark.report.comparison import Comparison, compare
from benchmark.report.html.claims import verdict_cards
from benchmark.report.html.content import TIE_BREAKER, WHICH, EditExample, PageContent, Which
from benchmark.report.html.grid import ExampleTiles, example_tiles, grid_sections
from benchmark.report.html.loss_panels import loss_panels
from benchmark.report.html.pictures import PagePictures
from benchmark.report.html.plots import LABELS, WIDTH, Plane, planes, strip_plots
from benchmark.report.html.reproduce import command, row_commands, suite_options
from benchmark.report.markdown import superscript
from benchmark.report.notes import data_line, definitions, failure_note
from benchmark.report.plane_figure import ACROSS, UP
from benchmark.report.results import SuiteResults, failed_trainings
from benchmark.report.tables import (
    cost_table,
    difference,
    expressions_table,
    main_table,
    measures_table,
    metric_heading,
    steps_table,
)
from benchmark.report.verdict_text import heading, rules

if TYPE_CHECKING:
    from jinja2 import Environment

PICTURES_BUDGET = 3_600_000
"""Largest size of a page's pictures in bytes; with everything else it stays below 5 MB."""
TEMPLATES = "templates"
INTERVAL = re.compile(r"(?P<value>[^±\[]*?)(?P<spread> ±[^\[]*?)?(?P<interval> \[.*\])?")


def report_html(results: SuiteResults, content: PageContent) -> str:
    """Make the page. Raises OverBudgetError if even small pictures do not fit."""
    comparison, album = compare(results), PagePictures(PICTURES_BUDGET)
    sections = [] if content.withheld else grid_sections(content.pictures, results.targets, album)
    measures = [] if content.withheld else _measures(results, content.examples, album)
    verdicts = verdict_cards(results, {} if content.withheld else content.pairs, album)
    options = list(content.options) or suite_options(results)
    tables = {
        "measures": measures_table(results), "ranks": ranks_table(results), "agreement": agreement_table(results),
        "seeds": seeds_table(results), "steps": steps_table(results), "expressions": expressions_table(results),
        "costs": cost_table(results, content.timings),
    }  # fmt: skip
    return render(
        "report.html.j2",
        results=results,
        content=content,
        data_line=data_line(results),
        verdicts_heading=heading(results) if results.claims else "",
        verdicts=verdicts,
        rules=rules(results),
        main=main_table(comparison),
        published=comparison.published,
        tables=tables,
        planes=_planes(results),
        plots=strip_plots(results, comparison),
        sections=sections,
        measures=measures,
        album=album,
        confusions=_confusions(results, content.confusions),
        losses=loss_panels(content.losses, failed_trainings(results)),
        command=command(options),
        commands=row_commands(results, options),
        failures=[(row.label, row.subset, failure_note(row)) for row in results.rows if row.failed],
        definitions=definitions(results),
        limits=_limits(results, comparison),
    )


def render(template: str, **values: Any) -> str:
    """Fill in a template with autoescape."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("benchmark.report.html", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"parts": parts, "superscript": superscript, "difference": difference, "sort_key": sort_key}
    folder = files("benchmark.report.html") / TEMPLATES
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment.globals |= {"style": Markup(style), "script": Markup(script), "expressions": EXPRESSIONS}
    environment.globals |= {"strip_width": WIDTH, "strip_labels": LABELS}
    return environment


def parts(text: str) -> tuple[str, str, str]:
    """Split a table's entry into value, spread and interval; the last two may be empty."""
    match = INTERVAL.fullmatch(text)
    if match is None:
        return text, "", ""
    return match["value"], (match["spread"] or "").strip(), (match["interval"] or "").strip()


def sort_key(text: str) -> str:
    """Return the number at the beginning of an entry, for sorting; "" if there is none."""
    match = re.match(r"[-+]?[\d,]*\.?\d+", text)
    return match[0].replace(",", "").lstrip("+") if match else ""


# ---------------------------------------------------------------------------------------------- parts of the page
def plane_metrics(results: SuiteResults) -> tuple[MetricDescription, MetricDescription] | None:
    """Return the metrics of expression (across) and identity (up); None if one was not measured."""
    by_key = {metric.key: metric for metric in results.metrics}
    return (by_key[ACROSS], by_key[UP]) if {ACROSS, UP} <= by_key.keys() else None


def _planes(results: SuiteResults) -> list[Plane]:
    axes = plane_metrics(results)
    return planes(results, *axes) if axes else []


@dataclass(frozen=True)
class MeasureExamples:
    """Best, median and worst edits of each row in one metric."""

    heading: str
    unit: str
    rows: tuple[tuple[str, str, tuple[tuple[Which, ExampleTiles], ...]], ...]


def _measures(results: SuiteResults, examples: Sequence[EditExample], album: PagePictures) -> list[MeasureExamples]:
    by_cell = {(each.metric, each.row, each.which): each for each in examples}
    measures = []
    for metric in sorted(results.metrics, key=lambda metric: metric.key != TIE_BREAKER):
        rows = []
        for row in results.rows:
            shown = [
                (which, example_tiles(by_cell[metric.key, row.id, which], row.marked_label, metric.decimals, album))
                for which in WHICH
                if (metric.key, row.id, which) in by_cell
            ]
            if shown:
                rows.append((row.marked_label, row.subset, tuple(shown)))
        if rows:
            measures.append(MeasureExamples(metric_heading(metric), metric.unit, tuple(rows)))
    return measures


@dataclass(frozen=True)
class ConfusionView:
    """Shares of the judge's answers by target, in percent; None for a target without edits."""

    label: str
    subset: str
    edits: int
    shares: tuple[tuple[float, ...] | None, ...]


def _confusions(results: SuiteResults, confusions: Mapping[str, np.ndarray]) -> list[ConfusionView]:
    views = []
    for row in results.rows:
        counts = confusions.get(row.id)
        if counts is None:
            continue
        shares = (tuple(100 * float(n) / line.sum() for n in line) if line.sum() else None for line in counts)
        views.append(ConfusionView(row.marked_label, row.subset, int(counts.sum()), tuple(shares)))
    return views


def _limits(results: SuiteResults, comparison: Comparison) -> list[str]:
    """List the limits of the numbers: the profile, the table's notes, and why the profile changes settings."""
    overrides = (f"Settings of {name} are not as published: {o.why}" for name, o in sorted(results.overrides.items()))
    return [results.notice, *main_table(comparison).notes, *overrides]
