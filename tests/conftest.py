"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.face_folders import write_faces

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
