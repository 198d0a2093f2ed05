"""The sentences under the tables: judge accuracy, numbers of pictures, seeds, and why numbers are not compared."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.metrics.metric import Direction
from benchmark.protocol import EXPRESSIONS
from benchmark.report.comparison import Comparison, data_label
from benchmark.report.results import JudgeResult, ReferenceRow, Row, SuiteResults

FEW = 2048
"""With fewer pictures than Inception has features, a covariance has no full rank and the distance a large bias."""
NO_BOUND = "edits can score lower or higher"


def notes(comparison: Comparison) -> tuple[str, ...]:
    """Return the notes on the main table, a line for each."""
    results = comparison.results
    lines = [judge_note(results), *reading_notes(results), pictures_note(results), seeds_note(results)]
    lines += [interval_note(results), reference_note(results), floor_note(results)]
    if comparison.published:
        lines += [obstacle_note(comparison), psnr_note(comparison)]
    if any(row.method == "mtss" and row.label.startswith("Ours") for row in results.rows):
        lines.append('"Ours" is MTSS, as the paper calls its own method; "measured" are the numbers of this run.')
    lines += results.data_notes
    lines.append(bias_note(results))
    lines.append(overrides_note(results))
    lines += same_run_notes(results, [compared.row for compared in comparison.rows])
    return tuple(line for line in lines if line)


def judge_note(results: SuiteResults) -> str:
    """Return the judge's accuracy on real faces of the kind that it was trained on."""
    parts = [
        f"{accuracy(judges)} of {next(iter(judges.values())).images:,} pictures ({subset})"
        for subset, judges in results.judges.items()
        if judges
    ]
    if not parts:
        return ""
    if results.readings:
        kind = "aligned " if results.faces == "nonaligned" else ""
        return f"The judge names the expression of real {kind}test pictures in {listed(parts)}."
    return f"Read CA beside the judge's accuracy on the real test pictures, {listed(parts)}: {NO_BOUND}."


def reading_notes(results: SuiteResults) -> list[str]:
    """Return the judge's accuracy on the edited real pictures, if these are of another kind."""
    if not results.readings:
        return []
    other = results.faces == "nonaligned"
    kind = "non-aligned test pictures" if other else "test pictures"
    every = [f"{read.accuracy:.2f} % of {read.images:,} ({subset})" for subset, read in results.readings.items()]
    lines = [_framing_note(results)] if other else []
    if not results.targets:
        return [*lines, f"Read CA beside the judge's accuracy on the real {kind}, {listed(every)}: {NO_BOUND}."]
    shown = listed(results.targets)
    target = [
        f"{read.target_accuracy:.2f} % of {read.target_images:,} ({subset})"
        for subset, read in results.readings.items()
    ]
    return [
        *lines,
        f"Read CA beside the judge's accuracy on the real {kind} that show {shown}, {listed(target)}: {NO_BOUND}; of "
        f"all expressions it names {listed(every)} rightly, where chance is {100 / len(EXPRESSIONS):g} %.",
        f"Only edits to {shown} are made, and distances are to the real {kind} that show {shown}.",
    ]


def _framing_note(results: SuiteResults) -> str:
    """Say how faces that are not aligned are shown to the judge."""
    readings = results.readings.items()
    stand = [f"{read.unframed_accuracy:.2f} % of {read.images:,} ({subset})" for subset, read in readings]
    if not any(read.framed for _, read in readings):
        return (
            "The judge has learned aligned faces alone and is asked about others as they stand, since no landmarks are "
            "known by which they could be brought to where it learned them."
        )
    part = [f"{read.framed:,} of {read.images:,} ({subset})" for subset, read in readings if read.framed < read.images]
    some = f" (where landmarks are known: {listed(part)})" if part else ""
    return (
        "The judge has learned aligned faces alone, so for it each face is brought to where those are, an edit's by "
        f"the landmarks of its source{some}; as they stand it names {listed(stand)} real ones rightly."
    )


def accuracy(judges: Mapping[int, JudgeResult]) -> str:
    """Return a percentage; with several seeds the mean and sample standard deviation."""
    values = [judge.accuracy for judge in judges.values()]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread} %"


def pictures_note(results: SuiteResults) -> str:
    """Return the numbers of edits and of real pictures."""
    real = [f"{count:,} ({subset})" for subset, count in results.test_images.items()]
    shown = f" that show {listed(results.targets)}" if results.targets else ""
    against = f", measured against {listed(real)} real ones{shown}" if real else ""
    train = f"{results.train_identities} other identities {'were' if results.seeds else 'are there to be'} trained on"
    return f"N: edits for each seed, made from pictures of {results.test_identities} test identities{against}; {train}."


def reader_notes(results: SuiteResults) -> list[str]:
    """Return the reader's error on real test pictures, which limits the accuracy of its metrics."""
    notes = []
    for subset, reader in results.readers.items():
        parts = []
        if reader.units:
            worst = max(reader.units, key=reader.units.__getitem__)
            mean = statistics.fmean(reader.units.values())
            parts.append(
                f"action units with a mean error of {mean:.2f} on the scale from 0 to 5 "
                f"({worst.removesuffix('_r')}: {reader.units[worst]:.2f}, the largest)"
            )
        if reader.pixels is not None and reader.share is not None:
            parts.append(
                f"landmarks with a mean error of {reader.pixels:.2f} px, {reader.share:.1f} % of the distance between "
                "the eyes"
            )
        if parts:
            notes.append(f"Of {reader.images:,} real test pictures ({subset}) the reader reads {' and '.join(parts)}.")
    return notes


def seeds_note(results: SuiteResults) -> str:
    """Return the number of seeds and the meaning of the ± sign; empty where no row was trained here."""
    if not results.seeds:
        return ""
    seeds = listed([str(seed) for seed in results.seeds])
    if len(results.seeds) > 1:
        return f"{len(results.seeds)} training seeds ({seeds}): mean ± sample standard deviation."
    return f"One training seed ({seeds}), so no spread is known."


def interval_note(results: SuiteResults) -> str:
    """Return the meaning of the brackets; empty where there are none."""
    if not any(summary.identities for row in results.rows for summary in row.summary.values()):
        return ""
    return (
        "Brackets (95 % in the terminal): the interval over test identities, that is for other people and the same "
        "trainings; by the jackknife where the metric is of a set."
    )


def reference_note(results: SuiteResults) -> str:
    """Describe the column of stored results; empty if there is none."""
    stored = results.reference
    if stored is None:
        return ""
    groups: dict[tuple[tuple[int, ...], str], list[str]] = {}
    for row in results.rows:
        if row.id in stored.rows and not row.extended:
            entry = stored.rows[row.id]
            groups.setdefault((entry.seeds, entry.over), []).append(f"{row.label} ({row.subset})")
    parts = []
    for (seeds, over), labels in groups.items():
        over = "seeds" if over == "seeds" else "test identities"
        rows = "" if len(groups) == 1 else f" of {listed(labels)}"
        parts.append(
            f"seed{'s' if len(seeds) > 1 else ''} {listed([str(seed) for seed in seeds])}{rows}, 95 % over {over}"
        )
    counts = sorted({entry.edits for entry in stored.rows.values()})
    return (
        f'"reference" are stored results of profile {stored.profile}: {"; ".join(parts)}; '
        f"{listed([f'{count:,}' for count in counts])} edits a row and seed; Fréchet distances of another N "
        "than this run's have another bias."
    )


def floor_note(results: SuiteResults) -> str:
    """Return the distance of two halves of the real pictures; empty where it is unknown."""
    column = results.features.column
    parts = [
        f"{floor.whole:.2f}{'' if floor.cropped is None else f' (Cp {floor.cropped:.2f})'} between halves of "
        f"{floor.pictures:,} pictures ({subset})"
        for subset, floor in results.floors.items()
        if floor.whole is not None
    ]
    return f"{column} of real pictures to real pictures of other people: {listed(parts)}." if parts else ""


def failure_note(row: Row | ReferenceRow) -> str:
    """List the trainings that failed by their own measure, with the reasons."""
    if not row.failed:
        return ""
    seeds = f" ({len(row.failed)} of {len(row.seeds)} seeds)" if len(row.seeds) > 1 else ""
    by_seed = (f"seed {seed} {'; '.join(failures)}" for seed, failures in row.failed.items())
    return f"Training failed by its own measure{seeds}: {'; '.join(by_seed)}"


def obstacle_note(comparison: Comparison) -> str:
    """Give the reasons why numbers are not compared: first those of all columns, then those of some."""
    columns = [column for column in comparison.columns if column.paper]
    shared = (
        [why for why in columns[0].obstacles if all(why in column.obstacles for column in columns)] if columns else []
    )
    parts = [f"no column is compared with the paper's: {', '.join(shared)}"] if shared else []
    by_reasons: dict[tuple[str, ...], list[str]] = {}
    for column in columns:
        own = tuple(why for why in column.obstacles if why not in shared)
        if own:
            by_reasons.setdefault(own, []).append(column.paper)
    for own, papers in by_reasons.items():
        names = list(dict.fromkeys(papers))
        verb = "moreover" if shared else f"{'is' if len(names) == 1 else 'are'} not compared with the paper's:"
        parts.append(f"{listed(names)} {verb} {', '.join(own)}")
    return sentence("; ".join(parts))


def psnr_note(comparison: Comparison) -> str:
    """Say which PSNR is compared with the paper's."""
    meant = {
        cell.metric.label: row.row.subset
        for row in comparison.rows
        for cell in row.cells
        if cell.beside and cell.column.paper == "PSNR"
    }
    readings = [f"{label} ({subset} rows)" for label, subset in meant.items()]
    return f"The paper's PSNR is set beside the reading that its numbers fit: {listed(readings)}." if readings else ""


def bias_note(results: SuiteResults) -> str:
    """Warn of Fréchet distances of few pictures."""
    counts = [
        min(scores.edits, results.test_images.get(row.subset, scores.edits))
        for row in results.rows
        for scores in row.seeds.values()
        if scores.metrics.get("fid") is not None
    ]
    if not counts or min(counts) >= FEW:
        return ""
    unbiased = [metric.label.partition(" ")[0] for metric in results.metrics if metric.key == "kid"]
    return (
        f"{results.features.column} of fewer than {FEW:,} pictures is biased upwards (here as few as {min(counts):,}): "
        "at most rows of equal N can be ordered by it."
    ) + "".join(f" {name}, in the extended table, has no such bias." for name in unbiased)


def overrides_note(results: SuiteResults) -> str:
    """Name the methods of which the profile changes published settings."""
    if not results.overrides:
        return ""
    return (
        f"Profile {results.profile} overrides published settings of {listed(sorted(results.overrides))}: report.md has "
        "the values and the reasons."
    )


def same_run_notes(results: SuiteResults, rows: Sequence[Row]) -> list[str]:
    """List the rows that are the same run, with the setting of the profile that makes them so."""
    by_id = {row.id: row for row in rows}
    lines = []
    for row in rows:
        other = by_id.get(row.same_as)
        if other is None:
            continue
        names = sorted(row.variant.keys() | other.variant.keys())
        differing = [name for name in names if row.variant.get(name, _UNSET) != other.variant.get(name, _UNSET)]
        stated = results.overrides[row.method].settings if row.method in results.overrides else {}
        causes = {name: stated[name] for name in differing if name in stated}
        if causes:
            why = f" in this profile: its overrides of {row.method} set {settings_text(causes)}"
        elif differing:
            why = f": what they say of {listed(differing)} is the default"
        else:
            why = ""
        lines.append(sentence(f'"{other.label}" and "{row.label}" are one and the same run{why}'))
    return lines


_UNSET = object()


def not_as_published(row: Row, results: SuiteResults) -> str:
    """Warn of overrides of settings that rows of the suite vary: rows that do not state them have the override."""
    if row.training is None or row.method not in results.overrides:
        return ""
    varied = {name for other in results.rows for name in other.variant}
    stated = results.overrides[row.method].settings
    changed = {
        name: value
        for name, value in stated.items()
        if name in varied and name not in row.variant and name in row.training.overrides
    }
    if not changed:
        return ""
    noun = "a setting" if len(changed) == 1 else "settings"
    return (
        f"in profile {results.profile} this is not {row.method} as published, even apart from the budget: its "
        f"overrides set {settings_text(changed)}, {noun} that this suite varies"
    )


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as text: `content = "none", supervision = false`."""
    return ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in sorted(settings.items()))


BETTER: dict[Direction, str] = {"lower": "lower is better", "higher": "higher is better", "one": "1 is best"}


def definitions(results: SuiteResults) -> list[tuple[str, str]]:
    """Return heading and definition of each metric."""
    return [
        (
            metric.label,
            f"{metric.definition}{f', in {metric.unit}' if metric.unit else ''}; {BETTER[metric.direction]}",
        )
        for metric in results.metrics
    ]


def data_line(results: SuiteResults) -> str:
    """Describe the run in a line."""
    return f"Data: {data_label(results.data)}, {results.size} px. Profile: {results.profile}."


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:].removesuffix('.')}." if text else ""


def listed(words: Sequence[str]) -> str:
    """Join words: `a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
