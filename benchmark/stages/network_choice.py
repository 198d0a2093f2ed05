"""Which networks of one's own a suite is measured in. Nothing here imports torch before one is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config.networks import OWN_SUFFIXES, OwnNetwork, is_own_network, read_own_network
from benchmark.core.errors import UserError
from benchmark.core.files import require_file
from benchmark.core.progress import counted
from benchmark.core.source_code import error_line
from benchmark.data.faceset import FaceSet
from benchmark.metrics.features import FeatureExtractor
from benchmark.metrics.features.weights import sha256_of
from benchmark.metrics.own_network import OwnMetric, own_metrics
from benchmark.stages.base import Context
from benchmark.stages.features import crop_faces, have_crops

KEPT_OPEN = 4
"""Networks in memory at once: the stages of a plan take turns with them."""


@dataclass(frozen=True)
class NetworkChoice:
    """A network of one's own: its file, and what the file beside it says."""

    path: Path
    sha256: str
    described: OwnNetwork

    @property
    def metrics(self) -> tuple[OwnMetric, ...]:
        """Its columns."""
        return own_metrics(self.path.name, self.sha256, self.described)

    @property
    def settings(self) -> dict[str, Any]:
        """What decides its features: the file's content and the preparation, not where the file lies."""
        return {"network": self.sha256, "preparation": self.described.preparation}

    def open(self, device: str) -> FeatureExtractor:
        """Load it; the last ones opened stay open. Raises UserError where the file is no network of pictures."""
        return _opened(self.path, self.sha256, device)

    def features(self, images: np.ndarray, context: Context, title: str) -> np.ndarray:
        """Its features (N x D) of N pictures. Raises UserError where it fails on them."""
        extractor = self.open(context.machine.device)
        with context.reporter.bar(title, len(images)) as bar:
            try:
                features = extractor.features(images, counted(bar))
            except Exception as error:  # a foreign program may raise anything
                raise UserError(f"{self.path} fails on pictures: {error_line(error)}") from error
        if not np.isfinite(features).all():
            count = int((~np.isfinite(features).all(1)).sum())
            raise UserError(f"{self.path} gives numbers that are not finite for {count} of {len(images)} pictures")
        return features

    def of_faces(
        self, images: np.ndarray, faces: FaceSet, rows: np.ndarray, extract: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """The features of N pictures, cut, where the network is for faces, by the landmarks of `rows`; NaN for those
        without.
        """
        if self.described.crop == "whole":
            return extract(images)
        crops, known = crop_faces(images, faces, rows), have_crops(faces, rows)
        if crops is None:
            return np.full((len(rows), 1), np.nan, np.float32)
        features = extract(crops)
        every = np.full((len(rows), features.shape[1]), np.nan, np.float32)
        every[known] = features
        return every


@lru_cache(maxsize=KEPT_OPEN)
def _opened(path: Path, sha256: str, device: str) -> FeatureExtractor:
    from benchmark.metrics.features.own_network import open_own_network

    extractor = open_own_network(path, device)
    if extractor.identity != sha256:
        raise UserError(f"{path} has changed since this run began: call it again")
    return extractor


def choose_networks(paths: Sequence[str]) -> tuple[NetworkChoice, ...]:
    """Find files of networks and what stands beside them, once each. Raises UserError before any work."""
    chosen: dict[str, NetworkChoice] = {}
    for name in paths:
        if not is_own_network(name):
            raise UserError(
                f"network {name}: a TorchScript or ONNX file is needed ({', '.join(OWN_SUFFIXES)}), with its "
                "preprocessing in a .yaml beside it"
            )
        path = require_file(Path(name), "network")
        network = NetworkChoice(path.absolute(), sha256_of(path), read_own_network(path))
        other = chosen.setdefault(network.sha256, network)
        if other.settings != network.settings or other.described.measures != network.described.measures:
            raise UserError(
                f"{other.path} and {network.path} are one network with two descriptions, and columns are named by the "
                "network's hash: keep one of them"
            )
    return tuple(chosen.values())
