"""Verdicts recomputed by hand from per-edit files: exact tests, Holm, the rules of docs/statistics.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from benchmark.metrics.metric import PerEditMetric
from benchmark.metrics.registry import METRICS
from benchmark.report.results import Row, Scores
from benchmark.stages.score import each_identity
from benchmark.statistics.claims import load_claims
from benchmark.statistics.decisions import LEVEL
from benchmark.statistics.verdicts import Setting, decide
from tests.statistics.by_hand import greater, holm, sign_flip

RESULTS = Path(__file__).parents[2] / "results"
REFERENCE, CLAIMS_OF_THE_PAPER = RESULTS / "reference", RESULTS / "paper" / "claims.yaml"
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


def test_exact_p_values_by_hand_are_scipys() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(0.3, 1, 9), np.round(rng.normal(0.3, 1, 8), 1)):
        assert greater(values) == pytest.approx(sign_flip(values, "greater"))


# ---------------------------------------------------------------------------------------------- stored results
BY_EDIT = {"ca": 100.0, "psnr_true": 1.0}
"""Metrics of the stored edits that the paper's claims are about, and what turns their means into the table's unit."""


@dataclass(frozen=True)
class StoredEdits:
    """The edits of a stored report, by row, as pandas reads them."""

    report: Path
    tables: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    """Of each seed."""

    def of(self, row: str) -> list[pd.DataFrame]:
        if row not in self.tables:
            inputs = json.loads((self.report / "manifest.json").read_text())["inputs"]
            keys = [key for role, key in inputs.items() if role.rpartition(" ")[0] == f"scores {row}"]
            folders = [folder for key in keys for folder in REFERENCE.glob(f"scores/*-{key[:12]}")]
            assert len(folders) == len(keys) > 0
            self.tables[row] = [pd.read_parquet(folder / "per-edit.parquet") for folder in folders]
        return self.tables[row]

    def people(self, row: str, metric: str) -> pd.Series:
        """The mean of each person's edits, then over seeds."""
        means = [table[metric].astype(float).groupby(table["identity"]).mean() for table in self.of(row)]
        return BY_EDIT[metric] * pd.concat(means, axis=1).mean(axis=1)

    def ahead(self, part: dict[str, Any], sign: float) -> np.ndarray:
        """By how much each person's edits by a row are ahead of those by another, or of a number."""
        other = self.people(part["over"], part["metric"]) if part.get("over") else part["value"]
        return np.asarray(sign * (self.people(part["row"], part["metric"]) - other))


def p_values(part: dict[str, Any], edits: StoredEdits) -> tuple[float, float, bool]:
    """Of a part of a claim: p values of its being false and true, and whether the estimate is large enough."""
    sign = 1.0 if part["direction"] == "higher" else -1.0
    if "rank" in part:
        assert part["rank"] == 1
        rows = [edits.ahead({**part, "over": row}, sign) for row in part["among"]]
        p_for, p_against = max(greater(row) for row in rows), min(greater(-row) for row in rows)
        return p_for, min(1.0, len(rows) * p_against), all(row.mean() > 0 for row in rows)
    ahead, margin = edits.ahead(part, sign), part.get("margin", 0)
    return greater(ahead), greater(margin - ahead), ahead.mean() >= margin


def allowed(evidence: dict[str, Any], parts: list[dict[str, Any]]) -> float:
    """By how much a row may be behind: the margin of a part that says "not higher" or "not lower"."""
    compared = ("row", "over", "metric")
    (part, *_) = [part for part in parts if all(part.get(name) in (evidence[name], None) for name in compared)]
    return float(part.get("margin", 0)) if part["direction"].startswith("not ") else 0.0


@pytest.mark.parametrize("report", sorted(REFERENCE.glob("reports/*/results.json")), ids=lambda path: path.parent.name)
def test_verdicts_of_stored_results_are_those_of_their_edits(report: Path) -> None:
    """Each comparison of single edits, the correction after Holm, and each verdict that hangs on single edits alone."""
    results, edits = json.loads(report.read_text()), StoredEdits(report.parent)
    parts = {claim["id"]: claim.get("parts") for claim in yaml.safe_load(CLAIMS_OF_THE_PAPER.read_text())["claims"]}
    tested = [verdict for verdict in results["verdicts"] if verdict["outcome"] != "not testable here"]
    p_for, compared, decided = [], 0, 0
    for verdict in tested:
        p_of_parts = []
        for each in verdict["evidence"]:
            if each["metric"] in BY_EDIT:
                difference = edits.ahead({**each, "value": each["other"]}, 1.0)
                interval = stats.t.interval(0.95, len(difference) - 1, difference.mean(), stats.sem(difference))
                assert each["value"] - each["other"] == pytest.approx(difference.mean(), abs=1e-9)
                assert (each["low"], each["high"]) == pytest.approx(interval, abs=1e-9)
                slack = allowed(each, parts[verdict["id"]])
                assert any(each["p"] == pytest.approx(greater(sign * difference + slack)) for sign in (1, -1))
                compared += 1
            if each["decides"]:
                p_of_parts.append(each["p"])
        rank = next((part["rank"] for part in parts[verdict["id"]] if "rank" in part), 1)
        p_for.append(min(1.0, max(p_of_parts) * (len(p_of_parts) if rank > 1 else 1)))
    for verdict, reproduced in zip(tested, holm(p_for), strict=True):
        assert verdict["p_reproduced"] == pytest.approx(reproduced)
        mine = parts[verdict["id"]]
        if any(part["metric"] not in BY_EDIT or part.get("rank", 1) > 1 for part in mine):
            continue
        by_hand = [p_values(part, edits) for part in mine]
        against = min(1.0, len(mine) * min(p for _, p, _ in by_hand))
        assert max(p for p, _, _ in by_hand) <= verdict["p_reproduced"] + 1e-12
        assert against * (1 - 1e-9) <= verdict["p_contradicted"] <= min(1.0, len(tested) * against) * (1 + 1e-9)
        outcome = "undecided"
        if verdict["p_reproduced"] <= LEVEL / 2 and all(enough for _, _, enough in by_hand):
            outcome = "reproduced"
        elif verdict["p_contradicted"] <= LEVEL / 2:
            outcome = "contradicted"
        several = any(len(edits.of(part["row"])) > 1 for part in mine)
        assert verdict["outcome"] == outcome or (several and verdict["outcome"] == "undecided")
        decided += 1
    assert (compared, decided) >= (3, 3) or report.parent.name != "table1"
