"""Score the pictures of another program as a row of a table (`benchmark.score --edits`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.profiles import FeatureSpace, features_for
from benchmark.core.artifacts import Store
from benchmark.core.cli import list_faults, writable_folder
from benchmark.core.errors import UserError, quoted
from benchmark.core.progress import counted
from benchmark.data.registry import open_source
from benchmark.external.listing import expected_files, read_listing
from benchmark.external.result import ExternalResult
from benchmark.external.scorer import ExternalScorer
from benchmark.external.submission import Submission, examine_submission, find_submitted
from benchmark.pipeline.context import open_context
from benchmark.protocol import Subset
from benchmark.report.results import SuiteResults
from benchmark.stages.features import choose_extractor
from benchmark.stages.network_choice import choose_networks
from benchmark.training.device import check_threads, choose_device

LONGEST_NAME = 40


@dataclass(frozen=True)
class SubmissionOptions:
    """The options of `benchmark.score` for a row of a table."""

    edits: Path
    results: Path
    name: str
    store: Path
    data: str | None
    threads: int | None
    features: FeatureSpace | None
    fid_weights: Path | None
    allow_other_weights: bool
    allow_small: bool
    networks: Sequence[str]
    device: str
    quiet: bool


@dataclass(frozen=True)
class ScoredSubmission:
    """The rows of a submission, the whole table, and the training times (seconds) of its other rows."""

    result: ExternalResult
    table: SuiteResults
    timings: Mapping[str, float]


def score_submission(options: SubmissionOptions) -> ScoredSubmission:
    """Check list, data set and pictures before any long computation, then score. Raises UserError."""
    _check_name(options.name)
    check_threads(options.threads)
    listing = read_listing(options.edits)
    expected = {subset: expected_files(options.edits, subset, sheet) for subset, sheet in listing.sheets.items()}
    asked = find_submitted(options.results, expected)
    store = writable_folder(options.store, "--store")
    source = open_source(options.data or listing.data, store / "cache")
    features = features_for(listing.profile, listing.features, options.features)
    extractor = choose_extractor(features, options.fid_weights, options.allow_other_weights)
    networks = choose_networks(options.networks)
    device = choose_device(options.device)
    for network in networks:
        network.open(device)
    context = open_context(Store(store), device, options.threads, options.quiet)
    scorer = ExternalScorer(listing, source, extractor, listing.allow_small or options.allow_small, device, networks)
    with context.reporter.bar("check pictures", sum(map(len, asked.values()))) as bar:
        submission = examine_submission(options.results, expected, listing.size, counted(bar))
    _report_faults(options.results, submission, expected)
    result, table = scorer.measure(options.name, submission, context)
    return ScoredSubmission(result, table, scorer.timings(result))


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UserError(f"--name must be 1 to {LONGEST_NAME} characters that can be printed, not {quoted(name)}")


def _report_faults(folder: Path, submission: Submission, expected: dict[Subset, list[str]]) -> None:
    """List it on stderr. Raises UserError where a picture is missing or can't be taken: of fewer edits than the others
    were asked for, every number would be of another thing.
    """
    list_faults("missing", submission.missing)
    list_faults("wrong", [f"{file.path.name} {file.reason}" for file in submission.unusable])
    list_faults("not asked for", submission.surplus)
    if submission.missing or submission.unusable:
        total = sum(len(names) for subset, names in expected.items() if subset not in submission.absent)
        counts = {"missing": len(submission.missing), "of no use": len(submission.unusable)}
        faults = " and ".join(f"{count:,} are {state}" for state, count in counts.items() if count)
        raise UserError(f"{folder}: of {total:,} pictures {faults}: nothing was scored")
    for subset in submission.absent:
        count = len(expected[subset])
        sys.stderr.write(f"note: none of the {count:,} pictures of {subset} is there, so there is no row of {subset}\n")
