"""Features without a network, for tests that ask nothing of the feature space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from benchmark.stages.features import ExtractorChoice


class Blocks:
    """Means of 8 x 8 pixels."""

    def features(self, images: np.ndarray, progress: Callable[[int], None]) -> np.ndarray:
        count, size = images.shape[:2]
        progress(count)
        return images.reshape(count, size // 8, 8, size // 8, 8, 3).mean((2, 4)).reshape(count, -1).astype(np.float32)


@contextmanager
def blocks_as_features() -> Iterator[None]:
    """Every stage of this process takes `Blocks` for its extractor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExtractorChoice, "open", lambda _self, _device: Blocks())
        yield
