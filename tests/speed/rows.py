"""What a timing gives to the tables of docs/speed.md."""

from __future__ import annotations

from typing import Any, Literal

from pytest_benchmark.fixture import BenchmarkFixture

GIVEN: list[dict[str, Any]] = []
"""Every row of this session, for the comparison at its end (docs/check_speed.py)."""


def give_row(
    benchmark: BenchmarkFixture,
    table: str,
    label: str,
    plain: float | None,
    fast: float,
    note: str,
    unit: Literal["s", "B"] = "s",
) -> None:
    """A row: `fast`, seconds or bytes, beside that of the plain reference on the same cores, if there is one."""
    row = {"table": table, "what": label, "plain": plain, "fast": fast, "unit": unit, "note": note}
    benchmark.extra_info.update(row)
    GIVEN.append(row)
    print(f"{table}: {label}: plain {plain}, here {fast} {unit}; {note}")
