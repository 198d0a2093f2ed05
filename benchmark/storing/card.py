"""Model cards: facts, scores and limits of stored weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.config.reference import Index, StoredRow
from benchmark.core.artifacts import Manifest
from benchmark.core.progress import duration
from benchmark.metrics.metric import MetricDescription
from benchmark.report.markdown import escape_markdown
from benchmark.report.results import Row, SuiteResults
from benchmark.report.tables import metric_heading, number
from benchmark.stages.checkpoints import CHECKPOINT, Checkpoint, open_checkpoint
from benchmark.stages.stored import TRAINING

CARD = "README.md"
GUIDES = {"T": "by label", "R": "by reference"}


LICENCE = (
    "MIT, as the code (`LICENSE`). The weights have seen rendered people only, whose shapes are CC0; nobody's likeness "
    "is in them."
)
NOT_FOR = """\
- photographs of people: the weights know rendered faces of this size, light and framing;
- pictures meant to deceive, or of a person who has not agreed;
- telling what anybody feels: a target expression is a label of a data set;
- judging a publication: size, width and length of the training are not the published ones."""


def model_card(root: Path, folder: str, index: Index, results: Mapping[str, SuiteResults]) -> str:
    """Return the Markdown of the card of the weights in `folder`, made from what is stored below `root` alone."""
    checkpoint = open_checkpoint(root / folder)
    uses = list(_uses(folder, index))
    _, row_id, row, seed = uses[0]
    manifest = Manifest.read(root / row.seeds[seed].record / TRAINING)
    described = json.loads((root / folder / CHECKPOINT).read_text(encoding="utf-8"))
    method = checkpoint.method_class
    parts = [
        f"# {method.__name__}, {row.subset}, seed {seed}",
        f"Weights for editing, rounded to {described['stored']}; without a discriminator, so no training goes on from "
        "them.",
        *([escape_markdown(method.footnote)] if method.footnote else []),
        _example(row_id, row),
        "## Training",
        _table(_training(checkpoint, manifest, row)),
        _changed_settings(checkpoint),
        "## Scores of these weights",
        _scores(uses, results),
        "## Licence",
        LICENCE,
        "## Not for",
        NOT_FOR,
    ]
    return "\n\n".join(parts) + "\n"


def _training(checkpoint: Checkpoint, manifest: Manifest, row: StoredRow) -> dict[str, str]:
    """The facts of a training by name. manifest: of the training, not of the stored weights."""
    text, made = checkpoint.text, manifest.made
    threads = f"{made['threads']} thread{'s' if made['threads'] != 1 else ''}"
    return {
        "method": f"{text.method} ({_first_line(checkpoint.method_class.__doc__)})",
        "data": f"rendered faces of {text.shape.size} px, subset {row.subset}, test identities left out",
        "iterations": f"{text.iterations:,}",
        "pictures seen": f"{text.images_seen:,}",
        "time": f"{duration(manifest.seconds)} on {made['processor']}, device {made['device']}, {threads}",
        "code": f"commit {made['commit'] or 'unknown'}",
        "key": manifest.key,
        "failed by its own measure": "; ".join(text.failures) or "no",
    }


def _changed_settings(checkpoint: Checkpoint) -> str:
    changed = sorted(checkpoint.text.changed_settings.items())
    named = ", ".join(f"`{name}` = `{json.dumps(value)}`" for name, value in changed) or "none"
    return f"Settings that differ from the published ones: {named}. All settings are in `{CHECKPOINT}`."


def _uses(folder: str, index: Index) -> Iterator[tuple[str, str, StoredRow, int]]:
    """Yield suite, row id, row and seed of each use of the weights in `folder`."""
    for name, suite in sorted(index.suites.items()):
        for row_id, row in suite.rows.items():
            for seed, stored in row.seeds.items():
                if stored.weights == folder:
                    yield name, row_id, row, seed


def _example(row_id: str, row: StoredRow) -> str:
    guide = "--target happy" if row.guide == "T" else "--reference b.jpg"
    return f"```sh\npython -m benchmark.synthesize --checkpoint {row_id} --source a.jpg {guide} --out edit.png\n```"


def _scores(uses: list[tuple[str, str, StoredRow, int]], results: Mapping[str, SuiteResults]) -> str:
    """Return a Markdown table with a line for each row that uses the weights and a column for each metric."""
    lines: dict[str, list[str]] = {}
    metrics: tuple[MetricDescription, ...] = ()
    for suite, row_id, stored, seed in uses:
        measured = _row(results.get(suite), row_id)
        if measured is None or seed not in measured.seeds:
            continue
        metrics = metrics or results[suite].metrics
        scores = measured.seeds[seed].metrics
        cells = [number(scores.get(metric.key), metric.decimals) for metric in metrics]
        line = f"{stored.label}, guided {GUIDES[stored.guide]}"
        lines.setdefault(" | ".join(cells), []).append(f"{suite}: {line}")
    if not lines:
        return "Not measured yet."
    head = ["row", *(escape_markdown(metric_heading(metric)) for metric in metrics)]
    rule = ["---", *("--:" for _ in metrics)]
    body = [f"{'; '.join(dict.fromkeys(names))} | {cells}" for cells, names in lines.items()]
    note = "Other rows and seeds, intervals, and what each column is: `results/reference` and docs/reference.md."
    return "\n".join(f"| {line} |" for line in (" | ".join(head), " | ".join(rule), *body)) + f"\n\n{note}"


def _row(results: SuiteResults | None, row_id: str) -> Row | None:
    return next((row for row in results.rows if row.id == row_id), None) if results else None


def _table(values: Mapping[str, str]) -> str:
    return "\n".join(
        ["| | |", "|---|---|", *(f"| {name} | {escape_markdown(text)} |" for name, text in values.items())]
    )


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0].rstrip(".")
