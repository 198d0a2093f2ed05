"""How a run made again differs from the original: its artifacts, and the statements of its results."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core.artifacts import Artifact
from benchmark.core.errors import quoted
from benchmark.report.results import SuiteResults
from benchmark.report.summary import with_statistics
from benchmark.stages.base import Context
from benchmark.stages.report import Report

SAME_NUMBER = 1e-6
"""Relative tolerance of values that other versions of a library compute from equal numbers."""
NEVER = frozenset({"reference"})
"""Fields that are not about the run: the results that were stored when it was made."""
MEASURED = NEVER | {"seeds", "summary", "judges", "readings", "readers", "floors", "verdicts", "keys"}
"""Fields that may differ with another machine or another judge."""
MADE = MEASURED | {"failed"}
"""Fields that may differ with other weights."""


def difference(then: Artifact, now: Artifact) -> str:
    """Return how two artifacts of one recipe differ, as a phrase."""
    phrases = []
    for name in sorted(then.manifest.files.keys() | now.manifest.files.keys()):
        files = [artifact.manifest.files.get(name) for artifact in (then, now)]
        if files[0] is not None and files[0] == files[1]:
            continue
        if None in files:
            phrases.append(f"{name} is in one alone")
        elif name.endswith(".npy"):
            phrases.append(f"{name}: {_arrays(np.load(then.folder / name), np.load(now.folder / name))}")
        elif name.endswith(".safetensors"):
            phrases.append(f"{name}: {_tensors(then.folder / name, now.folder / name)}")
        else:
            phrases.append(f"{name} differs")
    return "; ".join(phrases) or "facts differ"


def _arrays(then: np.ndarray, now: np.ndarray) -> str:
    if then.shape != now.shape:
        return f"shape {then.shape} became {now.shape}"
    off = np.abs(then.astype(np.float64) - now.astype(np.float64))
    return f"off by {off.max():.3g} at most, {off.mean():.3g} on average"


def _tensors(then: Path, now: Path) -> str:
    from safetensors.numpy import load_file

    first, second = load_file(then), load_file(now)
    if first.keys() != second.keys():
        return "other tensors"
    squared = sum(float(np.square(first[name].astype(np.float64) - second[name]).sum()) for name in first)
    whole = sum(float(np.square(first[name].astype(np.float64)).sum()) for name in first)
    return f"weights off by {math.sqrt(squared / whole) if whole else math.inf:.2g} of their norm"


def contradictions(
    stated: SuiteResults, report: Report, context: Context, without: Collection[str] | None
) -> Iterator[str]:
    """Yield a phrase for each wrong statement of results.

    without: fields that may differ from the report made again; None if that is another report. Unless they are `NEVER`,
    intervals, ranks and verdicts are also checked against the results' own numbers.
    """
    if without is not None:
        again = _plain(report.results(context), without)
        yield from _differences(_plain(stated, without), again, "made again it is")
    if without != NEVER:
        follows = _plain(restated(stated, report), ())
        yield from _differences(_plain(stated, ()), follows, "from its own numbers follows")


def restated(results: SuiteResults, report: Report) -> SuiteResults:
    """Return results with intervals, ranks and (if they have any) verdicts computed from their own numbers."""
    return with_statistics(results, report.claims if results.verdicts else None, report.undecided)


def _plain(results: SuiteResults, without: Collection[str]) -> Any:
    """Return results as JSON values, without some fields."""

    def less(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: less(each) for key, each in value.items() if key not in without}
        return [less(each) for each in value] if isinstance(value, list) else value

    return less(json.loads(results.dump()))


def _differences(stated: Any, other: Any, words: str, where: str = "") -> Iterator[str]:
    """Yield a phrase for each difference: `rows mtss-r, label is 'a', made again it is 'b'`."""
    if isinstance(stated, float | int) and isinstance(other, float | int):
        if not math.isclose(stated, other, rel_tol=SAME_NUMBER, abs_tol=SAME_NUMBER):
            yield f"{where} is {stated}, {words} {other}"
    elif isinstance(stated, dict) and isinstance(other, dict) and stated.keys() == other.keys():
        for key in stated:
            yield from _differences(stated[key], other[key], words, f"{where}, {key}" if where else key)
    elif isinstance(stated, list) and isinstance(other, list) and len(stated) == len(other):
        for index, (one, another) in enumerate(zip(stated, other, strict=True)):
            name = one["id"] if isinstance(one, dict) and "id" in one else index + 1
            yield from _differences(one, another, words, f"{where} {name}")
    elif stated != other:
        yield f"{where} is {quoted(stated)}, {words} {quoted(other)}"
