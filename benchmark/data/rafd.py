"""The Radboud Faces Database (Langner et al., 2010) as it is delivered, by its file names.

    Rafd{000|045|090|135|180}_{id}_{Caucasian|Moroccan|Kid}_{male|female}_{expression}_{frontal|left|right}.jpg

Pictures are turned upright, cut to the centred square and resized, as the published pipelines do (torchvision's
Resize and CenterCrop). Licence: the set is for research, may not be passed on, and is not part of this project.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.faceset import COLUMNS, FaceSet, no_landmarks, no_visibility
from benchmark.data.photo import read_square
from benchmark.data.source import Advance, DataSource
from benchmark.data.split import SALT, draw_test_identities
from benchmark.errors import UserError
from benchmark.protocol import ACTION_UNITS, CAMERAS, EXPRESSIONS

NAME = re.compile(
    r"Rafd(?P<camera>\d{3})_(?P<identity>\d+)_(?P<group>Caucasian|Moroccan|Kid)_(?P<sex>male|female)"
    r"_(?P<expression>[a-z]+)_(?P<gaze>frontal|left|right)\.(?:jpe?g|png)",
    re.IGNORECASE,
)
TEST_FRACTION = 10 / 67


@dataclass(frozen=True)
class RaFDName:
    """What a file name says."""

    identity: str
    group: str
    expression: str
    camera: int
    gaze: str

    @classmethod
    def parse(cls, name: str) -> RaFDName | None:
        """The parts of a file name, or None for one that is not RaFD's."""
        found = NAME.fullmatch(name)
        if found is None:
            return None
        camera, expression = int(found["camera"]), found["expression"].lower()
        if camera not in CAMERAS or expression not in EXPRESSIONS:
            return None
        group = f"{found['group'].lower()}-{found['sex'].lower()}"
        return cls(f"{int(found['identity']):02d}", group, expression, camera, found["gaze"].lower())

    @property
    def face_id(self) -> str:
        """Unique within the set, independent of where the file lies."""
        return f"{self.identity}_{self.expression}_{self.camera:03d}_{self.gaze}"


class RaFD(DataSource):
    """A folder with RaFD's pictures, flat or nested."""

    name = "rafd"

    @cached_property
    def _named(self) -> dict[Path, RaFDName]:
        assert self.folder is not None  # the base class has seen to it
        named: dict[Path, RaFDName] = {}
        first: dict[str, Path] = {}
        for path in sorted(self.folder.rglob("*")):
            parts = RaFDName.parse(path.name)
            if parts is None or not path.is_file():
                continue
            if parts.face_id in first:
                raise UserError(f"two files show the same face: {first[parts.face_id]} and {path}; keep one of them")
            first[parts.face_id] = path
            named[path] = parts
        if not named:
            raise UserError(
                f"{self.folder} holds no picture named as RaFD names them "
                "(Rafd090_01_Caucasian_female_angry_frontal.jpg)"
            )
        return named

    def files(self) -> list[Path]:
        """The pictures whose names are RaFD's."""
        return list(self._named)

    def describe(self) -> str:
        """Count and preparation."""
        identities = len({name.identity for name in self._named.values()})
        return f"{len(self._named)} pictures of {identities} people, upright, centred square, resized; no landmarks"

    def split_settings(self) -> dict[str, Any]:
        """Drawn by rank."""
        return {"salt": SALT, "fraction": TEST_FRACTION}

    def load(self, size: int, advance: Advance) -> FaceSet:
        """Decode all pictures; every broken one is named in one UserError."""
        import pandas as pd

        images = np.empty((len(self._named), size, size, 3), np.uint8)
        broken = []
        for index, path in enumerate(self._named):
            try:
                images[index] = read_square(path, size)
            except (OSError, ValueError, SyntaxError) as error:
                broken.append(f"{path} ({error})")
            advance(1)
        if broken:
            more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
            raise UserError(f"{len(broken)} of {len(images)} pictures cannot be read: {'; '.join(broken[:3])}{more}")
        names = list(self._named.values())
        test = set(draw_test_identities({name.identity: name.group for name in names}, TEST_FRACTION))
        table = pd.DataFrame(
            {
                "face_id": [name.face_id for name in names],
                "identity": [name.identity for name in names],
                "group": [name.group for name in names],
                "expression": [name.expression for name in names],
                "camera": [name.camera for name in names],
                "gaze": [name.gaze for name in names],
                **{unit: np.full(len(names), np.nan, np.float32) for unit in ACTION_UNITS},
                "landmarks": no_landmarks(len(names)),
                "visible": no_visibility(len(names)),
                "split": ["test" if name.identity in test else "train" for name in names],
            }
        )
        return FaceSet(images, table[list(COLUMNS)])
