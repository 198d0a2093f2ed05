"""Store the results of a suite: seeds, each with a judge of its own, weights, and both probes with their spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.core.environment import commit
from benchmark.core.hashes import write_text
from benchmark.gate.comparison import spread_of
from benchmark.gate.gate import code_key
from benchmark.gate.kernels import OTHERS, probe_elsewhere
from benchmark.gate.plans import Suite, metrics_of
from benchmark.gate.reference import Numbers, Probe, Reference, SeedRun, weights_folder
from benchmark.metrics.registry import METRICS
from benchmark.pipeline.request import RunOptions

DIGITS = 9
"""Significant ones of the numbers of probes."""


def store(
    path: Path,
    options: RunOptions,
    seeds: Sequence[int],
    threads: int,
    probes_only: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Reference:
    """Run a suite with several seeds, and write the reference and its weights. Raises UserError and RunFailed.

    probes_only: train with the first seed and store the probes of these weights, without the spread of scores.
    """
    suite = Suite(options, threads)
    runs: dict[int, SeedRun] = {}
    if probes_only:
        tell("store: a training of each method")
        suite.train(seeds[0])
    else:
        for seed in seeds:
            tell(f"store: seed {seed} of {', '.join(map(str, seeds))}")
            runs[seed] = suite.run(seed, seed)[0]
    folder = weights_folder(path)
    if folder.is_dir():
        for old in folder.glob("*.safetensors"):
            old.unlink()
    names = suite.pack(seeds[0], seeds[0], folder)
    weights = {row: folder / name for row, name in names.items()}
    tell("store: the probes")
    losses, scores = suite.losses(), suite.scores(weights)
    tell("store: the probes with other kernels")
    elsewhere = list(probe_elsewhere(options, {} if probes_only else weights))
    kernels = [suite.machine.processor, *(kernels.name for kernels in OTHERS)]
    plan, lists = suite.plan(seeds[0], seeds[0]), suite.edits_keys(weights)
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
        prepared=plan.prepare.recipe.key,
        runs=runs,
        losses=Probe(
            kernels, _rounded(losses), _rounded(spread_of(losses, [each.losses for each in elsewhere])),
            suite.training_versions(),
        ),
        scores=Probe(
            kernels, _rounded(scores), _rounded(spread_of(scores, [each.scores for each in elsewhere if each.scores])),
            suite.row_versions(),
        ),
        edits={row: count for row, (_, count) in lists.items()},
        weights=names,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, reference.dump())
    return reference


def _rounded(numbers: Numbers) -> Numbers:
    return {
        subject: {
            name: [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]
            for name, values in series.items()
        }
        for subject, series in numbers.items()
    }
