"""The Radboud Faces Database (Langner et al., 2010) as it is delivered, by its file names.

    Rafd{000|045|090|135|180}_{id}_{Caucasian|Moroccan|Kid}_{male|female}_{expression}_{frontal|left|right}.jpg

8,040 pictures of 681 x 1024 px: 67 people, 8 expressions, 3 gazes, 5 cameras that fire at once. Pictures are turned
upright, cut to the centred square and resized, as the published pipelines do (torchvision's Resize and CenterCrop).
Licence: the set is for research, may not be passed on, and is not part of this project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmark.core.errors import did_you_mean
from benchmark.data.photos.index import NamedPictures, Photo, PhotoIndex, build_index
from benchmark.data.photos.source import Photographs
from benchmark.data.spelling import EXPRESSION_OF, expression_of
from benchmark.protocol import CAMERAS

NAME = re.compile(
    r"Rafd(?P<camera>\d{3})_(?P<identity>\d{1,3})_(?P<group>Caucasian|Moroccan|Kid)_(?P<sex>male|female)"
    r"_(?P<expression>[a-z]+)_(?P<gaze>frontal|left|right)\.[a-z]+",
    re.IGNORECASE,
)
LIKE = "Rafd090_01_Caucasian_female_angry_frontal.jpg"


@dataclass(frozen=True)
class RaFDName:
    """What a file name says."""

    identity: str
    group: str
    expression: str
    camera: int
    gaze: str

    @classmethod
    def parse(cls, name: str) -> RaFDName:
        """Return the parts of a file name. Raises ValueError, saying why, for one that is not RaFD's."""
        match = NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"is not named as RaFD names its pictures ({LIKE})")
        camera, expression = int(match["camera"]), expression_of(match["expression"])
        if camera not in CAMERAS:
            raise ValueError(f"camera {match['camera']} is none of {', '.join(f'{code:03d}' for code in CAMERAS)}")
        if expression is None:
            word = match["expression"]
            raise ValueError(f"unknown expression '{word}'{did_you_mean(word, EXPRESSION_OF)}")
        group = f"{match['group'].lower()}-{match['sex'].lower()}"
        return cls(f"{int(match['identity']):02d}", group, expression, camera, match["gaze"].lower())

    @property
    def face_id(self) -> str:
        """Return a name of the face that is unique in the set and independent of the folder."""
        return f"{self.identity}_{self.expression}_{self.camera:03d}_{self.gaze}"


class RaFD(Photographs):
    """A folder with RaFD's pictures, flat or nested."""

    name = "rafd"
    version = 5
    title = "RaFD"
    like = LIKE
    framing = "centre"
    fixed_cameras = True
    test_fraction = 10 / 67
    # "+": together; "C" to "E" and the like: intensities that the models were asked for, A (1) to E (5); a unit without
    # a letter is taken as C. Of 23/24 OpenFace knows 23. AU14 of contempt is on one side.
    prototypes: ClassVar[Mapping[str, Mapping[int, float]]] = {
        "angry": {4: 4, 5: 4, 7: 3, 17: 3, 23: 3},
        "contemptuous": {14: 3},
        "disgusted": {9: 3, 10: 3, 25: 3},
        "fearful": {1: 3, 2: 3, 4: 3, 5: 4.5, 20: 3, 25: 3},
        "happy": {6: 3, 12: 4, 25: 3},
        "neutral": {},
        "sad": {1: 3, 4: 3, 15: 2, 17: 3},
        "surprised": {1: 3, 2: 3, 5: 1.5, 26: 3},
    }
    """Langner et al. (2010), Table 1: the units by which the expressions were posed, each intensity the middle of the
    range given."""

    @classmethod
    def index_folder(cls, folder: Path) -> PhotoIndex:
        """Index the pictures by file names."""
        photos = []
        pictures = NamedPictures(folder, NAME)
        for path in pictures:
            try:
                name = RaFDName.parse(path.name)
            except ValueError as error:
                pictures.set_aside(path, str(error))
                continue
            photos.append(Photo(path, name.face_id, name.identity, name.group, name.expression, name.camera, name.gaze))
        return build_index(pictures.walk, photos, pictures.aside, others=pictures.others)
