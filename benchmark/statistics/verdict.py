"""A verdict on a claim in plain data, as `results.json` holds it. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

Outcome = Literal["reproduced", "contradicted", "undecided", "not testable here"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
MODEL = {"strict": True, "extra": "forbid", "use_attribute_docstrings": True}
"""For pydantic, which reads verdicts back from `results.json`."""


@dataclass(frozen=True)
class Evidence:
    """A row beside another one, or beside a number, in one metric."""

    __pydantic_config__: ClassVar[dict[str, Any]] = MODEL

    row: str
    """Id of the row."""
    over: str
    """Id of the other row; empty where it is a number."""
    metric: str
    """Key of the metric."""
    value: float
    """Of the row, mean over seeds."""
    other: float
    """Of the other row, or the number."""
    low: float | None
    """Lower bound of value - other over test identities, 95 %."""
    high: float | None
    """Its upper bound."""
    seeds_low: float | None
    """Lower bound of value - other over seeds, 95 %; null where a row has one seed."""
    seeds_high: float | None
    """Its upper bound."""
    identities: int
    """How many test identities."""
    test: str
    """How p was computed."""
    p: float
    """p value of the row not being ahead as claimed, one-sided, before any correction."""
    decides: bool
    """False where the next evidence decides in its place, since this metric is biased."""
    contradicts: bool = False
    """True for the comparison that contradicts the claim."""


@dataclass(frozen=True)
class Verdict:
    """What became of a claim of the paper."""

    __pydantic_config__: ClassVar[dict[str, Any]] = MODEL

    id: str
    """Its name in the file of claims."""
    words: str
    """The sentence."""
    place: str
    """Where it stands in the paper."""
    outcome: Outcome
    """The verdict."""
    why: str
    """Why it is not reproduced, or what sample would decide; a sentence without a full stop, or empty."""
    evidence: tuple[Evidence, ...] = ()
    """The comparisons that decide it."""
    p_reproduced: float | None = None
    """p value of the claim being false, corrected after Holm; null where it was not tested."""
    p_contradicted: float | None = None
    """p value of the claim being true, corrected after Holm; null where it was not tested."""
    needed_identities: int | None = None
    """Test identities that would decide, were the differences as estimated."""
    needed_seeds: int | None = None
    """Seeds of each row that would decide, likewise."""
