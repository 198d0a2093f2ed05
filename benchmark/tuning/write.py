"""Write the outcome of a tuning: a page with all trials, the same as CSV, best-of-k curves, and the tuned profile."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmark.config.loading import find
from benchmark.config.profiles import PROFILES
from benchmark.core.hashes import write_text
from benchmark.core.progress import duration
from benchmark.report.markdown import escape_markdown
from benchmark.report.tables import EMPTY, metric_heading, number
from benchmark.settings import documented
from benchmark.training.registry import find_method
from benchmark.tuning.outcome import Measured, MethodOutcome
from benchmark.tuning.run import RunTrials
from benchmark.tuning.trials import FIXED

PAGE, TABLE, CURVES, RECORDS = "tuning.md", "trials.csv", "best-of.png", "trainings.json"
SHOWN = 4
"""Significant digits of a setting."""


def write_tuning(run: RunTrials, outcomes: Sequence[MethodOutcome], folder: Path, seed: int) -> list[Path]:
    """Write all files into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    profile = f"{run.tuning.profile.name}-tuned.yaml"
    write_text(folder / PAGE, page(run, outcomes, seed))
    write_text(folder / TABLE, trials_csv(run, outcomes))
    write_text(folder / profile, tuned_profile(run, outcomes))
    write_text(folder / RECORDS, records(run, outcomes))
    names = [PAGE, TABLE, profile, RECORDS]
    if draw_curves(outcomes, run.tuning.space.criterion, folder / CURVES):
        names.append(CURVES)
    return [folder / name for name in names]


# ------------------------------------------------------------------------------------------------ the page
def page(run: RunTrials, outcomes: Sequence[MethodOutcome], seed: int) -> str:
    """Return the text of `tuning.md`."""
    tuning, results = run.tuning, run.results
    metrics = {metric.key: metric for metric in results.metrics}
    criterion, ties = metrics[tuning.space.criterion], metrics[tuning.space.ties]
    count = len(tuning.trials) // len(tuning.rows)
    given = f"Each method has {count} trials: the published values of the space and the profile's"
    if count > FIXED:
        given += f", and {count - FIXED} drawn up front by a scrambled Halton sequence (seed {seed})"
    parts = [
        f"# Tuning of {escape_markdown(tuning.suite.name)}, profile {escape_markdown(tuning.profile.name)}",
        f"{given}. The trial with the best {escape_markdown(criterion.label)} is chosen ({criterion.direction} is "
        f"better; ties by {escape_markdown(ties.label)}, {ties.direction} is better), on {results.test_identities} "
        f"identities taken from the training ones; {results.train_identities} are trained on, and no test identity is "
        "in any trial. A mean is over the rows named in brackets.",
        f"**Length.** A trial is as many iterations as take about {duration(tuning.seconds)} of one core at the costs "
        "that the space declares; with another batch than the published one, as many as see the same pictures. What "
        "was spent, in seconds of processor time as measured and in pictures seen:",
        _spent(outcomes),
        "## Chosen",
        "\n".join(_choice(each, run) for each in outcomes),
    ]
    for each in outcomes:
        rows = ", ".join(row.label for row in tuning.rows[each.method])
        parts += [f"## {escape_markdown(each.method)} ({escape_markdown(rows)})", _trials(each, run)]
    if any(each.curve for each in outcomes):
        parts += _best_of(outcomes, criterion.decimals)
    return "\n\n".join(parts) + "\n"


def _best_of(outcomes: Sequence[MethodOutcome], decimals: int) -> list[str]:
    return [
        "## The best of k trials",
        "What is expected of k drawn trials (the unbiased estimator of Tang et al., arXiv 2004.13705), and in brackets "
        "where the best of k of these trials lies in 95 of 100 choices.",
        _curves(outcomes, decimals),
        f"![The best of k trials]({CURVES})",
    ]


def _spent(outcomes: Sequence[MethodOutcome]) -> str:
    head = "| method | trials | processor seconds | seconds a trial | pictures seen | pictures a trial |"
    lines = [head, "|---|--:|--:|--:|--:|--:|"]
    for each in outcomes:
        count = max(1, sum(trial.record is not None for trial in each.trials))
        cells = [
            escape_markdown(each.method), str(len(each.trials)), f"{each.seconds:,.0f}", f"{each.seconds / count:,.0f}",
            f"{each.pictures:,}", f"{each.pictures / count:,.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _choice(each: MethodOutcome, run: RunTrials) -> str:
    name = escape_markdown(each.method)
    if each.chosen is None:
        return f"- {name}: nothing, since no trial could be measured"
    digits = next(metric.decimals for metric in run.results.metrics if metric.key == run.tuning.space.criterion)
    trial = each.chosen.trial
    return f"- {name}: trial {trial.number} ({trial.kind}), {number(each.chosen.value, digits)}: " + ", ".join(
        f"`{key}` = `{_shown(value)}`" for key, value in trial.settings.items()
    )


def _trials(each: MethodOutcome, run: RunTrials) -> str:
    tuning = run.tuning
    metrics = [metric for metric in run.results.metrics if metric.key in (tuning.space.criterion, tuning.space.ties)]
    metrics.sort(key=lambda metric: metric.key != tuning.space.criterion)
    settings = list(tuning.space.methods[each.method].settings)
    head = ["trial", *(escape_markdown(metric_heading(metric)) for metric in metrics), *settings]
    head += ["iterations", "pictures", "seconds", ""]
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(['---', *['--:'] * (len(head) - 2), '---'])}|"]
    for one in each.trials:
        mark = "**" if one is each.chosen else ""
        cells = [f"{mark}{one.trial.number} {one.trial.kind}{mark}"]
        cells += [number(one.others.get(metric.key), metric.decimals) for metric in metrics]
        cells += [_shown(one.trial.settings[name]) for name in settings]
        cells += [f"{one.trial.iterations:,}", f"{one.pictures:,}" if one.pictures else EMPTY]
        cells += [f"{one.seconds:,.0f}" if one.seconds else EMPTY, escape_markdown(one.why[:200])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _curves(outcomes: Sequence[MethodOutcome], decimals: int) -> str:
    most = max((len(each.curve) for each in outcomes), default=0)
    lines = [f"| method | {' | '.join(f'k = {k}' for k in range(1, most + 1))} |", f"|---|{'--:|' * most}"]
    for each in outcomes:
        cells = [f"{best.mean:.{decimals}f} [{best.low:.{decimals}f}, {best.high:.{decimals}f}]" for best in each.curve]
        cells = [escape_markdown(cell) for cell in cells] + [EMPTY] * (most - len(cells))
        lines.append(f"| {escape_markdown(each.method)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return f"{value:.{SHOWN}g}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------------------------------------------ other files
def records(run: RunTrials, outcomes: Sequence[MethodOutcome]) -> str:
    """Return the text of `trainings.json`.

    It has the criterion, the identities trained on and validated on, and for each trial its value and the key,
    settings, cost and machine of its training.
    """
    trials = {}
    for each in outcomes:
        for one in each.trials:
            trial: dict[str, Any] = {
                "method": each.method, "kind": one.trial.kind, "settings": dict(one.trial.settings),
                "iterations": one.trial.iterations, "value": one.value, "tie": one.tie, "chosen": one is each.chosen,
            }  # fmt: skip
            if one.record is not None:
                made = one.record.made
                trial |= {
                    "key": one.record.key, "pictures": one.pictures, "processor_seconds": one.seconds,
                    "seconds": one.record.seconds, "updates": one.record.facts["updates"],
                    **{name: made.get(name) for name in ("device", "processor", "threads", "commit", "time")},
                }  # fmt: skip
            trials[one.trial.name] = trial | ({"failed": one.why} if one.why else {})
    content = {
        "criterion": run.tuning.space.criterion,
        "ties": run.tuning.space.ties,
        "identities": {"trained_on": run.identities["train"], "validated_on": run.identities["test"]},
        "declared_seconds": run.tuning.seconds,
        "trials": trials,
    }
    return json.dumps(content, indent=1) + "\n"


def trials_csv(run: RunTrials, outcomes: Sequence[MethodOutcome]) -> str:
    """Return the text of `trials.csv`: a line for each trial, with settings as JSON and every metric."""
    keys = [metric.key for metric in run.results.metrics]
    stream = io.StringIO()
    head = ["method", "trial", "kind", "chosen", "iterations", "pictures", "seconds", "settings", *keys, "failed"]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    for each in outcomes:
        for one in each.trials:
            writer.writerow(
                [
                    each.method, one.trial.number, one.trial.kind, "yes" if one is each.chosen else "",
                    one.trial.iterations, one.pictures or "", one.seconds or "",
                    json.dumps(dict(one.trial.settings), sort_keys=True), *(one.others.get(key, "") for key in keys),
                    one.why,
                ]
            )  # fmt: skip
    return stream.getvalue()


def tuned_profile(run: RunTrials, outcomes: Sequence[MethodOutcome]) -> str:
    """Return the profile as YAML, with the chosen settings and the reason in its overrides."""
    path = find("profile", PROFILES, run.profile)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    overrides = dict(content.get("overrides") or {})
    for each in outcomes:
        if each.chosen is not None and each.chosen.trial.kind != "profile":
            overrides[each.method] = _override(each, each.chosen, overrides.get(each.method) or {}, run)
    content["overrides"] = overrides
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _override(each: MethodOutcome, chosen: Measured, old: Mapping[str, Any], run: RunTrials) -> dict[str, Any]:
    defaults = {row.name: row.value for row in documented(find_method(each.method).Settings)}
    settings = {**dict(old.get("settings") or {}), **chosen.trial.settings}
    space = run.tuning.space.methods[each.method].settings
    kept = {name: value for name, value in settings.items() if name not in space or value != defaults[name]}
    metrics = {metric.key: metric for metric in run.results.metrics}
    criterion = metrics[run.tuning.space.criterion]
    tuned = (
        f"Tuned: the best of {len(each.trials)} trials of {duration(run.tuning.seconds)} of one core by "
        f"{criterion.label} ({number(chosen.value, criterion.decimals)}) on {run.results.test_identities} identities "
        "to validate on."
    )
    return {"why": " ".join(filter(None, (str(old.get("why", "")).strip(), tuned))), "settings": kept}


def draw_curves(outcomes: Sequence[MethodOutcome], criterion: str, path: Path) -> bool:
    """Write the figure: a line for each method over k, with its bounds, and the published values as marks at 1."""
    drawn = [each for each in outcomes if each.curve]
    if not drawn:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from benchmark.report.curves import COLOURS

    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for each, colour in zip(drawn, (COLOURS * len(drawn))[: len(drawn)], strict=True):
        ks = [best.trials for best in each.curve]
        axes.plot(ks, [best.mean for best in each.curve], color=colour, label=each.method, marker=".")
        axes.fill_between(
            ks, [best.low for best in each.curve], [best.high for best in each.curve], color=colour, alpha=0.12, lw=0
        )
        for kind, marker in (("published", "x"), ("profile", "o")):
            values = [one.value for one in each.trials if one.trial.kind == kind and one.value is not None]
            axes.plot([0.8] * len(values), values, marker, color=colour, fillstyle="none")
    axes.set_xlabel("k drawn trials (left of 1: × the published values, ○ the profile's)")
    axes.set_ylabel(f"best {criterion}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Software": None})
    return True
