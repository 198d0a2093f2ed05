"""The sentences under the tables: what bounds a number, how many pictures it is of, why it is not compared."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmark.report.comparison import Comparison, data_label, our_label
from benchmark.results import METRICS, JudgeResult, SuiteResults

FEW = 2048
"""With fewer pictures than Inception has features, a covariance has no full rank and the distance a large bias."""


def notes(comparison: Comparison) -> tuple[str, ...]:
    """What a reader of the main table must know, a line each."""
    results = comparison.results
    lines = [judge_note(results), pictures_note(results), seeds_note(results)]
    if comparison.published:
        lines += [obstacle_note(comparison), psnr_note(comparison)]
    if any(row.method == "mtss" and row.label.startswith("Ours") for row in results.rows):
        lines.append('"Ours" is MTSS, as the paper calls its own method; "measured" are the numbers of this run.')
    lines.append(bias_note(results))
    return tuple(line for line in lines if line)


def judge_note(results: SuiteResults) -> str:
    """How well the judge reads real faces."""
    parts = [
        f"{accuracy(judges)} of {next(iter(judges.values())).images:,} pictures ({subset})"
        for subset, judges in results.judges.items()
        if judges
    ]
    return f"CA is bounded by the judge's accuracy on the real test pictures: {listed(parts)}." if parts else ""


def accuracy(judges: Mapping[int, JudgeResult]) -> str:
    """Percent; mean and sample standard deviation where there are several seeds."""
    values = [judge.accuracy for judge in judges.values()]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread} %"


def pictures_note(results: SuiteResults) -> str:
    """N, on both sides."""
    real = [f"{count:,} ({subset})" for subset, count in results.test_images.items()]
    against = f", measured against {listed(real)} real ones" if real else ""
    return (
        f"N: edits for each seed, made from pictures of {results.test_identities} test identities{against}; "
        f"{results.train_identities} other identities were trained on."
    )


def seeds_note(results: SuiteResults) -> str:
    """How many seeds, and what stands behind the ± sign."""
    seeds = listed([str(seed) for seed in results.seeds])
    if len(results.seeds) > 1:
        return f"{len(results.seeds)} training seeds ({seeds}): mean ± sample standard deviation."
    return f"One training seed ({seeds}), so no spread is known."


def obstacle_note(comparison: Comparison) -> str:
    """Why nothing is subtracted: first what holds for every column, then what holds for some."""
    columns = comparison.columns
    shared = [why for why in columns[0].obstacles if all(why in column.obstacles for column in columns)]
    parts = [f"no column is compared with the paper's: {', '.join(shared)}"] if shared else []
    by_reasons: dict[tuple[str, ...], list[str]] = {}
    for column in columns:
        own = tuple(why for why in column.obstacles if why not in shared)
        if own:
            by_reasons.setdefault(own, []).append(column.name)
    for own, names in by_reasons.items():
        verb = "moreover" if shared else f"{'is' if len(names) == 1 else 'are'} not compared with the paper's:"
        parts.append(f"{listed(names)} {verb} {', '.join(own)}")
    return sentence("; ".join(parts))


def psnr_note(comparison: Comparison) -> str:
    """Which of the readings of PSNR stands where."""
    column = next((column for column in comparison.columns if column.name == "PSNR"), None)
    subsets = {compared.row.subset for compared in comparison.rows}
    if column is None or not subsets:
        return ""
    said = []
    if "F&P" in subsets:
        said.append(
            f"F&P rows show {column.readings['F&P'].label}, to a picture of another person, "
            "the only reading that fits the paper's 13 dB"
        )
    if "F" in subsets:
        said.append(f"F rows show {column.readings['F'].label} to the true picture of the same person")
    return f"PSNR: {'; '.join(said)}. The extended table has all readings."


def bias_note(results: SuiteResults) -> str:
    """A word on Fréchet distances of few pictures."""
    counts = [
        min(scores.edits, results.test_images.get(row.subset, scores.edits))
        for row in results.rows
        for scores in row.seeds.values()
        if scores.metrics.get("fid") is not None
    ]
    if not counts or min(counts) >= FEW:
        return ""
    kernel = next(our_label(metric, results.features) for metric in METRICS if metric.key == "kid").partition(" ")[0]
    return (
        f"{results.features.column} of fewer than {FEW:,} pictures is biased upwards (here as few as {min(counts):,}): "
        f"at most rows of equal N can be ordered by it. {kernel}, in the extended table, has no such bias."
    )


def definitions(results: SuiteResults) -> list[tuple[str, str]]:
    """Every metric's heading, and what it is."""
    found = []
    for metric in METRICS:
        unit = f", in {metric.unit}" if metric.unit else ""
        better = f"; {metric.direction} is better" if metric.direction else ""
        found.append((our_label(metric, results.features), f"{metric.definition}{unit}{better}"))
    return found


def data_line(results: SuiteResults) -> str:
    """What was run, in a line."""
    return f"Data: {data_label(results.data)}, {results.size} px. Profile: {results.profile}."


def sentence(text: str) -> str:
    """`text` with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:].removesuffix('.')}." if text else ""


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
