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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compare the ratios with those stored: slower ones fail the session, what has no bound is told."""
    from tests.speed.rows import GIVEN

    rows = [row for row in GIVEN if row["plain"] is not None]
    if not rows:
        return
    from docs.check_speed import check

    if check(rows) == 1 and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
