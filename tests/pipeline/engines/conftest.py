"""Fixtures that the tests of a cluster share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.engines.cluster import Suite, make_suite


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> Suite:
    """Two trainings, and their undisturbed results."""
    return make_suite(tmp_path_factory.mktemp("suite"), make_faces(identities=5))
