"""Seconds per unit of work: from manifests of this store where there are any, else as measured on two cores."""

from __future__ import annotations

from functools import cached_property

from benchmark.core.artifacts import Manifest, Store
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
KINDS = tuple(GUESSED)


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

    @cached_property
    def _own(self) -> dict[str, float]:
        """The latest rate of each kind of work that this store has a finished artifact of."""
        manifests = [manifest for kind in KINDS for manifest in self._store.manifests(kind)]
        rates = {}
        for manifest in sorted(manifests, key=self._trust):
            work = manifest.made.get("work")
            if isinstance(work, dict) and work.get("amount"):
                rates[str(work["rate"])] = manifest.seconds / float(work["amount"])
        return rates

    def _trust(self, manifest: Manifest) -> tuple[bool, str]:
        """Sort key: the same number of threads first, then the latest."""
        return manifest.made.get("threads") == self._threads, str(manifest.made.get("time", ""))
