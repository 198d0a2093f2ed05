"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.face_folders import write_faces


@pytest.fixture(scope="session")
def make_faces(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`write_faces` into a folder of its own."""

    def make(**arguments: object) -> Path:
        return write_faces(tmp_path_factory.mktemp("faces"), **arguments)  # type: ignore[arg-type]

    return make
