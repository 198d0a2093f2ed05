"""Three verdicts recomputed by hand from per-edit files: scipy's exact test, Holm, the rules of docs/statistics.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark.metrics.metric import PerEditMetric
from benchmark.metrics.registry import METRICS
from benchmark.report.results import Row, Scores
from benchmark.stages.score import each_identity
from benchmark.statistics.claims import load_claims
from benchmark.statistics.decisions import LEVEL
from benchmark.statistics.verdicts import Setting, decide
from tests.statistics.by_hand import holm, sign_flip

PEOPLE, EACH = 12, 6
MEASURED = {metric.key: metric for metric in METRICS if metric.key in ("ca", "psnr_true", "psnr_src")}
CLAIMS = [
    ("names-more", "ca", "higher", 5.0, "reproduced"),
    ("nearer", "psnr_true", "higher", 0.5, "contradicted"),
    ("keeps-less", "psnr_src", "lower", 0.1, "undecided"),
]
"""Id, metric, direction, margin, and what these files say."""


def write_per_edit(folder: Path) -> dict[str, Path]:
    """Two rows of 12 people with 6 edits each: one names more, is further from the truth, as near to the source."""
    rng = np.random.default_rng(3)
    people = np.repeat([f"p{number:02d}" for number in range(PEOPLE)], EACH)
    person = np.repeat(rng.normal(0, 1, PEOPLE), EACH)
    files = {}
    for row, (accuracy, truth, source) in {"new": (0.9, 24.0, 27.0), "old": (0.4, 25.0, 27.0)}.items():
        table = pd.DataFrame(
            {
                "identity": people,
                "ca": (rng.uniform(size=len(people)) < accuracy).astype(float),
                "psnr_true": truth + person + rng.normal(0, 0.6, len(people)),
                "psnr_src": source + person + rng.normal(0, 0.6, len(people)),
            }
        )
        files[row] = folder / f"{row}.parquet"
        table.to_parquet(files[row], index=False)
    return files


def row_of(name: str, file: Path) -> Row:
    """As the score stage makes it."""
    per_edit = pd.read_parquet(file)
    metrics: dict[str, float | None] = {}
    by_identity = {}
    for key, metric in MEASURED.items():
        assert isinstance(metric, PerEditMetric)
        metrics[key] = metric.summary(per_edit[key].to_numpy()).value
        by_identity[key] = each_identity(metric, per_edit)
    return Row(name, name, "m", "R", "F", {0: Scores(len(per_edit), metrics, by_identity=by_identity)})


def p_by_hand(files: dict[str, Path], metric: str, sign: float, threshold: float) -> tuple[float, float]:
    """The mean difference in the claimed direction, and the exact one-sided p value of it being `threshold` at most."""
    new, old = (pd.read_parquet(files[row]) for row in ("new", "old"))
    scale = 100 if metric == "ca" else 1
    paired = sign * scale * (new[metric] - old[metric])
    people = paired.groupby(new["identity"]).mean().to_numpy()
    return float(people.mean()), sign_flip(people - threshold, "greater")


def test_three_verdicts_are_those_computed_by_hand(tmp_path: Path) -> None:
    files = write_per_edit(tmp_path)
    parts = [
        {
            "id": name, "suite": "mine", "words": "Ours is so.", "place": "Sec. 4",
            "parts": [{"row": "new", "over": "old", "metric": metric, "direction": direction, "margin": margin}],
        }
        for name, metric, direction, margin, _ in CLAIMS
    ]  # fmt: skip
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump({"title": "Claims", "source": "A paper", "claims": parts}))
    samples = {row: row_of(row, file).samples(list(MEASURED.values())) for row, file in files.items()}
    setting = Setting("rendered", "FD[lite0]", {}, {key: metric.label for key, metric in MEASURED.items()}, "")
    verdicts = decide(load_claims(tmp_path / "claims.yaml").of_suite("mine"), samples, setting)

    for_it, against_it, estimates = [], [], []
    for _, metric, direction, margin, _ in CLAIMS:
        sign = 1.0 if direction == "higher" else -1.0
        estimate, p = p_by_hand(files, metric, sign, 0.0)
        for_it.append(p)
        # Contradicted where the claimed difference is significantly less than the margin.
        against_it.append(p_by_hand(files, metric, -sign, -margin)[1])
        estimates.append(estimate)
    reproduced, contradicted = holm(for_it), holm(against_it)
    for place, (verdict, (name, _, _, margin, expected)) in enumerate(zip(verdicts, CLAIMS, strict=True)):
        assert verdict.id == name
        assert verdict.p_reproduced == pytest.approx(reproduced[place])
        assert verdict.p_contradicted == pytest.approx(contradicted[place])
        by_hand = "undecided"
        if reproduced[place] <= LEVEL / 2 and estimates[place] >= margin:
            by_hand = "reproduced"
        elif contradicted[place] <= LEVEL / 2:
            by_hand = "contradicted"
        assert verdict.outcome == by_hand == expected
