"""Small made-up face sets: folders that look to the harness like rendered faces."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.protocol import ACTION_UNITS, EXPRESSIONS


def write_faces(
    folder: Path,
    identities: int = 8,
    cameras: tuple[int, ...] = (90,),
    size: int = 32,
    placements: tuple[str, ...] = ("aligned",),
) -> Path:
    """A folder as benchmark.render leaves it: stripes whose place is the expression, on a ground whose colour is the
    identity. With other placements than `aligned`, the picture is rolled down by so many rows as the placement's name
    has letters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(identities):
        ground = np.random.default_rng(number).integers(60, 200, 3)
        for label, expression in enumerate(EXPRESSIONS):
            for camera, placement in itertools.product(cameras, placements):
                placed = "" if placement == "aligned" else f"_{placement}"
                down = len(placed) and len(placement)
                face = f"r{number:03d}_{expression}_{camera:03d}_frontal{placed}"
                picture = np.tile(ground, (size, size, 1)).astype(np.uint8)
                picture[label * size // 8 : label * size // 8 + 4, :, camera % 3] = 255
                picture = np.roll(picture, down, 0)
                Image.fromarray(picture).save(folder / f"{face}.png")
                angle = np.linspace(0, 2 * np.pi, 68)
                points = np.stack([size / 2 + size / 4 * np.cos(angle), size / 2 + size / 4 * np.sin(angle)], 1)
                rows.append(
                    {
                        "face_id": face,
                        "identity": f"r{number:03d}",
                        "group": "even" if number % 2 == 0 else "odd",
                        "expression": expression,
                        "camera": camera,
                        "gaze": "frontal",
                        **{unit: np.float32(label if index == label else 0) for index, unit in enumerate(ACTION_UNITS)},
                        "landmarks": (points + np.array([0, down])).ravel().astype(np.float32),
                        "visible": np.ones(68, bool),
                        **({"placement": placement} if placements != ("aligned",) else {}),
                    }
                )
    pd.DataFrame(rows).to_parquet(folder / "faces.parquet", index=False)
    return folder
