"""What a timing gives to the tables of docs/speed.md."""

from __future__ import annotations

from typing import Literal

from pytest_benchmark.fixture import BenchmarkFixture


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
    benchmark.extra_info.update(table=table, what=label, plain=plain, fast=fast, unit=unit, note=note)
    print(f"{table}: {label}: plain {plain}, here {fast} {unit}; {note}")
