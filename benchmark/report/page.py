"""report.md: the whole report as one Markdown page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from benchmark.report.certainty_tables import agreement_table, ranks_table, seeds_table
from benchmark.report.comparison import compare, data_label
from benchmark.report.markdown import bullets, escape_markdown, markdown
from benchmark.report.notes import data_line, definitions
from benchmark.report.results import SuiteResults
from benchmark.report.tables import Table, cost_table, expressions_table, main_table, measures_table, steps_table
from benchmark.report.verdict_text import evidence_line, grouped, heading, rules

PICTURES = {
    "overview.png": ("At a glance", "A few people, each edited to one expression by every row."),
    "ablation.png": (
        "The ablation in pictures",
        "Source, reference, and the edit of each row.",
    ),
    "edits.png": ("Edits", "A column for each face: the face, and the edits of each row."),
    "label-guided.png": ("Label-guided edits", "Edits guided by a label."),
    "reference-guided.png": ("Reference-guided edits", "Edits guided by a reference, which stands above them."),
}
LOSSES, CLAIMS, PLANE = "losses.png", "claims.png", "plane.png"

PLANE_WORDS = "Every row between source and true picture; bars are intervals over test identities."


def table_page(results: SuiteResults) -> str:
    """Make table.md."""
    return _page(results, [markdown(main_table(compare(results)))])


def extended_tables(results: SuiteResults, timings: Mapping[str, float]) -> tuple[Table, ...]:
    """Make the sections that go beyond the paper."""
    steps = steps_table(results)
    certainty = ranks_table(results), agreement_table(results), seeds_table(results)
    tables = (measures_table(results), *certainty, steps, cost_table(results, timings), expressions_table(results))
    return tuple(table for table in tables if table is not None)


def extended_page(results: SuiteResults, timings: Mapping[str, float]) -> str:
    """Make extended.md."""
    return _page(results, [_titled(table) for table in extended_tables(results, timings)])


def report_page(results: SuiteResults, timings: Mapping[str, float], pictures: Sequence[str]) -> str:
    """Make report.md. pictures: names of the figures in the same folder."""
    comparison = compare(results)
    parts = [_claims(results, CLAIMS in pictures), markdown(main_table(comparison))]
    if comparison.published:
        parts.append(f"The paper's numbers: {escape_markdown(comparison.published.source)}.\n")
    for name, (title, text) in PICTURES.items():
        if name in pictures:
            parts.append(f"## {title}\n\n{text}\n\n![{title}]({name})\n")
    if PLANE in pictures:
        parts.append(f"## Expression and identity\n\n{PLANE_WORDS}\n\n![Every row between two corners]({PLANE})\n")
    parts += [_titled(table) for table in extended_tables(results, timings)]
    if LOSSES in pictures:
        parts.append(f"## Losses\n\n![Loss curves of every training]({LOSSES})\n")
    parts += [_settings(results), _measured_with(results), _definitions(results), _keys(results)]
    return _page(results, parts)


def _claims(results: SuiteResults, drawn: bool) -> str:
    """Make the section of verdicts on the paper's claims; empty if the suite has no claims."""
    if results.claims is None:
        return ""
    if not results.verdicts:
        return f"{escape_markdown(heading(results))} ({escape_markdown(results.claims.source)}).\n"
    metrics = {metric.key: metric for metric in results.metrics}
    lines = [f"## {heading(results)}\n", f"{escape_markdown(results.claims.source)}\n"]
    for group in grouped(results.verdicts):
        why = f": {group.why}" if group.why else ""
        lines.append(f"- **{group.words}**{escape_markdown(why)}  ")
        claims = [
            f"“{escape_markdown(verdict.words)}” ({escape_markdown(verdict.place)}; `{verdict.id}`)"
            for verdict in group.verdicts
        ]
        if len(claims) > 1:
            lines.append(f"  <details><summary>{len(claims)} claims</summary>\n")
            lines += [*(f"  - {claim}" for claim in claims), "\n  </details>"]
        else:
            lines.append(f"  {claims[0]}")
            evidence = group.verdicts[0].evidence
            lines += [f"    - {escape_markdown(evidence_line(each, metrics))}" for each in evidence]
    lines += ["", *(f"{escape_markdown(rule)}.\n" for rule in rules(results))]
    if drawn:
        lines.append(f"![The edits that show the verdicts best]({CLAIMS})\n")
    return "\n".join(lines)


def _page(results: SuiteResults, parts: Sequence[str]) -> str:
    head = f"# {escape_markdown(results.title)}\n\n> {escape_markdown(results.notice)}\n"
    return "\n".join([head, f"{escape_markdown(data_line(results))}\n", *filter(None, parts)])


def _titled(table: Table) -> str:
    return f"## {escape_markdown(table.title)}\n\n{markdown(table)}"


def _settings(results: SuiteResults) -> str:
    """List the settings that differ from the published ones, by row."""
    by_settings: dict[str, list[str]] = {}
    for row in results.rows:
        if row.training is not None:
            changed = row.training.overrides
            text = ", ".join(f"`{name}` = `{json.dumps(value)}`" for name, value in sorted(changed.items()))
            by_settings.setdefault(text, []).append(
                f"{escape_markdown(row.label)} on {row.subset}{' (not trained here)' if row.origin else ''}"
            )
    lines = [f"- {'; '.join(rows)}: {text or 'none'}" for text, rows in by_settings.items()]
    intro = f"What profile {escape_markdown(results.profile)} and the suite change, by row:"
    text = "\n".join(["## Settings that differ from the published ones\n", intro, "", *lines, ""])
    if not results.overrides:
        return text
    reasons = [f"{method}: {stated.why}" for method, stated in sorted(results.overrides.items())]
    return f"{text}\nWhy the profile changes them:\n{bullets(reasons)}"


def _measured_with(results: SuiteResults) -> str:
    features = results.features
    same = "the published Inception weights" if features.comparable else "not the published Inception weights"
    notes = [
        f"Data: {data_label(results.data)}: {results.data_description}",
        f"Size: {results.size} px",
        f"Identities: {results.train_identities} to train on, {results.test_identities} to test on, none in both",
        f"Seeds: {', '.join(map(str, results.seeds))}",
        f"Features: {features.name} ({same}), weights {features.identity}; the column is called {features.column}",
    ]
    return f"## Measured with\n{bullets(notes)}"


def _definitions(results: SuiteResults) -> str:
    lines = [f"- **{escape_markdown(name)}**: {escape_markdown(text)}" for name, text in definitions(results)]
    return "\n".join(["## Definitions\n", *lines, ""])


def _keys(results: SuiteResults) -> str:
    """List content keys in a closed `details` element."""
    width = max((len(name) for name in results.keys), default=0)
    lines = [f"{name.ljust(width)}  {key}" for name, key in results.keys.items()]
    return "\n".join(
        ["## Content keys\n", "<details><summary>Every stage behind this page</summary>\n", "```", *lines, "```\n",
         "</details>\n"]
    )  # fmt: skip
