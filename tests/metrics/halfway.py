"""Half-way edits of the committed set: rendered with action units half-way between those of source and true picture.

`halfway-64.parquet` has them, since starting the renderer takes longer than all tests of metrics;
`python -m tests.metrics.halfway` writes it again (needs the extra `render`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from benchmark.rendering.facs import CONTEMPT_SIDE, draw
from benchmark.rendering.shots import TURN_SPREAD, SetSettings, ShotName, ShotRenderer
from tests.metrics.committed import FILE as COMMITTED

FILE = Path(__file__).with_name("halfway-64.parquet")
SETTINGS = SetSettings(identities=80, size=64, cameras=(90,), gazes=("frontal",), seed=0)
"""Of the committed set's frontal pictures."""
PEOPLE = range(64, 80)
NAMES = sorted(EXPRESSIONS)
NOISE = 7
"""Purpose of the generator of a picture's sampling noise, of none of the set's own."""


def edits() -> list[tuple[int, str, str]]:
    """Person, source and target expression: two of the edits of each person in `test_planted_methods.edits_of`."""
    chosen = []
    for number, person in enumerate(PEOPLE):
        for shown in sorted({number % 8, (number + 3) % 8}):
            target = (shown + 1 + number % 7) % 8
            chosen.append((person, NAMES[shown], NAMES[target]))
    return chosen


def units_between(source: Mapping[str, float], target: Mapping[str, float], share: float) -> dict[str, float]:
    """Action units `share` of the way from source to target."""
    return {name: float(source[name] + share * (target[name] - source[name])) for name in ACTION_UNITS}


def render(renderer: ShotRenderer, person: int, source: str, target: str, units: Mapping[str, float]) -> np.ndarray:
    """S x S x 3: a person's frontal picture with these action units, the head turned as in the source picture."""
    shot = ShotName(person, source, "frontal").generator(renderer.settings.seed, 2)
    draw(source, shot)
    turn, nod = np.clip(shot.normal(0, TURN_SPREAD, 2), -2 * TURN_SPREAD, 2 * TURN_SPREAD)
    head = renderer.head(person)
    renderer.scene.set_pose(head.pose(units, {"AU14_r": CONTEMPT_SIDE}, "frontal"))
    view = renderer.scene.projection(head, 0, renderer.settings.size, (float(turn), float(nod)))
    noise = ShotName(person, target, "frontal").generator(renderer.settings.seed, NOISE)
    return renderer.scene.render(view, int(noise.integers(1 << 31)))


def main() -> None:
    """Render those that the file lacks; it is written after each person."""
    table = pd.read_parquet(COMMITTED)
    table = table[table["camera"] == 90].set_index(["identity", "expression"])[list(ACTION_UNITS)]
    rows = pd.read_parquet(FILE).to_dict("records") if FILE.exists() else []
    there = {(row["identity"], row["source"], row["target"]) for row in rows}
    renderer = ShotRenderer(SETTINGS)
    for person, source, target in edits():
        name, picture = f"{person:03d}", io.BytesIO()
        if (name, source, target) in there:
            continue
        units = units_between(table.loc[(name, source)], table.loc[(name, target)], 0.5)
        Image.fromarray(render(renderer, person, source, target, units)).save(picture, "WEBP", lossless=True)
        rows.append({"identity": name, "source": source, "target": target, "image": picture.getvalue()})
        pd.DataFrame(rows).to_parquet(FILE, index=False)


if __name__ == "__main__":
    main()
