"""docs/speed.md says what was measured (docs/speed.json), and what was measured reaches its aims or is stated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from docs.make_speed import KEPT, PAGE, kept, table, together, with_tables

ROW = {"table": "steps", "what": "A, 64 px", "plain": 150.0, "fast": 0.06, "unit": "s", "note": "an iteration"}


def measured() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return made


def test_the_tables_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page, measured()) == page, "run: python -m docs.make_speed"


def test_every_row_has_a_table_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for row in measured()["rows"]:
        assert f"<!-- timings: {row['table']} -->" in page
        assert f"| {row['what']} | " in page


def test_every_method_is_nearly_twice_as_fast_in_both_sizes() -> None:
    rows = [row for row in measured()["rows"] if row["table"] == "steps"]
    assert len(rows) == 10
    assert min(row["plain"] / row["fast"] for row in rows) >= 1.8


def test_a_table_with_a_plain_reference_and_one_without() -> None:
    assert table("steps", {"rows": [ROW]}).splitlines() == [
        "| | plain | here | ratio | |",
        "|---|--:|--:|--:|---|",
        "| A, 64 px | 2.5 min | 60 ms | 2500.0 | an iteration |",
    ]
    memory = {**ROW, "table": "memory", "plain": None, "fast": 7.44e9, "unit": "B", "note": "quick"}
    assert table("memory", {"rows": [ROW, memory]}).splitlines() == [
        "| | here | |",
        "|---|--:|---|",
        "| A, 64 px | 7.4 GB | quick |",
    ]


def test_what_is_kept_of_a_file_of_pytest_benchmark() -> None:
    written = {
        "machine_info": {"cpu": {"brand_raw": "A processor", "count": 2}, "python_version": "3.11.7"},
        "datetime": "2026-11-23T23:00:00+00:00",
        "benchmarks": [{"extra_info": ROW, "stats": {}}],
    }
    made = kept(written, {"torch": "2.15.0"})
    assert made["rows"] == [ROW]
    page = "<!-- timings: machine -->\nold\n<!-- end -->"
    assert with_tables(page, made).splitlines()[1] == "A processor, 2 cores; Python 3.11.7, torch 2.15.0; 2026-11-23."


def test_of_several_files_the_last_that_has_a_table_gives_it() -> None:
    machine = {"processor": "A", "cores": 2, "python": "3.11.7"}
    first = {**machine, "rows": [ROW, {**ROW, "table": "data"}]}
    second = {**machine, "rows": [{**ROW, "fast": 0.05}]}
    assert together([first, second])["rows"] == [{**ROW, "fast": 0.05}, {**ROW, "table": "data"}]
    with pytest.raises(SystemExit, match="several machines"):
        together([first, {**second, "cores": 4}])
