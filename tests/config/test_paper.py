"""The paper's tables: as printed, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmark.config.loading import PAPER, names
from benchmark.config.paper import load_published, paper_path
from benchmark.config.suites import SUITES, load_suite
from benchmark.core.errors import UserError


def test_the_published_tables_are_the_papers() -> None:
    table1, table2 = (load_published(paper_path(stem)) for stem in ("table1", "table2"))
    assert table1.columns == ("FID", "FID(Cp)", "PSNR", "CA")
    assert [[row.get(column) for column in table1.columns] for row in table1.rows.values()] == [
        [45.31, None, 13.44, 93.45],
        [None, 23.99, None, 77.01],
        [49.30, 27.91, 13.08, 22.02],
        [44.05, 22.25, 13.03, 92.44],
        [43.95, 22.19, 13.63, 92.26],
        [42.52, 22.60, 13.80, 93.38],
        [42.36, None, 23.07, 89.38],
        [36.19, None, 25.75, 92.88],
    ]
    assert table2.columns == ("FID", "PSNR", "CA")
    assert [[row[column] for column in table2.columns] for row in table2.rows.values()] == [
        [49.30, 13.08, 22.02],
        [47.26, 12.83, 90.08],
        [45.24, 12.99, 89.78],
        [43.95, 13.63, 92.26],
    ]
    assert list(table2.rows) == ["b", "b-sse", "b-sse-sc", "b-sse-sdu"]
    assert table1.size == table2.size == 128


def test_table_2_repeats_two_rows_of_table_1() -> None:
    table1, table2 = (load_published(paper_path(stem)).rows for stem in ("table1", "table2"))
    for ours, theirs in (("b", "hisd-r"), ("b-sse-sdu", "mtss-r")):
        assert table2[ours] == {column: table1[theirs][column] for column in ("FID", "PSNR", "CA")}


@pytest.mark.parametrize("path", sorted(PAPER.glob("table*.yaml")), ids=lambda path: path.stem)
def test_rows_are_those_of_the_suite_of_that_table(path: Path) -> None:
    of_table = [suite for suite in map(load_suite, names(SUITES)) if suite.paper == path.stem]
    assert of_table
    for suite in of_table:
        assert [row.id for row in suite.rows if not row.extended] == list(load_published(path).rows)


def test_an_unknown_table_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown published table 'tabel1'; did you mean 'table1'"):
        paper_path("tabel1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "128"}, "size must be a whole number, not '128'"),
        ({"columns": ["FID", "LPIPS"]}, "column 2 must be 'FID', .* not 'LPIPS'"),
        ({"rows": {"a": {"CA": 1.0}}}, r"row 'a': 'CA' is none of the table's columns \(FID\)"),
        ({"rows": {"a": {"FID": "-"}}}, "rows.a.FID must be a number, not '-'"),
        ({"rows": {"a": {"FID": True}}}, "rows.a.FID must be a number, not True"),
        ({"rows": {"a": {"FID": float("nan")}}}, "'.nan' is no finite number"),
        ({"rows": {"a": 3.0}}, "rows.a must be a mapping of names to values, not 3.0"),
        ({"year": 2023}, "no field 'year'"),
    ],
)
def test_a_wrong_table_is_one_clear_line(tmp_path: Path, change: dict[str, object], message: str) -> None:
    right = {"title": "T", "source": "S", "size": 128, "columns": ["FID"], "rows": {"a": {"FID": 1.0}}}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(right))
    assert load_published(path).rows == {"a": {"FID": 1.0}}
    path.write_text(yaml.safe_dump(right | change))
    with pytest.raises(UserError, match=message) as caught:
        load_published(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_yaml_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("rows: [")
    with pytest.raises(UserError, match=r"wrong\.yaml cannot be read as YAML"):
        load_published(path)
