"""The suite's own rows, measured with the same ruler: from a report in the store, if there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.artifacts import Damaged, Manifest, Recipe, Store
from benchmark.core.errors import UserError
from benchmark.data.edit_lists import EditList
from benchmark.external.listing import Listing
from benchmark.protocol import Subset
from benchmark.report.results import Row, SuiteResults, load_results
from benchmark.stages.features import RealFeatures
from benchmark.stages.judge import TrainJudge
from benchmark.stages.prepare import Prepare
from benchmark.stages.report import scores_role


@dataclass(frozen=True)
class Ruler:
    """What two rows of a subset must share to stand in one table."""

    edits: EditList
    judge: TrainJudge
    real: RealFeatures


@dataclass(frozen=True)
class Neighbours:
    """A report, less the rows that were measured otherwise."""

    folder: Path
    results: SuiteResults

    @property
    def measured(self) -> int:
        """Rows with numbers."""
        return sum(bool(row.seeds) for row in self.results.rows)


def find_neighbours(
    store: Store, listing: Listing, prepare: Prepare, rulers: Mapping[Subset, Ruler]
) -> Neighbours | None:
    """Of the reports of the list's suite and profile, the one with the most rows of its data, edits, judge and real
    features; of several, the latest.
    """
    best: Neighbours | None = None
    made = [manifest for manifest in store.manifests("reports") if _is_of(manifest, listing, prepare)]
    for manifest in sorted(made, key=lambda manifest: str(manifest.made.get("time", ""))):
        recipe = Recipe(manifest.kind, manifest.name, manifest.settings, manifest.inputs, manifest.version)
        try:
            report = store.find(recipe)
            if report is None:
                continue
            results = load_results(report.folder / "results.json")
        except (Damaged, UserError):
            continue  # damaged, or written by another version of the benchmark
        rows = tuple(row for row in results.rows if row.missing or _is_measured_with(row, manifest, store, rulers))
        found = Neighbours(report.folder, dataclasses.replace(results, rows=rows))
        if found.measured >= (best.measured if best else 1):
            best = found
    return best


def _is_of(manifest: Manifest, listing: Listing, prepare: Prepare) -> bool:
    settings = manifest.settings
    return (
        settings.get("suite") == listing.suite
        and settings.get("profile") == listing.profile
        and manifest.inputs.get("faces") == prepare.recipe.key
    )


def _is_measured_with(row: Row, report: Manifest, store: Store, rulers: Mapping[Subset, Ruler]) -> bool:
    """Whether all seeds of a row have the ruler of its subset."""
    ruler = rulers.get(row.subset)
    if ruler is None:
        return False
    scores = {manifest.key: manifest for manifest in store.manifests("scores")}
    synth = {manifest.key: manifest for manifest in store.manifests("synth")}
    for seed in row.seeds:
        scored = scores.get(report.inputs.get(scores_role(row.id, seed), ""))
        if scored is None:
            return False
        edits = synth.get(scored.inputs["edits"])
        if (
            edits is None
            or edits.settings["edits"] != ruler.edits.settings
            or scored.inputs["judge"] != ruler.judge.recipe.key
            or scored.inputs["real"] != ruler.real.recipe.key
        ):
            return False
    return True
