"""Holds timings to stored ones: did something become slower beside the plain reference of the same run?

    python -m docs.check_speed FILE                       compare a file of `tox -e speed -- --benchmark-json=FILE`
    python -m docs.check_speed --store FILE FILE FILE     store the ratios of repeated runs, in docs/ratios.json

`tox -e speed` compares by itself. A ratio of two times measured side by side on the same cores holds on any machine, as
far as times do. It fails beyond the bound that repeated runs give: t s sqrt(1 + 1/n) of n stored logarithms, at 1 % for
all rows together, and at least `MARGIN`; s is the spread of all rows, or a row's own where that is larger. Where no
row was repeated there is no bound, and nothing passes. Exit status: 0 pass, 1 slower, 3 no bound, 4 nothing to compare.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.statistics.gating import prediction_bound

RATIOS, TIMINGS = Path(__file__).with_name("ratios.json"), Path(__file__).with_name("speed.json")
FAMILY = 0.01
MARGIN = 0.05
"""A slowdown that does not matter, as a share."""
Ratios = dict[str, list[float]]
"""Plain time divided by ours, of every run, by table and row."""


@dataclass(frozen=True)
class SpeedCheck:
    """One row beside its stored ratios."""

    name: str
    stored: float
    now: float
    bound: float | None
    """How many times smaller the ratio may be; None where nothing is known of its spread."""

    @property
    def verdict(self) -> str:
        """`slower`, `pass`, `faster`, or `no bound`."""
        if self.bound is None:
            return "no bound"
        factor = self.stored / self.now
        return "slower" if factor > self.bound else "faster" if factor < 1 / self.bound else "pass"

    def __str__(self) -> str:
        bound = "no bound: measured once" if self.bound is None else f"may be {self.bound:.2f} times smaller"
        return f"{self.verdict}: {self.name}: ratio {self.now:.2f}, stored {self.stored:.2f}, {bound}"


def ratios_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The ratios of rows that have a plain reference; memory has none."""
    return {
        f"{row['table']}: {row['what']}": row["plain"] / row["fast"]
        for row in rows
        if row["plain"] is not None and row["unit"] == "s"
    }


def compare(stored: Ratios, now: Mapping[str, float]) -> list[SpeedCheck]:
    """Compare each ratio that is stored."""
    known = {name: value for name, value in now.items() if stored.get(name)}
    repeated = [[math.log(ratio) for ratio in ratios] for ratios in stored.values() if len(ratios) > 1]
    freedom = sum(len(logarithms) - 1 for logarithms in repeated)
    variances = [(len(logarithms) - 1) * statistics.variance(logarithms) for logarithms in repeated]
    typical = math.sqrt(sum(variances) / freedom) if freedom else None
    checks = []
    for name, value in known.items():
        logarithms = [math.log(ratio) for ratio in stored[name]]
        bound = None
        if typical is not None:
            own = statistics.stdev(logarithms) if len(logarithms) > 1 else 0.0
            chance = prediction_bound(max(typical, own), len(logarithms), 1, FAMILY / len(known), freedom)
            bound = math.exp(max(chance, math.log1p(MARGIN)))
        checks.append(SpeedCheck(name, math.exp(statistics.fmean(logarithms)), value, bound))
    return checks


def status(checks: Sequence[SpeedCheck]) -> int:
    """The exit status."""
    verdicts = {check.verdict for check in checks}
    if not checks:
        return 4
    return 1 if "slower" in verdicts else 3 if "no bound" in verdicts else 0


def stored_ratios() -> Ratios:
    """Those of repeated runs; of rows that were measured once, in docs/speed.json, that one."""
    tables = json.loads(TIMINGS.read_text(encoding="utf-8"))
    rows = [{**row, "table": name} for name, table in tables.items() for row in table["rows"]]
    once: Ratios = {name: [value] for name, value in ratios_of(rows).items()}
    return {**once, **(json.loads(RATIOS.read_text(encoding="utf-8")) if RATIOS.exists() else {})}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows that the tests of a file of pytest-benchmark gave."""
    measured = json.loads(path.read_text(encoding="utf-8"))
    return [benchmark["extra_info"] for benchmark in measured["benchmarks"] if "table" in benchmark["extra_info"]]


def main(arguments: Sequence[str]) -> int:
    """Compare a file, or store the ratios of several."""
    if arguments[:1] == ["--store"]:
        runs = [ratios_of(rows_of(Path(path))) for path in arguments[1:]]
        names = sorted({name for run in runs for name in run})
        stored: Ratios = {name: [round(run[name], 4) for run in runs if name in run] for name in names}
        RATIOS.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        return 0
    checks = compare(stored_ratios(), ratios_of(rows_of(Path(arguments[0]))))
    for check in checks:
        sys.stdout.write(f"{check}\n")
    return status(checks)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
