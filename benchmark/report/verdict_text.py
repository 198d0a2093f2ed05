"""Verdicts on a paper's claims as text, which a report opens with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.metrics.metric import MetricDescription
from benchmark.report.results import SuiteResults
from benchmark.statistics.verdict import OUTCOMES, Evidence, Outcome, Verdict

UNTESTED: Outcome = "not testable here"
SIGNS: dict[Outcome, str] = {"reproduced": "✓", "contradicted": "✗", "undecided": "?", "not testable here": "–"}


def heading(results: SuiteResults) -> str:
    """`Claims: 3 reproduced, 1 contradicted, 2 undecided, 1 not testable here`."""
    if not results.verdicts:
        return f"Claims: none is about suite {results.suite}"
    counts = Counter(verdict.outcome for verdict in results.verdicts)
    return "Claims: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])


@dataclass(frozen=True)
class VerdictGroup:
    """Verdicts of one outcome for one reason, without numbers; or a single verdict."""

    verdicts: tuple[Verdict, ...]

    @property
    def outcome(self) -> Outcome:
        """The outcome of all of them."""
        return self.verdicts[0].outcome

    @property
    def words(self) -> str:
        """`– not testable here`."""
        return f"{SIGNS[self.outcome]} {self.outcome}"

    @property
    def why(self) -> str:
        """The reason that they share, or ""."""
        return self.verdicts[0].why


def grouped(verdicts: Sequence[Verdict]) -> list[VerdictGroup]:
    """Join the verdicts that share a reason and have no numbers of their own; in the order of the first of each, those
    that were tested before those that were not.
    """
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda each: each.outcome == UNTESTED):
        shared = verdict.why if verdict.why and not verdict.evidence else f"\0{verdict.id}"
        groups.setdefault((verdict.outcome, shared), []).append(verdict)
    return [VerdictGroup(tuple(members)) for members in groups.values()]


def short(verdict: Verdict) -> str:
    """`✓ reproduced: sdu-over-sc`, and why not."""
    return f"{SIGNS[verdict.outcome]} {verdict.outcome}: {verdict.id}" + (f" ({verdict.why})" if verdict.why else "")


def short_list(results: SuiteResults) -> list[str]:
    """Return a line for each tested claim, and one for all others, whose reasons are in report.md."""
    lines = [short(verdict) for verdict in results.verdicts if verdict.outcome != UNTESTED]
    others = [verdict.id for verdict in results.verdicts if verdict.outcome == UNTESTED]
    return [*lines, *([f"{SIGNS[UNTESTED]} {UNTESTED} (why: report.md): {', '.join(others)}"] if others else [])]


def evidence_line(evidence: Evidence, metrics: Mapping[str, MetricDescription]) -> str:
    """`CA of mtss-r and hisd-r: 71.50 and 30.20, difference +41.30 [+35.00, +47.60], p = 0.001 (exact sign flip)`."""
    metric = metrics[evidence.metric]
    decimals = metric.decimals
    line = f"{metric.label} of {evidence.row}"
    line += f" and {evidence.over}: " if evidence.over else f", held to {evidence.other:g}: "
    line += f"{evidence.value:.{decimals}f}" + (f" and {evidence.other:.{decimals}f}" if evidence.over else "")
    line += f", difference {evidence.value - evidence.other:+.{decimals}f}"
    if evidence.low is not None and evidence.high is not None:
        line += f" [{evidence.low:+.{decimals}f}, {evidence.high:+.{decimals}f}]"
    if evidence.seeds_low is not None and evidence.seeds_high is not None:
        line += f", over seeds [{evidence.seeds_low:+.{decimals}f}, {evidence.seeds_high:+.{decimals}f}]"
    if not evidence.decides:
        return f"{line} (biased: the next line decides)"
    return f"{line}, p = {evidence.p:.2g} ({evidence.test})"


def rules(results: SuiteResults) -> tuple[str, ...]:
    """Return notes on the verdicts: sentences without a full stop; none if no claim was tested."""
    if not any(verdict.evidence for verdict in results.verdicts):
        return ()
    seeds = max((len(row.seeds) for row in results.rows), default=0)
    scope = (
        "each row has one training seed, so verdicts are about these trainings and not about training again"
        if seeds < 2
        else "where both rows have several seeds, their interval over seeds has to agree"
    )
    return (
        "Brackets are 95 % intervals of a difference over test identities; p is one-sided, before the correction after "
        'Holm for all claims (2.5 % for each of "reproduced" and "contradicted")',
        scope[0].upper() + scope[1:],
    )
