"""Seconds per unit of work: from manifests of this store where there are any, else as measured on two cores."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any

from benchmark.core.artifacts import MANIFEST, Manifest, Store
from benchmark.core.files import read_memory
from benchmark.core.hashes import write_text
from benchmark.stages.base import Stage

MEASURED: dict[str, float] = {
    "features efficientnet-lite0": 0.0125,
    "import": 3e-9,
    "judge 64 px": 0.0096,
    "prepare cfee": 0.016,
    "prepare folder": 0.016,
    "prepare rafd": 0.016,
    "prepare rendered": 0.0005,
    "prepare rendered-nonaligned": 0.0005,
    "report": 8.0,
    "synthesize efgan 64 px": 0.016,
    "synthesize ganimation 64 px": 0.0024,
    "synthesize hisd 64 px": 0.0025,
    "synthesize mtss 64 px": 0.0038,
    "synthesize stargan 64 px": 0.0022,
    "train efgan 64 px, width 0.125": 0.29,
    "train ganimation 64 px, width 0.125": 0.11,
    "train hisd 64 px, width 0.125": 0.215,
    "train mtss 64 px, width 0.125": 0.37,
    "train stargan 64 px, width 0.125": 0.07,
}
"""Seconds per unit with one thread, of two processes on two cores of an Intel Xeon (Sapphire Rapids); torch 2.15."""

GUESSED: dict[str, float] = {
    "faces": 0.001,
    "features": 0.02,
    "imported": 3e-9,
    "judge": 0.01,
    "judged": 0.002,
    "reports": 10.0,
    "scores": 0.02,
    "synth": 0.01,
    "train": 1.0,
}
"""By kind of stage, for work that was never measured: enough to begin the long ones first."""
KINDS = (
    *GUESSED, "corner", "external", "network-features", "network-scores", "reader", "readings", "record", "weights",
)  # fmt: skip
"""Kinds of stages whose manifests are read."""
CACHE = "cache/rates.json"
"""Below the store's root: the rate of each finished artifact, from its manifest."""


@dataclass(frozen=True)
class _Measured:
    """The cost of one artifact: seconds per unit of its kind of work, and the process's peak of memory in bytes."""

    rate: str
    seconds: float
    threads: int
    time: str
    peak: int
    """0 where it was not measured."""


def _measured(rate: Any, seconds: Any, threads: Any, time: Any, peak: Any) -> _Measured:
    """From values that a file has. Raises ValueError and TypeError."""
    return _Measured(str(rate), float(seconds), int(threads), str(time), int(peak))


class Rates:
    """Seconds per unit, by kind of work; rates measured with as many `threads` win over others."""

    def __init__(self, store: Store, threads: int) -> None:
        self._store, self._threads = store, threads

    def measured(self, stage: Stage) -> float | None:
        """Estimate the seconds of a stage, or None where its kind of work was never measured."""
        work = stage.work()
        rate = self._own.get(work.rate, MEASURED.get(work.rate))
        return None if rate is None else rate * work.amount

    def expected(self, stage: Stage) -> float:
        """Estimate the seconds of a stage, guessed where its kind of work was never measured."""
        measured = self.measured(stage)
        return stage.work().amount * GUESSED.get(stage.kind, 0.01) if measured is None else measured

    def memory(self, stage: Stage) -> int | None:
        """Return the largest peak of memory, in bytes, that was measured of this kind of work; None where none was."""
        return self._peaks.get(stage.work().rate)

    @cached_property
    def _own(self) -> dict[str, float]:
        """The latest rate of each kind of work that this store has a finished artifact of."""
        return {entry.rate: entry.seconds for entry in sorted(self._measured, key=self._trust)}

    @cached_property
    def _peaks(self) -> dict[str, int]:
        peaks: dict[str, int] = {}
        for entry in self._measured:
            if entry.peak:
                peaks[entry.rate] = max(entry.peak, peaks.get(entry.rate, 0))
        return peaks

    @cached_property
    def _measured(self) -> list[_Measured]:
        """The costs of all finished artifacts. Each manifest is read once; `CACHE` keeps the result."""
        path = self._store.root / CACHE
        try:
            known = {name: _measured(*entry) for name, entry in read_memory(path).items()}
        except (ValueError, TypeError, AttributeError):
            known = {}
        there = [name for kind in KINDS for name in self._store.finished(kind)]
        entries = {name: known[name] if name in known else self._read(name) for name in there}
        if entries != known:
            with suppress(OSError):  # only a cache
                path.parent.mkdir(parents=True, exist_ok=True)
                write_text(path, json.dumps({name: astuple(entry) for name, entry in entries.items()}))
        return [entry for entry in entries.values() if entry.rate]

    def _read(self, name: str) -> _Measured:
        """The cost in one manifest; its rate is "" where the manifest has none."""
        try:
            manifest = Manifest.read(self._store.root / name / MANIFEST)
            made = manifest.made
            work = made["work"]
            seconds = manifest.seconds / float(work["amount"])
            peak = int(made.get("peak_memory", 0))
            return _Measured(str(work["rate"]), seconds, int(made.get("threads", 0)), str(made.get("time", "")), peak)
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            return _Measured("", 0.0, 0, "", 0)

    def _trust(self, entry: _Measured) -> tuple[bool, str]:
        """Sort key: the same number of threads first, then the latest."""
        return entry.threads == self._threads, entry.time
