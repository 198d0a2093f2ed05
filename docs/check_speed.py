"""Holds timings to stored ones: did something become slower beside the plain reference of the same run?

    python -m docs.check_speed FILE                       compare a file of `tox -e speed -- --benchmark-json=FILE`
    python -m docs.check_speed --store FILE FILE FILE     store the ratios of repeated runs, in docs/ratios.json

`tox -e speed` compares by itself. A ratio of two times measured side by side on the same cores holds on any machine of
the same kind: processor and threads (a step of StarGAN at 128 px takes 2.1 times less than the plain one's on one
processor, 1.4 times on another). It fails beyond the bound that repeated runs give: t s sqrt(1 + 1/n) of n stored
logarithms, at 1 % for all rows together, and at least `MARGIN`; s is the spread of the rows of a table (a batch of
pictures takes a tenth of a millisecond and varies more than a step), or a row's own where that is larger. Rows of a
table in which none was repeated have the spread of all tables. Where no row was repeated there is no bound, and nothing
passes. Exit status: 0 pass, 1 slower, 3 no bound,
4 nothing to compare.
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

RATIOS = Path(__file__).with_name("ratios.json")
FAMILY = 0.01
MARGIN = 0.05
"""A slowdown that does not matter, as a share."""
Ratios = dict[str, list[float]]
"""Plain time divided by ours, of every run, by table and row."""
Row = Mapping[str, Any]
"""As tests/speed/rows.py gives it."""


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


def kind_of(rows: Sequence[Row]) -> str:
    """What rows were measured on: `AMD EPYC, 1 thread`. Raises ValueError where they are of several machines."""
    kinds = {f"{row['processor']}, {row['threads']} thread{'s' if row['threads'] != 1 else ''}" for row in rows}
    if len(kinds) != 1:
        raise ValueError(f"rows of one kind of machine are needed, not of {', '.join(sorted(kinds)) or 'none'}")
    return kinds.pop()


def ratios_of(rows: Sequence[Row]) -> dict[str, float]:
    """The ratios of rows that have a plain reference; memory has none."""
    return {
        f"{row['table']}: {row['what']}": row["plain"] / row["fast"]
        for row in rows
        if row["plain"] is not None and row["unit"] == "s"
    }


def compare(stored: Ratios, now: Mapping[str, float]) -> list[SpeedCheck]:
    """Compare each ratio that is stored."""
    known = {name: value for name, value in now.items() if stored.get(name)}
    checks = []
    for name, value in known.items():
        logarithms = [math.log(ratio) for ratio in stored[name]]
        spread, freedom = _spread({row: ratios for row, ratios in stored.items() if _table(row) == _table(name)})
        if not freedom:
            spread, freedom = _spread(stored)
        bound = None
        if freedom:
            own = statistics.stdev(logarithms) if len(logarithms) > 1 else 0.0
            chance = prediction_bound(max(spread, own), len(logarithms), 1, FAMILY / len(known), freedom)
            bound = math.exp(max(chance, math.log1p(MARGIN)))
        checks.append(SpeedCheck(name, math.exp(statistics.fmean(logarithms)), value, bound))
    return checks


def _table(name: str) -> str:
    return name.partition(":")[0]


def _spread(stored: Mapping[str, Sequence[float]]) -> tuple[float, int]:
    """Standard deviation of the logarithms within rows that were repeated, and its degrees of freedom."""
    repeated = [[math.log(ratio) for ratio in ratios] for ratios in stored.values() if len(ratios) > 1]
    freedom = sum(len(logarithms) - 1 for logarithms in repeated)
    squares = sum((len(logarithms) - 1) * statistics.variance(logarithms) for logarithms in repeated)
    return (math.sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def status(checks: Sequence[SpeedCheck]) -> int:
    """The exit status."""
    verdicts = {check.verdict for check in checks}
    if not checks:
        return 4
    return 1 if "slower" in verdicts else 3 if "no bound" in verdicts else 0


def stored_ratios(kind: str) -> Ratios:
    """Those of repeated runs on one kind of machine; none where there were none."""
    return _every_kind().get(kind, {})


def _every_kind() -> dict[str, Ratios]:
    return json.loads(RATIOS.read_text(encoding="utf-8")) if RATIOS.exists() else {}


def rows_of(path: Path) -> list[Row]:
    """The rows that the tests of a file of pytest-benchmark gave."""
    measured = json.loads(path.read_text(encoding="utf-8"))
    return [benchmark["extra_info"] for benchmark in measured["benchmarks"] if "table" in benchmark["extra_info"]]


def check(rows: Sequence[Row]) -> int:
    """Compare rows with the stored ones of their kind of machine, and print what comes out; the exit status."""
    kind = kind_of(rows)
    checks = compare(stored_ratios(kind), ratios_of(rows))
    if not checks:
        sys.stdout.write(f"nothing to compare: no ratios of {kind} are stored (docs/speed.md)\n")
    for each in checks:
        sys.stdout.write(f"{each}\n")
    return status(checks)


def main(arguments: Sequence[str]) -> int:
    """Compare a file, or store the ratios of several in the place of those of their kind of machine."""
    if arguments[:1] != ["--store"]:
        return check(rows_of(Path(arguments[0])))
    files = [rows_of(Path(path)) for path in arguments[1:]]
    kind = kind_of([row for rows in files for row in rows])
    runs = [ratios_of(rows) for rows in files]
    names = sorted({name for run in runs for name in run})
    stored: Ratios = {name: [round(run[name], 4) for run in runs if name in run] for name in names}
    text = json.dumps(_every_kind() | {kind: stored}, indent=1, sort_keys=True)
    RATIOS.write_text(f"{text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
