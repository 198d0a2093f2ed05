"""Single edits and the judge's confusion matrices for the page of a report, read from the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmark.data.faceset import FaceSet
from benchmark.report.results import Row, SuiteResults
from benchmark.stages.base import Context
from benchmark.stages.own_networks import ScoreInNetwork, edits_in_networks
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.score import PER_EDIT, Score
from benchmark.stages.synthesize import EDITED

if TYPE_CHECKING:
    from benchmark.report.html.content import EditExample


def edit_examples(
    results: SuiteResults,
    scores: Mapping[str, Mapping[int, Score]],
    in_networks: Mapping[str, Sequence[ScoreInNetwork]],
    edited: Prepare,
    context: Context,
) -> list[EditExample]:
    """Choose the best, median and worst edit of each row in each metric of single edits, of the first seed.

    scores: by row id and seed. in_networks: by the key of scores, those in networks of one's own. edited: the faces
    that were edited. Rows whose edits are not stored are left out.
    """
    faces = load_faces(edited.folder(context))
    examples = []
    for row in results.rows:
        stage = next(iter(scores[row.id].values()), None)
        if stage is None or row.same_as or context.store.find(stage.edits.recipe) is None:
            continue
        table = edits_in_networks(stage, in_networks.get(stage.recipe.key, ()), context)
        examples += _examples(row, results, table, stage.edits.folder(context) / EDITED, faces)
    return examples


def _examples(
    row: Row, results: SuiteResults, table: pd.DataFrame, pictures: Path, faces: FaceSet
) -> list[EditExample]:
    from benchmark.report.html.content import EditExample, choose_edits

    edits = np.load(pictures, mmap_mode="r")
    examples = []
    for metric in results.metrics:
        if metric.per != "edit" or metric.key not in table:
            continue
        for which, index in choose_edits(table, metric).items():
            edit = table.iloc[index]
            examples.append(
                EditExample(
                    row.id, metric.key, which, float(edit[metric.key]),
                    edit["source_expression"], edit["target"], edit["judged"],
                    np.asarray(faces.images[edit["source"]]),
                    np.asarray(edits[index]),
                    np.asarray(faces.images[edit["truth"]]) if edit["truth"] >= 0 else None,
                )
            )  # fmt: skip
    return examples


def confusions(scores: Mapping[str, Mapping[int, Score]], context: Context) -> dict[str, np.ndarray]:
    """Count the judge's answers, 8 x 8 by row id, over all seeds; rows without scores are left out."""
    from benchmark.report.html.content import count_confusions

    def tables(stages: Sequence[Score]) -> list[pd.DataFrame]:
        return [pd.read_parquet(stage.folder(context) / PER_EDIT, columns=["target", "judged"]) for stage in stages]

    return {row: count_confusions(tables(list(by_seed.values()))) for row, by_seed in scores.items() if by_seed}
