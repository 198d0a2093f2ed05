"""Find rows of finished results by id, and check whether two rows may be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.reference import REPORTS
from benchmark.core.errors import UserError, did_you_mean, quoted, unknown
from benchmark.core.files import fault_of
from benchmark.metrics.metric import MetricDescription
from benchmark.metrics.registry import METRICS
from benchmark.report.files import FILES
from benchmark.report.results import Row, SuiteResults, load_results

RESULTS = FILES["results"]
Load = Callable[[Path], SuiteResults]
BUILT_IN = {metric.key for metric in METRICS}
NEED_READER = {metric.key for metric in METRICS if {"action units", "landmarks read"} & set(metric.needs)}
NEED_JUDGE = {metric.key for metric in METRICS if "judge" in metric.needs}


@dataclass(frozen=True)
class FoundRow:
    """A row and its results. name: as given by the user."""

    name: str
    path: Path
    results: SuiteResults
    row: Row


def find_rows(asked: tuple[str, str], folders: Sequence[Path], load: Load = load_results) -> tuple[FoundRow, FoundRow]:
    """Find two rows, each given as `ID` in the results below `folders` or as `PATH:ID`.

    load: reads the file at PATH. Two ids without a path are taken from the newest results that have both. Raises
    UserError if a row does not exist.
    """
    bare = [name for name in asked if ":" not in name]
    readable = _readable([file for folder in folders for file in result_files(folder)]) if bare else []
    both = [entry for entry in readable if set(bare) <= {row.id for row in entry[1].all_rows}]
    first, second = (_find(name, both or readable, folders, load) for name in asked)
    return first, second


def _find(asked: str, entries: Sequence[tuple[Path, SuiteResults]], folders: Sequence[Path], load: Load) -> FoundRow:
    path, colon, name = asked.rpartition(":")
    if colon:
        entries = [(file, load(file)) for file in result_files(Path(path))]
    for file, results in entries:
        for row in results.all_rows:
            if row.id == name:
                if row.missing:
                    raise UserError(f"row {row.id} of {file} has no numbers: {row.missing}")
                return FoundRow(asked, file, results, row)
    known = dict.fromkeys(row.id for _, results in entries for row in results.all_rows)
    raise unknown("row", name, known, f"in {path if colon else ', '.join(map(str, folders))}")


def _readable(files: Sequence[Path]) -> list[tuple[Path, SuiteResults]]:
    """Return the results that this version can read; raise the UserError of the first if it can read none."""
    entries, first = [], None
    for file in files:
        try:
            entries.append((file, load_results(file)))
        except UserError as error:
            first = first or error
    if first and not entries:
        raise first
    return entries


def result_files(path: Path) -> list[Path]:
    """The results at a path: itself, those of a report's folder, or of all reports below the --out of a run.

    One that may not be read is among them. Raises PermissionError where a folder of reports may not be read.
    """
    if path.is_file():
        return [path]
    if (path / RESULTS).is_file():
        return [path / RESULTS]
    above = [folder for folder in (path, path / REPORTS) if folder.is_dir()]
    folders = [each for folder in above for each in folder.iterdir() if each.is_dir()]
    below = [folder / RESULTS for folder in folders if fault_of(folder / RESULTS) != "is missing"]
    if not below:
        raise UserError(f"{path} holds no {RESULTS}: give a report's folder, or the --out of benchmark.run")
    return sorted(below, key=lambda file: (-_modified(file), str(file)))


def _modified(file: Path) -> float:
    """Return the time of a file's last change in seconds; 0 if it may not be read."""
    try:
        return file.stat().st_mtime
    except PermissionError:
        return 0.0


def results_file(path: Path) -> Path:
    """The results at a path: itself, those of a report's folder, or of the newest report below the --out of a run.

    Raises UserError where there are none.
    """
    return result_files(path)[0]


def comparable_metrics(first: FoundRow, second: FoundRow, asked: Sequence[str] | None) -> list[MetricDescription]:
    """The metrics in which two rows may be compared: those asked for, or all that both have.

    Raises UserError, with the reason, for rows of other edits or pictures, for metrics of other features or another
    judge, and for metrics that a row does not have.
    """
    if (first.path, first.row.id) == (second.path, second.row.id):
        raise UserError(f"{first.name} and {second.name} are the same row")
    _check_same_edits(first, second)
    metrics = {metric.key: metric for metric in first.results.metrics}
    for key in asked or ():
        if key not in metrics:
            raise UserError(f"unknown metric {quoted(key)}{did_you_mean(key, metrics)}")
    chosen = []
    for key in dict.fromkeys(asked or metrics):
        metric = metrics[key]
        reason = obstacle(metric, first, second)
        if reason and asked:
            raise UserError(f"{metric.label} of {first.name} and {second.name} cannot be compared: {reason}")
        if not reason:
            chosen.append(metric)
    if not chosen:
        raise UserError(f"{first.name} and {second.name} have no metric that can be compared")
    return chosen


def _check_same_edits(first: FoundRow, second: FoundRow) -> None:
    """Raise UserError if the rows are not edits of the same pictures to the same expressions."""
    if reason := apart(first, second):
        raise UserError(f"{first.name} and {second.name} {reason}: not comparable")


def apart(first: FoundRow, second: FoundRow) -> str:
    """Return why two rows do not have the same edits, as a predicate without "they", or ""."""
    a, b = first.results, second.results
    for kind, mine, other in (
        ("subsets", first.row.subset, second.row.subset),
        ("data sets", a.data, b.data),
        ("picture sizes", a.size, b.size),
        ("faces", a.faces, b.faces),
    ):
        if mine != other:
            return f"are of other {kind} ({mine} and {other})"
    keys = [{scores.edits_key for scores in each.row.seeds.values()} for each in (first, second)]
    if keys[0] != keys[1] or len(keys[0]) != 1:
        return "answer other lists of edits"
    return "" if _pictures(a) == _pictures(b) else "are edits of other pictures (another data set)"


def _pictures(results: SuiteResults) -> set[str]:
    """Return the content keys of the prepared faces."""
    return {key for name, key in results.keys.items() if name.startswith("prepare ")}


def obstacle(metric: MetricDescription, first: FoundRow, second: FoundRow) -> str:
    """Return why the rows may not be compared in a metric, or ""."""
    for each in (first, second):
        if not each.row.values(metric.key):
            reasons = [scores.reasons.get(metric.key, "") for scores in each.row.seeds.values()]
            return f"{each.name} has none ({next(filter(None, reasons), 'not measured')})"
        sample = each.row.sample(metric)
        if sample is None or sample.over_identities is None:
            return f"{each.name} has too few test identities"
    a, b = first.results, second.results
    if metric.key not in BUILT_IN:
        other = next((each for each in b.metrics if each.key == metric.key), metric)
        return (
            ""
            if other.definition == metric.definition
            else "their pictures were prepared for the network in other ways"
        )
    if metric.per == "set" and a.features.identity != b.features.identity:
        return f"they are in other features ({a.features.name} and {b.features.name})"
    judge = f"judge {first.row.subset}"
    if metric.key in NEED_JUDGE and a.keys.get(judge) != b.keys.get(judge):
        return "their judges are not the same"
    readings = f"readings {first.row.subset}"
    if metric.key in NEED_READER and a.keys.get(readings) != b.keys.get(readings):
        return "their readers are not the same"
    return ""
