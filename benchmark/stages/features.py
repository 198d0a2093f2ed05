"""features: FaceSet, extractor -> features of the real test pictures of a subset, whole and cropped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core.files import save_array
from benchmark.core.progress import counted
from benchmark.data.faceset import FaceSet
from benchmark.metrics.crop import crop, tight_box
from benchmark.metrics.features import FeatureExtractor, ensure_weights, open_extractor
from benchmark.protocol import EXPRESSIONS, Subset
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.statistics.leaving_out import frechet_floor

WHOLE, CROPPED = "whole.npy", "cropped.npy"


@dataclass(frozen=True)
class ExtractorChoice:
    """A feature extractor, and where its weights are."""

    name: str
    identity: str
    published: bool
    weights: Path | None = None
    allow_other_weights: bool = False

    @property
    def comparable(self) -> bool:
        """Whether its distance is FID as published."""
        return self.name == "inception" and self.published

    @property
    def column(self) -> str:
        """The name of the distance in its features."""
        if self.name == "efficientnet-lite0":
            return "FD[lite0]"
        return "FID" if self.published else f"FD[{self.identity[:8]}]"

    def open(self, device: str) -> FeatureExtractor:
        """Load it; the last one opened stays open for the stages that follow."""
        return _opened(self, device)


@lru_cache(maxsize=1)
def _opened(choice: ExtractorChoice, device: str) -> FeatureExtractor:
    return open_extractor(choice.name, choice.weights, choice.allow_other_weights, device)


def choose_extractor(name: str, weights: Path | None = None, allow_other_weights: bool = False) -> ExtractorChoice:
    """Find the weights, or download them, before any long work begins. Raises UserError where there are none."""
    ensured = ensure_weights(name, weights, allow_other_weights)
    return ExtractorChoice(name, ensured.sha256, ensured.published, weights, allow_other_weights)


@dataclass(frozen=True)
class FeatureFacts:
    """Numbers of pictures, and the Fréchet distance between two halves of them (None for too few identities)."""

    whole: int
    cropped: int
    floor_whole: float | None
    floor_cropped: float | None


class RealFeatures(Stage[FeatureFacts]):
    """Features of the real side, made once for all rows of a subset."""

    kind = "features"
    facts_type = FeatureFacts
    version = 3
    files = (WHOLE,)

    def __init__(
        self, prepare: Prepare, subset: Subset, extractor: ExtractorChoice, targets: tuple[str, ...] = ()
    ) -> None:
        """targets: pictures of these expressions only, where there are any: edits to some of the expressions lie far
        from pictures of all.
        """
        self.faces, self.subset, self.extractor, self.targets = prepare, subset, extractor, targets
        settings: dict[str, Any] = {"extractor": extractor.name, "weights": extractor.identity, "subset": subset}
        if targets:
            settings["targets"] = list(targets)
        name = f"features {extractor.name} {subset}{' ' if targets else ''}{', '.join(targets)}"
        super().__init__(name, settings, {"faces": prepare})

    def work(self) -> Work:
        """Count the test pictures, whole and cropped."""
        share = len(self.targets or EXPRESSIONS) / len(EXPRESSIONS)
        return Work(f"features {self.extractor.name}", self.faces.test_pictures(self.subset) * share * 2, 40_000_000)

    def run(self, context: Context, folder: Path) -> StageResult[FeatureFacts]:
        """Extract both."""
        faces = load_faces(self.faces.folder(context))
        test = real_rows(faces, self.subset, self.targets)
        extractor = self.extractor.open(context.machine.device)
        images = np.asarray(faces.images[test])
        crops = crop_faces(images, faces, test)
        with context.reporter.bar(self.name, len(images) + (0 if crops is None else len(crops))) as bar:
            save_array(folder / WHOLE, extractor.features(images, counted(bar)))
            if crops is not None:
                save_array(folder / CROPPED, extractor.features(crops, counted(bar)))
        whole, cropped = load_features(folder)
        people, known = identities(faces, test), have_crops(faces, test)
        facts = FeatureFacts(
            len(images),
            0 if crops is None else len(crops),
            frechet_floor(whole, people),
            None if cropped is None else frechet_floor(cropped, people[known]),
        )
        return StageResult(facts, [WHOLE, CROPPED] if facts.cropped else [WHOLE])


def crop_faces(images: np.ndarray, faces: FaceSet, rows: np.ndarray) -> np.ndarray | None:
    """Crop `images` to the boxes round the landmarks of `rows` of `faces`.

    Faces without landmarks are left out; None if all are.
    """
    boxes, known = tight_box(faces.landmarks[rows], faces.size), have_crops(faces, rows)
    return crop(images[known], boxes[known], faces.size) if known.any() else None


def have_crops(faces: FaceSet, rows: np.ndarray) -> np.ndarray:
    """Whether the landmarks of each of `rows` are known, so that `crop_faces` crops it."""
    return np.asarray(np.isfinite(tight_box(faces.landmarks[rows], faces.size)).all(1))


def identities(faces: FaceSet, rows: np.ndarray) -> np.ndarray:
    """Return the names of the people on `rows` of `faces`."""
    return np.asarray(faces.table["identity"].iloc[rows].to_numpy(str))


def real_rows(faces: FaceSet, subset: Subset, targets: tuple[str, ...]) -> np.ndarray:
    """Return the rows of `faces` that are the real side: test pictures, of `targets` alone where there are any."""
    test = faces.rows(subset, "test")
    return test[faces.table["expression"].iloc[test].isin(targets).to_numpy()] if targets else test


def load_features(folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return whole and cropped features of the real side."""
    cropped = folder / CROPPED
    return np.load(folder / WHOLE), np.load(cropped) if cropped.exists() else None
