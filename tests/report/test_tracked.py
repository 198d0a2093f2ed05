"""What MLflow shows of a suite: names and descriptions."""

from __future__ import annotations

import dataclasses
import re

import pytest
from mlflow.utils.validation import _validate_metric_name

from benchmark.metrics.registry import METRICS
from benchmark.report.tracked import (
    LONGEST_NOTE,
    data_profile,
    headline,
    headline_name,
    row_metrics,
    row_note,
    suite_note,
)
from tests.report.made_up import certain_run, published_run

RUN, SEEDS = certain_run(), certain_run(published_run())


def test_headline_names_are_taken_by_mlflow_sort_first_and_say_their_direction() -> None:
    for column in ("FID", "FD[lite0]", "FD[01234567]"):
        described = [metric.describe(column) for metric in METRICS]
        names = [headline_name(metric) for metric in described]
        assert len(set(names)) == len(names)
        for name, metric in zip(names, described, strict=True):
            _validate_metric_name(name)
            assert name < "a"
            assert name.endswith(f"{metric.direction} is better")
            assert set(re.findall(r"\w+", metric.label)) <= set(re.findall(r"\w+", name))


def test_a_row_has_its_metrics_under_their_keys_and_the_tables_columns_first() -> None:
    row, seed = SEEDS.rows[0], next(iter(SEEDS.rows[0].seeds))
    metrics = row_metrics(SEEDS, row, seed)
    measured = {key: value for key, value in row.seeds[seed].metrics.items() if value is not None}
    assert measured.items() <= metrics.items()
    names = [name for name, _ in headline(SEEDS)]
    assert [name for name in metrics if name.startswith("1/")] == [name for name in names if name in metrics]
    known = {headline_name(metric): metric.key for metric in SEEDS.metrics}
    assert all(metrics[name] == measured[known[name]] for name in names if name in metrics)
    assert all(heading[-1] in "↓↑" for _, heading in headline(SEEDS))


@pytest.mark.parametrize("results", [RUN, SEEDS])
def test_the_description_has_the_table_and_the_figures(results) -> None:  # type: ignore[no-untyped-def]
    note = suite_note(results)
    assert len(note) <= LONGEST_NOTE
    assert note.startswith("| Model")
    assert "[[overview]]" in note
    many = dataclasses.replace(results, rows=tuple(results.rows) * 30)
    assert len(suite_note(many)) <= LONGEST_NOTE


def test_a_rows_description_names_checkpoint_and_failures() -> None:
    row = SEEDS.rows[0]
    seed = next(iter(row.seeds))
    failed = dataclasses.replace(row, failed={seed: ["it saturated"]})
    note = row_note(failed, seed, "runs/train/x", ["manifest.json"])
    assert "`runs/train/x`" in note
    assert "it saturated" in note
    assert "get-artifact?path=checkpoint%2Fmanifest.json&run_uuid={run}" in note
    assert "failed" not in row_note(row, seed, "runs/train/x", [])
    assert data_profile(SEEDS)["test identities"] == SEEDS.test_identities
