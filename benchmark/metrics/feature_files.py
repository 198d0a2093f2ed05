"""Features of a set of pictures, or their mean and covariance alone, as files (`.npz`).

`mu` (D) and `sigma` (D x D) are those of pytorch-fid, which reads our files and writes others that are read here. Ours
have the features themselves, too, which kernel distances need, and say which extractor they are of.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic import dataclasses as checked

from benchmark.core.errors import UserError, one_line
from benchmark.core.files import read_regular
from benchmark.core.models import STRICT, parse_json
from benchmark.metrics.features import FeatureExtractor

SUFFIX = ".npz"
MEAN, COVARIANCE, FEATURES, ORIGIN = "mu", "sigma", "features", "fesbench"
MOST_BYTES = 1 << 32
ASYMMETRY = 1e-6
"""By which share of its largest entry a covariance may differ from its transpose."""


@checked.dataclass(frozen=True, config=STRICT)
class Origin:
    """What our files say of themselves, as JSON."""

    schema: Literal[1]
    extractor: str
    column: str
    weights_sha256: str
    images: Annotated[int, Field(ge=2)]
    sizes: dict[str, int]
    compressions: dict[str, int]


@dataclass(frozen=True)
class FeatureSet:
    """Features of a set of pictures in one feature space.

    source: folder or file. mean: D, covariance: D x D (divided by N - 1). features: N x D, None where a file has only
    moments. images: N, None where a file does not say. sizes, compressions: numbers of pictures.
    """

    source: Path
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    features: NDArray[np.float32] | None
    images: int | None
    sizes: Mapping[str, int] = field(default_factory=dict)
    compressions: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, source: Path, features: NDArray[np.float32], sizes: Mapping[str, int], compressions: Mapping[str, int]
    ) -> FeatureSet:
        """With the moments of the features (N x D, N at least 2)."""
        exact = features.astype(np.float64)
        covariance = np.atleast_2d(np.cov(exact, rowvar=False))
        return cls(source, exact.mean(axis=0), covariance, features, len(features), sizes, compressions)


def is_feature_file(path: Path) -> bool:
    """Whether an argument names a file of features and no folder."""
    return path.suffix.lower() == SUFFIX and not os.path.isdir(path)  # noqa: PTH112 - never raises


def write_features(path: Path, features: FeatureSet, extractor: FeatureExtractor) -> None:
    """Write a file whole or not at all. Raises UserError where it cannot be written."""
    if features.features is None or features.images is None:
        raise ValueError("moments alone are not written")
    origin = {
        "schema": 1, "extractor": extractor.name, "column": extractor.column, "weights_sha256": extractor.identity,
        "images": features.images, "sizes": dict(features.sizes), "compressions": dict(features.compressions),
    }  # fmt: skip
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            np.savez(
                stream, allow_pickle=False, mu=features.mean, sigma=features.covariance, features=features.features,
                fesbench=np.array(json.dumps(origin)),
            )  # fmt: skip
        partial.replace(path)
    except OSError as error:
        raise UserError(f"--save-stats {path} cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)


def read_features(path: Path, role: str, extractor: FeatureExtractor) -> FeatureSet:
    """Read a file and hold it against the extractor. `role` ("--real") begins the UserError for a file that is damaged,
    or of another extractor: without an origin it is pytorch-fid's, which has the published Inception.
    """
    where = f"{role} {path}"
    arrays = _arrays(path, where)
    missing = [name for name in (MEAN, COVARIANCE) if name not in arrays]
    if missing:
        raise UserError(f"{where} has no '{missing[0]}': statistics are mu and sigma, as pytorch-fid writes them")
    origin = _origin(arrays, where)
    if origin is None and not extractor.comparable:
        raise UserError(
            f"{where} does not say whose features it holds, so they are pytorch-fid's, of the published Inception, and "
            f"this call measures {extractor.column}"
        )
    if origin is not None and origin.weights_sha256 != extractor.identity:
        raise UserError(
            f"{where} holds features of {origin.extractor} for {origin.column} (weights {origin.weights_sha256[:8]}); "
            f"this call measures {extractor.column} (weights {extractor.identity[:8]})"
        )
    mean, covariance = _moments(arrays, where, extractor)
    features = arrays.get(FEATURES) if origin is not None else None
    if origin is None or features is None:
        return FeatureSet(path, mean, covariance, None, None)
    if features.dtype != np.float32 or features.shape != (origin.images, len(mean)) or not np.isfinite(features).all():
        raise UserError(f"{where} is damaged: its features are not {origin.images} x {len(mean)} finite numbers")
    if not np.allclose(features.mean(axis=0, dtype=np.float64), mean, rtol=1e-5, atol=1e-6):
        raise UserError(f"{where} is damaged: mu is not the mean of its features")
    return FeatureSet.of(path, features.astype(np.float32), origin.sizes, origin.compressions)


def _arrays(path: Path, where: str) -> dict[str, NDArray[np.generic]]:
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"{where} cannot be read ({error.strerror})") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise ValueError("it would have more than 4,096 MB")
        with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files if name in (MEAN, COVARIANCE, FEATURES, ORIGIN)}
    except Exception as error:  # zip, zlib and NumPy raise many kinds on damaged files
        reason = one_line(error)[:160]
        raise UserError(f"{where} is no file of statistics, or a damaged one ({reason})") from error


def _origin(arrays: Mapping[str, NDArray[np.generic]], where: str) -> Origin | None:
    if ORIGIN not in arrays:
        return None
    return parse_json(Origin, str(arrays[ORIGIN]), f"{where} is damaged: {ORIGIN}")


def _moments(
    arrays: Mapping[str, NDArray[np.generic]], where: str, extractor: FeatureExtractor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    dimensions = extractor.dimensions
    moments = []
    for name, shape in ((MEAN, (dimensions,)), (COVARIANCE, (dimensions, dimensions))):
        array = arrays[name]
        if array.shape != shape:
            shown, wanted = (" x ".join(map(str, each)) or "one" for each in (array.shape, shape))
            raise UserError(f"{where}: {name} is {shown}, and features of {extractor.column} need {wanted}")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise UserError(f"{where} is damaged: {name} has values that are no finite numbers")
        moments.append(array.astype(np.float64))
    mean, covariance = moments
    asymmetry = np.abs(covariance - covariance.T).max()
    if asymmetry > ASYMMETRY * np.abs(covariance).max() or (np.diag(covariance) < 0).any():
        raise UserError(f"{where} is damaged: {COVARIANCE} is no covariance")
    return mean, covariance
