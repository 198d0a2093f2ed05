"""The order of missing stages, and an estimate of the time that all take."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from benchmark.stages.base import Stage


class Schedule:
    """Stages in the order of their inputs, and among those whose inputs are there the longest way to the end first.

    With two trainings of ten minutes and one of twenty, the long one begins at once, not when the others are done.
    """

    def __init__(self, stages: Sequence[Stage], seconds: Mapping[str, float]) -> None:
        """stages: those that are missing. seconds: how long each is expected to take, by key."""
        self._stages = {stage.recipe.key: stage for stage in stages}
        self._inputs = {
            key: {other.recipe.key for other in stage.inputs.values()} & self._stages.keys()
            for key, stage in self._stages.items()
        }
        self.seconds = {key: seconds[key] for key in self._stages}
        self._running: set[str] = set()
        self._done: set[str] = set()
        self._way = self._ways()

    def _ways(self) -> dict[str, float]:
        """Seconds from the start of each stage to the end of the last one that needs it."""
        after: dict[str, list[str]] = {key: [] for key in self._stages}
        for key, inputs in self._inputs.items():
            for other in inputs:
                after[other].append(key)
        ways: dict[str, float] = {}
        for key in reversed(list(TopologicalSorter(self._inputs).static_order())):
            ways[key] = self.seconds[key] + max((ways[other] for other in after[key]), default=0.0)
        return ways

    @property
    def remaining(self) -> list[Stage]:
        """Unfinished stages, in the order given."""
        return [stage for key, stage in self._stages.items() if key not in self._done]

    def ready(self) -> list[Stage]:
        """Stages that can begin now, the one with the longest way first."""
        waiting = [key for key in self._stages if key not in self._done | self._running]
        ready = [key for key in waiting if self._inputs[key] <= self._done]
        return [self._stages[key] for key in sorted(ready, key=lambda key: -self._way[key])]

    def start(self, stage: Stage) -> None:
        """The stage is running."""
        self._running.add(stage.recipe.key)

    def finish(self, stage: Stage) -> None:
        """The stage is finished."""
        self._running.discard(stage.recipe.key)
        self._done.add(stage.recipe.key)

    def left(self, jobs: int, running: Mapping[str, float] | None = None) -> float:
        """Estimate the seconds until all are finished, `jobs` at a time.

        running: seconds left of running stages by key, as far as known.
        """
        under_way = {key: (running or {}).get(key, self.seconds[key]) for key in self._running}
        ends = [(seconds, key) for key, seconds in under_way.items()]
        heapq.heapify(ends)
        done, begun = set(self._done), self._done | self._running
        now = 0.0
        while len(done) < len(self._stages):
            ready = [key for key in self._stages if key not in begun and self._inputs[key] <= done]
            for key in sorted(ready, key=lambda key: -self._way[key])[: max(0, jobs - len(ends))]:
                begun.add(key)
                heapq.heappush(ends, (now + self.seconds[key], key))
            now, key = heapq.heappop(ends)
            done.add(key)
        return now
