"""What is stored to compare with: it parses, its weights are there and small, and it alarms rarely."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from benchmark.gate.comparison import FURTHER, Rule, compare_runs
from benchmark.gate.gate import weights_of
from benchmark.gate.reference import STORED, Reference, SeedRun, load_reference
from benchmark.gate.verdicts import overall

ROOT = Path(__file__).parents[2]
MOST_BYTES = 3 << 20
"""Of the weights of a reference, and of its file."""


def references() -> dict[Path, Reference]:
    """Those among the files of `results/reference`, beside the index of stored trainings."""
    paths = sorted((ROOT / STORED).glob("*.json"))
    return {path: load_reference(path) for path in paths if "runs" in json.loads(path.read_text(encoding="utf-8"))}


def test_weights_are_there_and_small() -> None:
    for path, reference in references().items():
        files = set(weights_of(reference, path).values())
        assert sum(file.stat().st_size for file in [*files, path]) < MOST_BYTES
        assert set(path.with_suffix("").iterdir()) == files


def test_each_stored_seed_left_out_passes() -> None:
    """A seed is left out, and where it leaves a doubt, those after it in turn, as `--up-to` would run them."""
    for path, reference in references().items():
        seeds = list(reference.runs)
        for first in range(len(seeds)):
            order = seeds[first:] + seeds[:first]
            for count in range(1, len(seeds) - 1):
                runs = {seed: reference.runs[seed] for seed in order[:count]}
                others = {seed: run for seed, run in reference.runs.items() if seed not in runs}
                rest = dataclasses.replace(reference, runs=others)
                checks, compared = compare_runs(rest, runs, reference.metrics, Rule(looks=len(seeds), doubt=FURTHER))
                if overall([check.verdict for check in checks]) != "inconclusive":
                    break
            off = [check for check in checks if check.verdict not in ("pass", "improved", "reported")]
            assert not off, f"{path.name}, seed {order[0]} and {count - 1} more: {off[:3]}"
            assert compared > 10


def test_two_hundred_simulated_runs_alarm_as_rarely_as_stated() -> None:
    """Numbers drawn as the stored seeds are spread, both the stored ones and the new one."""
    for reference in references().values():
        if len(reference.runs) < 2:
            continue  # of probes alone
        random = np.random.default_rng(0)
        verdicts = []
        for _ in range(200):
            stored = dataclasses.replace(
                reference, runs={seed: drawn(reference, seed, random) for seed in reference.runs}
            )
            checks, _ = compare_runs(stored, {99: drawn(reference, 99, random)}, reference.metrics, Rule())
            verdicts.append(overall([check.verdict for check in checks]))
        assert verdicts.count("regressed") < 7  # 1 % is stated: with 200 runs, 7 are beyond chance (p < .005)
        assert verdicts.count("inconclusive") < 19  # 5 %


def drawn(reference: Reference, seed: int, random: np.random.Generator) -> SeedRun:
    first = next(iter(reference.runs.values()))
    rows: dict[str, dict[str, float | None]] = {row: {} for row in first.rows}
    for row in first.rows:
        for key in reference.metrics:
            values = reference.values(row, key)
            if len(values) > 1:
                rows[row][key] = float(random.normal(np.mean(values), max(float(np.std(values, ddof=1)), 1e-6)))
    judges = {subset: float(random.normal(value, 3)) for subset, value in first.judges.items()}
    return dataclasses.replace(first, judge_seed=seed, rows=rows, judges=judges)
