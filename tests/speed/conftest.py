"""Timings: every test in here is marked `speed`, so that `pytest` passes it over and `tox -e speed` runs it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A conftest's hook is given the items of all folders."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("speed")
            item.add_marker(pytest.mark.timeout(3600))
