"""Copy finished trainings of suites into a folder of stored results: records, weights, scores, reports, an index.

Nothing is trained except judges and readers: edits and scores of finished trainings are made if they are missing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmark.config.reference import INDEX, REPORTS, Index, StoredRow, StoredSeed, StoredSuite, load_index
from benchmark.config.suites import load_suite
from benchmark.core.artifacts import MANIFEST, Artifact, Damaged, File, Manifest, Store, check_files, replacing_folder
from benchmark.core.errors import UserError
from benchmark.core.hashes import sync, write_text
from benchmark.core.models import dump
from benchmark.pipeline import steps
from benchmark.pipeline.context import make_missing
from benchmark.pipeline.plan import NOT_FINISHED
from benchmark.pipeline.request import RunOptions, check_options
from benchmark.pipeline.steps import PlannedSuite
from benchmark.report.files import FILES
from benchmark.report.html.leaderboard_page import leaderboard_html
from benchmark.report.leaderboard import board
from benchmark.report.results import SuiteResults, load_results
from benchmark.report.row_lookup import RESULTS
from benchmark.stages.base import Stage
from benchmark.stages.report import RowStages
from benchmark.stages.stored import OfTraining, TrainingRecord
from benchmark.stages.synthesize import Synthesize
from benchmark.storing.card import CARD, model_card

LARGEST = 30_000_000
"""Total size in bytes above which a warning is printed."""
KINDS = ("record", "weights", "scores")
LEADERBOARD = "leaderboard.html"
PAGE, WEB_PAGE, ABLATION = FILES["page"], FILES["web page"], FILES["ablation"]
LEFT_OUT = frozenset({FILES["loss curves"]})
"""Figures of a report that are not stored, since its web page has them."""
LEFT_OUT_BESIDE_ABLATION = frozenset({FILES["reference-guided edits"]})
"""The same where there is the figure of the ablation, which shows the rows side by side."""


@dataclass(frozen=True)
class Stored:
    """The result of a call."""

    index: Index
    bytes: int
    missing: Mapping[str, Mapping[str, tuple[int, ...]]]
    """Unfinished seeds by suite and row id."""
    removed: Sequence[str]
    """Folders of removed artifacts, which no suite has any more since keys have changed."""


def store_suites(
    suites: Sequence[str],
    options: RunOptions,
    to: Path,
    weights: Sequence[int] | None,
    scores: bool = True,
    light: Collection[str] = (),
) -> Stored:
    """Store the finished trainings of some suites below `to`.

    options: of a run, whose `suite` is replaced by each of `suites`; seeds that are already stored are kept. weights:
    seeds whose weights for editing are stored; None for all. scores: whether to make and measure edits. light: ids of
    rows without stored weights. Raises UserError if nothing is finished, the profile has no precision for stored
    weights, or no suite has a row of `light`.
    """
    index = load_index(to)
    stored = dict(index.suites)
    store = Store(to)
    ids = {row.id for name in suites for row in load_suite(name).rows}
    if unknown := sorted(set(light) - ids):
        raise UserError(f"no row of {', '.join(suites)} is '{unknown[0]}': one of {', '.join(sorted(ids))}")
    for name in suites:
        planned = _plan(name, options, to, index)
        report = _make(planned, scores)
        stored[planned.plan.suite.name] = _copy(planned, store, weights, options.seeds, scores, light)
        if report is not None:
            _copy_report(report, to / REPORTS / planned.plan.suite.name)
    index = Index(stored)
    if not index.folders:
        raise UserError(f"{options.out} has no finished training of {', '.join(suites)} in profile {options.profile}")
    removed = _remove_stale(to, index)
    write_text(to / INDEX, _text(index))
    write_cards(to, index)
    write_leaderboard(to)
    shutil.rmtree(to / ".locks", ignore_errors=True)
    missing = {name: suite.missing for name, suite in stored.items() if suite.missing}
    size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    return Stored(index, size, missing, removed)


# ------------------------------------------------------------------------------------------------ what is finished
def _plan(suite: str, options: RunOptions, to: Path, index: Index) -> PlannedSuite:
    """Plan the requested and the stored seeds, without those that would need a training."""
    request, store = check_options(dataclasses.replace(options, suite=suite))
    if request.source.licensed:
        raise UserError(
            f"--data {options.data}: pictures of {request.source.name} may not be passed on, nor models of them"
        )
    if request.profile.stored_weights is None:
        raise UserError(f"profile {request.profile.name} does not say in which precision weights are stored")
    if request.suite.name in index.suites:
        old = index.suites[request.suite.name].rows.values()
        seeds = {*request.seeds, *(seed for row in old for seed in row.seeds)}
        request = dataclasses.replace(request, seeds=tuple(sorted(seeds)))
    request = dataclasses.replace(request, reference=to, finished_only=True)
    steps.prepare(request, store, options)
    return steps.plan(request, store, options)


def _make(planned: PlannedSuite, scores: bool) -> Path | None:
    """Make all stages except trainings; return the report's folder, or None if there is none."""
    plan, context = planned.plan, planned.context
    if not any(entry.trains for entry in plan.rows):
        return None
    report = None
    if scores:
        report = steps.make(planned)
    else:
        plan.take_stored(context)
    # A finished report does not read these, so they may be missing beside it.
    of_trainings = [stage for stage in plan.stages if isinstance(stage, OfTraining)]
    make_missing([stage for stage in of_trainings if context.store.exists(stage.train.recipe)], context)
    return report


def _copy(
    planned: PlannedSuite,
    to: Store,
    weights: Sequence[int] | None,
    wanted: Sequence[int],
    scores: bool,
    light: Collection[str],
) -> StoredSuite:
    """Copy the artifacts of a suite; return its entry of the index."""
    plan, store = planned.plan, planned.context.store
    rows: dict[str, StoredRow] = {}
    missing: dict[str, tuple[int, ...]] = {}
    for entry in plan.rows:
        if entry.missing not in ("", NOT_FINISHED):
            continue
        seeds = {}
        for seed in entry.trains:
            keep = entry.row.id not in light and (weights is None or seed in weights)
            seeds[seed] = _copy_seed(entry, seed, store, to, keep, scores)
        row = entry.row
        rows[row.id] = StoredRow(row.label, row.method, row.guide, row.data, seeds)
        if lacking := tuple(seed for seed in wanted if seed not in seeds):
            missing[row.id] = lacking
    return StoredSuite(plan.profile.name, rows, missing)


def _copy_seed(entry: RowStages, seed: int, store: Store, to: Store, keep: bool, scores: bool) -> StoredSeed:
    """Copy the artifacts of a row's seed. Weights without scores are always kept, so that they can be measured."""
    record, score = entry.trains[seed], entry.scores[seed]
    edits = score.edits
    assert isinstance(record, TrainingRecord)
    assert isinstance(edits, Synthesize)
    weights = edits.train
    scored = scores or to.exists(score.recipe)
    there = store.exists(weights.recipe) or to.exists(weights.recipe)
    return StoredSeed(
        _copied(record, store, to),
        _copied(score, store, to) if scored else "",
        _copied(weights, store, to) if there and (keep or not scored) else "",
    )


def _copied(stage: Stage, store: Store, to: Store) -> str:
    """Copy an artifact of `store` to `to`, unless it is the same there; return its folder below the root.

    An artifact that only `to` has, from another store, is kept. Raises Damaged if an artifact is damaged, UserError if
    neither has it.
    """
    artifact = store.find(stage.recipe)
    if artifact is None:
        if Store(to.root).find(stage.recipe) is None:
            raise UserError(
                f"{stage.recipe.folder} is missing in {store.root} and in {to.root}, and what it is made from, too: "
                "train again with --retrain, or restore it"
            )
    elif not _is_same(artifact, stage, to.root):
        _replace(to.root / stage.recipe.folder, artifact.folder, artifact.manifest)
    return stage.recipe.folder


def _is_same(artifact: Artifact, stage: Stage, root: Path) -> bool:
    """Whether a root has the same artifact: undamaged, with files of equal bytes."""
    try:
        other = Store(root).find(stage.recipe)
    except Damaged:
        return False
    return other is not None and other.manifest.files == artifact.manifest.files


def _copy_report(report: Path, to: Path) -> None:
    """Copy a report, without the figures that are not stored, in place of an earlier one.

    Where its Markdown page shows such a figure, it refers to the web page.
    """
    manifest = Manifest.read(report / MANIFEST)
    left_out = LEFT_OUT | (LEFT_OUT_BESIDE_ABLATION if ABLATION in manifest.files else frozenset())
    kept = {name: file for name, file in manifest.files.items() if name not in left_out}
    page = (report / PAGE).read_text(encoding="utf-8")
    for name in left_out:
        page = re.sub(rf"!\[([^]]*)\]\({re.escape(name)}\)", rf"\1: see [{WEB_PAGE}]({WEB_PAGE}).", page)
    content = page.encode()
    kept[PAGE] = File(len(content), hashlib.sha256(content).hexdigest())
    _replace(to, report, dataclasses.replace(manifest, files=kept), {PAGE: page})


def _replace(to: Path, source: Path, manifest: Manifest, texts: Mapping[str, str] = MappingProxyType({})) -> None:
    """Copy the files that a manifest names, and the manifest as it is passed on, in place of the folder `to`.

    texts: what some of the files contain instead, by name. An earlier folder stays whole until the copy is complete.
    Raises UserError where nothing can be written, Damaged where a copy has other bytes than its manifest says.
    """
    with replacing_folder(to, "--to") as partial:
        for name in manifest.files:
            if name in texts:
                write_text(partial / name, texts[name])
            else:
                shutil.copyfile(source / name, partial / name)
                sync(partial / name)
        write_text(partial / MANIFEST, manifest.for_others().dump())
        check_files(partial)


def _remove_stale(to: Path, index: Index) -> list[str]:
    """Remove the artifacts that no suite has any more; return their folders."""
    there = {str(path.parent.relative_to(to)) for kind in KINDS for path in (to / kind).glob(f"*/{MANIFEST}")}
    stale = sorted(there - index.folders)
    for folder in stale:
        shutil.rmtree(to / folder)
    return stale


# ------------------------------------------------------------------------------------------------ texts and pages
def _text(index: Index) -> str:
    return json.dumps(dump(index), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stored_results(root: Path) -> dict[str, SuiteResults]:
    """Return the stored results by suite."""
    names = sorted(load_index(root).suites)
    folders = {name: root / REPORTS / name for name in names}
    return {name: load_results(folder / RESULTS) for name, folder in folders.items() if folder.is_dir()}


def write_cards(root: Path, index: Index) -> None:
    """Write a model card beside all stored weights."""
    results = stored_results(root)
    for folder in sorted({seed.weights for _, row in index.rows() for seed in row.seeds.values() if seed.weights}):
        write_text(root / folder / CARD, model_card(root, folder, index, results))


def write_leaderboard(root: Path) -> None:
    """Write the leaderboard of all stored reports, if there are any."""
    entries = [(root / REPORTS / name / RESULTS, results) for name, results in stored_results(root).items()]
    if not entries:
        return
    page = leaderboard_html("Reference results", board(entries), entries, ())
    write_text(root / LEADERBOARD, page)
