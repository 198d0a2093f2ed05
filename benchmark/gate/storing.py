"""Store the results of a suite: seeds, each with a judge of its own, weights, and both probes with their spread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmark.core.environment import commit
from benchmark.core.hashes import write_text
from benchmark.gate.comparison import spread_of
from benchmark.gate.gate import code_key
from benchmark.gate.kernels import OTHERS, probe_elsewhere
from benchmark.gate.plans import Suite, measured_stages, metrics_of
from benchmark.gate.reference import Numbers, Probe, Reference, SeedRun, load_reference, weights_folder
from benchmark.gate.stored_weights import SUFFIX
from benchmark.metrics.registry import METRICS
from benchmark.pipeline.request import RunOptions
from benchmark.stages.base import Stage
from benchmark.stages.score import Score

HEADLINE = ("fid", "psnr_true", "ca")
"""Metrics that can regress unless others are declared. Each further one makes changes of all harder to detect."""
READERS = frozenset({"reader", "readings"})
"""Kinds of stages that only some metrics depend on."""
READ = frozenset({"action units", "landmarks read", "identity network"})
"""Needs of these metrics."""
DIGITS = 9
"""Significant digits of the numbers of probes."""


def store(
    path: Path,
    options: RunOptions,
    seeds: Sequence[int],
    threads: int,
    probes_only: bool = False,
    gated: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Reference:
    """Run a suite with several seeds; write and return the reference and its weights.

    probes_only: store only probes, of weights trained with the first seed. Seeds stored at `path`, and their weights,
    are kept if all their stages still have the same keys. gated: keys of the metrics that can regress; by default those
    stored before, else the suite's columns, else `HEADLINE`. Raises UserError and RunFailed.
    """
    suite = Suite(options, threads)
    old = load_reference(path) if probes_only and path.is_file() else None
    runs = kept_runs(old, suite, tell) if old else {}
    folder = weights_folder(path)
    names = _weights_of(seeds[0], old, folder) if old and seeds[0] in runs else {}
    if not names:
        if probes_only:
            tell("store: a training of each method")
            suite.train(seeds[0])
        else:
            runs = _run_seeds(suite, seeds, tell)
        names = _pack_weights(suite, seeds[0], folder)
    weights = {row: folder / name for row, name in names.items()}
    losses, scores = _probes(suite, weights, tell)
    lists = suite.edits_keys(weights)
    request = suite.request
    reference = Reference(
        name=path.stem,
        suite=options.suite,
        profile=options.profile,
        data=options.data,
        features=request.extractor.name,
        identity=request.extractor.identity,
        machine=suite.machine,
        commit=commit(),
        code=code_key(options),
        metrics=metrics_of([metric.describe(request.extractor.column) for metric in METRICS]),
        edits_keys={row: key for row, (key, _) in lists.items()},
        prepared=suite.plan(seeds[0], seeds[0]).prepare.recipe.key,
        runs=runs,
        gated=list(gated) or (old.gated if old else []) or headline(suite),
        losses=losses,
        scores=scores,
        edits={row: count for row, (_, count) in lists.items()},
        weights=names,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, reference.dump())
    return reference


def _run_seeds(suite: Suite, seeds: Sequence[int], tell: Callable[[str], None]) -> dict[int, SeedRun]:
    """Run the suite with each seed, which is also the seed of its judge."""
    runs = {}
    for seed in seeds:
        tell(f"store: seed {seed} of {', '.join(map(str, seeds))}")
        runs[seed] = suite.run(seed, seed)[0]
    return runs


def _pack_weights(suite: Suite, seed: int, folder: Path) -> dict[str, str]:
    """Write the weights of a trained seed in place of those in `folder`; return the file names by row."""
    if folder.is_dir():
        for stale in folder.glob(f"*{SUFFIX}"):
            stale.unlink()
    return suite.pack(seed, seed, folder)


def _probes(suite: Suite, weights: Mapping[str, Path], tell: Callable[[str], None]) -> tuple[Probe, Probe]:
    """Compute the probes of losses and scores, and their spread over other kernels. weights: files by row."""
    tell("store: the probes")
    losses, scores = suite.losses(), suite.scores(weights)
    tell("store: the probes with other kernels")
    elsewhere = list(probe_elsewhere(suite.options, weights))
    kernels = [suite.machine.processor, *(kernels.name for kernels in OTHERS)]
    losses_spread = spread_of(losses, [each.losses for each in elsewhere])
    scores_spread = spread_of(scores, [each.scores for each in elsewhere if each.scores])
    return (
        Probe(kernels, _rounded(losses), _rounded(losses_spread), suite.training_versions()),
        Probe(kernels, _rounded(scores), _rounded(scores_spread), suite.row_versions()),
    )


def kept_runs(old: Reference, suite: Suite, tell: Callable[[str], None]) -> dict[int, SeedRun]:
    """Return the stored seeds whose stages of training, editing and measuring have the same keys now.

    Numbers of metrics with another version are dropped, and those that depend on a changed reader; bytes of another
    machine are dropped, too.
    """
    kept: dict[int, SeedRun] = {}
    for seed, run in old.runs.items():
        stages = {stage.name: stage for stage in measured_stages(suite.plan(seed, run.judge_seed))}
        changed = [stage for name, stage in stages.items() if run.keys.get(name) != stage.recipe.key]
        lost = [name for name in run.keys if name not in stages]
        lost += [stage.name for stage in changed if not _only_measured_otherwise(stage, run, old)]
        if lost:
            tell(f"store: seed {seed} is dropped, since '{lost[0]}' has another key now; --seeds stores seeds anew")
            continue
        if old.machine.differences(suite.machine):
            run = dataclasses.replace(run, contents={})
        if changed:
            run = _without(run, changed, old)
        kept[seed] = run
    return kept


def _only_measured_otherwise(stage: Stage, run: SeedRun, old: Reference) -> bool:
    """Whether a changed key comes from another reader alone or, for scores, from other metrics or another reader."""
    if not isinstance(stage, Score):
        return stage.kind in READERS and stage.name in run.keys
    recipe = stage.recipe
    inputs = {role: run.keys.get(each.name, "") for role, each in stage.inputs.items()}
    metrics = {key: metric.version for key, metric in old.metrics.items()}
    then = dataclasses.replace(recipe, settings={**recipe.settings, "metrics": metrics}, inputs=inputs)
    return run.keys.get(stage.name) == then.key


def _without(run: SeedRun, changed: Sequence[Stage], old: Reference) -> SeedRun:
    """Return a run without the numbers and hashes of changed stages."""
    others = any(stage.kind in READERS for stage in changed)
    valid = {
        metric.key
        for metric in METRICS
        if metric.key in old.metrics
        and metric.version == old.metrics[metric.key].version
        and not (others and READ.intersection(metric.needs))
    }
    names = {stage.name for stage in changed}
    return dataclasses.replace(
        run,
        rows={row: {key: value for key, value in numbers.items() if key in valid} for row, numbers in run.rows.items()},
        keys={**run.keys, **{stage.name: stage.recipe.key for stage in changed}},
        contents={name: digest for name, digest in run.contents.items() if name not in names},
    )


def _weights_of(seed: int, old: Reference, folder: Path) -> dict[str, str]:
    """Return the stored weights by row if all exist and are of that seed; else nothing."""
    there = all((folder / name).is_file() and name.endswith(f"-seed-{seed}{SUFFIX}") for name in old.weights.values())
    return dict(old.weights) if there else {}


def headline(suite: Suite) -> list[str]:
    """Return the metrics that can regress by default: the columns that the suite names, else `HEADLINE`."""
    known = {metric.key for metric in METRICS}
    return [key for key in suite.request.suite.columns or HEADLINE if key in known]


def _rounded(numbers: Numbers) -> Numbers:
    return {
        subject: {
            name: [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]
            for name, values in series.items()
        }
        for subject, series in numbers.items()
    }
