"""Fixtures that the tests of a cluster share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.engines.cluster import Suite, make_suite
from tests.pipeline.engines.namespaces import fault


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> Suite:
    """Two trainings, and their undisturbed results."""
    return make_suite(tmp_path_factory.mktemp("suite"), make_faces(identities=5))


@pytest.fixture(scope="session")
def needs_namespaces() -> None:
    """Skip where no machines can be made."""
    if why := fault():
        pytest.skip(f"no network namespaces can be made here: {why}")
