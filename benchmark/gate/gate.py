"""The gate: levels from cheap to expensive, each of which can decide alone.

Equal code, settings and versions pass at once. Next, the probes detect a changed loss, optimiser, edit or metric on any
processor. Then the suite is run: equal bytes pass, and otherwise statistics decide.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from benchmark.core.artifacts import canonical
from benchmark.core.errors import UserError
from benchmark.core.source_code import project_digest
from benchmark.gate.comparison import (
    FURTHER,
    Rule,
    Tolerance,
    compare_probe,
    compare_runs,
    gated_numbers,
    seeds_needed,
)
from benchmark.gate.machine import Machine, software
from benchmark.gate.reference import EDITS, FEATURES, PHOTOGRAPHS, Reference, SeedRun, StoredMetric, weights_folder
from benchmark.gate.verdicts import Check, GateResult, Level, LevelResult, Verdict, overall
from benchmark.metrics.features.dlib_network import find_identity_weights
from benchmark.metrics.metric import REASONS
from benchmark.metrics.registry import METRICS
from benchmark.pipeline.engines.options import LOCAL, EngineOptions
from benchmark.pipeline.request import RunOptions, check_options

if TYPE_CHECKING:
    from benchmark.gate.plans import Suite
    from benchmark.report.results import SuiteResults

LOSSES = {
    "": Tolerance(2e-5),
    "clipped": Tolerance(1e-3), "followed": Tolerance(0.02), "followed+": Tolerance(0.1),
    "gradient": Tolerance(0.02), "descent": Tolerance(0.02), "step": Tolerance(5e-3), "average": Tolerance(0.02),
    "loss+": Tolerance(1e-3, 2e-4), "total+": Tolerance(1e-3, 2e-4), "step+": Tolerance(0.02),
    "gradient+": Tolerance(0.1), "descent+": Tolerance(0.1), "average+": Tolerance(0.1),
}  # fmt: skip
"""By kind of series, relative to its largest value. Losses differ by at most 1e-6 between kernels. One ReLU whose input
is rounded to the other side of zero changes a gradient by a hundredth, and Adam turns rounding into whole steps. A loss
after a step may be near 0; it then differs by 1e-4.
"""
SCORES_RELATIVE = 1e-3
FEATURES_RELATIVE = 1e-4
"""Tolerance of projected features of true pictures, relative to the largest projection."""
COLOURS = 0.25
"""Tolerance of the mean colour of a field of an edit, in levels from 0 to 255."""
FLIPS = 2.5
"""Number of edits that the judge may classify otherwise, since pixels may be rounded the other way."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class GateOptions:
    """The options of `regress --against`."""

    seeds: tuple[int, ...] = ()
    """Training seeds to run; the first stored one if none is given."""
    up_to: int | None = 0
    """Largest number of seeds to run while a doubt is left; None for as many as can show a regression."""
    rule: Rule = field(default_factory=Rule)
    always: bool = False
    """Measure even if nothing can differ."""
    all_levels: bool = False
    """Run all levels, even after a regression."""
    out: Path = Path("runs")
    jobs: str = "auto"
    quiet: bool = False
    engine: EngineOptions = LOCAL


@dataclass
class _Found:
    """Levels and checks so far."""

    levels: list[LevelResult] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self, level: Level, words: str, checks: Sequence[Check], started: float, verdict: Verdict | None = None
    ) -> Verdict:
        """Add a level; its verdict is the gravest of its checks if none is given."""
        verdict = verdict or overall([check.verdict for check in checks])
        self.levels.append(LevelResult(level, verdict, words, round(time.monotonic() - started, 1)))
        self.checks += checks
        return verdict


def run_options(reference: Reference, out: Path, jobs: str, quiet: bool, engine: EngineOptions = LOCAL) -> RunOptions:
    """Return the options that a reference was stored with."""
    return RunOptions(
        suite=reference.suite, profile=reference.profile, data=reference.data, device=reference.machine.device,
        features="inception" if reference.features == "inception" else "efficientnet-lite0",
        out=out, retrain=True, jobs=jobs, quiet=quiet, engine=engine,
    )  # fmt: skip


def code_key(options: RunOptions) -> str:
    """SHA-256 of all that decides results except the machine: code, settings, data, features. Imports no torch."""
    request, _ = check_options(options)
    source = request.source
    parts = [
        project_digest(),
        dataclasses.asdict(request.suite),
        dataclasses.asdict(request.profile),
        [source.name, source.version, source.content_key(), source.split_settings()],
        [request.extractor.name, request.extractor.identity],
    ]
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def work_folder(out: Path, code: str) -> Path:
    """Return the gate's working folder. Each state of the code has its own: artifacts of other code are not used."""
    return out / "gate" / hashlib.sha256(canonical([code, software()]).encode()).hexdigest()[:16]


def check_against(reference: Reference, path: Path, options: GateOptions, tell: Tell = lambda _: None) -> GateResult:
    """Compare this code with stored results. Raises UserError and RunFailed."""
    findings = _Found()
    started = time.monotonic()
    code = code_key(run_options(reference, options.out, options.jobs, options.quiet))
    changed = [] if code == reference.code else ["code, settings or data"]
    changed += _changed_software(reference.machine.software, software())
    equal = not changed
    words = "nothing differs from what was stored" if equal else f"other than stored: {', '.join(changed)}"
    findings.add("keys", words, [], started, "pass" if equal else "different")
    if equal and not options.always:
        return _result(reference, findings, options)
    from benchmark.gate.plans import Suite  # imports torch

    folder = work_folder(options.out, code)
    suite = Suite(
        run_options(reference, folder, options.jobs, options.quiet, options.engine), reference.machine.threads
    )
    if obstacle := _obstacle(reference, suite):
        findings.add("keys", obstacle, [], started, "not comparable")
        return _result(reference, findings, options)
    tell("gate: the first losses of each training")
    if _losses(reference, suite, findings) == "regressed" and not options.all_levels:
        return _result(reference, findings, options)
    tell("gate: the scores of the stored weights")
    if _scores(reference, path, suite, findings) == "regressed" and not options.all_levels:
        return _result(reference, findings, options)
    if len(reference.runs) < 2:
        findings.notes.append(
            "fewer than two seeds are stored, so the probes alone decide: a change of training "
            "that no first iteration shows is not seen"
        )
        return _result(reference, findings, options)
    return _runs(reference, suite, findings, options, tell)


def check_results(reference: Reference, results: SuiteResults, options: GateOptions) -> GateResult:
    """Compare finished results with stored ones, by statistics alone."""
    from benchmark.gate.plans import metrics_of, seed_run

    findings, started = _Found(), time.monotonic()
    if obstacle := _other_results(reference, results):
        findings.add("keys", obstacle, [], started, "not comparable")
        return _result(reference, findings, options)
    judge = min(seed for judges in results.judges.values() for seed in judges)
    runs = {seed: seed_run(results, seed, judge) for seed in results.seeds}
    checks, compared = compare_runs(reference, runs, metrics_of(results.metrics), options.rule)
    findings.add("statistics", _words(checks), checks, started)
    return _result(reference, findings, options, runs, compared)


# ------------------------------------------------------------------------------------------------ levels
def _losses(reference: Reference, suite: Suite, findings: _Found) -> Verdict:
    started = time.monotonic()
    checks = compare_probe("losses", reference.losses, suite.losses(), suite.training_versions(), LOSSES)
    return findings.add("losses", _probe_words(checks), checks, started)


def _scores(reference: Reference, path: Path, suite: Suite, findings: _Found) -> Verdict:
    started = time.monotonic()
    weights = weights_of(reference, path)
    if not weights:
        findings.notes.append("no weights are stored: edits and metrics are not probed")
        return "pass"
    tolerance, raised = score_tolerance(reference), _incomparable(reference)
    now = suite.scores(weights)
    checks = compare_probe("scores", reference.scores, now, suite.row_versions(), tolerance, raised)
    return findings.add("scores", _probe_words(checks), checks, started)


def _runs(reference: Reference, suite: Suite, findings: _Found, options: GateOptions, tell: Tell) -> GateResult:
    """Run seeds until no doubt is left or the declared number is reached; compare bytes, then statistics."""
    seeds = list(options.seeds or list(reference.runs)[:1])
    decisive = seeds_needed(reference, gated_numbers(reference), options.rule)
    most = max(decisive if options.up_to is None else options.up_to, len(seeds))
    further = [seed for seed in range(2 * most) if seed not in seeds][: most - len(seeds)]
    rule = dataclasses.replace(options.rule, looks=len(further) + 1)
    runs: dict[int, SeedRun] = {}
    started = time.monotonic()
    metrics: Mapping[str, StoredMetric] = reference.metrics
    for seed in seeds:
        tell(f"gate: seed {seed} of the suite")
        runs[seed], metrics = suite.run(seed, _judge_seed(reference, seed))
    if _bytes(reference, suite, runs, findings, started) == "pass" and not options.all_levels:
        return _result(reference, findings, options, runs)
    started = time.monotonic()
    onward = rule if rule.assume_normal else dataclasses.replace(rule, doubt=FURTHER)
    checks, compared = compare_runs(reference, runs, metrics, onward if further else rule)
    while further and overall([check.verdict for check in checks]) == "inconclusive":
        seed = further.pop(0)
        tell(f"gate: a doubt is left, so seed {seed} is run as declared")
        runs[seed], _ = suite.run(seed, _judge_seed(reference, seed))
        checks, compared = compare_runs(reference, runs, metrics, onward if further else rule)
    findings.add("statistics", _words(checks), checks, started)
    return _result(reference, findings, options, runs, compared)


def _judge_seed(reference: Reference, seed: int) -> int:
    """The judge's seed of the stored run, or the seed itself: each run has its own judge."""
    return reference.runs[seed].judge_seed if seed in reference.runs else seed


def _bytes(
    reference: Reference, suite: Suite, runs: Mapping[int, SeedRun], findings: _Found, started: float
) -> Verdict:
    verdict, words = _compare_bytes(reference, suite.machine, runs)
    return findings.add("bytes", words, [], started, verdict)


def _compare_bytes(reference: Reference, machine: Machine, runs: Mapping[int, SeedRun]) -> tuple[Verdict, str]:
    """Compare hashes and numbers with those stored of the same seeds; return the verdict and a sentence."""
    if differences := reference.machine.differences(machine):
        return "not compared", f"bytes depend on what differs here: {'; '.join(differences[:3])}"
    known = {seed: run for seed, run in reference.runs.items() if run.contents}
    pairs = {seed: (known[seed], run) for seed, run in runs.items() if seed in known}
    for stored, now in pairs.values():
        if name := _first_other_stage(stored, now):
            same_key = stored.keys.get(name) == now.keys[name]
            why = "under the same key: raise the version of what changed" if same_key else "under another key"
            return "different", f"the first stage that differs is '{name}', {why}"
    for stored, now in pairs.values():
        if row := _first_other_row(stored, now):
            return "different", f"the numbers of {row} differ, and what they were measured from does not"
    if unknown := [seed for seed in runs if seed not in known]:
        words = f"no bytes of {_seeds(unknown)} are stored"
        return "not compared", f"{words}; those of {_seeds(pairs)} are equal" if pairs else words
    stages = len(next(stored for stored, _ in pairs.values()).contents)
    return "pass", f"weights, edits and numbers of {stages} stages are equal"


def _first_other_stage(stored: SeedRun, now: SeedRun) -> str:
    """The name of the first stage whose content has another hash, or ""."""
    names = (name for name, digest in now.contents.items() if stored.contents.get(name, digest) != digest)
    return next(names, "")


def _first_other_row(stored: SeedRun, now: SeedRun) -> str:
    """The id of the first row with another number, or ""."""
    for row, numbers in stored.rows.items():
        if any(now.rows.get(row, {}).get(key) != value for key, value in numbers.items()):
            return row
    return ""


def _seeds(seeds: Collection[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def edits_strip(reference: Reference, path: Path, options: GateOptions) -> bytes:
    """Return a PNG with one edit of each row by the stored weights, as the probe made it; empty without a probe."""
    from benchmark.gate.plans import Suite
    from benchmark.gate.strip import strip_of

    code = code_key(run_options(reference, options.out, options.jobs, options.quiet))
    folder = work_folder(options.out, code)
    if not folder.is_dir():
        return b""
    suite = Suite(run_options(reference, folder, options.jobs, True, options.engine), reference.machine.threads)
    return strip_of(suite, weights_of(reference, path))


# ------------------------------------------------------------------------------------------------ what is comparable
def weights_of(reference: Reference, path: Path) -> dict[str, Path]:
    """Return the files of stored weights by row. Raises UserError if one is missing."""
    weights = {row: weights_folder(path) / name for row, name in reference.weights.items()}
    if missing := sorted({str(file) for file in weights.values() if not file.is_file()}):
        raise UserError(f"{path} names weights that are not there: {missing[0]}")
    return weights


def score_tolerance(reference: Reference) -> dict[str, Tolerance]:
    """Tolerances of the scores of stored weights by metric: a thousandth or half a printed digit.

    Scores that depend on the judge may differ by `FLIPS` edits.
    """
    tolerance = {
        "": Tolerance(SCORES_RELATIVE), EDITS: Tolerance(0.0, COLOURS), PHOTOGRAPHS: Tolerance(0.0, COLOURS),
        FEATURES: Tolerance(FEATURES_RELATIVE),
    }  # fmt: skip
    edits = min(reference.edits.values(), default=0)
    for metric in METRICS:
        flips = FLIPS * 100 / edits if "judge" in metric.needs and edits else 0.0
        tolerance[metric.key] = Tolerance(SCORES_RELATIVE, max(flips, 0.5 * 10.0**-metric.decimals))
    return tolerance


def _incomparable(reference: Reference) -> dict[str, str]:
    """Return the metrics that cannot be compared, with the reason: another version, or no identity network here."""
    reasons = {}
    for metric in METRICS:
        stored = reference.metrics.get(metric.key)
        if stored is not None and stored.version != metric.version:
            reasons[metric.key] = f"its version was {stored.version} and is {metric.version}"
        elif "identity network" in metric.needs and find_identity_weights() is None:
            reasons[metric.key] = REASONS["identity network"]
    return reasons


def _changed_software(stored: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    return [name for name in dict.fromkeys([*stored, *here]) if stored.get(name) != here.get(name)]


def _obstacle(reference: Reference, suite: Suite) -> str:
    """Return why nothing can be compared, or ""."""
    plan = suite.plan(0, 0)
    if plan.prepare.recipe.key != reference.prepared:
        return "the prepared faces are others: another data set, split, size or version of these"
    if suite.request.extractor.identity != reference.identity:
        return "the feature extractor is another"
    missing = {row for run in reference.runs.values() for row in run.rows} - {
        row.id for row in suite.request.suite.rows
    }
    return f"the suite has no row {min(missing)} any more" if missing else ""


def _other_results(reference: Reference, results: SuiteResults) -> str:
    """Return why results cannot be compared with stored ones, or ""."""
    for quantity, stored, here in (
        ("suite", Path(reference.suite).stem, results.suite),
        ("profile", Path(reference.profile).stem, results.profile),
        ("data set", reference.data.partition(":")[0], results.data),
        ("features", reference.identity, results.features.identity),
    ):
        if stored != here:
            return f"the {quantity} is {here}, and {stored} is stored"
    keys = {row.id: {scores.edits_key for scores in row.seeds.values()} for row in results.rows if row.seeds}
    if any(keys.get(row, {key}) != {key} for row, key in reference.edits_keys.items()):
        return "the lists of edits are others"
    prepared = {key for name, key in results.keys.items() if name.startswith("prepare ")}
    return "" if reference.prepared in prepared else "the prepared faces are others"


# ------------------------------------------------------------------------------------------------ in words
def _result(
    reference: Reference,
    findings: _Found,
    options: GateOptions,
    runs: Mapping[int, SeedRun] | None = None,
    compared: int = 0,
) -> GateResult:
    for seed, run in (runs or {}).items():
        stored = reference.runs.get(seed)
        for row, failures in run.failed.items():
            if stored is None or row not in stored.failed:
                findings.notes.append(f"{row}, seed {seed}: its training failed by its own measure {failures[0]}")
    return GateResult(
        reference.name, tuple(findings.levels), tuple(findings.checks), tuple(findings.notes), tuple(runs or ()),
        options.rule.family if compared else 0.0, compared, seeds_needed(reference, compared, options.rule),
        reference.commit,
    )  # fmt: skip


def _probe_words(checks: Sequence[Check]) -> str:
    off = [check for check in checks if check.verdict == "regressed"]
    if off:
        first = off[0]
        subject = f"{first.subject}, {first.quantity}{f' ({first.note})' if first.note else ''}"
        return f"{len(off)} of {len(checks)} series changed, the first is {subject}"
    other = [check for check in checks if check.verdict == "not comparable"]
    if other:
        return f"{len(other)} of {len(checks)} series cannot be compared: {other[0].subject}, {other[0].note}"
    return f"{len(checks)} series are as stored"


def _words(checks: Sequence[Check]) -> str:
    counted = {verdict: [check for check in checks if check.verdict == verdict] for verdict in get_args(Verdict)}
    for verdict in ("regressed", "not comparable", "inconclusive"):
        if count := counted[verdict]:
            return (
                f"{len(count)} of {len(checks) - len(counted['reported'])} numbers {verdict}, the first is "
                f"{count[0].subject}, {count[0].quantity}"
            )
    better = f", {len(counted['improved'])} improved" if counted["improved"] else ""
    return f"{len(counted['pass']) + len(counted['improved'])} numbers within what other seeds give{better}"
