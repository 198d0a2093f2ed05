"""Estimates of time: every kind of work that a store has finished is known by its own manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import benchmark.external.stage
import benchmark.pipeline.plan  # noqa: F401 - with all stages of a suite
from benchmark.core.artifacts import Recipe, Store
from benchmark.stages.base import Context, NoFacts, Stage, StageResult, Work
from benchmark.stages.rates import KINDS, Rates


class Reading(Stage[NoFacts]):
    """A stage of a kind for which no rate comes with the code."""

    kind = "reader"
    facts_type = NoFacts

    def work(self) -> Work:
        return Work("reading of a test", 50, 1)

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        raise NotImplementedError


def stage_classes(parent: type[Stage] = Stage) -> Iterator[type[Stage]]:
    for each in parent.__subclasses__():
        yield each
        yield from stage_classes(each)


def test_what_was_measured_here_is_estimated_from_it(tmp_path: Path) -> None:
    store, stage = Store(tmp_path), Reading("it", {}, {})
    assert Rates(store, 1).measured(stage) is None
    recipe = Recipe("reader", "another", {"a": 1}, {}, 1)
    with store.making(recipe) as partial:
        made = {"work": {"rate": "reading of a test", "amount": 100}, "threads": 1, "peak_memory": 7_000}
        store.finish(recipe, partial, [], {}, 20.0, made)
    rates = Rates(store, 1)
    assert rates.measured(stage) == pytest.approx(10.0)
    assert rates.memory(stage) == 7_000


def test_manifests_of_every_kind_of_stage_are_read() -> None:
    rooms = ("benchmark.stages.", "benchmark.importing.", "benchmark.external.")
    kinds = {each.kind for each in stage_classes() if each.__module__.startswith(rooms) and hasattr(each, "kind")}
    assert {"train", "reader", "external", "network-scores"} <= kinds
    assert kinds <= set(KINDS)
