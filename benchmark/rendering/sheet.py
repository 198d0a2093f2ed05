"""Contact sheet of a rendered set: a row per identity, a column per expression, the cameras in turn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core.errors import UserError
from benchmark.protocol import EXPRESSIONS
from benchmark.rendering.output import TABLE_FILE
from benchmark.rendering.placement import PLACEMENTS
from benchmark.rendering.shots import picture_name
from benchmark.rendering.workers import write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

GAP, HEADING = 2, 22
PAPER, INK = (255, 255, 255), (40, 40, 44)
ROWS = 6
TILE = 128


def contact_sheet(
    source: Path,
    out: Path,
    identities: Sequence[str] | None = None,
    cameras: Sequence[int] | None = None,
    tile: int = TILE,
    turn: int = 0,
) -> None:
    """Write a PNG with the eight expressions of some identities of a set.

    source: a set's folder or its single file. identities: the first six where None. cameras: all of the set's where
    None. The picture in row r and column c shows view c + r * `turn` (modulo their number), all placements of a camera
    before the next camera. Tiles are `tile` pixels, enlarged without smoothing. Raises UserError for a missing picture.
    """
    import pandas as pd
    from PIL import Image, ImageDraw, ImageFont

    table = pd.read_parquet(source / TABLE_FILE if source.is_dir() else source).set_index("face_id")
    gaze = "frontal" if "frontal" in set(table["gaze"]) else str(table["gaze"].iloc[0])
    people = list(identities or sorted(table["identity"].unique())[:ROWS])
    placed = set(table["placement"]) if "placement" in table else {"aligned"}
    views = [
        (camera, placement)
        for camera in cameras or sorted(int(camera) for camera in table["camera"].unique())
        for placement in PLACEMENTS
        if placement in placed
    ]
    step = tile + GAP
    sheet = Image.new("RGB", (len(EXPRESSIONS) * step - GAP, HEADING + len(people) * step - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(max(11, tile // 9))
    for column, expression in enumerate(EXPRESSIONS):
        draw.text((column * step + tile / 2, HEADING / 2), expression, INK, font, anchor="mm")
        for row, person in enumerate(people):
            camera, placement = views[(column + row * turn) % len(views)]
            picture = _picture(source, table, picture_name(person, expression, camera, gaze, placement))
            method = Image.Resampling.NEAREST if picture.width < tile else Image.Resampling.LANCZOS
            sheet.paste(picture.resize((tile, tile), method), (column * step, HEADING + row * step))
    write_atomically(out, lambda part: sheet.save(part, "PNG", optimize=True))


def _picture(source: Path, table: pd.DataFrame, name: str) -> Image:
    from PIL import Image

    if name not in table.index:
        raise UserError(f"{source} has no picture {name}")
    stored: Any = None if source.is_dir() else table.at[name, "image"]
    content = source / f"{name}.png" if stored is None else io.BytesIO(stored)
    with Image.open(content) as picture:
        return picture.convert("RGB")
