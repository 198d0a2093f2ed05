"""docs/speed.md says what was measured (docs/speed.json), and what was measured reaches its aims or is stated."""

from __future__ import annotations

import json

from docs.make_speed import KEPT, PAGE, Tables, kept, table, with_tables

ROW = {"what": "A, 64 px", "plain": 150.0, "fast": 0.06, "unit": "s", "note": "an iteration"}


def measured() -> Tables:
    result: Tables = json.loads(KEPT.read_text(encoding="utf-8"))
    return result


def test_the_tables_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page, measured()) == page, "run: python -m docs.make_speed"


def test_every_row_has_a_table_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, actual in measured().items():
        assert f"<!-- timings: {name} -->" in page
        for row in actual["rows"]:
            assert f"| {row['what']} | " in page


def test_the_page_names_the_steps_that_miss_the_aim() -> None:
    rows = measured()["steps"]["rows"]
    assert len(rows) == 10
    missed = {row["what"].partition(", width")[0] for row in rows if row["plain"] / row["fast"] < 1.8}
    assert missed == {"StarGAN, 64 px", "StarGAN, 128 px", "GANimation, 128 px", "EFGAN, 128 px"}
    stated = "StarGAN, and GANimation and EF-GAN at 128 px, miss the aim of 1.8 times on this processor."
    assert stated in PAGE.read_text(encoding="utf-8")


def test_a_table_with_a_plain_reference_and_one_without() -> None:
    assert table("steps", {"steps": {"machine": "A processor", "rows": [ROW]}}).splitlines() == [
        "| | plain | here | ratio | |",
        "|---|--:|--:|--:|---|",
        "| A, 64 px | 2.5 min | 60 ms | 2500.0 | an iteration |",
        "",
        "*A processor.*",
    ]
    memory = {**ROW, "plain": None, "fast": 7.44e9, "unit": "B", "note": "quick"}
    assert table("memory", {"memory": {"machine": "Another", "rows": [memory]}}).splitlines() == [
        "| | here | |",
        "|---|--:|---|",
        "| A, 64 px | 7.4 GB | quick |",
        "",
        "*Another.*",
    ]


def test_what_is_kept_of_a_file_of_pytest_benchmark() -> None:
    other = {**ROW, "what": "B, 64 px"}
    on = {"processor": "A processor", "threads": 1}
    written = {
        "machine_info": {"cpu": {"brand_raw": "A processor", "count": 2}, "python_version": "3.11.7"},
        "datetime": "2026-11-23T23:00:00+00:00",
        "benchmarks": [
            {"extra_info": {"table": "steps", **ROW, **on}, "stats": {}},
            {"extra_info": {"table": "data", **ROW, **on}, "stats": {}},
            {"extra_info": {"table": "steps", **other, **on}, "stats": {}},
        ],
    }
    where = "1 of 2 cores of A processor; Python 3.11.7, torch 2.15.0; 2026-11-23"
    assert kept(written, {"torch": "2.15.0"}) == {
        "steps": {"machine": where, "rows": [ROW, other]},
        "data": {"machine": where, "rows": [ROW]},
    }


def test_a_page_is_filled_at_its_markers() -> None:
    page = "above\n<!-- timings: steps -->\nold\n<!-- end -->\nbelow\n"
    actual = {"steps": {"machine": "A processor", "rows": [ROW]}}
    assert with_tables(page, actual) == f"above\n<!-- timings: steps -->\n{table('steps', actual)}<!-- end -->\nbelow\n"
