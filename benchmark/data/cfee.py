"""The Compound Facial Expressions of Emotion database (Du, Tao and Martinez, 2014) as it is delivered.

    CFEE_Database_230/{01-04,05-08,...,21-26}/Images{1-6}/{class}_{subject}_{frame}.jpg

230 people, frontal. Class 01 is neutral, 02 to 07 are the six basic emotions in the paper's order; contempt is not
among them. The compound ones (08 and above) are left out. Licence: the set is for research, on request, and is not part
of this project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from benchmark.data.photos.index import NamedPictures, Photo, PhotoIndex, build_index
from benchmark.data.photos.source import Photographs

NAME = re.compile(r"(?P<code>\d{2})_(?P<subject>\d{3})(?:_(?P<frame>\d+))?\.[a-z]+", re.IGNORECASE)
LIKE = "01-04/Images1/02_110_2555.jpg"
BASIC = {1: "neutral", 2: "happy", 3: "sad", 4: "fearful", 5: "angry", 6: "surprised", 7: "disgusted"}
CODES = range(1, 27)
COMPOUND = "compound expressions"


class CFEE(Photographs):
    """A folder with CFEE's pictures."""

    name = "cfee"
    title = "CFEE"
    like = LIKE
    framing = "face"
    fixed_cameras = True
    test_fraction = 0.1
    prototypes: ClassVar[Mapping[str, Mapping[int, float]]] = {
        "neutral": {},
        "happy": {12: 3, 25: 3},
        "sad": {4: 3, 15: 3},
        "fearful": {1: 3, 4: 3, 20: 3, 25: 3},
        "angry": {4: 3, 7: 3},
        "surprised": {1: 3, 2: 3, 25: 3, 26: 3},
        "disgusted": {9: 3, 10: 3, 17: 3},
    }
    """Du et al. (2014), Table 1: the units that most people used (AU24 of anger is not among OpenFace's); the paper
    gives no intensities, and C (3) is taken."""

    @classmethod
    def index_folder(cls, folder: Path) -> PhotoIndex:
        """Index the pictures by file names."""
        photos, compound = [], 0
        pictures = NamedPictures(folder, NAME)
        for path in pictures:
            match = NAME.fullmatch(path.name)
            code = int(match["code"]) if match else 0
            if match is None or code not in CODES:
                why = f"is not named as CFEE names its pictures ({LIKE})" if match is None else f"no class {code:02d}"
                pictures.set_aside(path, why)
            elif code not in BASIC:
                compound += 1
            else:
                # Some people showed an expression twice: the frame tells their pictures apart.
                frame = f"_{match['frame']}" if match["frame"] else ""
                subject, expression = match["subject"], BASIC[code]
                face = f"{subject}_{expression}{frame}"
                photos.append(Photo(path, face, subject, "cfee", expression, 90, "frontal"))
        left_out = {COMPOUND: compound} if compound else {}
        return build_index(pictures.walk, photos, pictures.aside, left_out, pictures.others)
