"""Faces and their 68 landmarks by dlib: its HOG detector (King, 2009) and its regression trees (Kazemi and Sullivan,
2014), trained on iBUG 300-W.

dlib-bin has the library, face-recognition-models the trees; both come with the extra `photos`. Nothing is downloaded.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.protocol import LANDMARKS

SIDE = 512
"""Pixels of the longer side at which faces are detected. The detector finds faces from 80 px, a sixth of the picture
here."""
FINE_SIDE = 1024
"""The same for a second pass, where the first finds nothing and a face may be small."""
SURE = 0.5
"""Detections below this score may be no face; others are preferred."""
MODELS, TREES = "face_recognition_models", "models/shape_predictor_68_face_landmarks.dat"
INSTALL = "python -m pip install 'fesbench[photos]'"


def needed_packages() -> dict[str, str]:
    """Return the versions of the packages that detect faces. Raises UserError where one is not installed."""
    try:
        return {name: importlib.metadata.version(name) for name in ("dlib-bin", "face-recognition-models")}
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(
            f"faces are found with dlib, and {error.name} is not installed: {INSTALL} (from a checkout: pip install "
            '-e ".[photos]"); or --data NAME:DIR,faces=none, which leaves FID(Cp) and Cascade EF-GAN out'
        ) from error


@dataclass(frozen=True)
class FaceDetection:
    """A detected face. landmarks: 68 x 2 float64 (x, y) in the picture's pixels, centres at integers. score: the
    detector's; 0 is the least that it calls a face, frontal faces have 1 and more. others: how many other faces of
    comparable score the picture has.
    """

    landmarks: np.ndarray
    score: float
    others: int = 0


class FaceDetector:
    """Finds faces on any number of threads: each has its own detector, the trees are shared."""

    def __init__(self) -> None:
        needed_packages()
        try:
            import dlib
        except ImportError as error:  # a file of another machine, say
            raise UserError(f"dlib is installed and cannot be loaded ({error}): {INSTALL} --force-reinstall") from error

        self._dlib: Any = dlib
        self._trees: Any = dlib.shape_predictor(str(_trees()))
        self._local = threading.local()

    def detect(self, picture: Image.Image, fine: bool = False) -> FaceDetection | None:
        """Detect the largest face of an RGB picture; None where there is none.

        Faces below the score `SURE` count only where there is no other. fine: look for smaller faces, too.
        """
        for side in (SIDE, FINE_SIDE) if fine else (SIDE,):
            scale = side / max(picture.size)
            width, height = (max(1, round(length * scale)) for length in picture.size)
            pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
            boxes, scores, _ = self._detector().run(pixels, 0, 0.0)
            if boxes:
                faces = list(zip(boxes, scores, strict=True))
                sure = [face for face in faces if face[1] >= SURE] or faces
                box, score = max(sure, key=lambda face: face[0].area())
                points = np.array([(part.x, part.y) for part in self._trees(pixels, box).parts()], np.float64)
                assert points.shape == (LANDMARKS, 2)
                return FaceDetection(
                    (points + 0.5) * (picture.width / width, picture.height / height) - 0.5, float(score), len(sure) - 1
                )
        return None

    def _detector(self) -> Any:
        if not hasattr(self._local, "detector"):
            self._local.detector = self._dlib.get_frontal_face_detector()
        return self._local.detector


def _trees() -> Path:
    # Not imported: the package asks setuptools for its own place, which new versions of that no longer tell.
    spec = importlib.util.find_spec(MODELS)
    locations = spec.submodule_search_locations if spec else None
    path = Path(next(iter(locations or [""])), TREES)
    if not path.is_file():
        raise UserError(f"{path} is missing: {INSTALL} --force-reinstall puts it there")
    return path
