"""The half-way edits that tests of metrics read from a file are the renderer's."""

from __future__ import annotations

import copy
import io

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.protocol import ACTION_UNITS
from benchmark.rendering.shots import ShotRenderer
from tests.metrics.committed import FILE as COMMITTED
from tests.metrics.halfway import FILE, SETTINGS, edits, render, units_between


def test_a_stored_half_way_edit_is_what_the_renderer_draws(renderer: ShotRenderer) -> None:
    stored = pd.read_parquet(FILE)
    assert [(int(row.identity), row.source, row.target) for row in stored.itertuples()] == edits()
    table = pd.read_parquet(COMMITTED).query("camera == 90").set_index(["identity", "expression"])[list(ACTION_UNITS)]
    first = stored.iloc[0]
    units = units_between(table.loc[(first.identity, first.source)], table.loc[(first.identity, first.target)], 0.5)
    of_the_set = copy.copy(renderer)
    of_the_set.settings, of_the_set._head = SETTINGS, None
    try:
        picture = render(of_the_set, int(first.identity), first.source, first.target, units)
    finally:
        renderer._head = None  # the scene that both share has the other set's head
    with Image.open(io.BytesIO(first.image)) as image:
        actual = np.asarray(image.convert("RGB"))
    assert np.abs(picture.astype(int) - actual).mean() < 0.5  # another processor may differ in last bits
