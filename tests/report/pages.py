"""What pages are tested with: results as large as they get, with pictures that compress as faces do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from benchmark.metrics.registry import METRICS
from benchmark.protocol import EXPRESSIONS
from benchmark.report.figures import RowPictures
from benchmark.report.html.content import EditExample, PageContent, choose_edits, count_confusions
from benchmark.report.results import Scores, SuiteResults
from tests.report.made_up import certain_run, published_run, row, scores

BUDGET = 5_000_000
"""Largest size of a page in bytes."""
LABELS = (
    "StarGAN (T)", "HiSD (T)", "HiSD (R)", "GANima (R)", "Ours (R)", "Ours (T)", "B (R)", "C (R)", "D (T)", "E (T)",
)  # fmt: skip
LOSSES = ("generator/adversarial", "generator/style", "generator/cycle", "discriminator/real", "discriminator/fake",
          "discriminator/penalty", "clipped/generator", "sdu/style_magnitude")  # fmt: skip
FAILED = "hisd-t"


def face(rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """A smooth picture with some edges and a little noise."""
    y, x = np.mgrid[0:size, 0:size] / size
    centre, colour = rng.uniform(0.4, 0.6, 2), rng.uniform(60, 200, 3)
    inside = ((x - centre[0]) / 0.3) ** 2 + ((y - centre[1]) / 0.4) ** 2 < 1
    picture = np.where(inside[..., None], colour, 225 - 60 * y[..., None])
    eyes = (np.abs(y - centre[1] + 0.1) < 0.03) & (np.abs(np.abs(x - centre[0]) - 0.12) < 0.05)
    picture = np.where(eyes[..., None], 30, picture) + rng.normal(0, 4, (size, size, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def large_results(rows: int = 10, seeds: int = 5) -> SuiteResults:
    """A suite of many rows and seeds, with intervals, ranks and verdicts; one training has failed."""
    result = []
    for index, label in enumerate(LABELS[:rows]):
        guide = "R" if "(R)" in label else "T"
        key = {"Ours (R)": "mtss-r", "Ours (T)": "mtss-t", "HiSD (T)": FAILED}.get(label, f"row-{index}")
        measured = [_scores(index, seed) for seed in range(seeds)]
        result.append(row(key, label, "mtss" if index > 3 else f"method-{index}", guide, "F&P", *measured))
    failed = {1: ["attention was above 0.99 from iteration 200 on"]} if seeds > 1 else {}
    result = [dataclasses.replace(each, failed=failed if each.id == FAILED else {}) for each in result]
    corners = (
        row("source F&P", "source as it is", "", "T", "F&P", _scores(0, 0, gain=0.02, id_similarity=1.0)),
        row("truth F&P", "true picture", "", "T", "F&P", _scores(0, 0, gain=0.98, id_similarity=0.93)),
    )
    run = dataclasses.replace(
        published_run(), rows=tuple(result), corners=corners, seeds=tuple(range(seeds)),
        metrics=tuple(metric.describe("FID") for metric in METRICS),
    )  # fmt: skip
    return certain_run(run)


def _scores(index: int, seed: int, **more: float) -> Scores:
    """Every metric; those that made-up results have not lie round one half."""
    actual = scores(40 + index + seed, 20.0 + index, 90.0 - 2 * index - seed, 7000)
    others = {metric.key: 0.5 + 0.04 * index + 0.01 * seed for metric in METRICS}
    return dataclasses.replace(actual, metrics={**others, **actual.metrics, **more})


def large_content(results: SuiteResults, edits: int = 7000, sources: int = 4, size: int = 64) -> PageContent:
    """Everything that the page can show of them."""
    rng = np.random.default_rng(0)
    faces = np.stack([face(rng, size) for _ in range(60)])
    draw = lambda *shape: faces[rng.integers(0, len(faces), shape)]  # noqa: E731
    own = tuple(EXPRESSIONS[index % 8] for index in range(sources))
    shown, truths, references = draw(sources), draw(sources, 8), draw(sources, 8)
    pictures, examples, confusions, losses = [], [], {}, {}
    per_edit = [metric for metric in METRICS if metric.per == "edit"]
    for each in results.rows:
        label = f"{each.label}, failed" if each.id == FAILED else each.label
        captions = [f"camera {90:03d}"] * sources
        pictures.append(
            RowPictures(
                each.id, label, each.guide, each.subset, shown, own, draw(sources, 8),
                references if each.guide == "R" else None, captions, truths,
            )
        )  # fmt: skip
        tables = []
        for seed in each.seeds:
            columns = {metric.key: rng.normal(20, 3, edits) for metric in per_edit}
            names = {name: rng.choice(EXPRESSIONS, edits) for name in ("source_expression", "target", "judged")}
            tables.append(pd.DataFrame({**columns, **names}))
            progress = np.arange(5, 3001, 5)
            curves = {name: np.exp(-progress / 800) + rng.normal(0, 0.05, len(progress)) for name in LOSSES}
            losses[each.trainings[seed]] = pd.DataFrame({"iteration": progress, **curves})
        confusions[each.id] = count_confusions(tables)
        for metric in per_edit:
            for which, index in choose_edits(tables[0], metric).items():
                edit = tables[0].iloc[index]
                examples.append(
                    EditExample(
                        each.id, metric.key, which, float(edit[metric.key]), edit["source_expression"], edit["target"],
                        edit["judged"], *draw(3),
                    )
                )  # fmt: skip
    timings = dict.fromkeys(losses, 1000.0)
    return PageContent(pictures, examples, confusions, losses, timings, ("--suite", "table1", "--seeds", "0,1,2,3,4"))
