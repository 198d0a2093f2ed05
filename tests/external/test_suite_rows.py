"""The suite's own rows beside a submission: in the networks of one's own that the submission is measured in."""

from __future__ import annotations

import dataclasses

from benchmark.config.networks import OwnNetwork
from benchmark.external.suite_rows import UNMEASURED, in_metrics
from benchmark.external.write import submission_columns
from benchmark.metrics.own_network import own_metrics
from benchmark.report.results import Row, SuiteResults
from benchmark.report.summary import summarise, without_ranks
from tests.report.made_up import certain_run

OWN = own_metrics("arcface.onnx", "1a2b3c4d" * 8, OwnNetwork("arcface", 112, [0.5] * 3, [0.5] * 3))


def in_a_network(results: SuiteResults) -> SuiteResults:
    """The results with the columns of a network."""
    metrics = (*results.metrics, *(metric.describe("FID") for metric in OWN))

    def measured(row: Row) -> Row:
        seeds = {
            seed: dataclasses.replace(
                scores,
                metrics={**scores.metrics, **{metric.key: 0.5 for metric in OWN}},
                by_identity={**scores.by_identity, **{metric.key: {"a": 0.4, "b": 0.6} for metric in OWN}},
            )
            for seed, scores in row.seeds.items()
        }
        return dataclasses.replace(row, seeds=seeds)

    rows, corners = (tuple(map(measured, side)) for side in (results.rows, results.corners))
    return dataclasses.replace(
        results, metrics=metrics, rows=summarise(rows, metrics), corners=without_ranks(corners, metrics),
        columns=("fid", OWN[0].key), extra_columns=(OWN[2].key, "ca"),
    )  # fmt: skip


def test_rows_are_those_of_a_run_without_networks() -> None:
    plain = certain_run()
    own = in_a_network(plain)
    assert {metric.key for metric in OWN} <= own.rows[0].summary.keys()
    cut = in_metrics(own, plain.metrics)
    assert (cut.columns, cut.extra_columns) == (("fid",), ("ca",))
    assert dataclasses.replace(cut, columns=plain.columns, extra_columns=plain.extra_columns) == plain
    assert in_metrics(plain, plain.metrics) is plain


def test_rows_say_why_they_have_no_number_in_a_submissions_network() -> None:
    plain = certain_run()
    metrics = (*plain.metrics, *(metric.describe("FID") for metric in OWN))
    beside = in_metrics(plain, metrics)
    assert beside.metrics == metrics
    for row, before in zip(beside.all_rows, plain.all_rows, strict=True):
        assert row.summary == before.summary
        for seed, scores in row.seeds.items():
            assert scores.metrics == before.seeds[seed].metrics | {metric.key: None for metric in OWN}
            assert {scores.reasons[metric.key] for metric in OWN} == {UNMEASURED}
    own = in_a_network(plain)
    assert in_metrics(own, metrics) is own
    renamed = (*plain.metrics, *(dataclasses.replace(metric.describe("FID"), definition="other") for metric in OWN))
    assert in_metrics(own, renamed).rows[0].seeds[0].metrics[OWN[0].key] is None  # of another preparation


def test_a_list_asks_for_no_columns_of_networks() -> None:
    assert [metric.key for metric in OWN] == ["fd_1a2b3c4d", "kd_1a2b3c4d", "similarity_1a2b3c4d"]
    assert submission_columns(("fid", *(metric.key for metric in OWN), "fd_faces")) == ("fid", "fd_faces")
