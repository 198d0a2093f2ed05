"""One photographer for all tests of the renderer: starting anny takes a while."""

from __future__ import annotations

import pytest

from benchmark.rendering.shots import Photographer, SetSettings

SETTINGS = SetSettings(identities=2, size=32, cameras=(0, 90, 180), gazes=("frontal", "left", "right"), seed=5)


@pytest.fixture(scope="package")
def photographer() -> Photographer:
    """A photographer of two identities, 32 px, profile and frontal cameras, all gazes."""
    return Photographer(SETTINGS)
