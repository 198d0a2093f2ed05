"""What a timing gives to the tables of docs/speed.md."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.core.environment import processor_name

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
    row = {
        "table": table, "what": label, "plain": plain, "fast": fast, "unit": unit, "note": note,
        "processor": processor_name(), "threads": torch.get_num_threads(),
    }  # fmt: skip
    benchmark.extra_info.update(row)
    GIVEN.append(row)
    print(f"{table}: {label}: plain {plain}, here {fast} {unit}; {note}")
