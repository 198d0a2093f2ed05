"""Claims of a paper as data: results/paper/claims.yaml, or a file of the user's own (docs/statistics.md)."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from benchmark.config.loading import load
from benchmark.config.suites import Note, Title, Word
from benchmark.core.errors import quoted, unknown
from benchmark.core.models import STRICT
from benchmark.metrics.own_network import OWN_KEY
from benchmark.metrics.registry import METRICS

Direction = Literal["higher", "lower", "equal", "not higher", "not lower"]
MOST_CLAIMS = 200


@dataclass(frozen=True, config=STRICT)
class Margin:
    """A difference that does not matter yet: in the metric's unit, or as a share of the other row's number."""

    amount: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    relative: bool = False

    def of(self, value: float) -> float:
        """In the metric's unit, beside `value`."""
        return self.amount * abs(value) if self.relative else self.amount

    def __str__(self) -> str:
        return f"{100 * self.amount:g} %" if self.relative else f"{self.amount:g}"


def _margin(written: Any) -> Any:
    """`0.1` or `2%`."""
    relative = isinstance(written, str) and written.endswith("%")
    try:
        amount = float(written.removesuffix("%")) / 100 if relative else written
    except ValueError:
        raise ValueError(f"must be a number or a share such as 2%, not {quoted(written)}") from None
    return written if isinstance(written, dict) else {"amount": amount, "relative": relative}


@dataclass(frozen=True, config=STRICT)
class Part:
    """One comparison: of `row` with the row `over`, with the number `value`, or its `rank` with the rows `among`.

    metric: a key of docs/metrics.md, or of a column in a network of one's own, such as `similarity_1a2b3c4d`.
    """

    row: Word
    metric: Word
    direction: Direction
    over: Word | None = None
    value: float | None = None
    among: tuple[Word, ...] = ()
    rank: Annotated[int, Field(ge=1)] | None = None
    margin: Annotated[Margin, BeforeValidator(_margin)] = Margin()

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        known = [each.key for each in METRICS]
        if metric not in known and not OWN_KEY.fullmatch(metric):
            raise ValueError(f"is an {unknown('metric', metric, known)}")
        return metric

    @model_validator(mode="after")
    def _one_kind(self) -> Part:
        if sum((self.over is not None, self.value is not None, self.rank is not None)) != 1:
            raise ValueError("needs exactly one of 'over', 'value' and 'rank'")
        if (self.rank is None) != (not self.among):
            raise ValueError("has one of 'rank' and 'among', which belong together")
        if self.rank is not None and (self.direction not in ("higher", "lower") or self.margin.amount):
            raise ValueError("has a rank, and so the direction 'higher' or 'lower' (which is better) and no margin")
        if self.rank is not None and self.rank > len(self.among) + 1:
            raise ValueError(f"has the rank {self.rank} among {len(self.among) + 1} rows")
        if self.direction not in ("higher", "lower") and not self.margin.amount:
            raise ValueError(f"has the direction '{self.direction}', which needs a margin above 0")
        if self.row in self.others:
            raise ValueError(f"compares row {quoted(self.row)} with itself")
        return self

    @property
    def others(self) -> tuple[str, ...]:
        """The rows that `row` is compared with."""
        return (self.over,) if self.over is not None else self.among


@dataclass(frozen=True, config=STRICT)
class Only:
    """What a claim can be tested on alone. data: name of a data set (rafd). features: FID, of the published weights."""

    data: Word | None = None
    features: Word | None = None


@dataclass(frozen=True, config=STRICT)
class Claim:
    """A sentence of a paper about the rows of a suite. All its parts must hold.

    place: section, table or figure. untestable: why no run can decide it; then it has no parts.
    """

    id: Word
    suite: Word
    words: Note
    place: Note
    parts: tuple[Part, ...] = ()
    only: Only = field(default_factory=Only)
    untestable: Note = ""

    @model_validator(mode="after")
    def _parts_or_reason(self) -> Claim:
        if bool(self.parts) == bool(self.untestable):
            raise ValueError(f"({self.id}) needs either 'parts' or 'untestable', which says why there are none")
        return self


@dataclass(frozen=True, config=STRICT)
class Claims:
    """A file of claims."""

    title: Title
    source: Note
    claims: Annotated[tuple[Claim, ...], Field(min_length=1, max_length=MOST_CLAIMS)]

    @field_validator("claims")
    @classmethod
    def _tell_apart(cls, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
        ids = [claim.id for claim in claims]
        for claim in ids:
            if ids.count(claim) > 1:
                raise ValueError(f"hold the id {quoted(claim)} twice")
        return claims

    def of_suite(self, suite: str) -> list[Claim]:
        """Those about the rows of one suite, in the order of the file."""
        return [claim for claim in self.claims if claim.suite == suite]


def load_claims(path: Path) -> Claims:
    """Read a file of claims. Raises UserError in one line that names file, claim and field."""
    claims: Claims = load(Claims, path)
    return claims
