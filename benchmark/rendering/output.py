"""Output of a rendered set: its folder, resuming it, the face table, the single file.

A set is a folder of PNG files `{identity}_{expression}_{camera:03d}_{gaze}.png` (and `_{placement}`, where that is not
`aligned`), `settings.json`, and, written last, `faces.parquet`, with its SHA-256 in `faces.sha256`. Every picture
depends on the settings and its own name only, so neither the number of workers nor an interruption changes a byte.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core.errors import UserError
from benchmark.core.files import read_memory
from benchmark.core.hashes import recorded_sha256
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from benchmark.rendering.shots import SetSettings, ShotName, ShotRenderer
from benchmark.rendering.workers import PARTIAL_FOLDER, run_workers, save_shot, write_atomically

if TYPE_CHECKING:
    import pandas as pd

SETTINGS_FILE, TABLE_FILE = "settings.json", "faces.parquet"
MOST_IDENTITIES = 1000
"""Names of identities have three digits."""


def _prepare(settings: SetSettings, out: Path) -> None:
    """Create the folder or check that it holds a set of the same settings. Raises UserError."""
    wanted = json.loads(json.dumps(settings.record()))
    stored = out / SETTINGS_FILE
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder to write the set into")
    if stored.is_file():
        present = read_memory(stored)
        if present is None:
            raise UserError(f"{stored} cannot be read as a set's settings; name another folder")
        if present != wanted:
            both = {**present, **wanted} if isinstance(present, dict) else wanted
            names = [name for name in both if not isinstance(present, dict) or present.get(name) != wanted.get(name)]
            raise UserError(f"{out} holds a set made with other settings ({', '.join(names)}); name another folder")
    elif out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no rendered set; name another folder")
    try:
        (out / PARTIAL_FOLDER).mkdir(parents=True, exist_ok=True)
        if not stored.is_file():
            write_atomically(stored, lambda part: part.write_text(json.dumps(wanted, indent=1) + "\n"))
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}") from error
    need = settings.pictures() * (settings.size**2 * 2 + 4096)
    if shutil.disk_usage(out).free < need:
        raise UserError(f"{out} has less than the {need / 1e6:.0f} MB free that the set may need")


def _shots(settings: SetSettings) -> list[ShotName]:
    return [ShotName(i, e, g) for i in settings.numbers for g in settings.gazes for e in EXPRESSIONS]


def _pictures(settings: SetSettings, shot: ShotName) -> list[str]:
    return [f"{shot.picture(camera, placement)}.png" for camera, placement in settings.views]


def _missing(settings: SetSettings, out: Path) -> list[ShotName]:
    pictures = {entry.name for entry in os.scandir(out)}
    records = {entry.name for entry in os.scandir(out / PARTIAL_FOLDER)}
    return [
        shot
        for shot in _shots(settings)
        if shot.record not in records or not pictures.issuperset(_pictures(settings, shot))
    ]


def _complete(settings: SetSettings, out: Path) -> bool:
    pictures = (name for shot in _shots(settings) for name in _pictures(settings, shot))
    return _is_whole(out / TABLE_FILE) and all((out / name).is_file() for name in pictures)


def _is_whole(table: Path) -> bool:
    """Whether a table is there and, where its SHA-256 is beside it, is what was written."""
    if not table.is_file():
        return False
    digest = recorded_sha256(table)
    return digest is None or hashlib.sha256(table.read_bytes()).hexdigest() == digest


def face_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Make the face table of rows from `ShotRenderer.render`, sorted by face_id."""
    import numpy as np
    import pandas as pd

    ordered = sorted(rows, key=lambda row: str(row["face_id"]))
    columns: dict[str, Any] = {name: [row[name] for row in ordered] for name in ordered[0]}
    columns |= {unit: np.array(columns[unit], np.float32) for unit in ACTION_UNITS}
    return pd.DataFrame(columns)


def write_table(table: pd.DataFrame, path: Path) -> str:
    """Write a face table as Parquet, atomically, with the column `image` (bytes) where it has one, and before it its
    SHA-256 into the `.sha256` beside it. Returns the SHA-256.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[str, pa.DataType] = {
        "landmarks": pa.list_(pa.float32()),
        "visible": pa.list_(pa.bool_()),
        "camera": pa.int64(),
    }
    types |= {unit: pa.float32() for unit in ACTION_UNITS} | {"image": pa.binary()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in table.columns])
    data = pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(None)
    buffer = io.BytesIO()
    pq.write_table(data, buffer, compression="zstd", compression_level=9)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    write_atomically(path.with_suffix(".sha256"), lambda part: part.write_text(f"{digest}  {path.name}\n"))
    write_atomically(path, lambda part: part.write_bytes(buffer.getvalue()))
    return digest


def render_set(
    settings: SetSettings, out: Path, workers: int, progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Render the missing pictures of a set into `out` and return its face table.

    progress: called with the pictures done and their total. Raises UserError where `out` holds something else.
    """
    import pandas as pd

    _prepare(settings, out)
    if _complete(settings, out):
        shutil.rmtree(out / PARTIAL_FOLDER, ignore_errors=True)
        return pd.read_parquet(out / TABLE_FILE)
    shots, each = _missing(settings, out), len(settings.views)
    finished = settings.pictures() - len(shots) * each

    def report(new: int = 0) -> None:
        nonlocal finished
        finished += new
        if progress:
            progress(finished, settings.pictures())

    report()
    if workers == 1 and shots:
        renderer = ShotRenderer(settings)
        for shot in shots:
            save_shot(renderer, shot, out)
            report(each)
    elif shots:
        run_workers(settings, out, shots, workers, lambda: report(each))
    rows = [row for shot in _shots(settings) for row in json.loads((out / PARTIAL_FOLDER / shot.record).read_text())]
    table = face_table(rows)
    write_table(table, out / TABLE_FILE)
    shutil.rmtree(out / PARTIAL_FOLDER)
    return table


def pack(folder: Path, file: Path) -> str:
    """Write a finished set as one Parquet file and return its SHA-256, which is also written beside it.

    The file is the face table with a column `image`, lossless WebP.
    """
    import pandas as pd
    from PIL import Image

    table = pd.read_parquet(folder / TABLE_FILE)
    images = []
    for name in table["face_id"]:
        with Image.open(folder / f"{name}.png") as picture, io.BytesIO() as buffer:
            picture.save(buffer, "WEBP", lossless=True, quality=80, method=4)
            images.append(buffer.getvalue())
    table["image"] = images
    return write_table(table, file)
