"""Chromium for the tests of pages, driven by playwright: the fixtures `browser` and `open_page`.

A test that needs them is skipped, with the reason, where there is no Chromium, and fails in CI (`CI` is set).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ABSENT = "there is no Chromium: apt-get install chromium"
SERIOUS = {"serious", "critical"}


# Not of the session: while it is open, nothing else in this thread can run an event loop (notebooks, servers).
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium with a fresh profile."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(ABSENT)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the page at an address or path. `open_page(url, width=, dark=, script=, **options of new_context)`.

    At the end of the test no page may have had an error, or asked for anything outside its own origin.
    """
    contexts, faults = [], []

    def open_(url: str | Path, *, width: int = 1440, dark: bool = False, script: bool = True, **options: Any) -> Page:
        address = url.resolve().as_uri() if isinstance(url, Path) else url
        origin = "file:" if address.startswith("file:") else "/".join(address.split("/")[:3]) + "/"
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"{address}: {error}"))
        page.on("console", lambda line: faults.append(f"{address}: {line.text}") if line.type == "error" else None)
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((origin, "data:", "blob:")) else faults.append(f"asks for {request.url}")
            ),
        )
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert faults == []


def accessibility_faults(page: Page, within: str = "html") -> list[str]:
    """What axe-core finds serious or critical: the rule, and the first elements that break it. Needs script."""
    import axe_playwright_python

    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    actual = page.evaluate("within => axe.run(within, {resultTypes: ['violations']})", within)
    return [
        f"{violation['id']} ({violation['impact']}): " + "; ".join(node["html"] for node in violation["nodes"][:3])
        for violation in actual["violations"]
        if violation["impact"] in SERIOUS
    ]
