"""A reference with made-up numbers: two rows, two metrics, seeds as many as wanted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.gate.machine import Machine
from benchmark.gate.reference import EDITS, Probe, Reference, SeedRun, StoredMetric

FD = StoredMetric("FD[lite0]", "lower", "set", "", 2, 1, False)
CA = StoredMetric("CA", "higher", "edit", "%", 2, 1, True)
METRICS = {"fid": FD, "ca": CA}
ROWS = ("hisd-r", "mtss-r")
MACHINE = Machine("a processor, AVX2", "cpu", 1, "3.11.7", {"torch": "2.15.0"})
SERIES: dict[str, list[float | None]] = {
    "total generator 1": [None, 4.0, None, 3.0],
    "loss cycle": [1.0, 0.9, 0.8, 0.7],
}
SPREADS: dict[str, list[float | None]] = {
    "total generator 1": [None, 1e-6, None, 1e-3],
    "loss cycle": [0.0, 1e-7, 1e-6, 1e-5],
}


def drawn(random: np.random.Generator, seeds: Sequence[int], judge: int | None = None) -> dict[int, SeedRun]:
    """Runs whose numbers are normal: a distance of 100 +- 4, an accuracy of 30 +- 3 %."""
    return {
        seed: SeedRun(
            judge_seed=seed if judge is None else judge,
            rows={row: {"fid": float(random.normal(100, 4)), "ca": float(random.normal(30, 3))} for row in ROWS},
            judges={"F": float(random.normal(80, 2))},
            edits=dict.fromkeys(ROWS, 160),
            keys={"train": "a", "score": "b"},
            contents={"train": "1", "score": f"2 {seed}"},
        )
        for seed in seeds
    }


def reference(runs: Mapping[int, SeedRun] | None = None) -> Reference:
    """A reference of those runs, or of six that are drawn."""
    scores = {row: {"fid": [100.0], "ca": [30.0], EDITS: [128.0, 64.0]} for row in ROWS}
    none = {row: {name: [0.0] * len(values) for name, values in scores[row].items()} for row in ROWS}
    return Reference(
        name="made-up",
        suite="smoke",
        profile="smoke",
        data="rendered",
        features="efficientnet-lite0",
        identity="0" * 64,
        machine=MACHINE,
        commit="",
        code="1" * 64,
        metrics=METRICS,
        edits_keys=dict.fromkeys(ROWS, "e"),
        prepared="p",
        runs=dict(runs) if runs else drawn(np.random.default_rng(0), range(6)),
        edits=dict.fromkeys(ROWS, 160),
        losses=Probe(["AVX512", "SSE4.1"], {"train hisd": SERIES}, {"train hisd": SPREADS}, {"train hisd": ["hisd 1"]}),
        scores=Probe(["AVX512", "SSE4.1"], scores, none, {row: ["hisd 1"] for row in ROWS}),  # type: ignore[arg-type]
    )


def changed(run: SeedRun, row: str, **metrics: float | None) -> SeedRun:
    """A run with other numbers of a row."""
    return dataclasses.replace(run, rows={**run.rows, row: {**run.rows[row], **metrics}})
