"""Results as a pandas frame."""

from __future__ import annotations

import pandas as pd

from benchmark.report.results import SuiteResults


def to_frame(results: SuiteResults) -> pd.DataFrame:
    """Return a line for each row of the suite and seed, in this order, and a column for each metric by its key.

    The other columns: suite, profile, data, row, label, method, guide, subset, extended, seed, edits (their number),
    failed (how the training failed by its own measure) and missing (why the row could not be measured; then
    it has one line without a seed). A metric that could not be measured is NaN.
    """
    lines = []
    for row in results.rows:
        named = {
            "suite": results.suite, "profile": results.profile, "data": results.data, "row": row.id, "label": row.label,
            "method": row.method, "guide": row.guide, "subset": row.subset, "extended": row.extended,
        }  # fmt: skip
        lines += [
            {
                **named,
                "seed": seed,
                "edits": scores.edits,
                "failed": "; ".join(row.failed.get(seed, ())),
                "missing": "",
                **{metric.key: scores.metrics.get(metric.key) for metric in results.metrics},
            }
            for seed, scores in row.seeds.items()
        ]
        if not row.seeds:
            lines.append({**named, "failed": "", "missing": row.missing})
    frame = pd.DataFrame(lines)
    keys = [metric.key for metric in results.metrics]
    frame = frame.reindex(columns=[*(name for name in frame.columns if name not in keys), *keys])
    whole = {name: "Int64" for name in ("seed", "edits") if name in frame}
    return frame.astype({**whole, **dict.fromkeys(keys, float)})
