"""One renderer for all tests of the renderer: starting anny takes a while."""

from __future__ import annotations

import pytest

from benchmark.rendering.shots import SetSettings, ShotRenderer

SETTINGS = SetSettings(identities=2, size=32, cameras=(0, 90, 180), gazes=("frontal", "left", "right"), seed=5)


@pytest.fixture(scope="package")
def renderer() -> ShotRenderer:
    """A renderer of two identities, 32 px, profile and frontal cameras, all gazes."""
    return ShotRenderer(SETTINGS)
