"""Columns of networks of one's own: their features of the real test pictures, and the scores of each row in them.

They stand beside `score`, not in it: a network that is added to a finished suite trains nothing and measures nothing
else again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.core.files import save_array
from benchmark.data.edit_lists import list_key
from benchmark.data.faceset import FaceSet
from benchmark.metrics.features import FLOOR
from benchmark.metrics.metric import REASONS, EditMetric, Edits, FeaturePairs, View
from benchmark.protocol import Subset
from benchmark.report.results import Scores
from benchmark.stages.base import Context, NoFacts, Stage, StageResult, Work
from benchmark.stages.features import crop_faces, identities, real_rows
from benchmark.stages.network_choice import NetworkChoice
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.score import PER_EDIT, KnownFeatures, Score, Sides, summarise_edits
from benchmark.stages.synthesize import EDITED, EDITS

FEATURES = "features.npy"


class RealInNetwork(Stage[NoFacts]):
    """A network's features of the real test pictures of a subset, which are sources and the real side of distances."""

    kind = "network-features"
    facts_type = NoFacts
    files = (FEATURES,)

    def __init__(self, prepare: Prepare, subset: Subset, network: NetworkChoice) -> None:
        self.faces, self.subset, self.network = prepare, subset, network
        name = f"network {network.sha256[:8]} {subset}"
        super().__init__(name, {**network.settings, "subset": subset}, {"faces": prepare})

    def work(self) -> Work:
        """Count the pictures."""
        return Work(_rate(self.network), self.faces.test_pictures(self.subset), 20_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        """Extract them."""
        faces = load_faces(self.faces.folder(context))
        rows = faces.rows(self.subset, "test")
        extract = partial(self.network.features, context=context, title=self.name)
        save_array(folder / FEATURES, self.network.of_faces(np.asarray(faces.images[rows]), faces, rows, extract))
        return StageResult(NoFacts())


class ScoreInNetwork(Stage[Scores]):
    """One row of a suite, for one seed, in the columns of a network."""

    kind = "network-scores"
    facts_type = Scores
    files = (PER_EDIT,)

    def __init__(
        self, edits: Stage, prepare: Prepare, real: RealInNetwork, targets: tuple[str, ...], allow_small: bool
    ) -> None:
        """edits: any stage that writes EDITED and EDITS. targets: of the real side of distances, all where empty."""
        self.edits, self.faces, self.real, self.targets, self.allow_small = edits, prepare, real, targets, allow_small
        self.network = real.network
        versions = {metric.key: metric.version for metric in self.network.metrics}
        settings = {"allow_small": allow_small, "floor": FLOOR, "metrics": versions, "targets": list(targets)}
        name = f"network {self.network.sha256[:8]} of {edits.name.removeprefix('synthesize ')}"
        super().__init__(name, settings, {"edits": edits, "faces": prepare, "real": real})

    def work(self) -> Work:
        """Estimate by the features of the edits."""
        return Work(_rate(self.network), self.edits.work().amount, 10_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[Scores]:
        """Measure the network's metrics."""
        faces = load_faces(self.faces.folder(context))
        edited = self.edits.folder(context)
        images, table = np.load(edited / EDITED), pd.read_parquet(edited / EDITS)
        metrics = self.network.metrics
        if not len(table):  # of the true pictures, where there are none
            pd.DataFrame().to_parquet(folder / PER_EDIT)
            reasons = dict.fromkeys((metric.key for metric in metrics), REASONS["true picture"])
            return StageResult(Scores(0, dict.fromkeys(reasons), reasons))
        test, sources = faces.rows(self.real.subset, "test"), table["source"].to_numpy()
        real = np.load(self.real.folder(context) / FEATURES)
        pairs = FeaturePairs(
            self._of_edits(images, faces, sources, real, test, context), real[np.searchsorted(test, sources)]
        )
        edits = Edits(images, table, faces, np.zeros(len(table), np.int64), features=pairs)
        shown = np.isin(test, real_rows(faces, self.real.subset, self.targets))
        people, real_people = identities(faces, sources), identities(faces, test)
        sides = _sides(pairs.edits, people, real[shown], real_people[shown])
        per_edit = table.assign(identity=people)
        for metric in metrics:
            if isinstance(metric, EditMetric):
                per_edit[metric.key] = metric.values(edits)
        per_edit.to_parquet(folder / PER_EDIT, index=False)
        key = list_key(table, faces.table["face_id"])
        views: dict[View, Sides] = {"whole": sides, "cropped": sides}
        return StageResult(summarise_edits(metrics, per_edit, views, self.allow_small, key))

    def _of_edits(
        self, images: np.ndarray, faces: FaceSet, sources: np.ndarray, real: np.ndarray, test: np.ndarray,
        context: Context,
    ) -> np.ndarray:  # fmt: skip
        """Features of the edits; equal pictures are extracted once, and real ones not again."""
        known = KnownFeatures()
        have = np.isfinite(real).all(1)
        if have.any():
            shown = np.asarray(faces.images[test[have]])
            whole = self.network.described.crop == "whole"
            known.add(shown if whole else crop_faces(shown, faces, test[have]), real[have])
        extract = partial(self.network.features, context=context, title=self.name)
        return self.network.of_faces(images, faces, sources, partial(known.complete, extract=extract))


def edits_in_networks(score: Score, others: Sequence[ScoreInNetwork], context: Context) -> pd.DataFrame:
    """The list of a row's edits with their numbers in every metric of single edits, networks of one's own included."""
    table = pd.read_parquet(score.folder(context) / PER_EDIT)
    for stage in others:
        own = [metric.key for metric in stage.network.metrics if metric.per == "edit"]
        table = table.assign(**pd.read_parquet(stage.folder(context) / PER_EDIT, columns=own))
    return table


def _sides(edits: np.ndarray, people: np.ndarray, real: np.ndarray, real_people: np.ndarray) -> Sides:
    """The pictures that have features; nothing where none has."""
    known, real_known = np.isfinite(edits).all(1), np.isfinite(real).all(1)
    if not (known.any() and real_known.any()):
        return Sides(None, people, None, real_people)
    return Sides(edits[known], people[known], real[real_known], real_people[real_known])


def _rate(network: NetworkChoice) -> str:
    return f"network {network.sha256[:8]}"


def with_networks(scores: Scores, others: Sequence[Scores]) -> Scores:
    """A row's scores with those in networks of one's own, of the same edits."""
    for other in others:
        if other.edits_key != scores.edits_key:
            raise ValueError("scores of other edits")
        scores = dataclasses.replace(
            scores,
            metrics={**scores.metrics, **other.metrics},
            reasons={**scores.reasons, **other.reasons},
            by_identity={**scores.by_identity, **other.by_identity},
        )
    return scores
