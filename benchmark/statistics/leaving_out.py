"""Fréchet and kernel distances with each test identity left out in turn, its edits and its real pictures.

All replicates together cost little more than one distance: what an identity adds to a sum is subtracted. The features
of N edits and M real pictures are needed once, for one product of N x M; then each Fréchet distance takes the
eigenvalues of one M x M (or D x D) matrix, and each kernel distance two subtractions.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.frechet import frechet_distance, root_trace_from_covariances
from benchmark.metrics.kid import thousandfold
from benchmark.metrics.metric import SetMetric

Matrix = NDArray[np.float64]
HALVINGS = 30
"""Ways of halving the identities that the floor is averaged over."""


def frechet_without_each(
    edits: NDArray[np.floating],
    edit_identities: ArrayLike,
    real: NDArray[np.floating],
    real_identities: ArrayLike,
) -> dict[str, float]:
    """The Fréchet distance of `edits` (N x D) to `real` (M x D) by the identity left out.

    With fewer real pictures than dimensions, the singular values of A B^T (see metrics/frechet.py) come from the
    eigenvalues of B A^T A B^T, in which an identity's edits are one term of a sum. Raises ValueError where less than
    two pictures of a side would be left.
    """
    names, of_edit, of_real = _identities(edit_identities, real_identities)
    centre = real.mean(axis=0, dtype=np.float64)  # distances do not see it; sums lose fewer digits
    a, b = edits.astype(np.float64) - centre, real.astype(np.float64) - centre
    few = len(b) < a.shape[1]
    seen = a @ b.T if few else a  # the edits as their products with the real pictures, or as they are
    sums, squares = seen.sum(axis=0), seen.T @ seen
    total, energy = a.sum(axis=0), float(np.sum(a**2))
    distances = {}
    for index, name in enumerate(names):
        out, kept = of_edit == index, of_real != index
        n, rest = len(a) - int(out.sum()), b[kept]
        if n < 2 or len(rest) < 2:
            raise ValueError(f"without identity {name} less than two pictures of a side are left")
        mean, real_mean = (total - a[out].sum(axis=0)) / n, rest.mean(axis=0)
        scatter = squares - seen[out].T @ seen[out]
        seen_sum = sums - seen[out].sum(axis=0)
        scatter = (scatter - np.outer(seen_sum, seen_sum) / n) / (n - 1)
        deviations = (rest - real_mean) / np.sqrt(len(rest) - 1)
        if few:
            root_trace = _root_trace_of_products(scatter[np.ix_(kept, kept)], len(rest))
        else:
            root_trace = root_trace_from_covariances(scatter, deviations.T @ deviations)
        variance = (energy - float(np.sum(a[out] ** 2)) - n * float(mean @ mean)) / (n - 1)
        difference = mean - real_mean
        distance = float(difference @ difference) + variance + float(np.sum(deviations**2)) - 2 * root_trace
        distances[name] = max(distance, 0.0)
    return distances


def _root_trace_of_products(products: Matrix, pictures: int) -> float:
    """tr((C_a C_b)^(1/2)): summed roots of the eigenvalues of B C_a B^T (M x M), with B not yet centred."""
    rows = products - products.mean(axis=0)
    centred = (rows - rows.mean(axis=1, keepdims=True)) / (pictures - 1)
    values = np.linalg.eigvalsh((centred + centred.T) / 2)
    return float(np.sqrt(np.clip(values, 0.0, None)).sum())


def kernel_without_each(
    edits: NDArray[np.floating],
    edit_identities: ArrayLike,
    real: NDArray[np.floating],
    real_identities: ArrayLike,
) -> dict[str, float]:
    """The unbiased kernel distance (metrics/kid.py) of `edits` to `real` by the identity left out.

    Sums of the kernel over each pair of identities; leaving one out drops a row and a column of them. Raises ValueError
    where less than two pictures of a side would be left.
    """
    names, of_edit, of_real = _identities(edit_identities, real_identities)
    a, b = edits.astype(np.float64), real.astype(np.float64)
    within_edits, within_real = _sums(a, of_edit, a, of_edit, len(names)), _sums(b, of_real, b, of_real, len(names))
    between = _sums(a, of_edit, b, of_real, len(names))
    for sums, x, identity in ((within_edits, a, of_edit), (within_real, b, of_real)):
        own = (np.sum(x**2, axis=1) / x.shape[1] + 1) ** 3
        sums[np.diag_indices(len(names))] -= np.bincount(identity, own, minlength=len(names))
    counts = [np.bincount(identity, minlength=len(names)) for identity in (of_edit, of_real)]
    distances = {}
    for index, name in enumerate(names):
        kept = np.arange(len(names)) != index
        n, m = (int(count[kept].sum()) for count in counts)
        if min(n, m) < 2:
            raise ValueError(f"without identity {name} less than two pictures of a side are left")
        inside = within_edits[np.ix_(kept, kept)].sum() / (n * (n - 1))
        inside += within_real[np.ix_(kept, kept)].sum() / (m * (m - 1))
        distances[name] = float(inside - 2 * between[np.ix_(kept, kept)].sum() / (n * m))
    return distances


def _sums(x: Matrix, of_x: NDArray[np.intp], y: Matrix, of_y: NDArray[np.intp], identities: int) -> Matrix:
    """The kernel (x . y / D + 1)^3 summed over all pairs of an identity's rows of `x` and another's of `y`."""
    members = np.eye(identities)[of_y]
    sums = np.zeros((identities, identities))
    for index in range(identities):
        rows = x[of_x == index]
        sums[index] = ((rows @ y.T / x.shape[1] + 1) ** 3).sum(axis=0) @ members
    return sums


def without_each(
    metric: SetMetric,
    edits: NDArray[np.floating],
    edit_identities: ArrayLike,
    real: NDArray[np.floating],
    real_identities: ArrayLike,
) -> dict[str, float]:
    """A metric of a set by the identity left out; computed anew for each, where it has no fast way.

    Empty where less than two pictures of a side would be left without somebody.
    """
    names, of_edit, of_real = _identities(edit_identities, real_identities)
    left = [len(of) - np.bincount(of, minlength=len(names)) for of in (of_edit, of_real)]
    if min(side.min() for side in left) < 2:
        return {}
    if metric.distance is frechet_distance:
        return frechet_without_each(edits, edit_identities, real, real_identities)
    if metric.distance is thousandfold:
        distances = kernel_without_each(edits, edit_identities, real, real_identities)
        return {name: 1000 * value for name, value in distances.items()}
    return {name: metric.distance(edits[of_edit != i], real[of_real != i]) for i, name in enumerate(names)}


def frechet_floor(real: NDArray[np.floating], identities: ArrayLike) -> float | None:
    """The Fréchet distance between two halves of the real pictures, split by identity, averaged over HALVINGS splits.

    What a perfect method would get at half the number of pictures. None with fewer than two identities, or where a half
    would have one picture. Splits are drawn from a fixed seed (all of them, where there are no more).
    """
    names, of_picture = np.unique(np.asarray(identities, str), return_inverse=True)
    half = len(names) // 2
    if not half:
        return None
    if len(names) <= 8:
        splits = [set(chosen) for chosen in combinations(range(len(names)), half)]
    else:
        rng = np.random.default_rng(0)
        splits = [set(rng.permutation(len(names))[:half].tolist()) for _ in range(HALVINGS)]
    distances = []
    for chosen in splits:
        inside = np.isin(of_picture, list(chosen))
        if min(inside.sum(), (~inside).sum()) < 2:
            return None
        distances.append(frechet_distance(real[inside], real[~inside]))
    return float(np.mean(distances))


def _identities(edits: ArrayLike, real: ArrayLike) -> tuple[list[str], NDArray[np.intp], NDArray[np.intp]]:
    """All names in order, and the place among them of each edit's and each real picture's."""
    first, second = np.asarray(edits, str), np.asarray(real, str)
    names, indices = np.unique(np.concatenate([first, second]), return_inverse=True)
    return [str(name) for name in names], indices[: len(first)], indices[len(first) :]
