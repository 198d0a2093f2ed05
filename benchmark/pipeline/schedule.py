"""The order of missing stages, and an estimate of their total time."""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter

from benchmark.stages.base import Stage

MOST_LOOKED_AT = 100
"""Most ready stages considered for a group."""


class Schedule:
    """Stages in the order of their inputs; among ready ones, the longest remaining path first.

    With two trainings of ten minutes and one of twenty, the long one begins at once, not when the others are done. Each
    start and end costs the same however many stages there are, but for `left`, which looks at all that remain.
    """

    def __init__(self, stages: Sequence[Stage], seconds: Mapping[str, float]) -> None:
        """stages: those that are missing. seconds: how long each is expected to take, by key."""
        self._stages = {stage.recipe.key: stage for stage in stages}
        inputs = {
            key: {other.recipe.key for other in stage.inputs.values()} & self._stages.keys()
            for key, stage in self._stages.items()
        }
        self.seconds = {key: seconds[key] for key in self._stages}
        self._readers: dict[str, list[str]] = {key: [] for key in self._stages}
        for key, others in inputs.items():
            for other in others:
                self._readers[other].append(key)
        self._running: set[str] = set()
        self._done: set[str] = set()
        self._order = self._orders(inputs)
        self._lacking = {key: len(others) for key, others in inputs.items()}
        """Number of unfinished inputs by stage."""
        self._ready = sorted((key for key, count in self._lacking.items() if not count), key=self._order.__getitem__)

    def _orders(self, inputs: Mapping[str, set[str]]) -> dict[str, tuple[float, int]]:
        """Return sort keys, longest remaining path first: from a stage to the end of the last one that needs it."""
        ways: dict[str, float] = {}
        for key in reversed(list(TopologicalSorter(inputs).static_order())):
            ways[key] = self.seconds[key] + max((ways[other] for other in self._readers[key]), default=0.0)
        return {key: (-ways[key], number) for number, key in enumerate(self._stages)}

    @property
    def remaining(self) -> list[Stage]:
        """Return the unfinished stages in the order given."""
        return [stage for key, stage in self._stages.items() if key not in self._done]

    @property
    def unfinished(self) -> int:
        """Return how many stages are not finished."""
        return len(self._stages) - len(self._done)

    def ready(self, most: int | None = None) -> list[Stage]:
        """Return up to `most` stages that can begin now, longest remaining path first."""
        return [self._stages[key] for key in self._ready[:most]]

    def group(self, stage: Stage, may_join: Callable[[Stage], bool], seconds: float) -> list[Stage]:
        """Return the ready stage with others that one process can make in the order returned, up to `seconds` in all.

        They are ready too, or will be once those before them in the group are finished. may_join: which may be in it.
        """
        if seconds <= 0 or not may_join(stage):
            return [stage]
        group: dict[str, Stage] = {}
        total = 0.0
        lacking: dict[str, int] = {}
        first = stage.recipe.key
        todo = deque([first, *(key for key in self._ready[:MOST_LOOKED_AT] if key != first)])
        while todo:
            key = todo.popleft()
            if key != first and (total + self.seconds[key] > seconds or not may_join(self._stages[key])):
                continue
            group[key] = self._stages[key]
            total += self.seconds[key]
            for reader in self._readers[key]:
                lacking[reader] = lacking.get(reader, self._lacking[reader]) - 1
                if not lacking[reader]:
                    todo.appendleft(reader)
        return list(group.values())

    def start(self, stage: Stage) -> None:
        """Mark a stage as running, or in a running group."""
        key = stage.recipe.key
        self._running.add(key)
        if not self._lacking[key]:
            self._ready.remove(key)

    def put_back(self, stage: Stage) -> None:
        """Mark a stage as interrupted: it is ready again."""
        key = stage.recipe.key
        self._running.discard(key)
        if not self._lacking[key]:
            insort(self._ready, key, key=self._order.__getitem__)

    def finish(self, stage: Stage) -> None:
        """Mark a stage as finished."""
        self._running.discard(stage.recipe.key)
        self._done.add(stage.recipe.key)
        for reader in self._readers[stage.recipe.key]:
            self._lacking[reader] -= 1
            if not self._lacking[reader] and reader not in self._running:
                insort(self._ready, reader, key=self._order.__getitem__)

    def left(self, jobs: int, running: Mapping[str, float] | None = None) -> float:
        """Estimate the seconds until all stages are finished, `jobs` at a time.

        running: seconds left of running stages by key, as far as known.
        """
        lacking = dict(self._lacking)
        ends = [((running or {}).get(key, self.seconds[key]), key) for key in self._running if not lacking[key]]
        heapq.heapify(ends)
        ready = [(self._order[key], key) for key in self._ready]  # sorted, and so a heap
        now = 0.0
        while ends or ready:
            while ready and len(ends) < max(1, jobs):
                _, key = heapq.heappop(ready)
                heapq.heappush(ends, (now + self.seconds[key], key))
            now, key = heapq.heappop(ends)
            for reader in self._readers[key]:
                lacking[reader] -= 1
                if not lacking[reader]:
                    heapq.heappush(ready, (self._order[reader], reader))
        return now
