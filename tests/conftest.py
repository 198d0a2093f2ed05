"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.browser import browser, open_page  # noqa: F401 (fixtures)
from tests.face_folders import write_faces

if TYPE_CHECKING:
    from benchmark.metrics.metric import PairMetric

# A gate must say the same of the same code: the examples are drawn from a fixed seed, and `pytest
# --hypothesis-profile default` looks for new ones.
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def make_faces(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`write_faces` into a folder of its own."""

    def make(**arguments: object) -> Path:
        return write_faces(tmp_path_factory.mktemp("faces"), **arguments)  # type: ignore[arg-type]

    return make


@pytest.fixture
def toy_metric() -> Iterator[PairMetric]:
    """A metric that is registered for one test."""
    from benchmark.metrics.registry import METRICS
    from tests.metrics.toy import MAD

    METRICS.append(MAD)
    yield MAD
    METRICS.remove(MAD)


@pytest.fixture
def block_features() -> Iterator[None]:
    """Features of this process's stages are means of 8 x 8 pixels: nothing waits for a network."""
    from tests.block_features import blocks_as_features

    with blocks_as_features():
        yield
