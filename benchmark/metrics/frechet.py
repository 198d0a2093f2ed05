"""The Fréchet distance between two sets of features, as FID uses it (Heusel et al., 2017, Eq. 6).

    d^2 = |mu_a - mu_b|^2 + tr(C_a) + tr(C_b) - 2 tr((C_a C_b)^(1/2))

with the means and the unbiased covariances (divided by N - 1) of the sets, as in pytorch-fid. Its matrix square root is
not needed: the trace of a square root is a sum of singular values or of roots of eigenvalues, which is exact where the
covariance has no full rank (fewer images than dimensions, the rule here), and takes milliseconds where `sqrtm` takes a
minute.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import SetMetric

Matrix = NDArray[np.float64]


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """The squared Fréchet distance between the normal distributions fitted to `a` (N x D) and `b` (M x D), at least 0.

    Symmetric. N and M are at least 2. Raises ValueError for sets of other shapes and for features that are not finite.
    """
    first, second = _checked(a), _checked(b)
    dimensions = first.shape[1]
    if second.shape[1] != dimensions:
        raise ValueError(f"features of {dimensions} and of {second.shape[1]} dimensions have no distance")
    difference = first.mean(axis=0) - second.mean(axis=0)
    left, right = _deviations(first), _deviations(second)
    if min(len(left), len(right)) < dimensions:
        root_trace = root_trace_from_deviations(left, right)
    else:
        root_trace = root_trace_from_covariances(left.T @ left, right.T @ right)
    distance = difference @ difference + np.sum(left**2) + np.sum(right**2) - 2.0 * root_trace
    return max(float(distance), 0.0)


def frechet_distance_of_moments(
    mean: Matrix, covariance: Matrix, other_mean: Matrix, other_covariance: Matrix
) -> float:
    """The same distance between normal distributions given by their means (D) and covariances (D x D)."""
    difference = mean - other_mean
    root_trace = root_trace_from_covariances(covariance, other_covariance)
    distance = difference @ difference + np.trace(covariance) + np.trace(other_covariance) - 2.0 * root_trace
    return max(float(distance), 0.0)


def root_trace_from_deviations(left: Matrix, right: Matrix) -> float:
    """tr((C_a C_b)^(1/2)) where C_a = left^T left (N x D) and C_b = right^T right (M x D).

    The nonzero eigenvalues of C_a C_b are the squared singular values of left right^T, an N x M matrix.
    """
    return float(np.linalg.svd(left @ right.T, compute_uv=False).sum())


def root_trace_from_covariances(first: Matrix, second: Matrix) -> float:
    """tr((C_a C_b)^(1/2)) of two covariances (D x D).

    C_a C_b has the eigenvalues of the symmetric F^T C_b F where C_a = F F^T.
    """
    values, vectors = np.linalg.eigh(first)
    factor = vectors * np.sqrt(np.clip(values, 0.0, None))
    return float(np.sqrt(np.clip(np.linalg.eigvalsh(factor.T @ second @ factor), 0.0, None)).sum())


def _deviations(features: Matrix) -> Matrix:
    """Features less their mean, scaled so that the product with its own transpose is the unbiased covariance."""
    return np.asarray((features - features.mean(axis=0)) / np.sqrt(len(features) - 1))


def _checked(features: NDArray[np.floating]) -> Matrix:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features must be N x D with N at least 2, not of shape {features.shape}")
    exact = features.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("features must be finite")
    return exact


FID = SetMetric(
    key="fid",
    label="FID",
    label_elsewhere="FD{}",
    direction="lower",
    definition="Fréchet distance between the features of the edits and of the real test pictures of the subset",
    paper={"F": "FID", "F&P": "FID"},
    distance=frechet_distance,
    distance_of_moments=frechet_distance_of_moments,
)
FID_CROPPED = SetMetric(
    key="fid_cropped",
    label="FID(Cp)",
    label_elsewhere="FD{}(Cp)",
    direction="lower",
    definition="the same Fréchet distance, of tight face boxes",
    paper={"F": "FID(Cp)", "F&P": "FID(Cp)"},
    distance=frechet_distance,
    view="cropped",
)
