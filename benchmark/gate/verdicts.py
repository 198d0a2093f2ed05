"""The result of a gate: checks, their verdicts, and the exit status that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["keys", "losses", "scores", "bytes", "statistics"]
Verdict = Literal[
    "pass", "improved", "regressed", "inconclusive", "not comparable", "new", "different", "not compared", "reported"
]
STATUS: dict[str, int] = {"pass": 0, "regressed": 1, "inconclusive": 3, "not comparable": 4}
"""Exit statuses; 2 is a wrong call, as of every command."""
LEVELS: dict[Level, str] = {
    "keys": "equal code, settings and versions: nothing can differ",
    "losses": "the first losses of each training, from its initial weights",
    "scores": "the edits and scores of the stored weights",
    "bytes": "weights, edits and numbers, byte by byte",
    "statistics": "trained anew, beside the stored seeds",
}


@dataclass(frozen=True)
class Check:
    """One number beside the stored one."""

    level: Level
    subject: str
    """The row or training."""
    quantity: str
    """The metric, or what was computed."""
    verdict: Verdict
    stored: float | None = None
    now: float | None = None
    difference: float | None = None
    """now - stored."""
    bound: float | None = None
    """Largest difference that passes: in the bad direction (statistics) or in both (probes)."""
    visible: float | None = None
    """The smallest change that is found; by statistics four times in five."""
    decimals: int = 4
    note: str = ""


@dataclass(frozen=True)
class LevelResult:
    """The result of one level."""

    level: Level
    verdict: Verdict
    words: str
    """In a sentence."""
    seconds: float = 0.0


@dataclass(frozen=True)
class GateResult:
    """The result of all levels."""

    reference: str
    levels: tuple[LevelResult, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    """Training seeds that were run."""
    rate: float = 0.0
    """False-alarm rate of the whole comparison of statistics."""
    comparisons: int = 0
    """Number of comparisons that share the rate."""
    needed: int = 0
    """Number of new seeds that can show a regression by statistics."""
    commit: str = ""
    """The commit whose results are stored."""
    verdict: Verdict = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdict", overall([level.verdict for level in self.levels]))

    @property
    def status(self) -> int:
        """The exit status."""
        return STATUS[self.verdict]

    def of_level(self, level: Level) -> list[Check]:
        """Return the checks of a level."""
        return [check for check in self.checks if check.level == level]


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the gravest of several verdicts; "not comparable" if nothing was measured."""
    for verdict in ("regressed", "not comparable", "inconclusive"):
        if verdict in verdicts:
            return verdict
    return "pass" if any(verdict in ("pass", "improved") for verdict in verdicts) else "not comparable"
