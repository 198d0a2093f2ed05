"""How long a unit of work takes: from this machine's own manifests where it has done such work, else as measured on
two cores.
"""

from __future__ import annotations

from functools import cache

from benchmark.artifacts import Store

MEASURED: dict[str, float] = {
    "features efficientnet-lite0": 0.012,
    "import": 3e-9,
    "judge 64 px": 0.0079,
    "prepare": 0.00033,
    "report": 6.6,
    "synthesize efgan 64 px": 0.018,
    "synthesize ganimation 64 px": 0.003,
    "synthesize hisd 64 px": 0.003,
    "synthesize mtss 64 px": 0.004,
    "synthesize stargan 64 px": 0.0023,
    "train efgan 64 px, width 0.125": 0.3,
    "train ganimation 64 px, width 0.125": 0.15,
    "train hisd 64 px, width 0.125": 0.25,
    "train mtss 64 px, width 0.125": 0.38,
    "train stargan 64 px, width 0.125": 0.08,
}
"""Seconds a unit on two cores of an Intel Xeon (Sapphire Rapids), torch 2.15, float32."""


def seconds_per_unit(rate: str, store: Store) -> float | None:
    """Seconds for one unit of `rate`, or None where nobody has measured it."""
    return _own_rates(store).get(rate, MEASURED.get(rate))


@cache
def _own_rates(store: Store) -> dict[str, float]:
    """The latest rate of each kind of work that this store has a finished artifact of."""
    rates = {}
    for kind in ("faces", "train", "imported", "judge", "features", "synth", "scores", "reports"):
        for manifest in sorted(store.manifests(kind), key=lambda manifest: str(manifest.made.get("time", ""))):
            work = manifest.made.get("work")
            if isinstance(work, dict) and work.get("amount"):
                rates[str(work["rate"])] = manifest.seconds / float(work["amount"])
    return rates
