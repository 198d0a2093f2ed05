"""The feature spaces in which FID and KID are measured.

Two networks are known: `inception`, the published one, and `efficientnet-lite0`, the stated stand-in where its weights
cannot be had. A Fréchet distance in another space than the published is not FID: `column` says what it is, and
`comparable` whether it may stand beside published numbers. Nothing here imports torch before an extractor is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from benchmark.core.errors import UserError, unknown
from benchmark.core.files import require_file
from benchmark.metrics.features import weights as files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ExtractorName = Literal["inception", "efficientnet-lite0"]
EXTRACTORS: tuple[ExtractorName, ...] = get_args(ExtractorName)

FLOOR = 128
"""Fewest pictures on a side for which a Fréchet distance is given unasked. N pictures span N - 1 of the 1280 or 2048
directions whose variances it compares; with a tenth of them or less it mostly measures N."""


class FeatureExtractor(Protocol):
    """A network as a feature space."""

    @property
    def name(self) -> str:
        """One of `EXTRACTORS`."""

    @property
    def column(self) -> str:
        """The head of the column: FID, FD[lite0], or FD[first 8 digits of the weights' SHA-256]."""

    @property
    def comparable(self) -> bool:
        """Whether the numbers may stand beside published FID: only with the published Inception weights."""

    @property
    def identity(self) -> str:
        """SHA-256 of the weights' file, 64 hexadecimal digits."""

    @property
    def dimensions(self) -> int:
        """D."""

    def features(self, images: NDArray[np.uint8], progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """N x D features of `images` (N x H x W x 3, uint8). `progress` is called with how many images are done.

        An image's features do not depend on the other images.
        """


def ensure_weights(name: str, weights: Path | None = None, allow_other_weights: bool = False) -> files.Weights:
    """The weights' file, checked: the given one, the cached one, or a download. Raises UserError where there is none.

    To be called before long work whose last step needs them.
    """
    from benchmark.config.networks import is_own_network  # loads pydantic, which --help does without

    if is_own_network(name):
        _no_weights(name, weights)
        path = require_file(Path(name), "--features")
        return files.Weights(path, files.sha256_of(path), False)
    if _checked_name(name) == "efficientnet-lite0":
        path = _lite0_file(weights)
        return files.Weights(path, files.sha256_of(path), files.sha256_of(path) == files.LITE0_SHA256)
    if weights is not None:
        return files.given(weights, files.INCEPTION, allow_other_weights)
    return files.cached_or_downloaded(files.INCEPTION)


def open_extractor(
    name: str,
    weights: Path | None = None,
    allow_other_weights: bool = False,
    device: str = "cpu",
    batch: int | None = None,
) -> FeatureExtractor:
    """The extractor of that name on `device`, its weights found as `ensure_weights` does.

    batch: images at once (on a CPU: on each thread); None for what was measured to be fast. It changes speed and memory
    only.

    Raises UserError for an unknown name, weights that are missing or refused, and a file that does not hold this
    network.
    """
    from benchmark.config.networks import is_own_network, read_own_network  # loads pydantic

    ensured = ensure_weights(name, weights, allow_other_weights)
    if is_own_network(name):
        from benchmark.metrics.features.own_network import open_own_network

        if read_own_network(ensured.path).crop == "face":
            raise UserError(
                f"{ensured.path} is for faces that are cut out by their landmarks (crop: face in "
                f"{ensured.path.with_suffix('.yaml').name}), and pictures in folders have none: cut the faces out "
                "before, and remove the line"
            )
        return open_own_network(ensured.path, device, batch)
    if name == "efficientnet-lite0":
        from benchmark.metrics.features.lite0 import open_lite0

        return open_lite0(ensured, device, batch)
    from benchmark.metrics.features.inception import open_inception

    return open_inception(ensured, device, batch)


def _checked_name(name: str) -> str:
    if name not in EXTRACTORS:
        raise unknown("feature extractor", name, EXTRACTORS)
    return name


def _lite0_file(weights: Path | None) -> Path:
    _no_weights("efficientnet-lite0", weights)
    return files.lite0_file()


def _no_weights(name: str, weights: Path | None) -> None:
    if weights is not None:
        raise UserError(f"{name} takes no weights file ({weights}); a file of weights goes with inception")
