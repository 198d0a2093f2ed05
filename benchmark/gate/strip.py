"""One edit of the stored weights for each row, side by side, for a CI's summary."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.gate.plans import Suite
from benchmark.report.strip import draw_strip
from benchmark.stages.prepare import load_faces
from benchmark.stages.synthesize import EDITED, EDITS


def strip_of(suite: Suite, weights: Mapping[str, Path]) -> bytes:
    """Return a PNG of the first edit of each row, after its source; empty if the probe has not made them."""
    plan = suite.probe_plan(weights)
    source, pictures, names = None, [], []
    for entry in plan.rows:
        for score in entry.scores.values():
            artifact = suite.store.find(score.edits.recipe)
            if artifact is None:
                return b""
            edited = np.load(artifact.folder / EDITED, mmap_mode="r")
            edits = pd.read_parquet(artifact.folder / EDITS)
            if source is None:
                source = load_faces(plan.edited.folder(suite.context)).images[edits["source"].iloc[0]]
            pictures.append(np.asarray(edited[0]))
            names.append(entry.row.id)
    if source is None:
        return b""
    stream = io.BytesIO()
    draw_strip(np.asarray(source), pictures, names).image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
