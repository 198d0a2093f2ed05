"""Which stage comes next, and what is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.pipeline.engines.local import gpu_of
from benchmark.pipeline.schedule import Schedule
from benchmark.stages.base import Context, NoFacts, Stage, StageResult, Work
from benchmark.training.device import choose_jobs


class Fake(Stage[NoFacts]):
    kind = "fake"

    def __init__(self, name: str, *inputs: Stage) -> None:
        super().__init__(name, {"name": name}, {stage.name: stage for stage in inputs})

    def work(self) -> Work:
        raise AssertionError

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        raise AssertionError


def schedule(*stages: tuple[Stage, float]) -> Schedule:
    return Schedule([stage for stage, _ in stages], {stage.recipe.key: seconds for stage, seconds in stages})


def names(stages: list[Stage]) -> list[str]:
    return [stage.name for stage in stages]


def test_the_longest_way_comes_first() -> None:
    faces = Fake("faces")
    judge, short, long = Fake("judge", faces), Fake("short", faces), Fake("long", faces)
    edits = Fake("edits", short)
    plan = schedule((faces, 1.0), (judge, 30.0), (short, 20.0), (long, 40.0), (edits, 15.0))
    assert names(plan.ready()) == ["faces"]
    plan.start(faces)
    assert plan.ready() == []
    plan.finish(faces)
    assert names(plan.ready()) == ["long", "short", "judge"]
    plan.start(long)
    plan.start(short)
    assert names(plan.ready()) == ["judge"]
    plan.finish(short)
    assert names(plan.ready()) == ["judge", "edits"]
    assert names(plan.remaining) == ["judge", "long", "edits"]


def test_finished_inputs_are_not_waited_for() -> None:
    faces = Fake("faces")
    assert names(schedule((Fake("judge", faces), 1.0)).ready()) == ["judge"]


def test_seconds_left() -> None:
    faces = Fake("faces")
    one, two, three = Fake("one", faces), Fake("two", faces), Fake("three", faces)
    end = Fake("end", one, two, three)
    plan = schedule((faces, 2.0), (one, 10.0), (two, 6.0), (three, 5.0), (end, 1.0))
    assert plan.left(1) == 24.0
    assert plan.left(2) == 2 + 11 + 1  # two and then three beside one
    assert plan.left(3) == 2 + 10 + 1
    for stage in (faces, one, two):
        plan.start(stage)
        if stage is faces:
            plan.finish(stage)
    assert plan.left(2) == 12.0
    assert plan.left(2, {one.recipe.key: 3.0, two.recipe.key: 1.0}) == 1 + 5 + 1


@st.composite
def plans(draw: st.DrawFn) -> list[tuple[Stage, float]]:
    stages: list[Stage] = []
    for number in range(draw(st.integers(1, 12))):
        inputs = draw(st.lists(st.sampled_from(stages), unique=True, max_size=3)) if stages else []
        stages.append(Fake(f"s{number}", *inputs))
    return [(stage, draw(st.integers(1, 9))) for stage in stages]


@given(plans(), st.integers(1, 4), st.data())
def test_inputs_come_first_whatever_ends_when(
    stages: list[tuple[Stage, float]], jobs: int, data: st.DataObject
) -> None:
    plan = schedule(*stages)
    total = sum(seconds for _, seconds in stages)
    assert total / jobs - 1e-9 <= plan.left(jobs) <= plan.left(1) == total
    running: list[Stage] = []
    result: list[Stage] = []
    while plan.remaining:
        for stage in plan.ready()[: jobs - len(running)]:
            assert all(other in result for other in stage.inputs.values())
            plan.start(stage)
            running.append(stage)
        ended = data.draw(st.sampled_from(running))
        running.remove(ended)
        plan.finish(ended)
        result.append(ended)
    assert len(result) == len(set(result)) == len(stages)
    assert plan.left(jobs) == 0


@given(plans(), st.integers(0, 30), st.data())
def test_a_group_is_made_in_its_order(stages: list[tuple[Stage, float]], most: int, data: st.DataObject) -> None:
    """Every stage is in one group, after its inputs; a group of several stages is no longer than it may be."""
    plan, seconds = schedule(*stages), dict(stages)
    alone = {stage for stage, _ in stages if data.draw(st.booleans())}
    groups: list[list[Stage]] = []
    made: list[Stage] = []
    while plan.unfinished or groups:
        while ready := plan.ready(1):
            group = plan.group(ready[0], lambda stage: stage not in alone, most)
            assert group[0] is ready[0]
            assert len(group) == 1 or (sum(seconds[stage] for stage in group) <= most and not alone & {*group})
            groups.append(group)
            for stage in group:
                plan.start(stage)
        group = groups.pop(data.draw(st.integers(0, len(groups) - 1)))
        cut = data.draw(st.sampled_from([None, *range(len(group))])) if len(made) < 40 else None
        for number, stage in enumerate(group):
            if cut is not None and number >= cut:
                plan.put_back(stage)  # its process was lost
                continue
            assert all(other in made for other in stage.inputs.values())
            made.append(stage)
            plan.finish(stage)
    assert len(made) == len({*made}) == len(stages)


def test_jobs() -> None:
    assert choose_jobs("3", "cpu", 2, 1.0) == 3
    assert choose_jobs("auto", "cpu", 1, 0.125) == 1
    assert choose_jobs("auto", "cpu", 64, 0.125) == 2
    assert choose_jobs("auto", "cpu", 64, 1.0) == 1
    for wrong in ("0", "-1", "1.5", "many", ""):
        with pytest.raises(UserError, match="--jobs must be a whole number of at least 1, or auto, not"):
            choose_jobs(wrong, "cpu", 2, 1.0)


def test_every_worker_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert choose_jobs("auto", "cuda", 64, 1.0) == 2
    assert [gpu_of(number) for number in range(3)] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5f")
    assert [gpu_of(number) for number in range(3)] == ["3", "GPU-5f", "3"]
