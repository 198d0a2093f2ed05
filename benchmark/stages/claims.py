"""The claims of a suite, and the edits that show the verdicts on them: what the report stage needs of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.config.paper import claims_path
from benchmark.config.suites import Suite
from benchmark.report.results import SuiteResults, marked
from benchmark.stages.base import Context
from benchmark.stages.own_networks import ScoreInNetwork, edits_in_networks
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.stages.score import Score
from benchmark.stages.synthesize import EDITED
from benchmark.statistics.claims import Claims, load_claims

if TYPE_CHECKING:
    from benchmark.report.claims_figure import ClaimPair


def suite_claims(suite: Suite) -> Claims | None:
    """The claims that a suite names, or None. Raises UserError for a file that is none.

    A copy of a suite under another name may have none about it, which the report says.
    """
    return load_claims(claims_path(suite.claims, f" of suite {suite.name}")) if suite.claims else None


def claim_pairs(
    results: SuiteResults,
    scores: Mapping[str, Mapping[int, Score]],
    in_networks: Mapping[str, Sequence[ScoreInNetwork]],
    edited: Prepare,
    context: Context,
) -> list[ClaimPair]:
    """For each claim that was tested on single edits, the pair of edits that shows it best, of the first seeds.

    scores: by row id and seed. in_networks: by the key of scores, those in networks of one's own. edited: the faces
    that were edited.
    """
    from benchmark.report.claims_figure import ClaimPair, EditPair, best_edit, shown_evidence
    from benchmark.report.verdict_text import evidence_line

    metrics = {metric.key: metric for metric in results.metrics}
    of_edits = {metric.key for metric in results.metrics if metric.per == "edit"}
    rows = {row.id: row for row in results.rows}
    faces = load_faces(edited.folder(context))
    pairs = []
    for verdict in results.verdicts:
        evidence = shown_evidence(verdict, of_edits)
        if evidence is None:
            continue
        shown = evidence.row, evidence.over
        stages = [next(iter(scores[row].values())) for row in shown]
        if any(context.store.find(stage.edits.recipe) is None for stage in stages):
            continue  # scores that were stored without their edits
        labels = [marked(rows[row].label, next(iter(scores[row])) in rows[row].failed) for row in shown]
        tables = [edits_in_networks(stage, in_networks.get(stage.recipe.key, ()), context) for stage in stages]
        index = best_edit(evidence, *tables)
        edits = [np.load(stage.edits.folder(context) / EDITED, mmap_mode="r")[index] for stage in stages]
        edit = tables[0].iloc[index]
        pair = EditPair(
            (labels[0], labels[1]),
            (edit["source_expression"], edit["target"]),
            np.asarray(faces.images[edit["source"]]),
            (np.asarray(edits[0]), np.asarray(edits[1])),
            np.asarray(faces.images[edit["truth"]]) if edit["truth"] >= 0 else None,
        )
        pairs.append(ClaimPair(verdict, evidence_line(evidence, metrics).partition(",")[0], pair))
    return pairs
